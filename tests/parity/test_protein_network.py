"""ProteinMPNN and the denoiser made of it against the published code, with equal weights; and the published weights.

Source: ProteinMPNN @8907e66 and REED protein/ @0a4527e, run once on the CPU; only numbers were kept. The backbones are
PDB entries 5L33 and 6MRR; `protein_v48_020.npz` has what the published weights say of them, stored with the code.
"""

import os
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import recovered
import torch
from named_weights import named_weight
from torch import Tensor, nn

from reedbench.core.residues import MASK
from reedbench.datasets.chains_jsonl import ChainsJsonl
from reedbench.nn.backbones.mpnn import ProteinMPNN
from reedbench.nn.backbones.stock_mpnn import StockMPNN, load_stock

HERE = Path(__file__).parent
GOLDEN = dict(np.load(HERE / "protein_reference.npz"))
PUBLISHED = dict(np.load(HERE / "protein_v48_020.npz"))
CHAINS = Path(os.environ.get("REEDBENCH_DATA", HERE.parents[1] / "../shared/data")) / "protein_chains.jsonl.gz"
WEIGHTS = "proteinmpnn-v48-020"
COORDINATES = {"5L33": GOLDEN["X"], "6MRR": PUBLISHED["X_6MRR"]}
SEQUENCES = {"5L33": GOLDEN["S"], "6MRR": PUBLISHED["S_6MRR"]}
Network = TypeVar("Network", bound=nn.Module)
TOLERANCE = {"rtol": 0.0, "atol": 1e-5}
TAPS = (("node", 2), ("edge", 2), ("structure", 0))


def the_file(published) -> str:
    return str(next(published(WEIGHTS).glob("*.pt")))


def filled(network: Network) -> Network:
    network.load_state_dict({name: named_weight(name, tuple(x.shape)) for name, x in network.state_dict().items()})
    return network.eval()


