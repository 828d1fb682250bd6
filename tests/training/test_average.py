"""Methods that look at the weight average: what they cost, how their batches may be cut, what each row reads."""

import numpy as np
import pytest
import torch
from first_update import gradient
from forked import on_ranks
from pydantic import ValidationError
from tiny_runs import BATCH, CLASSES, DEPTH, NO_CLIP, ROWS, SIDE, SIT, WIDTH
from torch import Tensor

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.self_aligned import later
from reedbench.objectives import Schedule
from reedbench.objectives.gft import GuidanceFreeTraining
from reedbench.objectives.model_guidance import ModelGuidance
from reedbench.objectives.model_guidance_scaled import ScaledModelGuidance
from reedbench.objectives.self_aligned import SelfAligned

START = 3
MG = ModelGuidance(label="MG", start=START)
SCALED = ScaledModelGuidance(label="MG, any scale", start=START, share=0.5)
GFT = GuidanceFreeTraining(label="GFT")
SRA = SelfAligned(label="SRA", student_depth=1, teacher_depth=1)
AT_ONCE = {
    "mg": MG.model_copy(update={"start": 0}),
    "contrastive": ModelGuidance(label="-", start=0, away_from="another-class"),
    "mg-scaled": SCALED.model_copy(update={"start": 0}),
    "gft": GFT,
    "sra": SelfAligned(label="SRA", student_depth=1, teacher_depth=2),
    "sra-reference": SelfAligned(label="SRA", student_depth=1, teacher_depth=2, axis="reference"),
    "sra-paper": SelfAligned(label="SRA", student_depth=1, teacher_depth=2, distance="smooth-l1", weight=0.2),
}

