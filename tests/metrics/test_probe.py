"""The linear probe of hidden states, on states that are made here."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from reedbench.core.errors import MetricError
from reedbench.metrics import Features, Hidden, Tapped
from reedbench.metrics.probe import HiddenProbe
from reedbench.nn import ridge

CLASSES = 4


def states(n: int, strength: float, seed: int) -> Features:
    """Mean hidden states that hold the class in one direction each, with noise of unit size."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    return Features(strength * np.eye(CLASSES, 6)[labels] + rng.standard_normal((n, 6)) + 3.0, labels)


@dataclass
class Evidence:
    """The network behind some samples, which gives these hidden states."""

    found: Hidden
    asked_for: list[Tapped] = field(default_factory=list)

    def hidden(self, tapped: Tapped) -> Hidden:
        self.asked_for.append(tapped)
        return self.found


def evidence(strength: float, n: int = 400) -> Evidence:
    return Evidence(Hidden(states(n, strength, 0), states(n, strength, 1), 3))


def test_what_is_in_the_state_is_found_and_what_is_not_is_chance():
    metric = HiddenProbe()
    assert metric.measured(evidence(20.0)) == 1.0
    assert 0.35 < metric.measured(evidence(1.0)) < 0.8
    assert abs(metric.measured(evidence(0.0)) - 1 / CLASSES) < 0.08


def test_it_asks_for_what_its_settings_say_and_tells_the_block():
    found = evidence(1.0)
    metric = HiddenProbe(tap="depth", depth=4, at=0.5, train_rows=300, test_rows=100)
    spread = metric.spread(found)
    assert set(found.asked_for) == {Tapped(at=0.5, depth=4, first=False, train=300, test=100)}
    share = metric.measured(found)
    assert spread == {"kind": "binomial", "standard_error": (share * (1 - share) / 100) ** 0.5, "block": 3}


def test_states_that_are_not_finite_or_have_no_class_are_an_error():
    found = evidence(1.0)
    found.found.test.features[0, 0] = np.nan
    with pytest.raises(MetricError, match="probe@tap: hidden states are not finite"):
        HiddenProbe().measured(found)
    bare = Hidden(Features(np.ones((4, 2))), Features(np.ones((4, 2))), 1)
    with pytest.raises(MetricError, match="probe@tap: the data have no classes"):
        HiddenProbe().value(bare)


def test_ridge_is_the_closed_form_and_takes_features_as_they_come():
    train = states(300, 2.0, 0)
    scale = np.array([1.0, 10.0, 0.1, 1.0, 1.0, 1000.0])
    one, other = ridge.fitted(train.features, train.labels), ridge.fitted(train.features * scale - 5, train.labels)
    test = states(200, 2.0, 1).features
    np.testing.assert_array_equal(one.predicted(test), other.predicted(test * scale - 5))
    z = (train.features - train.features.mean(0)) / train.features.std(0)
    wanted = np.eye(CLASSES)[train.labels]
    fits = [
        np.linalg.solve(z.T @ z + strength * 0.3 * np.eye(6), z.T @ (wanted - wanted.mean(0)))
        for strength in ridge.STRENGTHS
    ]
    assert any(np.allclose(one.weights, fit / train.features.std(0)[:, None]) for fit in fits)


def test_a_constant_feature_and_classes_with_any_numbers_are_no_obstacle():
    train, test = states(200, 20.0, 0), states(100, 20.0, 1)
    flat = [np.concatenate([part.features, np.full((len(part), 1), 7.0)], 1) for part in (train, test)]
    found = ridge.fitted(flat[0], train.labels * 5 + 3)
    np.testing.assert_array_equal(found.predicted(flat[1]), test.labels * 5 + 3)
