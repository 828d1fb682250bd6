"""The network of Uni-Mol: what its vectors depend on, how atoms are masked, and what is learnt from them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from reedbench.core import seeds
from reedbench.nn import unimol
from reedbench.nn.unimol import formatted, known, normalised
from reedbench.nn.unimol_masking import DIFFICULT, NORMAL, MaskedUniMol, guesses, loss, places, view

SIZE = (32, 2, 16, 32, 4, 8)
MASK = 31


@pytest.fixture(scope="module")
def network() -> MaskedUniMol:
    made = MaskedUniMol(*SIZE)
    made.initialise(lambda name: seeds.stream("unimol", name))
    with torch.no_grad():
        for parameter in made.parameters():  # first weights are so small that distances hardly count
            parameter.mul_(15 if 0 < parameter.abs().max() < 0.2 else 1)
    return made.double()


def molecules(*sizes: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    draws = np.random.default_rng(0)
    return [draws.choice([1, 6, 7, 8], n) for n in sizes], [2 * draws.normal(size=(n, 3)) for n in sizes]


def vectors(network: MaskedUniMol, elements: list, coordinates: list, what: str = "masked") -> Tensor:
    tokens, at = formatted(elements, coordinates, MASK + 1)
    encoded = network(tokens, at.double())
    return normalised(encoded.of_atoms() if what == "atoms" else network.whole(encoded, what))


def test_molecules_stand_between_two_tokens_at_the_origin():
    tokens, at = formatted([np.array([1, 6]), np.array([83, 0, 3])], [np.eye(3)[:2], np.ones((3, 3))], 32)
    assert tokens.tolist() == [[1, 8, 4, 2, 0], [1, 30, 3, 29, 2]]
    assert at[0].tolist() == [[0, 0, 0], [0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0], [0, 0, 0]]
    assert not at[1].any()
    assert 83 in known(32)
    assert 83 not in known(31)
    assert len(set(known(32))) == 27


@pytest.mark.parametrize("what", ["masked", "atoms"])
@torch.no_grad()
def test_a_vector_is_the_same_however_the_molecule_lies_and_is_numbered(network, what):
    elements, coordinates = molecules(5, 3)
    found = vectors(network, elements, coordinates, what)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    for matrix in (turn, -turn):
        again = vectors(network, elements, [x @ matrix + 4 for x in coordinates], what)
        torch.testing.assert_close(again, found, rtol=0, atol=1e-5)  # coordinates are rounded to float32
    order = np.array([3, 0, 4, 1, 2])
    again = vectors(network, [elements[0][order], elements[1]], [coordinates[0][order], coordinates[1]], what)
    torch.testing.assert_close(again, found, rtol=0, atol=1e-12)
    assert (found[0] - found[1]).abs().max() > 1e-4


@pytest.mark.parametrize("what", ["masked", "atoms", "reference"])
@torch.no_grad()
def test_padding_changes_nothing_but_the_pooling_of_the_reference(network, what):
    elements, coordinates = molecules(3, 6)
    alone = vectors(network, elements[:1], coordinates[:1], what)[0]
    beside = vectors(network, elements, coordinates, what)[0]
    assert ((alone - beside).abs().max() < 1e-12) == (what != "reference")


@torch.no_grad()
def test_vectors_see_elements_and_distances(network):
    elements, coordinates = molecules(4)
    found = vectors(network, elements, coordinates)
    other = elements[0].copy()
    other[1] = 9
    assert (vectors(network, [other], coordinates) - found).abs().max() > 1e-3
    assert (vectors(network, elements, [1.3 * coordinates[0]]) - found).abs().max() > 1e-3


@torch.no_grad()
def test_a_vector_has_mean_0_and_unbiased_deviation_1(network):
    found = vectors(network, *molecules(4, 7))
    torch.testing.assert_close(found.mean(1), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.std(1), torch.ones(2).double(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("how", [NORMAL, DIFFICULT])
def test_a_share_of_the_atoms_is_masked_and_moved_and_nothing_else_changes(how):
    share, noise = how
    draws = np.random.default_rng(0)
    sizes = draws.integers(1, 30, 400).tolist()
    tokens, at = formatted(*molecules(*sizes), 32)
    shown = view(tokens, at, how, 32, seeds.stream("views"))
    counts = shown.chosen.sum(1).double()
    wanted = share * torch.tensor(sizes).double()
    assert ((counts - wanted).abs() < 1).all()
    assert abs(counts.sum() / wanted.sum() - 1) < 0.02  # rounded up as often as it should be
    assert not shown.chosen[tokens <= unimol.END].any()
    rest = ~shown.chosen
    assert torch.equal(shown.tokens[rest], tokens[rest])
    assert torch.equal(shown.coordinates[rest], at[rest])
    moved = (shown.coordinates - at)[shown.chosen].abs()
    assert moved.max() <= noise * 1.001
    assert 0.47 < moved[moved.sum(1) > 0].mean() / noise < 0.53
    kept = (moved.sum(1) == 0).double().mean()
    assert 0.02 < kept < 0.08
    masked = (shown.tokens[shown.chosen] == MASK).double().mean()
    assert 0.86 < masked < 0.94
    assert torch.equal(shown.tokens[shown.chosen][moved.sum(1) == 0], tokens[shown.chosen][moved.sum(1) == 0])
    assert shown.tokens.max() == MASK


@torch.no_grad()
def test_corrected_places_turn_with_the_molecule_and_do_not_see_padding(network):
    tokens, at = formatted(*molecules(4, 7), 32)
    at = at.double()
    found = places(network, at, network(tokens, at))
    turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0])
    torch.testing.assert_close(places(network, at @ turn, network(tokens, at @ turn)), found @ turn, rtol=0, atol=1e-9)
    alone = places(network, at[:1, :6], network(tokens[:1, :6], at[:1, :6]))
    torch.testing.assert_close(alone[0], found[0, :6], rtol=0, atol=1e-12)
    assert (found - at)[0, 1:5].abs().max() > 1e-9


def test_every_parameter_learns_and_the_clean_view_through_the_global_vector():
    network = MaskedUniMol(*SIZE)
    network.initialise(lambda name: seeds.stream("unimol", name))
    tokens, at = formatted(*molecules(*[9] * 8), 32)
    loss(network, tokens, at, "masked", seeds.stream("views")).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_the_smallest_molecules_have_a_finite_loss(network):
    tokens, at = formatted([np.array([2 * 4])], [np.zeros((1, 3))], 32)
    for draw in range(12):  # with and without a masked atom
        found = loss(network, tokens, at.double(), "masked", seeds.stream("views", draw))
        assert torch.isfinite(found)
        found.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    network.zero_grad()


@torch.no_grad()
def test_guessed_distances_are_the_same_both_ways(network):
    tokens, at = formatted(*molecules(4, 7), 32)
    letters, apart = guesses(network, view(tokens, at.double(), NORMAL, 32, seeds.stream("views")))
    assert letters.shape == tokens.shape
    torch.testing.assert_close(apart, apart.transpose(1, 2))


def test_first_weights_depend_on_their_names_alone():
    made = []
    for _ in range(2):
        torch.manual_seed(len(made))
        made.append(MaskedUniMol(*SIZE))
        made[-1].initialise(lambda name: seeds.stream("unimol", name))
    for (name, one), other in zip(made[0].state_dict().items(), made[1].state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert made[0].gbf.mul.weight.eq(1).all()
    assert 0 < made[0].gbf.means.weight.min() < made[0].gbf.means.weight.max() < 3
