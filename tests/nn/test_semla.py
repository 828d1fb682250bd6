"""Semla: symmetries, padding, atoms that are alone, taps, initialisation, sizes."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from reedbench.backbones.semla import SemlaBackbone
from reedbench.core import seeds
from reedbench.nn.backbones.semla import CHARGES, Prediction, Semla
from reedbench.nn.backbones.semla_layers import Atoms, CoordNorm, Distances, EquivariantMLP

TOKENS, BONDS = 7, 5
EVERY_TAP = (("masked", 1), ("reference", 1), ("masked", 3), ("reference", 3))
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
CLOSE = {"rtol": 0.0, "atol": 1e-10}


def small(**changes) -> Semla:
    """In float64, initialised."""
    sizes = {
        "tokens": TOKENS, "bonds": BONDS, "width": 16, "layers": 3, "sets": 6, "heads": 4, "message": 8,
        "message_hidden": 8, "edge": 8, "size_embedding": 4, "max_atoms": 32,
    }  # fmt: skip
    network = Semla(**{**sizes, **changes}).double()
    network.initialise(seeds.stream)
    return network


def inputs(counts: tuple[int, ...] = (7, 4), length: int | None = None, seed: int = 0) -> Inputs:
    """Noisy molecules of so many atoms: coordinates, types, bonds that are not symmetric, times, mask."""
    generator = torch.Generator().manual_seed(seed)
    b, n = len(counts), length or max(counts)
    mask = (torch.arange(n) < torch.tensor(counts)[:, None]).double()
    coordinates = torch.randn(b, n, 3, generator=generator, dtype=torch.float64) * mask[..., None]
    types = torch.randint(TOKENS, (b, n), generator=generator)
    bonds = torch.randint(BONDS, (b, n, n), generator=generator)
    one_hot = torch.nn.functional.one_hot
    pairs = (mask[:, :, None] * mask[:, None])[..., None]
    t = torch.rand(b, generator=generator, dtype=torch.float64)
    return coordinates, one_hot(types, TOKENS) * mask[..., None], one_hot(bonds, BONDS) * pairs, t, mask


def previous(batch: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    """A prediction for self-conditioning."""
    coordinates, types, bonds, _, _ = batch
    return coordinates.flip(-1), (3 * types).softmax(-1) * batch[4][..., None], bonds.flip(-1)


def turn(mirrored: bool) -> Tensor:
    """A rotation, or a rotation with a mirroring."""
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64))
    return q * torch.linalg.det(q) * (-1 if mirrored else 1)


def close(one: Prediction, other: Prediction) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


def real(found: Prediction, mask: Tensor, n: int) -> Prediction:
    """The prediction for the first n places, 0 where there is no atom."""
    mask = mask[:, :n]
    pairs = (mask[:, :, None] * mask[:, None])[..., None]
    return Prediction(
        found.coordinates[:, :n], found.types[:, :n] * mask[..., None], found.bonds[:, :n, :n] * pairs,
        found.charges[:, :n] * mask[..., None],
    )  # fmt: skip


# Symmetries


@torch.no_grad()
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("norm", ["length", "gvp", "none"])
def test_a_motion_moves_coordinates_and_changes_nothing_else(norm, mirrored):
    network, batch, q = small(coordinate_norm=norm), inputs(), turn(mirrored)
    before, states = network(*batch, previous=(condition := previous(batch)), taps=EVERY_TAP)
    moved = (batch[0] @ q, *batch[1:])
    after, moved_states = network(*moved, previous=(condition[0] @ q, *condition[1:]), taps=EVERY_TAP)
    close(after, before._replace(coordinates=before.coordinates @ q))
    assert before.coordinates.abs().max() > 1e-2
    for one, other in zip(states, moved_states, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@torch.no_grad()
def test_a_shift_changes_nothing_as_predictions_are_centred():
    network, batch = small(), inputs()
    found, _ = network(*batch)
    shifted, _ = network((batch[0] + torch.tensor([3.0, -1, 2])) * batch[4][..., None], *batch[1:])
    close(shifted, found)
    assert found.coordinates.sum(1).abs().max() < 1e-12
    assert not found.coordinates[1, 4:].any()


@torch.no_grad()
def test_atoms_have_no_order():
    network, batch = small(), inputs((7, 7))
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    condition = previous(batch)

    def permuted(coordinates: Tensor, types: Tensor, bonds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return coordinates[:, order], types[:, order], bonds[:, order][:, :, order]

    found, states = network(*batch, previous=condition, taps=EVERY_TAP)
    other, other_states = network(*permuted(*batch[:3]), *batch[3:], previous=permuted(*condition), taps=EVERY_TAP)
    close(other, Prediction(*permuted(*found[:3]), found.charges[:, order]))
    for one, moved in zip(states, other_states, strict=True):
        torch.testing.assert_close(moved, one[:, order], **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("bond_refine", [True, False])
def test_logits_of_bonds_are_exactly_symmetric(bond_refine):
    found, _ = small(bond_refine=bond_refine)(*inputs())
    assert torch.equal(found.bonds, found.bonds.transpose(1, 2))
    assert found.bonds.shape == (2, 7, 7, BONDS)
    assert found.types.shape == (2, 7, TOKENS)
    assert found.charges.shape == (2, 7, CHARGES)


# Padding


@torch.no_grad()
@pytest.mark.parametrize("counts", [(7, 4), (1, 1), (2, 0), (1, 5)])
def test_padding_changes_nothing(counts):
    network = small()
    alone, padded = inputs(counts), list(inputs(counts, max(counts) + 6))
    n = max(counts)
    padded[0][:, :n], padded[1][:, :n], padded[2][:, :n, :n] = alone[:3]
    padded[3] = alone[3]
    one, states = network(*alone, previous=previous(alone), taps=EVERY_TAP)
    for garbage in (0.0, 7.0):  # what stands on padding is not looked at
        padded[0][:, n:] = garbage
        padded[1][:, n:] = garbage
        other, padded_states = network(*padded, previous=previous(tuple(padded)), taps=EVERY_TAP)
        close(real(other, padded[4], n), real(one, alone[4], n))
        for i in (0, 2):
            torch.testing.assert_close(padded_states[i][:, :n], states[i], **CLOSE)
            assert not padded_states[i][:, n:].any()


@torch.no_grad()
def test_the_reference_taps_what_padding_has():
    network, batch = small(), inputs()
    _, (masked, reference) = network(*batch, taps=[("masked", 2), ("reference", 2)])
    mask = batch[4][..., None]
    assert torch.equal(masked, reference * mask)
    assert (reference[1, 4:].abs() > 1e-3).any(-1).all()


@pytest.mark.parametrize("counts", [(1, 1), (0, 0), (1, 0, 3)])
@pytest.mark.parametrize("norm", ["length", "gvp", "none"])
def test_gradients_are_finite_without_neighbours_and_without_atoms(counts, norm):
    network, batch = small(coordinate_norm=norm), inputs(counts, 4)
    batch[0].requires_grad_()
    found, states = network(*batch, previous=tuple(x.detach() for x in previous(batch)), taps=EVERY_TAP)
    sum(x.square().sum() for x in (*found, *states)).backward()
    assert all(x.isfinite().all() for x in (*found, *states))
    assert batch[0].grad.isfinite().all()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_every_parameter_matters():
    network, batch = small(), inputs()
    found, _ = network(*batch, previous=previous(batch))
    sum(x.square().sum() for x in found).backward()
    assert [name for name, parameter in network.named_parameters() if not parameter.grad.any()] == []


# What it reads


@torch.no_grad()
def test_no_previous_prediction_is_one_of_zeros():
    network, batch = small(), inputs()
    zeros = Prediction(*(torch.zeros_like(x) for x in batch[:3]))
    close(network(*batch, previous=zeros)[0], network(*batch)[0])
    with_one, _ = network(*batch, previous=previous(batch))
    assert not torch.allclose(with_one.types, network(*batch)[0].types)


@torch.no_grad()
def test_without_self_condition_it_takes_no_previous_prediction():
    network, batch = small(self_condition=False), inputs()
    assert network(*batch)[0].types.isfinite().all()
    with pytest.raises(ValueError, match="without self-conditioning"):
        network(*batch, previous=previous(batch))


@torch.no_grad()
def test_it_sees_bonds_times_and_sizes():
    network, batch = small(), inputs((5,), 7)
    found = network(*batch)[0].types
    for i, other in ((2, batch[2].flip(-1)), (3, batch[3] / 2)):
        assert not torch.allclose(network(*batch[:i], other, *batch[i + 1 :])[0].types, found)
    network.size_emb.weight[5] += 1
    assert not torch.allclose(network(*batch)[0].types, found)


@torch.no_grad()
@pytest.mark.parametrize(("atoms", "length"), [(8, 8), (9, 12)])
def test_more_atoms_than_it_takes_are_refused(atoms, length):
    network = small(max_atoms=8)
    assert network(*inputs((7,), 12))[0].types.isfinite().all()  # padding does not count
    with pytest.raises(ValueError, match=f"a molecule has {atoms} atoms, and this network takes fewer than 8"):
        network(*inputs((3, atoms), length))


@pytest.mark.parametrize("tap", [("masked", 0), ("masked", 4), ("node", 1)])
def test_a_tap_outside_the_network_is_refused(tap):
    with pytest.raises(ValueError, match=r"masked or reference, and the depth between 1 and 3"):
        small()(*inputs(), taps=[tap])


@torch.no_grad()
def test_taps_come_in_the_order_asked_for_and_change_nothing():
    network, batch = small(), inputs()
    plain, none = network(*batch)
    found, states = network(*batch, taps=EVERY_TAP)
    _, backwards = network(*batch, taps=EVERY_TAP[::-1])
    assert none == []
    assert [state.shape for state in states] == [(2, 7, network.width)] * 4
    assert all(torch.equal(one, other) for one, other in zip(plain, found, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(states, backwards[::-1], strict=True))


# Layers


@torch.no_grad()
def test_the_equivariant_mlp_is_the_outer_product_of_the_reference():
    mlp = EquivariantMLP(5, 4, 6).double()
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    c = torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64)
    a, q = mlp.node_proj(h), mlp.coord_proj(c.permute(0, 2, 3, 1))  # (b, N, P) and (b, N, 3, P)
    outer = torch.einsum("bnp,bnkq->bnkpq", a, q).sum(-1)
    torch.testing.assert_close(mlp(h, c), mlp.attn_proj(outer).permute(0, 3, 1, 2), **CLOSE)


def test_gradients_of_distances_are_right_and_places_on_top_of_each_other_do_not_pull():
    p = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: Distances.apply(x) + torch.eye(4), p)  # no gradient of the diagonal
    torch.testing.assert_close(Distances.apply(p), torch.cdist(p, p), **CLOSE)
    together = torch.zeros(1, 3, 3, dtype=torch.float64, requires_grad=True)
    Distances.apply(together).sum().backward()
    assert not together.grad.any()


@torch.no_grad()
def test_norms_give_coordinates_their_lengths():
    c, mask = inputs((7, 4))[0][:, None].expand(-1, 3, -1, -1), inputs((7, 4))[4]
    atoms = Atoms.of(mask)
    lengths = {norm: CoordNorm(3, norm).double()(atoms.centred(c), atoms).norm(dim=-1) for norm in ("length", "gvp")}
    torch.testing.assert_close(
        lengths["length"].sum(-1) / mask.sum(1)[:, None], torch.ones(2, 3).double(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(lengths["gvp"], 3**0.5 * mask[:, None].expand(-1, 3, -1), atol=1e-4, rtol=0)


# Initialisation


def test_weights_are_initialised_by_name():
    shallow, deep = small(layers=3), small(layers=6)
    for name, parameter in shallow.named_parameters():
        if ".layers.2." not in name:  # the last one of the shallow network
            assert torch.equal(parameter, deep.get_parameter(name)), name
    again = small(layers=3)
    assert all(torch.equal(x, again.get_parameter(name)) for name, x in shallow.named_parameters())


def test_initial_weights_follow_the_laws_of_the_reference():
    network = small(width=64, sets=64, max_atoms=200)
    layer = network.dynamics.layers[1]
    weights = layer.node_ff.coord_norm.set_weights
    for parameter, bound in (
        (weights, (6 / 65) ** 0.5),
        (network.size_emb.weight, (6 / 204) ** 0.5),
        (layer.node_attn.in_proj.weight, (6 / 128) ** 0.5),
        (layer.node_attn.in_proj.bias, 64**-0.5),
    ):
        assert 0.9 * bound < parameter.abs().max().item() <= bound
        assert parameter.min() < 0 < parameter.max()
    assert network.dynamics.refine_layer.coord_norm.set_weights.abs().item() <= 3**0.5
    for norm in (network.dynamics.feat_norm, layer.node_ff.node_norm):
        assert (norm.weight == 1).all()
        assert not norm.bias.any()


def test_weights_of_sets_can_start_at_one():
    plain, ones = small(max_atoms=500), small(initialisation="ones", max_atoms=500)
    for name, parameter in ones.named_parameters():
        if name.endswith("set_weights"):
            assert (parameter == 1).all(), name
        elif name != "size_emb.weight":
            assert torch.equal(parameter, plain.get_parameter(name)), name
    assert ones.size_emb.weight.std().item() == pytest.approx(1, abs=0.05)


# The plugin


def test_the_plugin_builds_the_network_that_it_describes():
    plugin = SemlaBackbone(width=16, layers=3, sets=6, heads=4, message=8, message_hidden=8, edge=8, size_embedding=4,
                           max_atoms=32, coordinate_norm="gvp", initialisation="ones")  # fmt: skip
    network = plugin.build((-1, TOKENS, BONDS), {})
    assert (plugin.name(), plugin.blocks(), network.layers, network.width) == ("Semla-16x3/6", 3, 3, 16)
    assert network.initialisation == "ones"
    assert network.dynamics.coord_norm.norm == "gvp"
    assert network.state_dict().keys() == small().state_dict().keys()
    with torch.device("meta"):
        plugin.build((-1, TOKENS, BONDS), {}).initialise(seeds.stream)


def test_without_words_it_is_the_published_one():
    with torch.device("meta"):
        network = SemlaBackbone().build((-1, 18, 5), {})
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_301_151
    assert SemlaBackbone().name() == "Semla-384x12/64"


def test_data_with_more_atoms_than_it_takes_are_refused_before_training():
    plugin = SemlaBackbone(width=8, layers=2, heads=2, max_atoms=30)
    plugin.build((-1, TOKENS, BONDS), {"sizes": {"7": 3, "29": 1}})
    with pytest.raises(ValueError, match="a molecule has 30 atoms: max_atoms must be at least 31"):
        plugin.build((-1, TOKENS, BONDS), {"sizes": {"7": 3, "30": 1}})
    with pytest.raises(ValueError, match="a molecule has 41 atoms: max_atoms must be at least 42"):
        plugin.build((-1, TOKENS, BONDS), {"sizes": {"7": 3}, "largest": {"test": 41, "train": 7}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 10, "heads": 4}, r"width 10 must be a multiple of heads \(4\)"),
        ({"layers": 1}, "greater than or equal to 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        SemlaBackbone(**settings)
    with pytest.raises(ValueError, match=r"at least 2|multiple of heads"):
        small(**settings)