TOKENS, VALUES = (SIDE // 2) ** 2, 4
BLOCK = TOKENS * 12 * WIDTH**2 + 6 * WIDTH**2 + 2 * TOKENS**2 * WIDTH  # products per row, attention among them
BEFORE = TOKENS * VALUES * WIDTH + 256 * WIDTH + WIDTH**2  # patches and time in
BEHIND = TOKENS * VALUES * WIDTH + 2 * WIDTH**2  # last modulation, patches out
SCALE = 256 * WIDTH + WIDTH**2  # the embedding of a scale


def forward(rows: int, blocks: int = DEPTH, *, whole: bool = True, scaled: bool = False) -> float:
    """Operations of a forward pass, two per multiply-add; without the output where it stops at a block."""
    return 2.0 * rows * (BEFORE + blocks * BLOCK + BEHIND * whole + SCALE * scaled)


def drawn(trainer, step: int = 0) -> dict[str, Tensor]:
    return trainer._share_of(step).batch


def test_model_guidance_costs_two_forward_passes_of_its_guided_rows_from_its_start_on(make):
    trainer = make(MG)
    assert trainer.phases == (0, START)
    assert trainer.flops(START - 1) == make(SIT).flops(0)
    assert trainer.flops(START) == make(SIT).flops(0) + 2 * forward(round(0.9 * 0.75 * BATCH))
    assert trainer.flops(START + 4) == trainer.flops(START)


@pytest.mark.parametrize("high", [1.0, 0.75])
@pytest.mark.parametrize(("accumulation", "world"), [(1, 1), (4, 1), (1, 2)])
def test_it_costs_the_mean_over_what_may_be_drawn(make, high, accumulation, world):
    def cost(ranks=None, seed=0) -> float:
        one = make(MG.model_copy(update={"high": high}), batch=ROWS, accumulation=accumulation, ranks=ranks, seed=seed)
        return one.flops(START)

    plain = make(SIT, batch=ROWS).flops(0)
    expected = plain + 2 * 0.9 * high * forward(ROWS)  # of 40 rows a whole number is moved, and of 20 nearly so
    found = {*on_ranks(world, cost)} if world > 1 else {cost(), cost(seed=1)}
    assert len(found) == 1
    assert found.pop() == pytest.approx(expected, rel=1e-12 if world == 1 else 0.015)
    assert "4.8F" in MG.cost


@pytest.mark.parametrize("times", ["uniform", "lognormal"])
@pytest.mark.parametrize("name", ["mg", "mg-scaled", "gft"])
def test_as_many_rows_are_counted_as_are_looked_up_in_the_mean(make, times, name):
    trainer = make(AT_ONCE[name].model_copy(update={"times": times}), batch=ROWS)
    learner = trainer.learner

    def rows(batch) -> float:
        moved = batch["scale"] < 1 if name == "gft" else None
        return float(len(learner._moved(batch)) if moved is None else moved.sum())

    batches = [drawn(trainer, step) for step in range(50)]
    mean = np.mean([rows(batch) for batch in batches])
    assert rows(learner.typical(batches[0])) == pytest.approx(mean, abs=1.2)


def test_a_scale_as_input_costs_its_embedding_and_the_rows_that_are_guided(make):
    trainer = make(SCALED)
    embedding = 2.0 * BATCH * (2 * 256 * WIDTH + 3 * WIDTH**2)
    assert trainer.flops(0) == make(SIT).flops(0) + embedding
    rows = round(0.5 * 0.75 * BATCH)
    assert trainer.flops(START) == trainer.flops(0) + 2 * forward(rows, scaled=True)


def test_guidance_free_training_costs_one_forward_pass_of_rows_with_a_label(make):
    embedding = 2.0 * ROWS * (2 * 256 * WIDTH + 3 * WIDTH**2)
    expected = make(SIT, batch=ROWS).flops(0) + embedding + 0.9 * forward(ROWS, scaled=True)
    assert make(GFT, batch=ROWS).flops(0) == pytest.approx(expected, rel=1e-12)


def test_what_guidance_free_training_looks_up_is_in_evaluation_mode(make):
    trainer, modes = make(GFT), []
    trainer.network.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    trainer.update(0)
    assert modes == [False, True]


@pytest.mark.parametrize("teacher", [1, 2])
def test_self_alignment_costs_its_head_and_a_forward_pass_up_to_the_block_of_the_teacher(make, teacher):
    trainer = make(SRA.model_copy(update={"teacher_depth": teacher}))
    head = 3 * 2.0 * BATCH * TOKENS * 4 * WIDTH**2
    assert trainer.flops(0) == make(SIT).flops(0) + head + forward(BATCH, teacher, whole=False)


def test_self_alignment_that_has_stopped_looks_nothing_up(make):
    trainer = make(SRA.model_copy(update={"align": Schedule(shape="stop", start=2)}))
    assert [trainer.flops(step) for step in (2, 9)] == [make(SIT).flops(0)] * 2
    assert trainer.update(0).keys() == {"denoise", "self@1", "gradient_norm"}
    assert trainer.update(2).keys() == {"denoise", "gradient_norm"}


@pytest.mark.parametrize("name", AT_ONCE)
def test_ranks_and_micro_batches_change_the_gradient_by_rounding_only(make, name):
    settings = {"batch": 8, "clip": NO_CLIP, "shaken": True, "double": True}
    whole = gradient(make(AT_ONCE[name], **settings))
    assert float(whole.norm()) > 0
    for world, accumulation in ((1, 2), (2, 2), (4, 1)):
        cut = {**settings, "accumulation": accumulation}
        for found in on_ranks(world, lambda ranks, cut=cut: gradient(make(AT_ONCE[name], ranks=ranks, **cut))):
            assert float((found - whole).norm() / whole.norm()) < 1e-12


def bits(trainer) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in trainer.state().items()}


@pytest.mark.parametrize("name", AT_ONCE)
@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_ends_in_the_same_bytes(make, name, stop):
    whole, first, again = (make(AT_ONCE[name]) for _ in range(3))
    for step in range(4):
        whole.update(step)
    for step in range(stop):
        first.update(step)
    again.restore({key: tensor.detach().clone() for key, tensor in first.state().items()})
    for step in range(stop, 4):
        again.update(step)
    assert bits(again) == bits(whole)


def test_before_its_start_model_guidance_is_sit_to_the_byte(make):
    guided, plain = make(MG, shaken=True), make(SIT, shaken=True)
    for step in range(START):
        guided.update(step), plain.update(step)
    assert bits(guided) == bits(plain)
    guided.update(START), plain.update(START)
    assert bits(guided) != bits(plain)


def test_rows_without_a_label_or_too_early_keep_their_target(make):
    trainer = make(AT_ONCE["mg"], shaken=True)
    batch = drawn(trainer)
    shift = trainer.learner.looked_up(batch, 0, trainer.others)["shift"]
    moved = (batch["y"] != CLASSES) & (batch["t"] > 0.25)
    assert [bool(row.any()) for row in shift] == moved.tolist()


def test_another_class_is_never_ones_own_and_every_other_one_comes(make):
    learner = make(AT_ONCE["contrastive"]).learner
    labels = torch.arange(600) % CLASSES
    batch = {"x_1": torch.zeros(600, 1), "labels": labels}
    other = learner.draw(batch, lambda name: seeds.rows(range(600), name))["other"]
    assert not (other == labels).any()
    assert ((other >= 0) & (other < CLASSES)).all()
    assert {(int(a), int(b)) for a, b in zip(labels, other, strict=True)} == {
        (a, b) for a in range(CLASSES) for b in range(CLASSES) if a != b
    }


