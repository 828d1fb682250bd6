"""DiffROP, TDC and SGDF against their golden numbers."""

from functools import partial

import pytest
import torch
from methods_vectors import GOLDEN, ONLINE, Looked, Toy, agrees, drawn, gradient_norm, values
from reference_vectors import wave

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.backbones.grouped import GroupedSiT, equal_shares, kept_blocks, shares_of
from reedbench.nn.backbones.grouped_mpnn import GroupedMPNN
from reedbench.nn.backbones.mpnn import ProteinMPNN
from reedbench.nn.backbones.sit import SiT
from reedbench.nn.clustered import EPSILON, ITERATIONS, TEMPERATURE, codes, swav
from reedbench.nn.flow import FlowMatching
from reedbench.nn.learner import WHOLE
from reedbench.nn.overlap import DISTANCES, OTHER, OVERLAP, Overlapping
from reedbench.nn.residues import MASK
from reedbench.nn.schedules import Factor
from reedbench.nn.unmasking import times
from reedbench.objectives.clustered import Clustered

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


# TDC

TDC = GOLDEN["tdc"]


def quantiles(times: str):
    return FlowMatching("linear", times, 0.1, null_label=3).quantiles


def test_tdc_shares_depths_and_edges():
    shares = shares_of(TDC["groups"], TDC["k"])
    agrees({"relative_flops": shares, "mean_flops": sum(shares) / len(shares)}, "tdc")
    assert [len(kept_blocks(12, share)) for share in shares] == TDC["depth_of_12"]
    edges = {name: equal_shares(quantiles(name), TDC["groups"]) for name in ("uniform", "lognormal")}
    agrees({"edges_uniform": [0.0, *edges["uniform"], 1.0], "edges_lognormal": edges["lognormal"]}, "tdc")
    t = torch.tensor(edges["uniform"], dtype=torch.float64)
    agrees({"snr_db_at_edges": 20 * torch.log10(t / (1 - t))}, "tdc")


def test_tdc_groups_of_times():
    sit = SiT(size=4, channels=1, patch=2, width=4, depth=12, heads=1, classes=3)
    network = GroupedSiT(sit, shares_of(TDC["groups"], TDC["k"]), equal_shares(quantiles("uniform"), TDC["groups"]))
    assert network.group_of(torch.tensor(TDC["t"], dtype=torch.float64)).tolist() == TDC["group_of_t"]
    assert [len(group.blocks) for group in network.groups] == TDC["depth_of_12"]


def test_tdc_groups_of_the_residues_that_a_chain_shows():
    """A share of shown residues is, on average, the time."""
    mpnn = ProteinMPNN(width=4, neighbours=2, encoder_layers=12, decoder_layers=12)
    edges = equal_shares(partial(times, least=0.0), TDC["groups"])
    network = GroupedMPNN(mpnn, shares_of(TDC["groups"], TDC["k"]), edges)
    shown = (100 * torch.tensor(TDC["t"], dtype=torch.float64)).round().long()
    noisy = torch.where(torch.arange(100) < shown[:, None], 3, MASK)
    assert network.group_of(noisy, torch.ones_like(noisy)).tolist() == TDC["group_of_t"]
    assert [len(group.encoder_layers) for group in network.groups] == TDC["depth_of_12"]
    assert [group.layers for group in network.groups] == TDC["depth_of_12"]


# SGDF

SGDF = GOLDEN["sgdf"]


def test_sgdf_codes_and_loss():
    scores = wave((6, 5), 0.87, 0.15).requires_grad_()
    found = codes(scores.detach())
    agrees({"codes": found, "column_sums": found.sum(0), "row_sums": found.sum(1)}, "sgdf")
    # The script's clusters are those of the codes; a row's own scores, which its condition follows, may say another.
    assert found.argmax(1).tolist() == SGDF["cluster"]
    assert (scores.argmax(1) != found.argmax(1)).nonzero().flatten().tolist() == [5]
    t, window = torch.tensor(GOLDEN["inputs"]["t"], dtype=torch.float64), tuple(SGDF["window"])
    rows = swav(scores, t, WHOLE, window)
    assert (rows > 0).tolist() == SGDF["rows_inside"]
    loss = rows.mean()
    (gradient,) = torch.autograd.grad(loss, scores)
    agrees({"loss": loss.detach(), "grad_norm": gradient.norm()}, "sgdf")


def test_sgdf_warm_up_and_constants():
    assert (TEMPERATURE, EPSILON, ITERATIONS) == tuple(SGDF[name] for name in ("temperature", "epsilon", "iterations"))
    ramp = Clustered(label="-", clusters=5, stage=150_000).learner(None, None).factors["swav"]
    assert {step: ramp(int(step)) for step in SGDF["warmup"]} == SGDF["warmup"]
