"""EGNN: symmetries, padding, atoms that are alone, taps, initialisation, sizes."""

import pytest
import torch
from torch import Tensor

from reedbench.backbones.egnn import EGNNBackbone
from reedbench.core import seeds
from reedbench.nn.backbones.egnn import EGNN

FEATURES = 6
TAPS = (("masked", 1), ("masked", 3))
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
CLOSE = {"rtol": 0.0, "atol": 1e-10}


def small(**changes) -> EGNN:
    """In float64, with movements that are not small."""
    network = EGNN(**{"features": FEATURES, "width": 16, "layers": 3, **changes}).double()
    network.initialise(seeds.stream)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("coord_mlp.4.weight"):
                parameter.mul_(100)
    return network


def inputs(counts: tuple[int, ...] = (7, 4), length: int | None = None) -> Inputs:
    """Coordinates, features, times and mask of molecules of so many atoms."""
    generator = torch.Generator().manual_seed(0)
    b, n = len(counts), length or max(counts)
    mask = (torch.arange(n) < torch.tensor(counts)[:, None]).double()
    coordinates = torch.randn(b, n, 3, generator=generator, dtype=torch.float64) * mask[..., None]
    features = torch.randn(b, n, FEATURES, generator=generator, dtype=torch.float64) * mask[..., None]
    return coordinates, features, torch.rand(b, generator=generator, dtype=torch.float64), mask


def turn(mirrored: bool) -> Tensor:
    """A rotation, or a rotation with a mirroring."""
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64))
    return q * torch.linalg.det(q) * (-1 if mirrored else 1)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, **CLOSE)


# Symmetries


@torch.no_grad()
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("tanh", [True, False])
def test_a_motion_turns_the_velocity_and_changes_nothing_else(mirrored, tanh):
    network, (x, h, t, mask), q = small(tanh=tanh), inputs(), turn(mirrored)
    (velocity, features), states = network(x, h, t, mask, taps=TAPS)
    moved = (x @ q + torch.tensor([3.0, -1, 2])) * mask[..., None]
    (other, other_features), other_states = network(moved, h, t, mask, taps=TAPS)
    close(other, velocity @ q)
    close(other_features, features)
    for one, two in zip(states, other_states, strict=True):
        close(two, one)
    assert velocity.abs().max() > 1e-2
    assert velocity.sum(1).abs().max() < 1e-12


@torch.no_grad()
def test_atoms_have_no_order():
    network, (x, h, t, mask) = small(), inputs((7, 7))
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    (velocity, features), states = network(x, h, t, mask, taps=TAPS)
    (other, other_features), other_states = network(x[:, order], h[:, order], t, mask, taps=TAPS)
    close(other, velocity[:, order])
    close(other_features, features[:, order])
    close(other_states[1], states[1][:, order])


# Padding


@torch.no_grad()
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("counts", [(7, 4), (1, 1), (2, 0)])
def test_padding_changes_nothing_and_is_0(counts, attention):
    network, alone = small(attention=attention), inputs(counts)
    n = max(counts)
    padded = list(inputs(counts, n + 5))
    padded[0][:, :n], padded[1][:, :n], padded[2] = alone[0], alone[1], alone[2]
    (velocity, features), states = network(*alone, taps=TAPS)
    for garbage in (0.0, 7.0):
        padded[0][:, n:] = garbage
        (other, other_features), other_states = network(*padded, taps=TAPS)
        close(other[:, :n], velocity)
        close(other_features[:, :n], features)
        for one, two in zip(states, other_states, strict=True):
            close(two[:, :n], one)
        for x in (other, other_features, *other_states):
            assert not (x * (1 - padded[3])[..., None]).any()


@pytest.mark.parametrize("counts", [(1, 1), (0, 0), (3, 1)])
def test_gradients_are_finite_without_neighbours_and_without_atoms(counts):
    network, batch = small(), inputs(counts, 4)
    (velocity, features), states = network(*batch, taps=TAPS)
    sum(x.square().sum() for x in (velocity, features, *states)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@torch.no_grad()
def test_what_is_not_finite_stays_so():
    network, (x, h, t, mask) = small(), inputs()
    h[0, 0, 0] = torch.nan
    (velocity, _), _ = network(x, h, t, mask)
    assert velocity[0].isnan().all()
    assert velocity[1].isfinite().all()


# What it reads


@torch.no_grad()
def test_it_sees_features_and_times():
    network, (x, h, t, mask) = small(), inputs()
    (velocity, _), _ = network(x, h, t, mask)
    assert not torch.allclose(network(x, h.flip(-1), t, mask)[0][0], velocity)
    assert not torch.allclose(network(x, h, t / 2, mask)[0][0], velocity)


@torch.no_grad()
def test_taps_come_in_the_order_asked_for_and_change_nothing():
    network, batch = small(), inputs()
    (plain, _), none = network(*batch)
    (velocity, _), states = network(*batch, taps=TAPS)
    _, backwards = network(*batch, taps=TAPS[::-1])
    assert none == []
    assert torch.equal(plain, velocity)
    assert [state.shape for state in states] == [(2, 7, network.width)] * 2
    assert all(torch.equal(one, other) for one, other in zip(states, backwards[::-1], strict=True))


@pytest.mark.parametrize("tap", [("masked", 0), ("masked", 4), ("reference", 1)])
def test_a_tap_outside_the_network_is_refused(tap):
    with pytest.raises(ValueError, match="the site must be masked, and the depth between 1 and 3"):
        small()(*inputs(), taps=[tap])


# Initialisation


def test_weights_are_initialised_by_name_and_follow_their_laws():
    shallow, deep = EGNN(features=FEATURES, width=64, layers=2), EGNN(features=FEATURES, width=64, layers=4)
    for network in (deep, shallow):
        network.initialise(seeds.stream)
    for name, parameter in shallow.named_parameters():
        assert torch.equal(parameter, deep.get_parameter(name)), name
    block = shallow.egnn.e_block_1
    for parameter, bound in (
        (block.gcl_0.edge_mlp[0].weight, 130**-0.5),
        (block.gcl_0.node_mlp[2].bias, 64**-0.5),
        (block.gcl_equiv.coord_mlp[4].weight, 1e-3 * (6 / 65) ** 0.5),
        (shallow.egnn.embedding.weight, 7**-0.5),
    ):
        assert 0.85 * bound < parameter.abs().max().item() <= bound
        assert parameter.min() < 0 < parameter.max()


# The plugin


@pytest.mark.parametrize(
    ("plugin", "tokens", "count"),
    [(EGNNBackbone(), 7, 5_339_920), (EGNNBackbone(layers=4, atomic_numbers=False), 18, 2_380_565)],
    ids=["qm9", "geom"],
)
def test_published_sizes(plugin, tokens, count):
    with torch.device("meta"):
        network = plugin.build((-1, tokens, 5), {})
        network.initialise(seeds.stream)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_the_plugin_builds_the_network_that_it_describes():
    plugin = EGNNBackbone(width=8, layers=2, attention=False, tanh=False)
    network = plugin.build((-1, 7, 5), {})
    assert (plugin.name(), plugin.blocks()) == ("EGNN-8x2", 2)
    assert (network.width, network.layers, network.features, network.self_condition) == (8, 2, 6, False)
    assert not [name for name in network.state_dict() if "att_mlp" in name]
    assert not network.egnn.e_block_0.gcl_equiv.tanh