def test_what_rows_read_as_their_scale(make):
    learner = make(SCALED.model_copy(update={"share": 0.2, "between": (1.2, 1.8)})).learner
    batch = {"x_1": torch.zeros(4000, 1), "labels": torch.arange(4000) % CLASSES}
    batch = learner.draw(batch, lambda name: seeds.rows(range(4000), name))
    scale, dropped = batch["scale"], batch["y"] == CLASSES
    guided = scale > 1
    assert torch.equal(scale == 0, dropped)
    assert ((scale[guided] >= 1.2) & (scale[guided] < 1.8)).all()
    assert float(guided.float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float((scale == 1).float().mean()) == pytest.approx(0.7, abs=0.02)
    early = learner.looked_up(batch, START - 1, None)
    assert set(early["scale"].tolist()) == {0.0, 1.0}
    assert not early["shift"].any()


def test_the_branch_without_label_reads_one_in_guidance_free_training(make):
    learner = make(GFT).learner
    batch = {"x_1": torch.zeros(2000, 1), "labels": torch.arange(2000) % CLASSES}
    batch = learner.draw(batch, lambda name: seeds.rows(range(2000), name))
    dropped = batch["y"] == CLASSES
    assert (batch["scale"][dropped] == 1).all()
    assert np.histogram(batch["scale"][~dropped], bins=4, range=(0, 1))[0].min() > 300


def test_the_teachers_time_is_later_and_never_beyond_the_data():
    t, u = torch.tensor([0.0, 0.5, 0.95]), torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(later(t, u, 0.2), torch.tensor([0.0, 0.6, 1.0]))


def test_the_teacher_sees_the_same_data_noise_and_dropped_labels(make):
    trainer, seen = make(AT_ONCE["sra"], shaken=True), []
    trainer.others.average = lambda *inputs, **named: seen.append((inputs, named)) or (None, [torch.zeros(1)])
    batch = drawn(trainer)
    trainer.learner.looked_up(batch, 0, trainer.others)
    (((x, t, y), named),) = seen
    assert named == {"wanted": [1], "only_taps": True}
    assert torch.equal(y, batch["y"])
    assert ((t >= batch["t"]) & (t <= 1)).all()
    torch.testing.assert_close(x, batch["x_0"] + t[:, None, None, None] * (batch["x_1"] - batch["x_0"]))


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_published_has_no_head(make, name):
    trainer = make(AT_ONCE[name])
    own = {key for key in trainer.published() if not key.startswith("projectors.")}
    assert own == set(trainer.network.backbone.state_dict())


@pytest.mark.parametrize(
    ("objective", "settings", "words"),
    [
        (ModelGuidance, {"start": 0, "scale": 1.0}, "greater than 1"),
        (ModelGuidance, {}, "start"),
        (ScaledModelGuidance, {"start": 0, "between": (1.5, 1.5)}, "1 <= low < high; of one scale, use model-guidance"),
        (ScaledModelGuidance, {"start": 0, "share": 0.95}, "more than all rows"),
        (
            SelfAligned,
            {"student_depth": 2, "teacher_depth": 1},
            "student 2 lies behind teacher 1: the deeper one teaches",
        ),
        (SelfAligned, {"student_depth": 1, "teacher_depth": 2, "beta": 0.1}, "beta has no effect on distance: cosine"),
        (
            SelfAligned,
            {"student_depth": 1, "teacher_depth": 2, "distance": "smooth-l1", "axis": "reference"},
            "axis has no effect on distance: smooth-l1",
        ),
    ],
)
def test_settings_that_mean_nothing_are_refused(objective, settings, words):
    with pytest.raises(ValidationError, match=words):
        objective(label="-", **settings)


@pytest.mark.parametrize("name", ["mg", "contrastive", "mg-scaled", "gft"])
def test_guidance_is_not_learnt_from_one_class(make, name):
    backbone = make(SIT).network.backbone
    backbone.null_label = 1
    with pytest.raises(ConfigError, match="tells classes apart, and the data have fewer than two"):
        AT_ONCE[name].build(backbone, {}, lambda name: seeds.stream("init", name))


def test_what_leads_away_from_another_class_needs_no_null_label():
    assert ModelGuidance(label="-", start=0, away_from="another-class", label_dropout=0).needs_classes()