def protein(name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Coordinates, mask, residue index and chain as a batch of one."""
    coordinates = torch.from_numpy(COORDINATES[name])[None]
    length = coordinates.shape[1]
    return coordinates, torch.ones(1, length), torch.arange(length)[None], torch.ones(1, length, dtype=torch.int64)


def sequence(name: str) -> Tensor:
    return torch.from_numpy(SEQUENCES[name].astype(np.int64))[None]


def nll(log_probs: Tensor, name: str) -> float:
    """Mean over residues of -log p of the native letter."""
    return -log_probs.double().gather(-1, sequence(name)[..., None]).mean().item()


def near(values: Tensor, golden: np.ndarray) -> None:
    torch.testing.assert_close(values, torch.from_numpy(golden), **TOLERANCE)


# The published network


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "edges", "first", "neighbours"),
    [("5L33", 9021.845177, [0, 1, 2, 6, 3, 5, 4, 9, 7, 10], 264208),
     ("6MRR", 6507.371420, [0, 1, 2, 30, 29, 28, 31, 3, 6, 5], 110843)],
)  # fmt: skip
def test_features_and_graph(name, edges, first, neighbours):
    features, graph = filled(StockMPNN()).features(*protein(name))
    # The sum of 650 thousand numbers near 1: each may be off by a rounding.
    assert features.double().sum().item() == pytest.approx(edges, abs=5e-3)
    assert graph[0, 0, :10].tolist() == first
    assert graph.sum().item() == neighbours


@torch.no_grad()
def test_features_of_the_first_residue_and_neighbours_of_all():
    features, graph = filled(StockMPNN()).features(*protein("5L33"))
    assert torch.equal(graph[0], torch.from_numpy(GOLDEN["stock_E_idx"].astype(np.int64)))
    near(features[0, 0], GOLDEN["stock_E_row0"])


@torch.no_grad()
@pytest.mark.parametrize(("name", "total"), [("5L33", -7749.915804), ("6MRR", -5029.101730)])
def test_unconditional_probabilities(name, total):
    log_probs = filled(StockMPNN()).unconditional(*protein(name))
    assert log_probs.double().sum().item() == pytest.approx(total, abs=2e-3)
    if name == "5L33":
        near(log_probs[0], GOLDEN["stock_uncond"])


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "left_to_right", "random"), [("5L33", 3.7871280, 3.7755098), ("6MRR", 3.8771887, 3.8741018)]
)
def test_scores_in_the_order_of_writing(name, left_to_right, random):
    network, batch = filled(StockMPNN()), protein(name)
    forward = network.conditional(*batch, sequence(name), torch.arange(batch[0].shape[1])[None])
    assert nll(forward, name) == pytest.approx(left_to_right, abs=2e-6)
    if name == "5L33":
        near(forward[0], GOLDEN["stock_l2r"])
    draw = torch.randn(1, batch[0].shape[1], generator=torch.Generator().manual_seed(37))
    shuffled = network.conditional(*batch, sequence(name), (1.0001 * draw.abs()).argsort(-1))
    assert nll(shuffled, name) == pytest.approx(random, abs=2e-6)


# The denoiser


def projector(name: str, width: int, dim: int) -> nn.Module:
    """The reference's two linear layers, with the weights that its names give."""
    net = nn.Sequential(nn.Linear(width, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))
    shapes = {f"{name}.{key}": tuple(value.shape) for key, value in net.state_dict().items()}
    state = {name: named_weight(name, shape) for name, shape in shapes.items()}
    net.load_state_dict({key.removeprefix(f"{name}."): value for key, value in state.items()})
    return net


def noisy() -> Tensor:
    draw = np.random.RandomState(1).rand(1, 106)
    tokens = torch.where(torch.from_numpy(draw) < 0.5, sequence("5L33"), MASK)
    assert torch.equal(tokens[0], torch.from_numpy(GOLDEN["S_t"].astype(np.int64)))
    return tokens


@torch.no_grad()
@pytest.mark.parametrize("padding", ["masked", "reference"])
@pytest.mark.parametrize(
    ("edge_update", "total", "sums"),
    [(False, -8370.055020, (1263.975097, 23759.314158, -677.839792)),
     (True, -8549.247391, (1312.421340, 38812.149130, -677.839792))],
)  # fmt: skip
def test_denoiser_and_projected_taps(edge_update, total, sums, padding):
    network = filled(ProteinMPNN(edge_update=edge_update, padding=padding))
    logits, (node, edge, structure) = network(*protein("5L33"), noisy(), taps=TAPS)
    key = f"fmif{int(edge_update)}"
    log_probs = logits.log_softmax(-1)
    near(log_probs[0], GOLDEN[f"{key}_logp"])
    assert log_probs.double().sum().item() == pytest.approx(total, abs=2e-3)
    single = projector("projectors_single", 128, 384)(node)
    pair = projector("projectors_pair", 256, 128)(edge)
    global_ = projector("projectors_structure", 128, 768)(structure)
    near(single[0, :4], GOLDEN[f"{key}_zs"])
    near(pair[0, :2, :4], GOLDEN[f"{key}_zp"])
    near(global_[0, :4], GOLDEN[f"{key}_zst"])
    for values, golden in zip((single, pair, global_), sums, strict=True):
        assert values.double().sum().item() == pytest.approx(golden, rel=3e-6, abs=5e-3)
    assert torch.equal(
        network.graph(*protein("5L33")[:2])[0], torch.from_numpy(GOLDEN[f"{key}_E_idx"].astype(np.int64))
    )


@torch.no_grad()
def test_the_head_without_the_mask_token():
    network = filled(ProteinMPNN(edge_update=True))
    logits, _ = network(*protein("5L33"), noisy())
    first = noisy()[0].eq(MASK).nonzero()[0, 0]
    head = logits[0, first].index_fill(0, torch.tensor([MASK]), -1e6).log_softmax(-1)[:3]
    torch.testing.assert_close(head, torch.tensor([-3.500371, -5.154985, -4.719707]), **TOLERANCE)


def padded(batch: tuple[Tensor, ...], more: int) -> tuple[Tensor, ...]:
    """Coordinates, mask, residue index and chain with padding."""
    values = (0.0, 0.0, -100, 0)
    return tuple(torch.cat([x, x.new_full((1, more, *x.shape[2:]), v)], 1) for x, v in zip(batch, values, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("edge_update", [True, False])
def test_a_padded_protein_is_what_it_is_alone_to_the_last_bit(edge_update):
    network = filled(ProteinMPNN(edge_update=edge_update))
    alone, taps = network(*protein("6MRR"), sequence("6MRR"), taps=TAPS)
    tokens = nn.functional.pad(sequence("6MRR"), (0, 38), value=MASK)
    both = [torch.cat(pair) for pair in zip(padded(protein("6MRR"), 38), protein("5L33"), strict=True)]
    logits, padded_taps = network(*both, torch.cat([tokens, noisy()]), taps=TAPS)
    for one, other in zip((alone, *taps), (logits, *padded_taps), strict=True):
        assert torch.equal(one[0], other[0, :68])


@torch.no_grad()
def test_padding_of_the_reference_gives_its_losses():
    network = filled(ProteinMPNN(padding="reference"))
    both = [torch.cat(pair) for pair in zip(protein("5L33"), padded(protein("6MRR"), 38), strict=True)]
    native = torch.cat([sequence("5L33"), nn.functional.pad(sequence("6MRR"), (0, 38))])
    kept = (torch.from_numpy(np.random.RandomState(1).rand(2, 106)) < 0.5) & both[1].bool()
    logits, _ = network(*both, torch.where(kept, native, MASK))
    log_probs, real = logits.double().log_softmax(-1), both[1].double()
    of_native = -log_probs.gather(-1, native[..., None])[..., 0]
    smoothed = (of_native - 0.1 / 22 * log_probs.sum(-1)) / 1.1
    assert ((smoothed * real).sum() / 2000).item() == pytest.approx(0.3389900, abs=1e-6)
    assert ((of_native * real).sum() / real.sum()).item() == pytest.approx(3.9193852, abs=1e-6)


# Published weights


def test_weights_of_the_published_network_fit():
    stock = filled(StockMPNN()).state_dict()
    network = ProteinMPNN()
    transfer = load_stock(network, stock)
    # 37 in the reference: 12 more are those of the three projectors.
    assert [len(names) for names in (transfer.equal, transfer.extended, transfer.new)] == [115, 3, 25]
    own = network.state_dict()
    assert all(torch.equal(own[name], stock[name]) for name in transfer.equal)
    assert all(torch.equal(own[name][:21], stock[name]) and len(own[name]) == 22 for name in transfer.extended)
    assert len(stock) == 118


def test_structures_are_encoded_as_by_the_published_network():
    stock, network = filled(StockMPNN()), ProteinMPNN(neighbours=48)
    load_stock(network, stock.state_dict())
    ours, theirs = (net.encode(*protein("6MRR")) for net in (network, stock))
    assert torch.equal(ours.nodes, theirs.nodes)
    assert torch.equal(ours.edges, theirs.edges)


@torch.no_grad()
@pytest.mark.xdist_group("published")
@pytest.mark.parametrize(
    ("name", "total", "native", "recovery"),
    [("5L33", -9157.408, 1.6822441, 0.42453), ("6MRR", -5719.1396, 1.5972904, 0.58824)],
)
def test_published_weights_say_what_they_said(name, total, native, recovery, published):
    log_probs = recovered.published(the_file(published)).unconditional(*protein(name))
    # The stored run was on a GPU.
    torch.testing.assert_close(log_probs[0], torch.from_numpy(PUBLISHED[f"uncond_{name}"]), rtol=0, atol=1e-3)
    assert log_probs.double().sum().item() == pytest.approx(total, abs=0.5)
    assert nll(log_probs, name) == pytest.approx(native, abs=1e-4)
    assert (log_probs.argmax(-1) == sequence(name)).float().mean().item() == pytest.approx(recovery, abs=1e-5)


@pytest.mark.xdist_group("published")
@pytest.mark.skipif(not CHAINS.exists(), reason=f"{CHAINS} is not there (REEDBENCH_DATA)")
def test_published_weights_recover_real_chains(published):
    """The first 20 chains of at most 256 residues; the values were measured here, as docs/protein.md says."""
    rows = ChainsJsonl(file=str(CHAINS), max_length=256, min_length=30, name="chains").rows().take(np.arange(20))
    found = recovered.summary(recovered.scores(recovered.published(the_file(published)), rows), rows.arrays["cluster"])
    assert (found["chains"], found["residues"]) == (20, 3009)
    assert found["pooled"] == pytest.approx(0.471, abs=2e-3)
    assert found["perplexity"] == pytest.approx(5.500, abs=1e-2)


def test_recovery_is_pooled_averaged_and_voted_by_cluster():
    scores = [recovered.Score(10, 5, 20.0), recovered.Score(30, 30, 10.0), recovered.Score(10, 0, 20.0)]
    found = recovered.summary(scores, [0, 0, 1])
    assert found["pooled"] == pytest.approx(0.7)
    assert (found["mean"], found["median"]) == (0.5, 0.5)
    assert found["one vote per cluster"] == pytest.approx(0.375)
    assert found["perplexity"] == pytest.approx(np.e)
