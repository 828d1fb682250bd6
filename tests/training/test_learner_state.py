"""What a learner keeps survives a resume and a count, losses are cut where they may be, others are looked up."""

from typing import Any

import pytest
import torch
from first_update import gradient
from forked import on_ranks
from tiny_runs import BATCH, NO_CLIP, SIT, WIDTH
from torch import Tensor, nn

from reedbench.core.errors import ConfigError
from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.flow import FlowLearner
from reedbench.nn.learner import WHOLE
from reedbench.nn.schedules import Factor
from reedbench.objectives import FlowObjective
from reedbench.training.ranks import Ranks


def bits(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


class Remembering(nn.Module):
    """A backbone with everything that a state must hold: running statistics, a frozen parameter, dropout."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.inner, self.null_label = backbone, backbone.null_label
        self.norm = nn.BatchNorm1d(WIDTH)
        self.register_buffer("centre", torch.zeros(WIDTH), persistent=False)
        self.slow = nn.Parameter(torch.zeros(WIDTH), requires_grad=False)

    def forward(self, x: Tensor, t: Tensor, y: Tensor, taps: Any = ()) -> Any:
        velocity, (h,) = self.inner(x, t, y, taps=[1])
        hidden = nn.functional.dropout(self.norm(h.mean(1)), 0.2, self.training)
        if self.training:
            self.centre.mul_(0.9).add_(0.1 * hidden.detach().mean(0))
            self.slow.data.mul_(0.9).add_(0.1 * self.centre)
        return velocity, [hidden - self.centre - self.slow] * len(taps)


class RememberingLearner(FlowLearner):
    """Keeps a count and a running value of its own, and looks up its average."""

    def __init__(self, backbone: nn.Module, flow: Any) -> None:
        super().__init__(TappedNetwork(Remembering(backbone), [1]), flow, Factor(), {"pull": Factor()})
        self.kept = {"count": torch.zeros((), dtype=torch.int64), "running": torch.zeros(WIDTH)}
        self.seen: list[Any] = []

    def looked_up(self, batch, step, others):
        velocity, (hidden,) = others.average(*self.flow.inputs(batch))
        self.seen.append((step, torch.is_grad_enabled(), velocity.dtype, self.network.training))
        self.kept["count"] += 1
        self.kept["running"].mul_(0.5).add_(hidden.mean(0))
        return {**batch, "pulled": hidden - self.kept["running"]}

    def extra(self, hidden, batch):
        return {"pull": (hidden[0] - batch["pulled"]).square().mean(1)}

    def state(self):
        return self.kept

    def restore(self, tensors):
        self.kept = dict(tensors)


class Remembers(FlowObjective):
    """The objective of the learner above."""

    uses: str = "remembers"

    def build(self, backbone, targets, generator):
        backbone.initialise(generator)
        return RememberingLearner(backbone, self.flow(backbone))


REMEMBERS = Remembers(label="-")


def run(make, steps: range, state: dict[str, Tensor] | None = None, **settings: Any):
    torch.manual_seed(0)  # the dropout of this test takes torch's own generator, as a foreign network may
    trainer = make(REMEMBERS, **settings)
    if state:
        trainer.restore(state)
    for step in steps:
        torch.manual_seed(step)
        trainer.update(step)
    return trainer


@pytest.mark.parametrize("stop", [1, 3])
def test_buffers_frozen_parameters_and_what_a_learner_keeps_survive_a_resume(make, stop):
    whole = run(make, range(5))
    first = run(make, range(stop))
    again = run(make, range(stop, 5), copied(first.state()))
    assert bits(again.state()) == bits(whole.state())
    assert bits(again.published()) == bits(whole.published())
    names = whole.state().keys()
    assert {"network/backbone.norm.running_mean", "network/backbone.centre", "network/backbone.slow"} <= names
    assert {"learner/count", "learner/running"} <= names
    assert int(whole.state()["learner/count"]) == 5


def test_counting_operations_leaves_no_trace(make):
    counted, left = run(make, range(2)), run(make, range(2))
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    assert counted.flops(0) > 0
    assert torch.equal(torch.random.get_rng_state(), before)
    assert bits(counted.state()) == bits(left.state())
    for trainer in (counted, left):
        torch.manual_seed(7)
        trainer.update(2)
    assert bits(counted.state()) == bits(left.state())


def test_what_is_looked_up_is_counted(make):
    """One more forward pass, of which the last layers are not differentiated."""
    learner = make(REMEMBERS)
    plain = make(REMEMBERS)
    plain.learner.looked_up = lambda batch, step, others: {**batch, "pulled": torch.zeros(len(batch["t"]), WIDTH)}
    forward = learner.flops(0) - plain.flops(0)
    assert forward == pytest.approx(make(SIT).flops(0) / 3, rel=0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_look_up_is_asked_per_micro_batch_without_gradients_in_the_precision_of_training(make, precision):
    trainer = run(make, range(1), precision=precision, accumulation=2)
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    assert trainer.learner.seen == [(0, False, dtype, True)] * 2


def test_the_average_is_looked_up_in_evaluation_mode_with_averaged_weights_and_trains_nothing(make):
    trainer = run(make, range(2), ema_decay=0.5)
    inputs = torch.randn(4, 1, 8, 8), torch.rand(4), torch.zeros(4, dtype=torch.long)
    trainer.network.backbone.norm.eval()
    modes = [module.training for module in trainer.network.modules()]
    before = copied(trainer.state())
    found, _ = trainer.others.average(*inputs)
    assert [module.training for module in trainer.network.modules()] == modes
    assert bits(trainer.state()) == bits(before)
    with torch.no_grad():
        for name, parameter in trainer.parameters.items():
            parameter.copy_(trainer.average[name])
        expected, _ = trainer.network.eval()(*inputs)
    assert torch.equal(found, expected)


def test_a_teacher_is_frozen_and_its_absence_an_error(make):
    with pytest.raises(ValueError, match="looks up a teacher, and the method declares none"):
        make(SIT).others.teacher(torch.zeros(1))
    teacher = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2))
    trainer = make(SIT, teacher=teacher)
    x = torch.randn(5, 3)
    assert torch.equal(trainer.others.teacher(x), teacher[1](x))
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


class Spreading(FlowObjective):
    """A loss over all pairs of rows of a group: Dispersive."""

    uses: str = "spreading"
    group: int = 4

    def depths(self):
        return (1,)

    def further(self):
        return {"spread": 1.0}

    def rows_per_group(self):
        return self.group

    def extra(self, hidden, batch):
        z = hidden[0].flatten(1)
        size = self.group or len(z)
        groups = z.unflatten(0, (-1, size))
        distances = (groups[:, :, None] - groups[:, None]).square().mean(-1)
        return {"spread": (-distances).exp().mean((1, 2)).log().repeat_interleave(size)}


GROUPED, TOGETHER = Spreading(label="-"), Spreading(label="-", group=WHOLE)


@pytest.mark.parametrize(("world", "accumulation"), [(1, 4), (2, 1), (2, 2)])
def test_a_loss_over_pairs_in_groups_has_the_same_gradient_however_the_batch_is_cut(make, world, accumulation):
    settings = {"batch": 16, "clip": NO_CLIP, "shaken": True, "double": True}
    whole = gradient(make(GROUPED, **settings))
    for found in on_ranks(
        world, lambda ranks: gradient(make(GROUPED, ranks=ranks, accumulation=accumulation, **settings))
    ):
        assert float((found - whole).norm() / whole.norm()) < 1e-12


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        (GROUPED, {"batch": 12, "accumulation": 2}, "a batch of 12 rows cannot be cut .* multiple of 8"),
        (GROUPED, {"batch": 6}, "a batch of 6 rows cannot be cut .* multiple of 4"),
        (TOGETHER, {"batch": BATCH, "accumulation": 2}, "compares all rows of a batch .* train.accumulation to 1"),
    ],
)  # fmt: skip
def test_a_batch_that_would_cut_a_group_is_one_line(make, method, settings, words):
    with pytest.raises(ConfigError, match=words) as error:
        make(method, **settings)
    assert "\n" not in str(error.value)


def test_a_loss_over_all_rows_is_refused_on_ranks_and_said_once(make):
    first, other = on_ranks(2, lambda ranks: make(TOGETHER, ranks=ranks))
    assert "cannot be divided over 2 rank(s) with 1 micro-batch(es) each" in str(first)
    assert (type(first), type(other), str(other)) == (ConfigError, ConfigError, "")
    assert make(TOGETHER, ranks=Ranks.alone("cpu")).update(0)["spread"].isfinite()
