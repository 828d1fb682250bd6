"""Costs follow the work: terms that do not count are not computed, and every phase of training has its own price."""

import csv
import time
from dataclasses import replace

import pytest
import torch
from forked import on_ranks
from tiny_proteins import REED as CHAINS_REED
from tiny_proteins import trainer as chains_trainer
from tiny_proteins import write_data
from tiny_runs import BATCH, DEPTH, PATCHES, REPA, SIDE, SIT, TEXT, WIDTH
from torch import Tensor

from reedbench.core.errors import ConfigError
from reedbench.nn.schedules import SCHEDULES, Factor, factor
from reedbench.objectives import Schedule
from reedbench.objectives.aligned import Aligned
from reedbench.training.checkpoint import Store
from reedbench.training.curve import Curve, Journal
from reedbench.training.order import RowOrder
from reedbench.training.ranks import Ranks
from reedbench.training.segments import Segment, train_segment

STOP = 3
STOPPED = Aligned(label="HASTE", alignments=(PATCHES,), align=Schedule(shape="stop", start=STOP))
LATE = Aligned(label="late", alignments=(PATCHES,), align=Schedule(shape="linear-ramp", start=STOP, length=2))


def bits(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def targets_read(trainer) -> list[list[str]]:
    """Fills with the representations that each step reads."""
    read, targets = [], trainer.data.targets
    trainer.data.targets = lambda *asked: read.append(sorted(found := targets(*asked))) or found
    return read


@pytest.mark.parametrize("shape", SCHEDULES)
@pytest.mark.parametrize(("start", "length"), [(0, 4), (3, 4), (3, 1)])
def test_a_factor_is_the_schedule_and_does_not_count_only_where_that_is_zero_for_good(shape, start, length):
    one = factor(shape, start, length).times(0.5)
    for step in range(12):
        assert one(step) == 0.5 * SCHEDULES[shape](step, start, length)
        counts = step >= one.begin and (one.end is None or step < one.end)
        assert one.active(step) == counts
        if not counts:
            sides = range(step, 100) if one.end is not None and step >= one.end else range(step + 1)
            assert not any(SCHEDULES[shape](other, start, length) for other in sides)
    assert not any(one.times(0).active(step) for step in range(12))


def closed_form(projector: tuple[int, int] | None = None) -> float:
    """Of a step of SiT, by hand: two per multiply-add, a backward pass twice the forward pass."""
    tokens, values = (SIDE // 2) ** 2, 4
    products = DEPTH * (tokens * (3 + 1 + 4 + 4) * WIDTH**2 + 6 * WIDTH**2)
    products += tokens * values * WIDTH + 2 * WIDTH**2 + WIDTH**2  # patches out, last modulation, second layer of time
    first = tokens * values * WIDTH + 256 * WIDTH  # patches and time in: nothing before them wants a gradient
    attention = DEPTH * 2 * tokens**2 * WIDTH  # the fused backward pass has five products where the forward has two
    if projector:
        hidden, dim = projector
        products += tokens * (WIDTH * hidden + hidden**2 + hidden * dim)
    return 2.0 * BATCH * (3 * products + 2 * first + 3.5 * attention)


def test_operations_on_the_cpu_are_those_of_the_closed_formula_with_its_attention(make):
    assert make(SIT).flops(0) == closed_form()
    assert make(REPA).flops(0) == closed_form((16, 6))


def test_a_term_that_has_stopped_is_neither_computed_nor_read_nor_charged(make):
    trainer = make(STOPPED)
    read = targets_read(trainer)
    values = [trainer.update(step).keys() for step in range(STOP + 1)]
    assert all("patches@1" in found for found in values[:STOP])
    assert values[STOP] == {"denoise", "gradient_norm"}
    assert read[0] == ["target/patches"]
    assert read[-1] == []
    assert trainer.phases == (0, STOP)
    assert trainer.flops(STOP - 1) == closed_form((16, 6))
    assert trainer.flops(STOP) == closed_form()


def test_a_term_that_starts_late_is_not_charged_before(make):
    trainer = make(LATE)
    assert [trainer.flops(step) for step in (0, STOP - 1, STOP, 99)] == [closed_form()] * 2 + [closed_form((16, 6))] * 2


def test_an_alignment_of_weight_zero_is_never_computed(make):
    trainer = make(Aligned(label="-", alignments=(PATCHES, TEXT.model_copy(update={"weight": 0.0}))))
    read = targets_read(trainer)
    assert trainer.update(0).keys() == {"denoise", "patches@1", "gradient_norm"}
    assert read[-1] == ["target/patches"]


@pytest.mark.parametrize("method", [STOPPED, LATE], ids=["stop", "late"])
def test_not_computing_a_term_gives_the_bytes_of_computing_it_with_a_coefficient_of_zero(make, method):
    """The law of the references: the optimiser counts the step, moments of the projector decay."""
    saving, paying = (make(method, accumulation=2) for _ in range(2))
    factors = paying.learner.factors
    paying.learner.factors = {name: Factor(lambda step, one=one: one(step)) for name, one in factors.items()}
    for step in range(6):
        saving.update(step), paying.update(step)
    assert bits(saving.state()) == bits(paying.state())
    assert any(name.startswith("optimiser/exp_avg/projectors") for name in saving.state())


def test_an_alignment_of_edges_that_stops_frees_its_pairs_and_keeps_the_law(tmp_path):
    write_data(tmp_path)
    method = CHAINS_REED.model_copy(update={"align": Schedule(shape="stop", start=2)})
    saving, paying = (chains_trainer(tmp_path, method) for _ in range(2))
    factors = paying.learner.factors
    paying.learner.factors = {name: Factor(lambda step, one=one: one(step)) for name, one in factors.items()}
    read = targets_read(saving)
    for step in range(4):
        saving.update(step), paying.update(step)
    assert read[-1] == []
    assert bits(saving.state()) == bits(paying.state())
    assert saving.flops(2) < saving.flops(1)


def test_the_curve_charges_every_phase_its_own_price_and_leaves_cells_empty(make, tmp_path):
    segment = Segment("key", 0, 6, 3, 2, 100, str(tmp_path / "out"), str(tmp_path / "receipt.json"), None, "t")
    trainer, store = make(STOPPED), Store(tmp_path / "store/key")
    costs = train_segment(trainer, store, segment).costs
    assert costs["flops"] == 3 * closed_form((16, 6)) + 3 * closed_form()
    assert store.load_state(6)[1]["rates"] == {"0": closed_form((16, 6)), "3": closed_form()}
    rows = list(csv.DictReader((tmp_path / "out/curve.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["2", "3", "4", "6"]  # a save point ends a row
    assert [bool(row["patches@1"]) for row in rows] == [True, True, False, False]
    assert all(row["denoise"] for row in rows)


def test_a_segment_after_the_stop_keeps_the_column(make, tmp_path):
    places = {"out": str(tmp_path / "out"), "receipt": str(tmp_path / "receipt.json")}
    first = Segment("key", 0, 4, 2, 2, 100, previous=None, title="t", **places)
    store = Store(tmp_path / "store/key")
    train_segment(make(STOPPED), store, first)
    later = {"out": str(tmp_path / "out1"), "receipt": str(tmp_path / "receipt1.json")}
    train_segment(make(STOPPED), store, replace(first, start=4, stop=6, previous=places["receipt"], **later))
    (row,) = csv.DictReader((tmp_path / "out1/curve.csv").read_text().splitlines())
    assert row["patches@1"] == ""


def test_receipts_say_what_each_term_is(make, tmp_path):
    segment = Segment("key", 0, 2, 2, 2, 100, str(tmp_path / "out"), str(tmp_path / "receipt.json"), None, "t")
    train_segment(make(STOPPED), Store(tmp_path / "store/key"), segment)
    assert '"terms": {"denoise": "loss", "patches@1": "cosine"}' in " ".join(
        (tmp_path / "receipt.json").read_text().split()
    ).replace("{ ", "{").replace(" }", "}")


@pytest.mark.parametrize(("device", "charged"), [("cuda", 5.0), ("cpu", 10.0)])
def test_the_time_of_counting_is_not_charged(device, charged, make, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "process_time", lambda: 2 * now[0])
    counted = Curve(Journal(), RowOrder(4, 4, "b", 0), Ranks.alone(device))
    now[0] += 3
    counted.enter(0, lambda step: now.__setitem__(0, now[0] + 1000) or 7.0)
    now[0] += 2
    counted.add(1, {"denoise": torch.tensor(1.0)})
    counted.settle()
    assert counted.journal.costs == {"device_seconds": charged, "cpu_seconds": 10.0, "flops": 7.0}


def test_a_phase_that_an_earlier_segment_counted_is_not_counted_again():
    counted = Curve(
        Journal(rates={"0": 7.0}), RowOrder(4, 4, "b", 0), Ranks.alone("cpu"), phase=lambda step: 3 if step >= 3 else 0
    )
    asked = []
    for step in range(5):
        counted.enter(step, lambda step: asked.append(step) or 5.0)
    assert asked == [3]
    assert counted.journal.rates == {"0": 7.0, "3": 5.0}


def test_a_process_that_goes_on_counts_nothing_again():
    counted = Curve(Journal(rates={"0": 7.0}), RowOrder(4, 4, "b", 0), Ranks.alone("cpu"))
    counted.enter(3, lambda step: pytest.fail("counted"))
    assert counted.journal.rates == {"0": 7.0}


def test_a_loss_of_which_nothing_is_left_is_one_line(make):
    with pytest.raises(ConfigError, match=r"^b: from step 3 on no term of the method's loss counts$"):
        make(STOPPED.model_copy(update={"denoise": Schedule(shape="stop", start=STOP)}))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_ranks_agree_when_a_term_stops_and_a_resumed_run_ends_in_the_same_bytes(make, accumulation):
    def straight(ranks):
        trainer = make(STOPPED, ranks=ranks, batch=12, accumulation=accumulation)
        trainer.settle_gradients()
        for step in range(5):
            trainer.update(step)
        return bits(trainer.state())

    def resumed(ranks):
        trainer, later = (make(STOPPED, ranks=ranks, batch=12, accumulation=accumulation) for _ in range(2))
        trainer.settle_gradients(), [trainer.update(step) for step in range(4)]
        later.settle_gradients()
        later.restore({name: tensor.detach().clone() for name, tensor in trainer.state().items()})
        later.update(4)
        return bits(later.state())

    once = on_ranks(3, straight)
    assert not [rank for rank in once if isinstance(rank, Exception)]
    assert once[0] == once[1] == once[2]
    assert on_ranks(3, resumed) == once
