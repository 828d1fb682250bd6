"""Semla and EGNN against the published code, with equal weights, in float64: specs/molecule.md, 9.2, 9.7 and 9.10.

Source: SemlaFlow @2f41e57, REED molecule/ @0a4527e and EDM @fce07d7, run once on the CPU; only numbers were kept.
"""

from typing import TypeVar

import pytest
import semla_vectors as vectors
import torch
from torch import Tensor, nn

from reedbench.nn.backbones import semla_layers as layers
from reedbench.nn.backbones.egnn import EGNN
from reedbench.nn.backbones.semla import Semla

Module = TypeVar("Module", bound=nn.Module)


def said(x: Tensor) -> float:
    return x.abs().sum().item()


def near(value: float | list[float], golden: float | list[float]) -> None:
    """Equal to the ten digits after the point that were kept."""
    assert value == pytest.approx(golden, rel=0, abs=6e-11)


# The network


def test_the_tensors_are_those_of_the_reference():
    state = vectors.tiny_state()
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == (190, 93_231)


@torch.no_grad()
def test_a_prediction():
    network, projector = vectors.tiny_semla()
    found, (hidden,) = network(*vectors.inputs(), taps=[("reference", 2)])
    near(said(found.coordinates), 9.5906640760)
    near(found.coordinates[0, 0].tolist(), [0.5486187984, 0.0508847342, -0.4853578823])
    near(found.coordinates[1, 2].tolist(), [-0.6974116056, -0.8017328816, -0.2993186966])
    near(found.types.sum().item(), 0.8719312272)
    near(said(found.types), 23.8424587614)
    near(found.types[0, 0, :4].tolist(), [0.2180057172, 0.0877093819, 0.1184160461, 0.1306629609])
    near(found.bonds.sum().item(), -0.6003061078)
    near(said(found.bonds), 29.9364775289)
    near(found.bonds[0, 1, 2].tolist(), [-0.0334262223, -0.1290266624, -0.1454407579, 0.0450103745, 0.2520063220])
    near(found.charges.sum().item(), -2.2490627238)
    near(said(found.charges), 9.3561995645)
    z = projector(hidden.sum(1))  # over padding too
    near(z.sum().item(), -0.2009729263)
    near(said(z), 5.6750784012)
    near(z[0, :4].tolist(), [-0.0814261897, -0.136966558, -0.1691484919, 0.097663344])


@torch.no_grad()
def test_a_prediction_conditioned_on_the_one_before():
    network, projector = vectors.tiny_semla()
    first, _ = network(*vectors.inputs())
    found, (hidden,) = network(*vectors.inputs(), previous=vectors.conditioned(first), taps=[("reference", 2)])
    near(said(found.coordinates), 9.4337471892)
    near(found.coordinates[0, 0].tolist(), [-0.3635603243, 0.0252409808, 0.3949404149])
    near(found.types.sum().item(), 0.8720492377)
    near(found.bonds.sum().item(), -0.6218492811)
    near(said(found.bonds), 29.8461635829)
    near(projector(hidden.sum(1)).sum().item(), -0.2009180786)


def test_the_published_size():
    with torch.device("meta"):
        network = Semla(tokens=18, bonds=5)
    counts = {name: sum(x.numel() for x in part.parameters()) for name, part in network.named_modules()}
    assert counts[""] == 23_301_407 - 256  # less the norm of the first layer that nothing uses
    assert counts["dynamics.layers"] == 21_322_304 - 256
    assert counts["dynamics.layers.0"] == 1_770_624 - 256
    assert counts["dynamics.layers.5"] == 1_771_168
    assert counts["dynamics.layers.11"] == 1_840_000
    assert [counts[f"dynamics.layers.5.{part}"] for part in ("node_ff", "message_ff", "coord_attn", "node_attn")] == [
        1_362_880, 103_584, 8_256, 296_448,
    ]  # fmt: skip
    assert counts["dynamics.final_ff_block"] == 1_317_696
    assert counts["dynamics.refine_layer"] == 116_353
    parts = ("feat_proj", "edge_in_proj", "edge_out_proj", "size_emb", "atom_classifier_head", "charge_classifier_head")
    assert [counts[part] for part in parts] == [187_008, 17_920, 17_157, 16_384, 154_770, 150_535]


