"""Golden losses of the methods that learn from a teacher: guided and progressive distillation."""

import pytest
import torch
from methods_vectors import (
    CLASSES,
    GOLDEN,
    ONLINE,
    TEACHER,
    Looked,
    ScaledToy,
    Toy,
    agrees,
    drawn,
    gradient_norm,
    loss_of,
)
from reference_vectors import wave
from torch import nn

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.distillation import WEIGHTS, HalvedSteps, ScaledStudent
from reedbench.nn.flow import FlowMatching
from reedbench.nn.schedules import Factor

FLOW = FlowMatching("linear", "uniform", 0.0, null_label=CLASSES)
BETWEEN = (1.0, 5.0)


def scaled(batch, vector):
    return {**batch, "scale": torch.tensor(GOLDEN[vector]["scale"], dtype=torch.float64)}


def seen(learner, batch, teacher):
    with torch.no_grad():
        return learner.looked_up(batch, 0, Looked(teacher=teacher))


@pytest.mark.parametrize(
    ("vector", "weight"), [("distil_stage1_velocity", "velocity"), ("distil_stage1_snr_trunc", "snr")]
)
def test_stage_1(vector, weight):
    network = TappedNetwork(ScaledToy(ONLINE), ())
    learner = ScaledStudent(network, FLOW, Factor(), between=BETWEEN, weight=WEIGHTS[weight])
    batch = scaled(drawn(), vector)
    agrees(
        {"target_sum": seen(learner, batch, Toy(TEACHER))["aim"].sum(), "weight": WEIGHTS[weight](batch["t"])}, vector
    )
    loss = loss_of(learner, batch, Looked(teacher=Toy(TEACHER)))
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, network)}, vector)


@pytest.mark.parametrize(("vector", "phase"), [("distil_stage2_at_start", TEACHER), ("distil_stage2", ONLINE)])
def test_stage_2(vector, phase):
    said = GOLDEN[vector]
    network = TappedNetwork(ScaledToy(phase), ())
    learner = HalvedSteps(network, FLOW, Factor(), steps=said["student_steps"], between=BETWEEN)
    batch = {**scaled(drawn(), vector), "t": torch.tensor(said["t"], dtype=torch.float64)}
    found = seen(learner, batch, ScaledToy(TEACHER))["aim"]
    end = FLOW.inputs(batch)[0] + 2 * said["half_step"] * found
    agrees({"target_sum": found.sum(), "end_sum": end.sum()}, vector)
    loss = loss_of(learner, batch, Looked(teacher=ScaledToy(TEACHER)))
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, network)}, vector)


class GuidedToy(nn.Module):
    """The frozen teacher, and a guide that adds to h2 of it, with the numbers of the vectors."""

    width, tokens, null_label = 5, 4, CLASSES

    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.base = Toy(TEACHER).requires_grad_(False)
        self.a, self.s = wave((3, 5), 0.73, 0.6), wave((5,), 0.55, 0.4)  # given: the vectors' gradient is that of w
        self.w = nn.Parameter(outputs)

    def forward(self, x, t, y, taps=(), scale=None):
        _, (h2,) = self.base(x, t, y, taps=(2,))
        h2 = h2 + torch.tanh(x @ self.a + (scale[:, None] * self.s)[:, None]) @ self.w
        return torch.tanh(h2 @ self.base.a3) @ self.base.a4, ()


@pytest.mark.parametrize(
    ("vector", "outputs"),
    [("pnp_at_zero", torch.zeros(5, 5, dtype=torch.float64)), ("pnp", 0.2 * wave((5, 5), 0.37, 0.1))],
)
def test_a_guide_beside_a_frozen_teacher(vector, outputs):
    network = TappedNetwork(GuidedToy(outputs), ())
    learner = ScaledStudent(network, FLOW, Factor(), between=(1.0, 7.5))
    loss = loss_of(learner, scaled(drawn(), vector), Looked(teacher=Toy(TEACHER)))
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, network)}, vector)


def test_a_guide_that_says_nothing_leaves_the_gap_that_guidance_makes():
    x, t, y = FLOW.inputs(drawn())
    teacher, s = Toy(TEACHER), torch.tensor(GOLDEN["pnp_at_zero"]["scale"], dtype=torch.float64)
    gap = teacher(x, t, y)[0] - teacher(x, t, torch.full_like(y, CLASSES))[0]
    agrees({"loss": ((s - 1).square() * gap.square().flatten(1).mean(1)).mean().detach()}, "pnp_at_zero")
