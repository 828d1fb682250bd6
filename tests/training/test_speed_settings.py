"""Settings of speed: the compiler's network is the same function, and curves say how well devices were used."""

import pytest
import torch
from tiny_runs import REED

from reedbench.core import numerics
from reedbench.training.curve import Curve, Journal, as_csv
from reedbench.training.order import RowOrder
from reedbench.training.ranks import Ranks


def test_the_compiler_takes_the_network_whole_and_changes_no_value(make):
    network = make(REED, shaken=True).network
    torch.manual_seed(0)
    inputs = torch.randn(4, 1, 8, 8), torch.rand(4), torch.tensor([0, 1, 2, 3])
    network(*inputs, wanted=[])[0].sum().backward()  # not the compiler's, or this process could not be forked
    eager, compiled = network, torch.compile(network, backend="aot_eager", fullgraph=True)
    for wanted in ([0, 1], [0], []):
        (v, hidden), (w, others) = (each(*inputs, wanted=wanted) for each in (eager, compiled))
        for one, other in zip((v, *hidden), (w, *others), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_on_a_cpu_nothing_is_compiled(make):
    trainer = make(REED, compile=True)
    assert not trainer.compiled
    assert trainer.shared is trainer.network


def test_a_compiled_network_is_counted_in_smaller_pieces_at_the_same_operations(make):
    whole, cut = make(REED), make(REED)
    cut.compiled = True
    assert (whole._pieces_of_counting(whole._share_of(0)), cut._pieces_of_counting(cut._share_of(0))) == (1, 8)
    assert cut.flops(0) == whole.flops(0)


def test_numerics_say_that_kernels_are_the_compilers_and_nothing_else():
    plain, compiled = numerics.here(), numerics.here(compiled=True)
    assert "compiled" not in plain
    assert numerics.changes(plain, compiled) == "compiled - -> True"


def row(peak: float | None, world: int = 1) -> dict[str, float]:
    """Two steps of 1 s and of 6 FLOPs each, of all ranks."""
    ranks = Ranks(world, 0, 0, "cpu")
    counted = Curve(Journal(), RowOrder(4, 4, "b", 0), ranks, lambda step: min(step, 1), peak)
    counted.journal.pending = [{"step": 1.0, "denoise": 1.0}, {"step": 2.0, "denoise": 1.0}]
    counted.journal.rates, counted.journal.costs = {"0": 4.0, "1": 8.0}, {"device_seconds": 2.0 * world}
    return counted.row(2)


@pytest.mark.parametrize("world", [1, 2])
def test_mfu_is_the_share_of_what_all_devices_could_have_done(world):
    found = row(12.0, world)
    assert found["mfu"] == pytest.approx(12 / (2 * world * 12))
    assert found["samples_per_second"] == pytest.approx(4)


def test_without_a_known_peak_its_cell_is_empty():
    assert "mfu" not in row(None)
    header, line = as_csv([{**row(None), "cpu_seconds": 1.0, "flops": 2.0}]).splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True))["mfu"] == ""
