"""One step of our training loop, as scripts time it."""

from collections.abc import Callable

from reedbench.training.curve import Curve, Journal
from reedbench.training.trainer import Trainer


def our_step(trainer: Trainer, log_every: int = 50) -> Callable[[], None]:
    """One step of our loop with its curve, as `segments._advance` runs it between save points."""
    counted = Curve(Journal(), trainer.order, trainer.ranks, trainer.learner.phase)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        counted.enter(done - 1, trainer.flops)
        counted.add(done, trainer.update(done - 1))
        if done % log_every == 0:
            counted.row(done)

    return step
