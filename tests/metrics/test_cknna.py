"""Alignment between mutual nearest neighbours, against its formula written out in full."""

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core.errors import MetricError
from reedbench.metrics import Features, Hidden, Tapped
from reedbench.metrics.cknna import NeighbourAlignment
from reedbench.nn import neighbours
from reedbench.nn.neighbours import cknna

N = 40


def pair(seed: int = 0, shared: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two representations of the same data that have something in common."""
    rng = np.random.default_rng(seed)
    common = shared * rng.standard_normal((N, 3))
    return tuple(common @ rng.standard_normal((3, dim)) + rng.standard_normal((N, dim)) for dim in (6, 4))


def kernels(*rows: np.ndarray) -> list[np.ndarray]:
    units = [x / np.linalg.norm(x, axis=1)[:, None] for x in rows]
    return [x @ x.T for x in units]


def nearest(kernel: np.ndarray, k: int) -> list[set[int]]:
    return [set([j for j in np.argsort(-row) if j != i][:k]) for i, row in enumerate(kernel)]


def by_pairs(one: np.ndarray, other: np.ndarray, k: int) -> float:
    """Huh et al. 2024, appendix, pair by pair."""

    def aligned(a: np.ndarray, b: np.ndarray) -> float:
        of_a, of_b = nearest(a, k), nearest(b, k)
        mutual = [(i, j) for i in range(N) for j in of_a[i] & of_b[i]]
        return sum((a[i, j] - a[i].mean()) * (b[i, j] - b[i].mean()) for i, j in mutual)

    a, b = kernels(one, other)
    return aligned(a, b) / np.sqrt(aligned(a, a) * aligned(b, b))


def by_matrices(one: np.ndarray, other: np.ndarray, k: int) -> float:
    """Of the released code: the unbiased HSIC of Song et al. 2012, Eq. 5, on kernels with zeros where not mutual."""

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        of_a, of_b = nearest(a, k), nearest(b, k)
        mask = np.array([[j in of_a[i] & of_b[i] for j in range(N)] for i in range(N)])
        a, b, unit = a * mask, b * mask, np.ones(N)
        middle = (unit @ a @ unit) * (unit @ b @ unit) / ((N - 1) * (N - 2))
        return (np.trace(a @ b) + middle - 2 / (N - 2) * unit @ a @ b @ unit) / (N * (N - 3))

    a, b = kernels(one, other)
    return hsic(a, b) / np.sqrt(hsic(a, a) * hsic(b, b))


@pytest.mark.parametrize("k", [5, 10, N - 1])
@pytest.mark.parametrize(("released", "formula"), [(False, by_pairs), (True, by_matrices)])
def test_it_is_the_formula_whatever_the_blocks(k, released, formula, monkeypatch):
    expected = formula(*pair(), k)
    assert 0.02 < expected < 0.95
    assert cknna(*pair(), k, released=released) == pytest.approx(expected, rel=1e-10)
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    assert cknna(*pair(), k, released=released) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("released", [False, True])
def test_equal_representations_have_one_and_turning_or_scaling_one_changes_nothing(released):
    one, other = pair()
    assert cknna(one, one, 10, released=released) == pytest.approx(1, abs=1e-12)
    turn, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))
    expected = cknna(one, other, 10, released=released)
    assert cknna(3 * one @ turn, other, 10, released=released) == pytest.approx(expected, rel=1e-10)
    symmetric = not released  # the released one takes a mask to be symmetric that is not
    assert (cknna(other, one, 10, released=released) == pytest.approx(expected, rel=1e-6)) == symmetric


def test_more_in_common_is_more_alignment():
    values = [np.mean([cknna(*pair(seed, shared), 10) for seed in range(5)]) for shared in (0.0, 1.0, 4.0)]
    assert values == sorted(values)
    assert values[0] < 0.3
    assert values[2] > 0.7


class Evidence:
    """A network and an extractor that saw the same images."""

    def __init__(self, hidden: np.ndarray, represented: np.ndarray) -> None:
        self.states, self.represented = Hidden(Features(np.empty((0, 0))), Features(hidden), 3), represented
        self.asked_for: list[object] = []

    def hidden(self, tapped: Tapped) -> Hidden:
        self.asked_for.append(tapped)
        return self.states

    def tested(self, extractor: str, count: int | None) -> Features:
        self.asked_for.append((extractor, count))
        return Features(self.represented)


def test_the_metric_asks_for_the_same_images_on_both_sides_and_tells_the_block():
    metric, found = NeighbourAlignment(extractor="dino", depth=4, tap="depth", at=0.5, test_rows=N), Evidence(*pair())
    assert metric.measured(found) == pytest.approx(by_pairs(*pair(), 10))
    assert found.asked_for == [Tapped(at=0.5, depth=4, first=False, train=0, test=N), ("dino", N)]
    assert metric.spread(found)["block"] == 3
    reference = NeighbourAlignment(extractor="dino", test_rows=N, estimator="reference")
    assert reference.measured(found) == pytest.approx(by_matrices(*pair(), 10))


def test_what_gives_no_number_is_an_error():
    metric = NeighbourAlignment(extractor="dino", test_rows=N)
    bad = pair()[0].copy()
    bad[3, 1] = np.nan
    with pytest.raises(MetricError, match=r"cknna@dino.*: hidden states or representations are not finite"):
        metric.measured(Evidence(bad, pair()[1]))
    with pytest.raises(MetricError, match="the value is nan"):
        metric.measured(Evidence(np.zeros((N, 3)), pair()[1]))
    with pytest.raises(ValidationError, match=r"neighbours \(10\) must be fewer than test_rows \(10\)"):
        NeighbourAlignment(extractor="dino", test_rows=10)
