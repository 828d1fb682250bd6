"""DiffROP, TDC and SGDF against their golden numbers."""

import pytest
import torch
from methods_vectors import GOLDEN, ONLINE, Looked, Toy, agrees, drawn, gradient_norm, values

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.flow import FlowMatching
from reedbench.nn.overlap import DISTANCES, OTHER, OVERLAP, Overlapping
from reedbench.nn.schedules import Factor

FLOW = FlowMatching("linear", "uniform", 0.1, null_label=3)


def overlapping(distance: str, time_weight: str = "velocity") -> Overlapping:
    network = TappedNetwork(Toy(ONLINE), ())
    return Overlapping(network, FLOW, Factor(), Factor(), margin=2.0, distance=distance, time_weight=time_weight)


def overlap_of(learner: Overlapping, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The term on a batch with the vectors' other classes."""
    learner.completed = lambda batch, total: {**batch, OTHER: torch.tensor(GOLDEN["diffrop_noise"]["other_labels"])}
    return values(learner, batch, Looked(online=learner.network))[OVERLAP]


@pytest.mark.parametrize(
    ("name", "settings"), [("noise", ("noise",)), ("constant", ("velocity",)), ("kl", ("velocity", "kl"))]
)
def test_diffrop(name, settings):
    """The script's form `kl` weights what velocities are short of the margin by; see the next test for the distance."""
    learner, batch = overlapping(*settings), drawn()
    loss = overlap_of(learner, batch)
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}, f"diffrop_{name}")


def test_diffrop_distances_and_who_is_near():
    x_t, t, y = FLOW.inputs(drawn())
    network, other = Toy(ONLINE), torch.tensor(GOLDEN["diffrop_noise"]["other_labels"])
    apart = (network(x_t, t, y)[0] - network(x_t, t, other)[0]).square().flatten(1).mean(1).detach()
    agrees({"distances": apart}, "diffrop_constant")
    agrees({"distances": DISTANCES["noise"](t) * apart}, "diffrop_noise")
    agrees({"kappa": DISTANCES["kl"](t)}, "diffrop_kappa")
    assert (DISTANCES["noise"](t) * apart < 2).tolist() == GOLDEN["diffrop_noise"]["active"]


def test_diffrop_by_a_divergence_within_the_hinge():
    """As methods.md words it; no golden number says so, and this is the formula."""
    apart = torch.tensor(GOLDEN["diffrop_constant"]["distances"], dtype=torch.float64)
    kappa = torch.tensor(GOLDEN["diffrop_kappa"]["kappa"], dtype=torch.float64)
    found = overlap_of(overlapping("kl"), drawn()).detach()
    torch.testing.assert_close(found, (2 - kappa * apart).clamp(min=0).mean(), rtol=1e-9, atol=0)


def test_diffrop_leaves_out_rows_without_label():
    learner = overlapping("noise")
    found = overlap_of(learner, drawn(dropped=[4]))
    kept = torch.tensor([0, 1, 2, 3, 5])
    expected = (2 - torch.tensor(GOLDEN["diffrop_noise"]["distances"], dtype=torch.float64)[kept]).clamp(min=0).mean()
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-9)
