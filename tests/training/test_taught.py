"""Methods with a teacher: what they start from and draw, what they cost, how their batches may be cut."""

import math

import numpy as np
import pytest
import torch
from first_update import gradient
from forked import on_ranks
from pydantic import ValidationError
from tiny_runs import BATCH, CLASSES, DEPTH, NO_CLIP, SIDE, SIT, WIDTH, samples, teacher
from torch import Tensor

from reedbench.codecs.pixels import Pixels
from reedbench.core.errors import ConfigError
from reedbench.nn.learner import POOL
from reedbench.nn.self_play import GAP
from reedbench.objectives._own import Optimiser, OwnOptimiser
from reedbench.objectives.aligned import Aligned
from reedbench.objectives.clustered import Clustered
from reedbench.objectives.gft import GuidanceFreeTraining
from reedbench.objectives.grouped import GroupedByTime
from reedbench.objectives.guide import GuideObjective
from reedbench.objectives.guided_distillation import GuidedDistillation
from reedbench.objectives.joint_features import JointFeatures
from reedbench.objectives.model_guidance import ModelGuidance
from reedbench.objectives.model_guidance_scaled import ScaledModelGuidance
from reedbench.objectives.progressive_distillation import ProgressiveDistillation
from reedbench.objectives.reward import RewardObjective
from reedbench.objectives.self_play import SelfPlayObjective
from reedbench.samplers.dopri5 import Dopri5
from reedbench.samplers.euler import Euler
from reedbench.schema.benchmark import Training
from reedbench.steps import taught
from reedbench.training.pool import Pool
from reedbench.training.trainer import StepStreams

NAMED = {"teacher": {"method": "sit", "step": 5}}
STAGE_1 = GuidedDistillation(label="Stage 1", **NAMED)
STAGE_2 = ProgressiveDistillation(label="Stage 2", student_steps=4, **NAMED)
GUIDE = GuideObjective(label="Guide", **NAMED)
TUNED = Aligned(label="Tuned", init="teacher", **NAMED)
POOLED = {**NAMED, "pool": {"sampler": "ode"}}
SPIN = SelfPlayObjective(label="SPIN", beta=10.0, **POOLED)
GFT = GuidanceFreeTraining(label="GFT")
MG = ModelGuidance(label="MG", start=2)
SCALED = ScaledModelGuidance(label="MG, any scale", start=2)
RL = RewardObjective(label="RL", judge="judge", init="teacher", **NAMED)
TDC = GroupedByTime(label="TDC", groups=2, init="teacher", **NAMED)
JOINT = JointFeatures(label="Joint", features="patches")
CLUSTERED = Clustered(label="Clusters", clusters=2, stage=2)
METHODS = {"stage-1": (STAGE_1, SIT), "stage-2": (STAGE_2, STAGE_1), "guide": (GUIDE, SIT), "self-play": (SPIN, SIT)}

