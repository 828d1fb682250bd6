"""The network that predicts masked residues: what it measures on a backbone, and what its output may depend on."""

import math

import pytest
import torch
from torch import Tensor

from reedbench.core import seeds
from reedbench.datasets.backbones import Backbones
from reedbench.domains.protein import padded
from reedbench.nn.masked_residues import (
    MaskedResidues,
    dihedral,
    masked_at_random,
    pair_classes,
    residue_features,
)
from reedbench.nn.residues import MASK, UNKNOWN

POINTS = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]])


@pytest.fixture(scope="module")
def chains() -> dict[str, Tensor]:
    """Three chains of 20 to 30 residues."""
    return padded(Backbones(chains=3, test_chains=1, min_length=20, max_length=30).rows().where("train").arrays)


@pytest.fixture(scope="module")
def network() -> MaskedResidues:
    made = MaskedResidues(16, 2, 2)
    made.initialise(lambda name: seeds.stream("network", name))
    return made.eval()


def structure(chains: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in chains.items() if name in ("coordinates", "mask", "residue_index")}


@pytest.mark.parametrize("degrees", [-150, -60, 0, 60, 120])
def test_dihedrals_have_the_sign_of_iupac(degrees):
    # Seen along the axis, from b to c, a positive angle turns clockwise from a to d.
    angle = math.radians(degrees)
    d = torch.tensor([math.cos(angle), math.sin(angle), 1.0])
    expected = torch.tensor([math.cos(angle), math.sin(angle)])
    torch.testing.assert_close(dihedral(*POINTS, d), expected, atol=1e-6, rtol=0)


def test_a_dihedral_of_nothing_is_nothing():
    assert dihedral(*torch.zeros(4, 3)).tolist() == [0, 0]


def test_features_do_not_change_under_rigid_motion(chains):
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    rotation *= torch.linalg.det(rotation)
    moved = {**chains, "coordinates": chains["coordinates"] @ rotation + 5.0}
    features, after = (residue_features(**structure(x)) for x in (chains, moved))
    torch.testing.assert_close(after, features, atol=2e-4, rtol=0)
    mirrored = residue_features(**structure({**chains, "coordinates": -chains["coordinates"]}))
    assert (mirrored[..., 1] + features[..., 1]).abs().max() < 1e-4  # sin phi turns over
    assert features[..., 1].abs().max() > 0.5


def test_angles_are_unit_vectors_inside_and_missing_at_the_ends(chains):
    features = residue_features(**structure(chains))
    norms = features[..., :6].unflatten(-1, (3, 2)).norm(dim=-1)
    for row, length in enumerate((chains["chain"] > 0).sum(1).tolist()):
        expected = torch.ones(length, 3)
        expected[0, 0] = expected[-1, 1] = expected[-1, 2] = 0
        torch.testing.assert_close(norms[row, :length], expected, atol=1e-4, rtol=0)
        assert features[row, :length, 7].tolist() == [1] * length
        assert not features[row, length:].any()
    assert (features[..., 4][norms[..., 2] > 0.5] < -0.9).all()  # omega is trans


def test_unresolved_residues_have_no_features_and_interrupt_the_chain(chains):
    gap = {**chains, "mask": chains["mask"].clone()}
    gap["mask"][0, 5] = 0
    features, whole = residue_features(**structure(gap)), residue_features(**structure(chains))
    assert not features[0, 5].any()
    assert not features[0, 4, 2:6].any()  # psi and omega before the gap
    assert not features[0, 6, :2].any()  # phi after it
    assert torch.equal(features[0, 6, 2:6], whole[0, 6, 2:6])
    assert (features[0, :, 6] <= whole[0, :, 6]).all()
    assert features[0, 4, 6] < whole[0, 4, 6]  # one neighbour less


def test_neighbours_within_ten_angstrom_are_counted():
    coordinates = torch.zeros(1, 3, 4, 3)
    coordinates[0, 1, :, 0], coordinates[0, 2, :, 0] = 9.0, 20.0
    features = residue_features(coordinates, torch.ones(1, 3), torch.arange(3)[None])
    assert (16 * features[0, :, 6]).tolist() == [1, 1, 0]


