"""Golden losses of the methods that look at the weight average or at a second branch: SRA, MG and GFT."""

from functools import partial

import pytest
import torch
from methods_vectors import (
    AVERAGE,
    CLASSES,
    GOLDEN,
    ONLINE,
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
from reedbench.nn.flow import FlowMatching
from reedbench.nn.model_guidance import GuidanceFree, Guided, GuidedByInput
from reedbench.nn.schedules import Factor
from reedbench.nn.self_aligned import (
    HeadedNetwork,
    SelfAlignedLearner,
    later,
    per_channel,
    per_token,
    smooth_l1,
)
from reedbench.nn.self_aligned_design import apart, smoothly
from reedbench.objectives.self_aligned import SelfAligned

FLOW = FlowMatching("linear", "uniform", 0.1, null_label=CLASSES)


@pytest.mark.parametrize(("vector", "high"), [("mg", 0.75), ("mg_everywhere", 1.0)])
def test_model_guidance(vector, high):
    said = GOLDEN[vector]
    learner = Guided(TappedNetwork(Toy(ONLINE), ()), FLOW, Factor(), scale=said["scale"], start=0, high=high)
    batch = {**drawn(dropped=[4]), "other": torch.full((6,), CLASSES)}
    with torch.no_grad():
        seen = learner.looked_up(batch, 0, Looked(TappedNetwork(Toy(AVERAGE), ())))
    target = FLOW.target(batch) + seen["shift"]
    agrees({"target_sum": target.sum(), "target_first": target[3, 0, 0]}, vector)
    assert [bool(row.any()) for row in seen["shift"]] == [weight > 0 for weight in said["weight_per_row"]]
    loss = loss_of(learner, batch, Looked(TappedNetwork(Toy(AVERAGE), ())))
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}, vector)


def test_model_guidance_with_the_scale_as_an_input():
    settings = {"between": (1.0, 2.0), "share": 0.2, "start": 0, "high": 1.0}
    learner = GuidedByInput(TappedNetwork(ScaledToy(ONLINE), ()), FLOW, Factor(), **settings)
    scale = torch.tensor(GOLDEN["mg_scale_input"]["s"], dtype=torch.float64)
    batch = {**drawn(dropped=[4]), "other": torch.full((6,), CLASSES), "scale": scale}
    others = Looked(TappedNetwork(ScaledToy(AVERAGE), ()))
    with torch.no_grad():
        target = FLOW.target(batch) + learner.looked_up(batch, 0, others)["shift"]
    loss = loss_of(learner, batch, others)
    found = {"target_sum": target.sum(), "loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}
    agrees(found, "mg_scale_input")


def test_guidance_free_training():
    learner = GuidanceFree(TappedNetwork(ScaledToy(ONLINE), ()), FLOW, Factor())
    batch = {**drawn(), "scale": torch.tensor(GOLDEN["gft"]["beta"], dtype=torch.float64)}
    loss = loss_of(learner, batch, Looked())
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}, "gft")


class Head(nn.Module):
    """The head of the vectors: one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(0.5 * wave((5, 5), 0.45, 0.9))

    def forward(self, h):
        return h @ self.matrix


@pytest.mark.parametrize(
    ("vector", "distance", "weight"),
    [
        ("sra_per_token", per_token, 0.5),
        ("sra_reference_axis", per_channel, 0.5),
        ("sra_smooth_l1", partial(smooth_l1, beta=0.05), 0.2),
        # Residues in the place of tokens: what chains of one length add up to.
        ("sra_per_token", lambda student, teacher: apart(student, teacher).mean(1), 0.5),
        ("sra_smooth_l1", lambda student, teacher: smoothly(student, teacher, 0.05).mean(1), 0.2),
    ],
)
def test_self_alignment(vector, distance, weight):
    network = HeadedNetwork(Toy(ONLINE), (1, 2), Head())
    settings = {"term": "self@1", "factor": Factor().times(weight), "distance": distance, "spread": 0.2}
    learner = SelfAlignedLearner(network, FLOW, Factor(), **settings)
    batch = drawn(dropped=[4])
    batch["later"] = later(batch["t"], torch.tensor([0.5, 0.1, 0.9, 0.3, 1.0, 0.7], dtype=torch.float64), 0.2)
    if "teacher_t" in GOLDEN[vector]:
        agrees({"teacher_t": batch["later"]}, vector)
    others = Looked(HeadedNetwork(Toy(AVERAGE), (1, 2), Head()))
    learner.factors = {name: factor for name, factor in learner.factors.items() if name != "denoise"}
    loss = loss_of(learner, batch, others)
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, network)}, vector)


def test_the_weight_of_the_papers_runs():
    align = {"shape": "exponential-decay", "start": 149, "length": 1000}
    factor = SelfAligned(label="SRA", student_depth=1, teacher_depth=2, weight=0.2, align=align).factors()["self@1"]
    for epoch, value in GOLDEN["sra_smooth_l1"]["weight_at_epoch"].items():
        assert factor(int(epoch)) == pytest.approx(value, rel=1e-9)