TOKENS, VALUES = (SIDE // 2) ** 2, 4
BLOCK = TOKENS * 12 * WIDTH**2 + 6 * WIDTH**2 + 2 * TOKENS**2 * WIDTH  # products per row, attention among them
ENDS = TOKENS * VALUES * WIDTH + 256 * WIDTH + WIDTH**2 + TOKENS * VALUES * WIDTH + 2 * WIDTH**2
SCALE = 256 * WIDTH + WIDTH**2  # the embedding of a scale
EMBEDDING = 2.0 * BATCH * (2 * 256 * WIDTH + 3 * WIDTH**2)  # of a scale, forward and backward


def forward(*, scaled: bool = False) -> float:
    """Operations of a forward pass of the batch, two per multiply-add."""
    return 2.0 * BATCH * (DEPTH * BLOCK + ENDS + SCALE * scaled)


def made(make, name: str, **settings):
    method, of = METHODS[name]
    return make(method, **{"teacher": teacher(of, double=settings.get("double", False)), **settings})


def bits(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def test_stage_1_costs_two_forward_passes_of_the_teacher(make):
    assert made(make, "stage-1").flops(0) == make(SIT).flops(0) + EMBEDDING + 2 * forward()


def test_stage_2_costs_two_forward_passes_of_a_teacher_that_reads_a_scale(make):
    assert made(make, "stage-2").flops(0) == make(SIT).flops(0) + EMBEDDING + 2 * forward(scaled=True)


def test_a_guide_costs_the_teacher_and_no_gradients_of_frozen_weights(make):
    trained = made(make, "guide").flops(0)
    assert 3 * forward() < trained < make(SIT).flops(0) + 3 * forward()


def test_self_play_costs_eight_forward_passes_where_plain_training_costs_three(make):
    assert made(make, "self-play").flops(0) == 2 * make(SIT).flops(0) + 2 * forward()


@pytest.mark.parametrize("name", METHODS)
def test_ranks_and_micro_batches_change_the_gradient_by_rounding_only(make, name):
    settings = {"batch": 8, "clip": NO_CLIP, "shaken": True, "double": True}
    whole = gradient(made(make, name, **settings))
    assert float(whole.norm()) > 0
    for world, accumulation in ((1, 2), (2, 2), (4, 1)):
        cut = {**settings, "accumulation": accumulation}
        for found in on_ranks(world, lambda ranks, cut=cut: gradient(made(make, name, ranks=ranks, **cut))):
            assert float((found - whole).norm() / whole.norm()) < 1e-12


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_ends_in_the_same_bytes(make, name, stop):
    whole, first, again = (made(make, name) for _ in range(3))
    for step in range(4):
        whole.update(step)
    for step in range(stop):
        first.update(step)
    again.restore({key: tensor.detach().clone() for key, tensor in first.state().items()})
    for step in range(stop, 4):
        again.update(step)
    assert bits(again.state()) == bits(whole.state())
    assert bits(again.published()) == bits(whole.published())


def test_a_student_starts_as_its_teacher_in_weights_and_average(make):
    of = teacher(SIT)
    for method in (TUNED, STAGE_1):
        one = make(method, teacher=of)
        for name, tensor in of.state_dict().items():
            assert torch.equal(one.network.backbone.state_dict()[name], tensor)
            assert torch.equal(one.published()[name], tensor)
    x, t, y = torch.ones(2, 1, SIDE, SIDE), torch.tensor([0.2, 0.9]), torch.tensor([0, 1])
    network = make(STAGE_1, teacher=of).network.backbone
    for scale in (1.0, 3.0):
        assert torch.equal(STAGE_1.steered(network, x, t, y, scale), of(x, t, y)[0])


def test_heads_that_one_of_both_lacks_are_no_problem_and_other_networks_are(make):
    learner, of = make(SIT).learner, teacher(SIT)
    weights = {**of.state_dict(), "projectors.text.0.weight": torch.ones(2, 2)}
    taught.begin(learner, weights, SIT, "tiny/tuned/seed0")
    with pytest.raises(ConfigError, match=r"tiny/tuned/seed0: cannot start .* has no 'guide.w' of shape \(2,\)"):
        taught.begin(learner, {"guide.w": torch.ones(2)}, SIT, "tiny/tuned/seed0")
    with pytest.raises(ConfigError, match=r"of shape \(2,\), but one of shape"):
        taught.begin(learner, {"x_embedder.proj.bias": torch.ones(2)}, SIT, "tiny/tuned/seed0")


def test_every_row_has_a_scale_of_its_own_between_the_ends(make):
    wide = GuidedDistillation(label="-", between=(2.0, 5.0), **NAMED)
    batch = make(wide, teacher=teacher(SIT))._share_of(0).batch
    scales = batch["scale"]
    assert len(set(scales.tolist())) == BATCH
    assert bool(((scales >= 2) & (scales < 5)).all())
    assert bool((batch["y"] < CLASSES).all())  # no label is dropped
    plain = make(SIT)._share_of(0).batch
    for name in ("t", "x_0", "x_1"):  # shared with all methods
        assert torch.equal(batch[name], plain[name])


@pytest.mark.parametrize("beta", [10.0, 5000.0])
def test_self_play_starts_at_log_2_and_then_makes_data_likelier(make, beta):
    """Of the batch that was learned from: other rows may lose by it."""
    one = made(make, "self-play", optimiser=Optimiser(lr=1e-5))
    one.learner.beta = beta
    first = one._share_of(0).batch

    def gap() -> float:
        """By how much errors fell on data, beyond what they fell on samples; the reference has 0."""
        with torch.no_grad():
            batch = one.learner.looked_up(first, 0, one.others)
            own = one.learner._gap(batch, lambda *inputs: one.network(*inputs, wanted=[])[0])
        return float((own - batch[GAP]).mean())

    assert gap() == 0
    assert float(one.update(0)["self-play"]) == pytest.approx(math.log(2), rel=1e-6)
    assert gap() < 0
    with torch.no_grad():
        batch = one.learner.looked_up(first, 0, one.others)
        term = one.learner.terms(batch, one.network)["self-play"]
    assert float(term.sum) / term.weight < math.log(2)


def test_every_row_has_a_sample_of_its_own_label_from_a_stream_of_its_own(make):
    def drawn(step: int, method=SPIN, **settings):
        return make(method, batch=16, teacher=teacher(SIT), **settings)._share_of(step).batch

    batch, images = drawn(0), Pixels().batch(samples().arrays)
    owners = [next(i for i, image in enumerate(images["x_1"]) if torch.equal(image, x)) for x in batch[POOL]]
    assert torch.equal(images["labels"][owners], batch["labels"])
    assert len(set(owners)) > CLASSES  # not always the same one
    assert not torch.equal(batch[POOL], drawn(1)[POOL])
    plain = drawn(0, SIT)
    for name in ("t", "x_0", "x_1", "y"):  # shared with all methods
        assert torch.equal(batch[name], plain[name])


def test_which_sample_a_row_gets_depends_on_no_other_row():
    pool, labels = Pool(samples(), Pixels(), range(CLASSES), "samples"), np.arange(12) % CLASSES
    whole = pool.chosen(labels, StepStreams(range(12), "b", 0, 3))
    half = pool.chosen(labels[6:], StepStreams(range(6, 12), "b", 0, 3))
    assert np.array_equal(whole[6:], half)
    assert np.array_equal(samples().arrays["labels"][whole], labels)
    every = pool.chosen(np.zeros(500, int), StepStreams(range(500), "b", 0, 0))
    assert set(every.tolist()) == {0, 3, 6, 9}  # all of the class, at equal chances
    assert min(np.unique(every, return_counts=True)[1]) > 90


def test_a_pool_that_lacks_a_class_is_refused():
    with pytest.raises(ConfigError, match=r"samples hold 2 samples, none of class 2, and .* raise sampling.count of"):
        Pool(samples(2), Pixels(), range(CLASSES), "samples")
    with pytest.raises(ConfigError, match="none of class 1 and of 1 more of the 3, and"):
        Pool(samples(1), Pixels(), range(CLASSES), "samples")


def test_times_of_stage_2_are_the_students_steps_alone(make):
    share = made(make, "stage-2", batch=32)._share_of(0).batch
    times = make(SIT, batch=32)._share_of(0).batch["t"]
    assert torch.equal(share["t"], (times * 4).floor() / 4)
    assert set(share["t"].tolist()) == {0.0, 0.25, 0.5, 0.75}


def test_nothing_of_the_frozen_part_moves_and_the_guide_does(make):
    of = teacher(SIT)
    optimiser = Optimiser(lr=0.1, weight_decay=0.5)
    one = make(GUIDE, teacher=of, optimiser=optimiser)
    assert set(one.parameters) == {n for n, _ in one.network.named_parameters() if n.startswith("backbone.guide.")}
    before = bits(one.published())
    one.update(0)
    one.update(1)
    after = bits(one.published())
    moved = {name for name in before if before[name] != after[name]}
    assert {"guide.outputs.1.weight", "guide.blocks.0.adaLN_modulation.1.weight"} <= moved
    assert all(name.startswith("guide.") for name in moved)
    assert {n.removeprefix("base."): b for n, b in after.items() if n.startswith("base.")} == bits(of.state_dict())
    assert one.learner.sampling_parameters() == sum(p.numel() for p in one.network.parameters())


def test_without_an_average_the_trained_weights_are_published(make):
    one = make(SIT, ema_decay=0.0)
    one.update(0)
    one.update(1)
    assert bits(one.published()).items() >= bits(dict(one.network.backbone.named_parameters())).items()


def test_weights_without_an_average_are_called_so():
    shared = Training(segment=10, save_every=5)
    assert SIT.weights_are(shared) == "ema"
    assert SIT.model_copy(update={"ema_decay": 0.0}).weights_are(shared) == "no average"
    assert SIT.weights_are(shared.model_copy(update={"ema_decay": 0.0})) == "no average"


def test_the_learning_rate_rises_and_falls_to_nothing():
    assert [Optimiser(lr=1.0, decay_over=4).rate(i) for i in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert [Optimiser(lr=1.0, warmup=2, decay_over=6).rate(i) for i in range(6)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    assert [Optimiser(lr=1.0, warmup=2).rate(i) for i in range(4)] == [0.5, 1.0, 1.0, 1.0]
    with pytest.raises(ValidationError, match="decay_over 2 must lie behind the warm-up"):
        Optimiser(warmup=2, decay_over=2)


def test_a_method_says_what_differs_from_the_benchmark():
    shared = Training(optimiser=Optimiser(lr=0.1, clip=2.0), segment=10, save_every=5)
    own = Aligned(label="-", optimiser=OwnOptimiser(lr=0.2, decay_over=9), ema_decay=0.0).own_training(shared)
    assert own.optimiser == Optimiser(lr=0.2, clip=2.0, decay_over=9)
    assert own.ema_decay == 0
    assert SIT.own_training(shared) is shared


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (GuidedDistillation, {}, "needs a teacher: {method: <name>, step: <saved step>}"),
        (Aligned, {"init": "teacher"}, "init: teacher needs a teacher"),
        (Aligned, NAMED, "teacher has no effect: the loss asks none; say init: teacher, or take it out"),
        (GuidedDistillation, {**NAMED, "label_dropout": 0.2}, "label_dropout has no effect on distillation"),
        (GuidedDistillation, {**NAMED, "path": "gvp"}, "path gvp: Euler's steps and these weights are those of the"),
        (GuidedDistillation, {**NAMED, "between": (0.5, 2)}, "must satisfy 1 <= low <= high"),
        (ProgressiveDistillation, {**NAMED, "student_steps": 2, "times": "lognormal"}, "times has no effect"),
        (GuideObjective, {**NAMED, "init": "scratch"}, "Input should be 'teacher'"),
        (GuideObjective, {**NAMED, "guide_width": 6}, "multiple of 4"),
        (SelfPlayObjective, {"pool": {"sampler": "ode"}}, "needs a teacher: {method: <name>, step: <saved step>}"),
        (SelfPlayObjective, NAMED, "pool\n  Field required"),
        (SelfPlayObjective, {**POOLED, "init": "scratch"}, "Input should be 'teacher'"),
        (
            SelfPlayObjective,
            {**POOLED, "denoise": {"shape": "stop", "start": 2}},
            "denoise has no effect on uses: self",
        ),
    ],
)
def test_settings_without_effect_are_refused(cls, settings, message):
    with pytest.raises(ValidationError, match=message):
        cls(label="-", **settings)


@pytest.mark.parametrize(
    ("student", "of", "message"),
    [
        (STAGE_1, STAGE_1, "guided-distillation has its guidance in the network"),
        (GUIDE, STAGE_1, "take a teacher that is guided by a pair"),
        (STAGE_1, Aligned(label="-", label_dropout=0.0), "has label_dropout 0, and says nothing without label"),
        (STAGE_1, Aligned(label="-", path="gvp"), "is on path gvp, and this method on linear: make path: equal"),
        (STAGE_1, JOINT, "generates something along with the data"),
        (STAGE_1, CLUSTERED, "clustered is told conditions of its own: take a teacher that is told labels"),
        (STAGE_2, GFT, "gft and progressive-distillation read different numbers for the same guidance"),
        (TUNED, MG, "model-guidance has its guidance in the network: take a teacher that is guided by a pair"),
        (TUNED, STAGE_1, "guided-distillation has its guidance in the network"),
        (RL, MG, "model-guidance has its guidance in the network"),
        (RL, Aligned(label="-", path="gvp"), "is on path gvp, and this method on linear"),
        (TDC, GFT, "gft has its guidance in the network"),
        (STAGE_2, SIT, "aligned reads no scale: take a teacher of guided-distillation"),
        (STAGE_2.model_copy(update={"between": (1.0, 9.0)}), STAGE_1, "has learnt scales from 1 to 4, and `between`"),
        (SPIN, STAGE_1, "guided-distillation has its guidance in the network"),
        (SPIN, Aligned(label="-", path="gvp"), "is on path gvp, and this method on linear: make path: equal"),
        (STAGE_2, STAGE_2, "has 4 steps, of which student_steps 4 are not the half"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(student, of, message):
    assert message in student.untaught(of)


def test_teachers_that_fit():
    half = STAGE_2.model_copy(update={"student_steps": 2})
    pairs = [
        (STAGE_1, SIT),
        (GUIDE, SIT),
        (STAGE_2, STAGE_1),
        (half, STAGE_2),
        (STAGE_2, SCALED.model_copy(update={"between": (1.0, 4.0)})),
        (GFT, SIT),
        (MG, SIT),
        (MG, MG),
        (TDC, SIT),
        (SPIN, SIT),
        (SPIN, SPIN),
    ]
    assert [student.untaught(of) for student, of in pairs] == [None] * len(pairs)


def test_a_student_of_some_steps_is_drawn_with_these_alone():
    assert Euler(steps=4).unfit(STAGE_2) is None
    assert Euler(steps=4, guidance=3.0).unfit(STAGE_2) is None
    assert Euler(steps=4).nfe(STAGE_2) == Euler(steps=4, guidance=3.0).nfe(STAGE_2) == 4
    for sampler in (Euler(steps=8), Dopri5()):
        assert "is trained for 4 steps of euler: take `uses: euler, steps: 4`" in sampler.unfit(STAGE_2)
    assert "guidance 1 to 4 built in, and this sampler asks for 4.5" in Euler(steps=4, guidance=4.5).unfit(STAGE_2)
    assert Euler(steps=8).unfit(STAGE_1) is None


def test_a_cut_guide_has_the_same_hidden_states(make):
    of = teacher(SIT)
    network = make(GUIDE, teacher=of, shaken=True).network.backbone
    x, t, y = torch.ones(2, 1, SIDE, SIDE), torch.tensor([0.2, 0.9]), torch.tensor([0, 1])
    _, (whole,) = network(x, t, y, taps=[1])
    assert not torch.equal(whole, of(x, t, y, taps=[1])[1][0])  # the guide adds to it
    cut = network.cut(1)
    assert len(cut.base.blocks) == 1
    assert torch.equal(cut(x, t, y, taps=[1])[1][0], whole)


def test_what_is_drawn_from_a_guide_is_the_teachers_velocity_until_it_has_learnt(make):
    of, one = teacher(SIT), made(make, "guide")
    x = torch.from_numpy(np.ones((2, 1, SIDE, SIDE), np.float32))
    t, y = torch.tensor([0.2, 0.9]), torch.tensor([0, 1])
    assert torch.equal(GUIDE.steered(one.network.backbone, x, t, y, 3.0), of(x, t, y)[0])
    one.update(0)
    one.update(1)
    low, high = (GUIDE.steered(one.network.backbone, x, t, y, s) for s in (1.0, 3.0))
    assert not torch.equal(low, high)
