"""Device-seconds: what is charged on which device."""

import time

from reedbench.core.clock import Stopwatch


def busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_cpu_is_charged_for_what_it_works_and_a_gpu_for_how_long_it_is_held() -> None:
    watch = Stopwatch.start()
    busy(0.05)
    time.sleep(0.2)
    assert 0.05 <= watch.device_seconds("cpu") < 0.2 <= watch.device_seconds("cuda")
    assert watch.cpu_seconds() >= 0.05
    assert watch.seconds() >= 0.25


def test_what_was_between_can_be_taken_out() -> None:
    watch = Stopwatch.start()
    between = Stopwatch.start()
    busy(0.1)
    time.sleep(0.1)
    whole = watch.without(between)
    assert whole.device_seconds("cpu") <= watch.device_seconds("cpu") - 0.09
    assert whole.seconds() <= watch.seconds() - 0.19
