"""Ridge regression of numbers; that of classes is tested by the metrics that use it."""

import numpy as np

from reedbench.nn.ridge import explained


def test_a_linear_function_is_explained_noise_is_not_and_a_constant_is_nothing():
    draws = np.random.default_rng(0)
    x, of_test = (draws.normal(size=(count, 6)) * [1, 100, 1e-3, 1, 1, 1] + 5 for count in (400, 100))
    slope = np.array([1.0, 0.3, 4.0, -2.0, 0.0, 0.5])
    assert explained(x, x @ slope - 7, of_test, of_test @ slope - 7) > 0.999
    assert abs(explained(x, draws.normal(size=400), of_test, draws.normal(size=100))) < 0.15
    assert explained(x, np.ones(400), of_test, np.ones(100)) == 0


def test_features_beside_the_point_are_shrunk_by_the_strength_that_is_chosen():
    draws = np.random.default_rng(0)
    x, of_test = draws.normal(size=(60, 50)), draws.normal(size=(200, 50))
    values, of_test_values = (part[:, 0] + 0.5 * draws.normal(size=len(part)) for part in (x, of_test))
    found = explained(x, values, of_test, of_test_values)
    weights = np.linalg.lstsq(x, values, rcond=None)[0]
    squares = 1 - np.square(of_test @ weights - of_test_values).sum() / np.square(of_test_values).sum()
    assert found > squares + 0.1


def test_features_that_do_not_vary_are_left_out():
    x = np.column_stack([np.arange(10.0), np.full(10, 3.0)])
    assert explained(x, x[:, 0], x + np.array([0, 1e9]), x[:, 0]) > 0.99
