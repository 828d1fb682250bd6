"""Coupling of noise to places: nearest order and rotation, one row at a time, padding aside."""

from itertools import permutations

import pytest
import torch
from toy_molecules import batch, streams

from reedbench.nn.coupling import assignment, coupled, points, rotations
from reedbench.nn.parts import Entries

DATA = batch()
X_1, MASK = DATA["coordinates"], DATA["mask"]


def noise(mask: torch.Tensor = MASK, kind: str = "centred") -> torch.Tensor:
    return points(Entries(streams(len(mask))("noise"), mask), mask, kind)


def cost(x_0: torch.Tensor, x_1: torch.Tensor = X_1) -> torch.Tensor:
    return (x_0 - x_1).square().sum((1, 2))


def test_coupling_brings_noise_nearer_and_keeps_its_shape():
    x_0 = noise()
    near = coupled(x_0, X_1, MASK)
    assert (cost(near) <= cost(x_0) + 1e-6).all()
    assert cost(near)[0] < 0.8 * cost(x_0)[0]
    assert not near[MASK == 0].any()
    for one, other, there in zip(x_0, near, MASK > 0, strict=True):
        lengths = (x[there].norm(dim=1).sort().values for x in (one, other))
        torch.testing.assert_close(*lengths)


def test_the_assignment_is_the_best_of_all():
    source, data = noise()[2, :3].numpy(), X_1[2, :3].numpy()
    best = min(permutations(range(3)), key=lambda order: ((source[list(order)] - data) ** 2).sum())
    assert assignment(source, data).tolist() == list(best)


def test_points_that_were_turned_come_back_and_mirrored_ones_do_not():
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    turn = turn * torch.linalg.det(turn)
    x = X_1.double()
    found = rotations(x @ turn.T, x)
    torch.testing.assert_close((x @ turn.T) @ found.transpose(1, 2), x, atol=1e-12, rtol=0)
    mirrored = rotations(-x, x)
    torch.testing.assert_close(torch.linalg.det(mirrored), torch.ones(len(x), dtype=torch.float64))
    assert cost(-x @ mirrored.transpose(1, 2), x)[0] > 0.1


def test_no_rotation_about_an_axis_would_be_nearer():
    x_0, x_1 = noise().double(), X_1.double()
    near = x_0 @ rotations(x_0, x_1).transpose(1, 2)
    for axis in torch.eye(3, dtype=torch.float64):
        for angle in (-0.1, 0.1):
            wedge = torch.linalg.cross(axis.expand(3, 3), torch.eye(3, dtype=torch.float64))
            turned = near @ torch.matrix_exp(angle * wedge)
            assert (cost(near, x_1) <= cost(turned, x_1) + 1e-9).all()


@pytest.mark.parametrize("kind", ["centred", "reference"])
def test_a_row_is_coupled_alone(kind):
    whole = coupled(noise(kind=kind), X_1, MASK)
    alone = points(Entries(streams([2])("noise"), MASK[2:3]), MASK[2:3], kind)
    assert torch.equal(coupled(alone, X_1[2:3], MASK[2:3]), whole[2:3])


def test_noise_is_centred_at_the_atoms_whatever_the_padding():
    x_0, longer = noise(), batch(length=11)
    assert x_0.sum(1).abs().max() < 1e-5
    assert torch.equal(noise(longer["mask"])[:, :7], x_0)
    assert torch.equal(
        coupled(noise(longer["mask"]), longer["coordinates"], longer["mask"])[:, :7], coupled(x_0, X_1, MASK)
    )


def test_noise_of_the_reference_is_centred_before_it_is_cut():
    x_0, longer = noise(kind="reference"), batch(length=11)
    assert (x_0.sum(1).abs() > 0.01).any(1).tolist() == [True, True, True, False]  # the last is as long as the batch
    assert not x_0[MASK == 0].any()
    assert not torch.equal(noise(longer["mask"], "reference")[:, :7], x_0)