def test_pairs_are_classed_by_distance_and_offset():
    coordinates = torch.zeros(1, 4, 4, 3)
    coordinates[0, :, 1, 0] = torch.tensor([0.0, 3.8, 40.0, 1.0])
    mask, index, chain = torch.tensor([[1.0, 1, 1, 0]]), torch.tensor([[0, 1, 50, 151]]), torch.tensor([[1, 1, 1, 2]])
    distances, offsets = pair_classes(coordinates, mask, index, chain)
    assert distances[0, 0].tolist() == [0, 3, 24, 25]
    assert distances[0, 3].tolist() == [25] * 4
    assert offsets[0, 0].tolist() == [32, 31, 0, 65]
    assert offsets[0, :, 0].tolist() == [32, 33, 64, 65]


def test_a_padded_chain_gets_what_it_gets_alone(chains, network):
    with torch.no_grad():
        together, maps = network(**chains), network.attention(**chains)
        for row, length in enumerate((chains["chain"] > 0).sum(1).tolist()):
            alone = {name: tensor[row : row + 1, :length] for name, tensor in chains.items()}
            for one, other in zip(network(**alone), together, strict=True):
                torch.testing.assert_close(one[0], other[row, :length], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(network.attention(**alone)[0], maps[row, :length, :length], atol=1e-5, rtol=1e-5)


def test_what_is_not_resolved_is_not_seen(chains, network):
    gap = {**chains, "mask": chains["mask"].clone()}
    gap["mask"][:, 3:6] = 0
    other = {**gap, "coordinates": gap["coordinates"].clone()}
    other["coordinates"][:, 3:6] = 7.0
    with torch.no_grad():
        assert torch.equal(network(**gap)[-1], network(**other)[-1])
        assert not torch.equal(network(**chains)[-1], network(**gap)[-1])


def test_every_token_is_seen_by_every_residue_of_its_chain(chains, network):
    changed = {**chains, "tokens": chains["tokens"].clone()}
    changed["tokens"][0, 10] = MASK
    with torch.no_grad():
        moved = (network(**chains)[-1] != network(**changed)[-1]).any(-1)
    length = int((chains["chain"][0] > 0).sum())
    assert moved[0, :length].all()
    assert not moved[1:].any()


def test_residues_of_other_chains_are_no_neighbours(network):
    x = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(1))
    index = torch.tensor([[0, 1, 102, 103]])
    other = x.clone()
    other[0, 2] = 0
    same = (network.neighbours(x, index) == network.neighbours(other, index)).all(-1)
    assert same[0].tolist() == [True, True, False, False]


def test_attention_is_relative_to_equal_attention(chains, network):
    with torch.no_grad():
        maps = network.attention(**chains)
    assert maps.shape == (*chains["tokens"].shape, chains["tokens"].shape[1], 4)
    real = (chains["chain"] > 0).sum(1)
    torch.testing.assert_close(maps.exp().sum(2) / real[:, None, None], torch.ones(*maps.shape[:2], 4))
    assert (maps[0, :, int(real[0]) :] == -math.inf).all()


def test_masking_hides_a_share_of_the_amino_acids():
    tokens = torch.randint(0, UNKNOWN + 1, (40, 100), generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([[0.2]] * 20 + [[0.5]] * 20)
    noisy, hidden = masked_at_random(tokens, shares, seeds.stream("masks"))
    assert torch.equal(noisy == MASK, hidden)
    assert torch.equal(noisy[~hidden], tokens[~hidden])
    assert not hidden[tokens == UNKNOWN].any()
    known = tokens != UNKNOWN
    for part, share in ((slice(0, 20), 0.2), (slice(20, 40), 0.5)):
        assert hidden[part][known[part]].float().mean().item() == pytest.approx(share, abs=0.04)
    again = masked_at_random(tokens, shares, seeds.stream("masks"))[1]
    assert torch.equal(hidden, again)


def test_all_parameters_are_trained(chains, network):
    states = network(**chains)
    network.head(states[-1]).square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    network.zero_grad()
