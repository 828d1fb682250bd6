"""Features of protein backbones: classes of offsets, Gaussians of distances, the graph, rigid motions."""

from itertools import product

import pytest
import torch
from torch import Tensor

from reedbench.nn.backbone_features import (
    PAIRS,
    BackboneFeatures,
    distance_features,
    gather_nodes,
    nearest,
    neighbour_distances,
    positional_classes,
    with_virtual_cb,
)


def backbone(length: int, batch: int = 1) -> Tensor:
    """N, CA, C, O of a walk whose steps are a few Angstrom long."""
    generator = torch.Generator().manual_seed(length)
    ca = (3 * torch.randn(batch, length, 1, 3, generator=generator)).cumsum(1)
    return ca + torch.randn(batch, length, 4, 3, generator=generator)


def inputs(length: int, batch: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    chain = torch.ones(batch, length, dtype=torch.int64)
    return backbone(length, batch), torch.ones(batch, length), torch.arange(length).expand(batch, -1), chain


def turn() -> Tensor:
    """A rotation that mixes all axes."""
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64))
    return q * torch.linalg.det(q)


def test_offsets_have_the_classes_of_the_reference():
    # The residue at 0 looks at others: offset = 0 - index.
    offsets = [-100, -33, -32, 0, 32, 33, 5]
    index = torch.tensor([[0, *(-offset for offset in offsets)]])
    chain = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 2]])
    neighbours = torch.arange(1, 8).expand(1, 8, 7)
    assert positional_classes(index, chain, neighbours)[0, 0].tolist() == [0, 0, 0, 32, 64, 64, 65]


def test_gaussians_have_the_values_of_the_reference():
    features = distance_features(torch.tensor([2.0, 1e-3]))
    assert features.shape == (2, 16)
    torch.testing.assert_close(features[0, :3], torch.tensor([1, 0.32053, 0.01056]), rtol=0, atol=6e-6)
    torch.testing.assert_close(features[1, :3], torch.tensor([0.0775, 0.00082, 0]), rtol=0, atol=6e-5)


def test_the_virtual_cb_lies_where_ideal_geometry_puts_it():
    # Ideal N-CA-C: 1.458 and 1.525 Angstrom, 111 degrees; the CB bond is 1.52 Angstrom at 110 degrees.
    angle = torch.deg2rad(torch.tensor(111.0))
    n, c = 1.458 * torch.tensor([angle.cos(), angle.sin(), 0.0]), torch.tensor([1.525, 0.0, 0.0])
    ca = torch.zeros(3)
    cb = with_virtual_cb(torch.stack([n, ca, c, ca]))[4]
    assert cb.norm().item() == pytest.approx(1.52, abs=0.02)
    for arm in (n, c):
        assert torch.rad2deg(torch.acos(cb @ arm / cb.norm() / arm.norm())).item() == pytest.approx(110, abs=1.5)
    # L-amino acids: seen along CA -> N, CA's other arms C and CB turn this way.
    assert torch.linalg.det(torch.stack([n, c, cb])) > 0


def test_neighbours_hold_what_their_residues_hold():
    nodes, neighbours = torch.arange(24).reshape(2, 4, 3), torch.tensor([[[0, 3]] * 4, [[2, 1]] * 4])
    got = gather_nodes(nodes, neighbours)
    assert got.shape == (2, 4, 2, 3)
    for i, row in enumerate(neighbours):
        assert torch.equal(got[i], nodes[i][row])


def test_a_residue_is_its_own_nearest_neighbour_and_distances_grow():
    distances = neighbour_distances(backbone(40, 2)[:, :, 1], torch.ones(2, 40))
    graph = nearest(distances, 12)
    assert graph.shape == (2, 40, 12)
    assert torch.equal(graph[..., 0], torch.arange(40).expand(2, -1))
    assert (distances.gather(-1, graph).diff(dim=-1) >= 0).all()


def test_a_short_protein_has_as_many_neighbours_as_residues():
    graph = nearest(neighbour_distances(backbone(10)[:, :, 1], torch.ones(1, 10)), 30)
    assert graph.shape == (1, 10, 10)


def test_ties_go_to_the_lower_index_whatever_the_length():
    on_a_line = torch.arange(50.0)[None, :, None] * torch.tensor([4.0, 0, 0])
    for length in (20, 50):
        graph = nearest(neighbour_distances(on_a_line[:, :length], torch.ones(1, length)), 7)
        assert graph[0, 10].tolist() == [10, 9, 11, 8, 12, 7, 13]


def test_unresolved_residues_come_last():
    coordinates, mask = backbone(12), torch.ones(1, 12)
    coordinates[0, [2, 7]], mask[0, [2, 7]] = 0.0, 0.0
    graph = nearest(neighbour_distances(coordinates[:, :, 1], mask, 1.0), 12)
    resolved = mask[0].bool()
    assert {tuple(sorted(row)) for row in graph[0, resolved, 10:].tolist()} == {(2, 7)}


def test_as_in_the_reference_an_unresolved_residue_can_tie_with_the_farthest():
    coordinates, mask = backbone(12), torch.ones(1, 12)
    coordinates[0, 0], mask[0, 0] = 0.0, 0.0
    distances = neighbour_distances(coordinates[:, :, 1], mask)
    assert torch.equal(distances[0, 1:, 0], distances[0, 1:, 1:].amax(-1))


def test_features_do_not_feel_rigid_motion_but_see_mirror_images():
    torch.manual_seed(0)
    net = BackboneFeatures(32, 12, 1.0).double()
    coordinates, mask, index, chain = inputs(30, 2)
    coordinates, mask = coordinates.double(), mask.double()
    edges, graph = net(coordinates, mask, index, chain)
    moved, same_graph = net(coordinates @ turn() + 10, mask, index, chain)
    mirrored, _ = net(coordinates * torch.tensor([-1.0, 1, 1]), mask, index, chain)
    assert torch.equal(graph, same_graph)
    assert (moved - edges).abs().max() < 1e-9
    assert (mirrored - edges).abs().max() > 1e-2


def test_a_given_graph_is_used():
    net = BackboneFeatures(16, 5, 1.0)
    batch = inputs(14)
    edges, graph = net(*batch)
    again, _ = net(*batch, graph)
    backwards, given = net(*batch, graph.flip(-1))
    assert torch.equal(edges, again)
    assert torch.equal(given, graph.flip(-1))
    torch.testing.assert_close(backwards, edges.flip(2))


def test_every_pair_of_atoms_is_there_once_and_the_distance_of_the_graph_comes_first():
    assert PAIRS[0] == (1, 1)
    assert sorted(PAIRS) == list(product(range(5), repeat=2))