# Its layers


ATOMS = layers.Atoms.of(torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64))
COORDINATES = torch.cos(0.9 * torch.arange(36, dtype=torch.float64) + 0.2).view(1, 4, 3, 3)
FEATURES = torch.sin(0.37 * torch.arange(18, dtype=torch.float64)).view(1, 3, 6)


def filled(module: Module) -> Module:
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    module.double().load_state_dict(vectors.filled(shapes))
    return module


def pairs(channels: int) -> Tensor:
    """sin(i) over the flat index of (1, 3, 3, channels), as the reference lays out what pairs have."""
    return torch.sin(torch.arange(9 * channels, dtype=torch.float64)).view(1, 3, 3, channels)


def messages(channels: int) -> Tensor:
    return pairs(channels).permute(0, 3, 1, 2)


def nine(x: Tensor, golden: float) -> None:
    assert said(x) == pytest.approx(golden, rel=0, abs=6e-10)


@pytest.mark.parametrize(("norm", "golden"), [("none", 16.821172747), ("length", 13.921477388), ("gvp", 27.842954776)])
def test_norms_of_coordinates(norm, golden):
    nine(filled(layers.CoordNorm(4, norm))(ATOMS.centred(COORDINATES), ATOMS), golden)


def test_attention_over_features():
    nine(filled(layers.NodeAttention(6, 2))(FEATURES, messages(2), ATOMS), 2.295243854)


def test_attention_over_coordinates():
    nine(filled(layers.CoordAttention(4))(ATOMS.centred(COORDINATES), messages(4), ATOMS), 1.104085118)


def test_messages():
    nine(filled(layers.EdgeMessages(6, 3, 4, 5, 7))(ATOMS.centred(COORDINATES), FEATURES, ATOMS), 5.639895375)


def test_the_feed_forward_of_atoms():
    coordinates, features = filled(layers.NodeFeedForward(6, 4, 3, hidden=8))(COORDINATES, FEATURES, ATOMS)
    nine(coordinates, 0.021128925)
    nine(features, 2.200039061)


def test_refined_bonds():
    refine = filled(layers.BondRefine(6, 3, 5))
    nine(refine(ATOMS.centred(COORDINATES[:, :1]), FEATURES, pairs(5), ATOMS), 4.651885504)


def test_who_hears_whom():
    silent = -torch.inf
    expected = torch.tensor([[silent, 0, silent], [0, silent, silent], [0, 0, 0]], dtype=torch.float64)
    assert torch.equal(layers.unheard(torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64))[0], expected)


# EGNN


def tiny_egnn() -> EGNN:
    """The tiny network of 9.10, whose weights have no 1 added."""
    network = EGNN(features=6, width=16, layers=2).double()
    state = network.state_dict()
    for k, name in enumerate(sorted(state)):
        i = torch.arange(state[name].numel(), dtype=torch.float64)
        state[name] = (0.15 * torch.sin(0.7 * i + 0.3 * k + 0.1)).reshape(state[name].shape)
    network.load_state_dict(state)
    return network


@torch.no_grad()
def test_an_egnn():
    coordinates, _, _, _, mask = vectors.inputs()
    real = mask[..., None]
    coordinates = (coordinates - coordinates.sum(1, keepdim=True) / real.sum(1, keepdim=True)) * real
    element = (2 * torch.arange(5) + torch.arange(2)[:, None]) % 5
    numbers = torch.tensor([1, 6, 7, 8, 9], dtype=torch.float64)[element]
    features = torch.cat([nn.functional.one_hot(element, 5) / 4, numbers[..., None] / 10], dim=-1) * real
    times = torch.tensor([0.25, 0.7], dtype=torch.float64)
    (velocity, out), _ = tiny_egnn()(coordinates, features.double(), times, mask)
    assert said(velocity) == pytest.approx(13.6608048389, rel=0, abs=3e-10)
    assert velocity[0, 0].tolist() == pytest.approx([0.5970973292, 0.1744027186, -0.3802763924], rel=0, abs=1e-10)
    assert velocity[1, 2].tolist() == pytest.approx([-1.5146693911, -0.4495802405, 0.9557422731], rel=0, abs=1e-10)
    near(said(out), 9.4930454775)
