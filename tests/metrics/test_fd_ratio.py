"""Frechet distances as multiples of that of real data, over several representations."""

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core.errors import MetricError
from reedbench.metrics import Features
from reedbench.metrics.fd import FrechetDistance
from reedbench.metrics.fd_ratio import FrechetRatio


def made(n: int, seed: int, shift: float = 0.0, dim: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)) + shift


class Evidence:
    """Samples, reference and test data under extractors, by name."""

    def __init__(self, **seen: tuple[Features, Features, Features]) -> None:
        self.seen, self.asked_for = seen, []

    def features(self, extractor: str) -> tuple[Features, Features]:
        return self.seen[extractor][:2]

    def tested(self, extractor: str, count: int | None) -> Features:
        self.asked_for.append((extractor, count))
        return self.seen[extractor][2]


def evidence() -> Evidence:
    def of(shift: float, scale: float, dim: int) -> tuple[Features, ...]:
        data = made(300, 0, shift, dim), made(400, 1, 0, dim), made(200, 2, 0, dim)
        return tuple(Features(scale * x) for x in data)

    return Evidence(a=of(0.5, 1.0, 3), b=of(1.5, 100.0, 2))


def fd(one: Features, other: Features) -> float:
    return FrechetDistance(extractor="a").value(one, other)


def test_it_is_the_mean_of_ratios_to_the_test_split():
    found = evidence()
    ratios = [fd(g, r) / fd(t, r) for g, r, t in found.seen.values()]
    assert ratios[1] > 1.5 * ratios[0] > 2
    for mean, expected in (("geometric", np.sqrt(np.prod(ratios))), ("arithmetic", np.mean(ratios))):
        metric = FrechetRatio(among=("a", "b"), against="test", mean=mean)
        assert metric.measured(found) == pytest.approx(expected)
        assert metric.witnesses() == ("a", "b")
    assert set(found.asked_for) == {("a", None), ("b", None)}


def test_the_scale_of_a_representation_has_no_part_in_it():
    found = evidence()
    scaled = Evidence(**{name: tuple(Features(7 * x.features) for x in seen) for name, seen in found.seen.items()})
    metric = FrechetRatio(among=("a", "b"))
    assert metric.measured(found) == pytest.approx(metric.measured(scaled), rel=1e-9)


def test_against_halves_real_data_score_about_one_and_no_test_data_are_asked_for():
    real = Evidence(a=(Features(made(200, 7)), Features(made(400, 1)), Features(made(2, 3))))
    metric = FrechetRatio(among=("a",))
    assert 0.2 < metric.measured(real) < 3
    assert not real.asked_for
    assert not metric.witnesses()


def test_of_a_published_reference_its_images_are_measured_against_its_moments():
    whole, rows = made(2000, 1), Features(made(100, 2))
    published = Features(rows.features, moments=(whole.mean(0), np.cov(whole, rowvar=False)))
    generated = Features(made(300, 0, 0.5))
    expected = fd(generated, Features(whole)) / fd(rows, Features(whole))
    assert FrechetRatio(among=("a",)).measured(Evidence(a=(generated, published, rows))) == pytest.approx(expected)


def test_real_data_at_no_distance_are_an_error_and_names_stand_once():
    same = Features(made(300, 1))
    with pytest.raises(MetricError, match=r"fd-ratio@a.*: under a real data are at a distance of"):
        FrechetRatio(among=("a",), against="test").measured(Evidence(a=(Features(made(50, 0)), same, same)))
    with pytest.raises(ValidationError, match="among: names an extractor twice"):
        FrechetRatio(among=("a", "a"))


def test_two_lists_of_extractors_never_share_an_id():
    lists = [("a-b", "c"), ("a", "b-c"), ("a-b-c",), ("a", "b", "c"), ("c", "a-b")]
    assert len({FrechetRatio(among=names).id(100) for names in lists}) == len(lists)
