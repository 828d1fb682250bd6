"""Dispersion by its definition, rows that do not count, and the negatives of contrastive flow matching."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.core import seeds
from reedbench.nn.contrastive import CONTRAST, OTHER, ContrastiveLearner, chosen
from reedbench.nn.flow import FlowMatching
from reedbench.nn.learner import WHOLE
from reedbench.nn.regularisers import Dispersion, pooled
from reedbench.nn.schedules import Factor

VARIANTS = {
    "l2": {"temperature": 0.7},
    "cosine": {"temperature": 0.7},
    "hinge": {"margin": 2.5},
    "covariance": {},
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def by_definition(variant: str, z: Tensor) -> float:
    """Of one group (g, tokens, d), pair after pair."""
    flat, g = z.flatten(1), len(z)
    pairs = [(flat[i], flat[j]) for i in range(g) for j in range(g)]
    if variant == "covariance":
        covariance = torch.cov(F.normalize(z.mean(1), dim=-1).T)
        return float(sum(covariance[m, n] ** 2 for m in range(len(covariance)) for n in range(m)) * 2)
    if variant == "hinge":
        return sum(max(0.0, 2.5 - float((a - b).square().mean())) ** 2 for a, b in pairs) / g**2
    apart = [(a - b).square().mean() if variant == "l2" else -F.cosine_similarity(a, b, dim=0) for a, b in pairs]
    return math.log(sum(math.exp(-float(d) / 0.7) for d in apart) / g**2)


def hidden(rows: int) -> Tensor:
    return torch.randn(rows, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@each_variant
def test_dispersion_is_its_definition_in_every_group(variant):
    z = hidden(6)
    found = Dispersion(variant, 3, **VARIANTS[variant])(z)
    first, second = (by_definition(variant, z[part]) for part in (slice(0, 3), slice(3, 6)))
    assert found.tolist() == pytest.approx([first] * 3 + [second] * 3)
    assert Dispersion(variant, WHOLE, **VARIANTS[variant])(z).tolist() == pytest.approx([by_definition(variant, z)] * 6)


@each_variant
def test_rows_that_do_not_count_are_in_no_pair(variant):
    z, there = hidden(6).requires_grad_(), torch.tensor([1.0, 0, 1, 1, 0, 1])
    one = Dispersion(variant, 6, **VARIANTS[variant])
    found = one(z, there)
    kept = by_definition(variant, z.detach()[there > 0])
    assert found.tolist() == pytest.approx([kept, 0, kept, kept, 0, kept])
    found.sum().backward()
    assert not z.grad[there == 0].any()
    assert z.grad[there > 0].any()


@each_variant
@pytest.mark.parametrize("count", [0, 1])
def test_a_group_without_pairs_is_finite_and_pushes_nothing(variant, count):
    z, there = hidden(4).requires_grad_(), torch.tensor([1.0, 0, 0, 0]) * count
    found = Dispersion(variant, 4, **VARIANTS[variant])(z, there)
    found.sum().backward()
    assert found.isfinite().all()
    assert z.grad.abs().max() < 1e-12


def test_far_rows_rest_at_the_floor_and_only_one_variant_in_groups_has_one():
    one = Dispersion("l2", 16)
    assert one(1e3 * hidden(16))[0] == pytest.approx(one.floor()) == pytest.approx(-2.7725887)
    assert [Dispersion(variant, 4, 1, 1).floor() for variant in ("cosine", "hinge", "covariance")] == [None] * 3
    assert Dispersion("l2", WHOLE).floor() is None


def test_half_precision_keeps_small_distances_far_from_the_origin():
    z = (100 + 0.05 * hidden(4)).float()
    expected = Dispersion("l2", 4, 0.001)(z)
    with torch.autocast("cpu", torch.bfloat16):
        found = Dispersion("l2", 4, 0.001)(z)
    assert torch.equal(found, expected)
    assert expected[0] == pytest.approx(float(Dispersion("l2", 4, 0.001)(z.double() - 100)[0]), rel=1e-4)


def test_padding_is_in_no_mean():
    h, mask = hidden(2), torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    assert torch.equal(pooled(h, mask), torch.stack([h[0, :2].mean(0), torch.zeros(5)]))


# Negatives


def learner(**settings: bool) -> ContrastiveLearner:
    flow = FlowMatching("linear", "uniform", 0.5, null_label=3)
    options = {"other_class": False, "null_rows": True, **settings}
    return ContrastiveLearner(nn.Identity(), flow, Factor(), Factor(), 4, **options)


def drawn(one: ContrastiveLearner, labels: list[int], first: int = 0, step: int = 0) -> dict[str, Tensor]:
    rows = range(first, first + len(labels))
    batch = {"x_1": torch.zeros(len(labels), 1, 2, 2), "labels": torch.tensor(labels)}
    return one.draw(batch, lambda name: seeds.rows(rows, name, "d", 0, step))


def test_a_negative_is_another_row_of_the_group_each_as_likely():
    found = torch.stack([drawn(learner(), [0] * 8, step=step)[OTHER] for step in range(600)])
    for row in range(8):
        counts = np.bincount(found[:, row], minlength=4)
        assert counts[row % 4] == 0
        assert all(150 < counts[other] < 250 for other in range(4) if other != row % 4)


def test_a_row_has_the_same_negative_whichever_rank_draws_it():
    labels = [0, 1, 2, 0, 1, 1, 1, 2]
    for one in (learner(), learner(other_class=True)):
        whole = drawn(one, labels)[OTHER]
        parts = [drawn(one, labels[i : i + 4], first=i)[OTHER] for i in (0, 4)]
        assert torch.equal(whole, torch.cat(parts))


def test_a_negative_of_another_class_is_one_and_a_row_without_one_does_not_count():
    one, labels = learner(other_class=True), [0, 1, 2, 0, 1, 1, 1, 1]
    for step in range(20):
        batch = drawn(one, labels, step=step)
        other = batch[OTHER]
        assert other[4:].tolist() == [-1] * 4
        assert all(labels[int(place)] != labels[row] for row, place in enumerate(other[:4]))
        batch["velocity"] = torch.ones_like(batch["x_0"])
        assert one.counted(CONTRAST, batch) == 4
        assert not one.extra([], batch)[CONTRAST][4:].any()


def test_rows_without_label_do_not_count_where_they_shall_not():
    one = learner(null_rows=False)
    batch = drawn(one, [0, 1, 2, 0, 1, 1, 1, 1])
    kept = batch["y"] != 3
    batch["velocity"] = torch.ones_like(batch["x_0"])
    assert 0 < one.counted(CONTRAST, batch) == int(kept.sum()) < 8
    values = one.extra([], batch)[CONTRAST]
    assert values[kept].all()
    assert not values[~kept].any()


def test_the_largest_number_drawn_is_the_last_allowed_place():
    allowed = torch.tensor([[True, False, True, False]])
    below = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    assert [chosen(u[None], allowed).item() for u in (torch.tensor(0.0), torch.tensor(0.5), below)] == [0, 2, 2]
