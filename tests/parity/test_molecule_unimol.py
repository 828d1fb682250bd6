"""The vector of a tiny Uni-Mol against the published code of REED's encoder.

Source: REED molecule/models/unimol @0a4527e with deterministic weights, run once; numbers in the project's
specification of the molecule track, section 9.9.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from reedbench.nn.unimol import ELEMENTS, FIRST, formatted, normalised
from reedbench.nn.unimol_masking import MaskedUniMol

ELEMENTS_OF_SEMLA = (1, 6, 7, 8, 9, 15, 16, 17, 35, 5, 13, 14, 33, 53, 80, 83)  # types 2 .. 17
SCALE = 2.407038688659668  # Angstrom, of coordinates in GEOM-Drugs
SIZES = (5, 3)
TOKENS = [[1, 8, 6, 7, 15, 21, 2], [1, 4, 10, 9, 2, 0, 0]]
GOLDEN = [
    [1.2829835518, 0.938980532, -0.5951100449, -1.6726360822],
    [1.306999357, 0.9237413623, -0.6219845211, -1.6700949306],
]
APART = 0.0121628579  # of molecule 1 alone and beside the larger one, where padding is pooled too


@torch.no_grad()
def filled() -> MaskedUniMol:
    """Two layers of width 16 whose k-th tensor by name is 0.15 sin(0.7 i + 0.3 k + 0.1), and more for some."""
    network = MaskedUniMol(32, 2, 16, 32, 4).double()
    for k, (name, tensor) in enumerate(sorted(network.state_dict().items())):
        v = 0.15 * torch.sin(0.7 * torch.arange(tensor.numel(), dtype=torch.float64) + 0.3 * k + 0.1)
        if name in ("gbf.means.weight", "gbf.stds.weight"):
            v = 1.5 + 8 * v
        elif name == "gbf.mul.weight" or name.endswith("layer_norm.weight"):
            v = v + 1
        tensor.copy_(v.reshape(tensor.shape))
    return network


def batch() -> tuple[Tensor, Tensor]:
    """The molecules of section 9.2, centred, in Angstrom; coordinates in float64."""
    elements, at = [], torch.zeros(2, 7, 3, dtype=torch.float64)
    for b, atoms in enumerate(SIZES):
        n, c = torch.arange(atoms, dtype=torch.float64)[:, None], torch.arange(3)
        x = torch.sin(1.3 * (n + 1) + 0.9 * c + 0.5 * b)
        at[b, 1 : atoms + 1] = SCALE * (x - x.mean(0))
        elements.append(np.array([ELEMENTS_OF_SEMLA[(3 * n + b) % 16] for n in range(atoms)]))
    tokens, _ = formatted(elements, [np.zeros((atoms, 3)) for atoms in SIZES], 32)
    return tokens, at


@pytest.fixture(scope="module")
def network() -> MaskedUniMol:
    return filled()


def test_elements_have_the_tokens_of_the_published_dictionary():
    tokens = {number: FIRST + i for i, number in enumerate(ELEMENTS)}
    assert [tokens[n] for n in ELEMENTS_OF_SEMLA] == [8, 4, 5, 6, 10, 14, 7, 9, 11, 15, 18, 13, 21, 12, 22, 30]
    assert batch()[0].tolist() == TOKENS


@torch.no_grad()
def test_the_vector_is_that_of_the_reference(network):
    tokens, at = batch()
    found = normalised(network.whole(network(tokens, at), "reference"))
    torch.testing.assert_close(found[:, :4], torch.tensor(GOLDEN, dtype=torch.float64), rtol=0, atol=1e-9)


@torch.no_grad()
def test_padding_that_is_pooled_moves_a_vector_as_in_the_reference_and_masked_not_at_all(network):
    tokens, at = batch()
    both, alone = network(tokens, at), network(tokens[1:, :5], at[1:, :5])
    of_both = {how: normalised(network.whole(both, how))[1] for how in ("reference", "masked")}
    own = normalised(network.whole(alone, "reference"))[0]
    assert abs((of_both["reference"] - own).abs().max().item() - APART) < 1e-9
    torch.testing.assert_close(of_both["masked"], own, rtol=0, atol=1e-14)


@torch.no_grad()
def test_another_order_of_atoms_gives_the_same_vector(network):
    tokens, at = batch()
    order = [0, 4, 1, 5, 3, 2, 6]
    given = (tokens, at), (tokens[:, order], at[:, order])
    found, again = (normalised(network.whole(network(*one), "masked"))[0] for one in given)
    torch.testing.assert_close(again, found, rtol=0, atol=1e-14)


def test_the_published_size_has_the_parameters_that_were_counted():
    network = MaskedUniMol(32, 15, 512, 2048, 64)
    assert sum(p.numel() for p in network.parameters()) == 49_196_002
    unread = ("lm_head", "dist_head", "pair2coord_proj", "node_feature_fusion")
    assert sum(p.numel() for n, p in network.named_parameters() if not n.startswith(unread)) == 48_119_360
