"""Losses on hidden states, contrasted velocities and RARE in the loop: ranks, costs, remarks, the release."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from first_update import gradient
from forked import on_ranks
from test_phases import closed_form
from tiny_proteins import trainer as chains_trainer
from tiny_proteins import write_data
from tiny_runs import BATCH, NO_CLIP, SIDE, SIT, WIDTH
from torch import Tensor

from reedbench.core.errors import ConfigError
from reedbench.objectives.contrastive_flow import ContrastiveFlow
from reedbench.objectives.dispersive import Dispersive
from reedbench.objectives.layersync import LayerSync
from reedbench.objectives.protein_dispersive import ProteinDispersive
from reedbench.objectives.protein_layersync import ProteinLayerSync
from reedbench.objectives.protein_self_aligned import ProteinSelfAligned
from reedbench.objectives.rare import Rare
from reedbench.training.ahead import Ahead
from reedbench.training.checkpoint import Store
from reedbench.training.segments import Segment, train_segment
from reedbench.training.trainer import AHEAD

DISPERSIVE = Dispersive(label="-", depth=1, group=4)
COVARIANCE = Dispersive(label="-", depth=2, group=4, variant="covariance")
LAYERSYNC = LayerSync(label="-", pairs=[(1, 2)])
CONTRASTIVE = ContrastiveFlow(label="-", group=4, negatives="other-class", null_rows=False, label_dropout=0.3)
RARE = Rare(label="-", encoder="patches", depth=1)
# Averages so short that the alignment is released in the first steps.
RELEASED = Rare(label="-", encoder="patches", depth=1, fast=0.0, slow=0.9, margin=1e-6, ramp=3, latest=100)
METHODS = [DISPERSIVE, COVARIANCE, LAYERSYNC, CONTRASTIVE, RARE]
ids = [f"{method.uses}-{i}" for i, method in enumerate(METHODS)]


def bits(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("method", METHODS, ids=ids)
@pytest.mark.parametrize(("world", "accumulation"), [(1, 4), (2, 1), (4, 1)])
def test_the_gradient_is_that_of_one_process_but_for_rounding(make, method, world, accumulation):
    settings = {"batch": 16, "clip": NO_CLIP, "shaken": True, "double": True}
    whole = gradient(make(method, **settings))

    def work(ranks):
        return gradient(make(method, ranks=ranks, accumulation=accumulation, **settings))

    for found in [work(None)] if world == 1 else on_ranks(world, work):
        assert float((found - whole).norm() / whole.norm()) < 1e-12


# Costs


def test_costs_are_those_of_sit_and_of_what_is_compared(make):
    tokens, group = (SIDE // 2) ** 2, 4
    assert make(LAYERSYNC).flops(0) == make(CONTRASTIVE).flops(0) == closed_form()
    products = 3 * 2 * BATCH * group * tokens * WIDTH  # of all pairs of a group, forward and backward
    assert make(DISPERSIVE).flops(0) == closed_form() + products


@pytest.mark.parametrize(
    "method", [one.model_copy(update={"weight": 0.0}) for one in (DISPERSIVE, LAYERSYNC, CONTRASTIVE)]
)
def test_a_term_of_weight_zero_is_not_computed_and_leaves_sit(make, method):
    zero, plain = make(method), make(SIT.model_copy(update={"label_dropout": method.label_dropout}))
    assert zero.update(0).keys() == plain.update(0).keys()
    assert bits(zero.state()) == bits(plain.state())
    assert zero.flops(0) == closed_form()


# The floor

SEGMENT = Segment("key", 0, 4, 2, 1, 100, "out", "receipt.json", None, "b/m/seed0")


def segment(make, folder: Path, method, start: int, stop: int) -> None:
    previous = str(folder / f"{start}.json") if start else None
    places = {"out": str(folder / f"out-{stop}"), "receipt": str(folder / f"{stop}.json"), "previous": previous}
    one = replace(SEGMENT, start=start, stop=stop, **places)
    train_segment(make(method, shaken=True), Store(folder / "store"), one)


def test_a_term_at_its_floor_is_said_once_in_a_run_of_several_segments(make, tmp_path, capfd):
    resting = Dispersive(label="-", depth=1, group=4, temperature=1e-3)
    segment(make, tmp_path, resting, 0, 4)
    said = capfd.readouterr().err
    assert re.search(r"b/m/seed0: step 1: dispersive -1\.38\d* rests at its floor -1\.386, .*: lower its weight", said)
    assert said.count("rests at its floor") == 1
    segment(make, tmp_path, resting, 4, 8)
    assert "rests at its floor" not in capfd.readouterr().err


def test_a_term_above_its_floor_is_left_alone(make, tmp_path, capfd):
    segment(make, tmp_path, DISPERSIVE.model_copy(update={"temperature": 100.0}), 0, 2)
    assert "floor" not in capfd.readouterr().err
    learner = make(DISPERSIVE).learner
    floor = learner.floors["dispersive"]
    assert learner.remark({"dispersive": 0.98 * floor, "denoise": -9.0}) is None
    assert learner.remark({"denoise": -9.0}) is None
    assert "rests at its floor" in learner.remark({"dispersive": 0.995 * floor})


# The release of RARE


def released_at(trainer, steps: int) -> int:
    """Train until then, and say when the alignment was released."""
    for step in range(steps):
        trainer.update(step)
    return trainer.learner.released


def test_the_release_follows_both_averages_of_the_eta_of_the_batch(make):
    trainer, one = make(RELEASED), RELEASED
    settled, etas = trainer.learner.settled, []

    def watched(step, total):
        etas.append(float(trainer.learner.measured[0] / trainer.learner.measured[1]))
        settled(step, total)

    trainer.learner.settled = watched
    begin = released_at(trainer, 12)
    assert 0 < min(etas[:begin]) < max(etas[:begin]) < 1
    gaining, slow = [], etas[0]
    for eta in etas[:begin]:  # the fast average is eta itself
        slow = one.slow * slow + (1 - one.slow) * eta
        gaining.append(eta < (1 - one.margin) * slow)
    first = gaining.index(True)
    assert begin == 1 + gaining.index(False, first)


def test_rows_drawn_ahead_are_those_of_the_terms_that_are_left(make):
    straight, ahead = make(RELEASED), make(RELEASED)
    ahead.ahead = Ahead(ahead._drawn, AHEAD, ahead._alike)
    assert released_at(straight, 12) == released_at(ahead, 12)
    assert bits(straight.state()) == bits(ahead.state())


def test_after_the_release_the_factor_falls_as_a_cosine_and_nothing_is_computed_or_charged(make):
    trainer = make(RELEASED)
    assert trainer.phases == (0, RELEASED.latest + RELEASED.ramp)
    begin = released_at(trainer, 12)
    assert 2 <= begin < 9
    factors = [trainer.learner.coefficients(step).get("patches@1") for step in range(begin - 1, begin + 5)]
    assert factors == pytest.approx([1, 1, 0.75, 0.25, None, None])
    assert trainer.phases == (0, begin + 3)
    assert trainer.flops(begin + 2) > trainer.flops(begin + 3) == closed_form()
    assert trainer.update(12).keys() == {"denoise", "gradient_norm"}


def test_without_a_gain_to_lose_the_release_begins_at_the_latest(make):
    trainer = make(RARE.model_copy(update={"latest": 2, "ramp": 4}))
    assert released_at(trainer, 4) < 0
    assert [trainer.learner.coefficients(step).get("patches@1") for step in (1, 2, 4, 6)] == [
        1, 1, pytest.approx(0.5), None
    ]  # fmt: skip


@pytest.mark.parametrize("stop", [2, 6, 9])
def test_a_run_resumed_around_its_release_ends_in_the_same_bytes(make, stop):
    whole, first, again = (make(RELEASED) for _ in range(3))
    begin = released_at(whole, 12)
    released_at(first, stop)
    again.restore({name: tensor.detach().clone() for name, tensor in first.state().items()})
    for step in range(stop, 12):
        again.flops(step)
        again.update(step)
    assert again.learner.released == begin
    assert again.phases == whole.phases
    assert bits(again.state()) == bits(whole.state())


def test_ranks_release_together_and_as_one_process_does(make):
    def work(ranks):
        trainer = make(RELEASED, ranks=ranks, double=True, batch=13)
        return released_at(trainer, 12), trainer.learner.fast, trainer.learner.slow

    begin, fast, slow = work(None)
    for found in on_ranks(2, work):
        assert found == (begin, pytest.approx(fast, rel=1e-9), pytest.approx(slow, rel=1e-9))


def test_the_curve_prices_the_steps_after_a_release(make, tmp_path):
    trainer = make(RELEASED)
    one = replace(SEGMENT, stop=12, save_every=12, out=str(tmp_path / "out"), receipt=str(tmp_path / "r.json"))
    costs = train_segment(trainer, Store(tmp_path / "store"), one).costs
    end = trainer.learner.released + RELEASED.ramp
    assert costs["flops"] == pytest.approx(end * trainer.flops(0) + (12 - end) * closed_form())


# Proteins

CHAINS = ProteinDispersive(label="-", depth=2, group=2)
SRA = ProteinSelfAligned(label="-", student_depth=1, teacher_depth=2)
SYNCED = ProteinLayerSync(label="-", pairs=[(1, 2)])


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chains")
    write_data(folder)
    return lambda method, **settings: chains_trainer(folder, method, double=True, **settings)


@pytest.mark.parametrize(
    ("method", "settings"),
    [(CHAINS, {"tokens": None, "batch": 8}), (SYNCED, {}), (SRA, {})],
    ids=["dispersive", "layersync", "self-aligned"],
)
@pytest.mark.parametrize(("world", "accumulation"), [(1, 2), (2, 1), (2, 2)])
def test_the_gradient_of_chains_is_that_of_one_process(chains, method, settings, world, accumulation):
    whole = gradient(chains(method, **settings))

    def work(ranks):
        return gradient(chains(method, ranks=ranks, accumulation=accumulation, **settings))

    for found in [work(None)] if world == 1 else on_ranks(world, work):
        assert float((found - whole).norm() / whole.norm()) < 1e-11


@pytest.mark.parametrize("method", [CHAINS, SYNCED], ids=["dispersive", "layersync"])
def test_padded_and_unresolved_residues_and_chains_without_structure_change_nothing(chains, method):
    one = chains(method, tokens=None, batch=4)
    batch = one._share_of(0).batch
    batch["mask"][1] = 0  # as a chain of padding
    hidden = [torch.randn(*batch["mask"].shape, 8, dtype=torch.float64) for _ in method.depths()]
    nowhere = [torch.where(batch["mask"][..., None] > 0, h, 99.0) for h in hidden]
    ((name, term),) = one.learner.further.items()
    value, other = (
        (term.values(states, batch) * term.counted(batch)).sum() / term.counted(batch).sum()
        for states in (hidden, nowhere)
    )
    assert value == other
    if method is SYNCED:
        cosines = torch.nn.functional.cosine_similarity(*hidden, dim=-1)
        assert float(value) == pytest.approx(-float(cosines[batch["mask"] > 0].mean()))
        assert name == "layersync@1-2"
    else:
        assert term.counted(batch).tolist() == [1, 0, 1, 1]
        alone = term.values([h[2:] for h in hidden], {n: x[2:] for n, x in batch.items()})
        assert float(value) == pytest.approx(float(alone.sum()) / 3)  # the first chain has no partner left: log 1


def test_chains_in_groups_need_batches_of_one_size_and_all_together_one_process(chains):
    with pytest.raises(ConfigError, match=r"compares rows in groups of 2, which needs .* one size: give train.batch"):
        chains(CHAINS)
    together = CHAINS.model_copy(update={"group": 0})
    with pytest.raises(ConfigError, match=r"compares all rows .* set train.accumulation to 1 and train on one process"):
        chains(together, accumulation=2)
    assert chains(together).update(0)["dispersive"].isfinite()
