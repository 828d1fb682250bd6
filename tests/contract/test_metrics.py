"""What every metric must do, and what each is known to give."""

import json
import math
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from reference_vectors import HERE, integer_hash
from tiny_plugins import each_of_features, make, of_features

from reedbench.core import plugins
from reedbench.core.errors import MetricError
from reedbench.metrics import FeatureMetric, Features

# Value and tolerance where the samples are the reference itself, as far as it is known. Copying is then total, which is
# its worst value.
IDENTITY = {
    "fd": (0.0, 1e-5),
    "sfid": (0.0, 1e-5),
    "kd": (0.0, 1e-3),
    "precision": (1.0, 0.0),
    "recall": (1.0, 0.0),
    "accuracy": (1.0, 0.0),
    "copying": (1.0, 0.0),
}


def seen(features: np.ndarray, classes: int = 5) -> Features:
    """Features of samples that a classifier calls what they were asked to be; all views are these."""
    labels, features = np.arange(len(features)) % classes, np.asarray(features, np.float64)
    return Features(features, labels, labels.copy(), views=views(features))


def views(features: np.ndarray) -> dict[str, Features]:
    """Of each name that some metric asks for."""
    return {metric.view: Features(features) for metric in plugins.discover("metrics").values() if metric.view}


def gauss(n: int, dim: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((n, dim))


def value(name: str, generated: Features, reference: Features, **settings: Any) -> float:
    metric: FeatureMetric = make("metrics", name, **settings)
    return metric.checked(generated, reference)


@each_of_features
def test_the_reference_itself_scores_the_value_of_identity(name):
    data = seen(gauss(120, 4, 0))
    got = value(name, data, seen(data.features))
    if name not in IDENTITY:  # of a metric from outside no value is known, but it must tell these samples from others
        assert got != value(name, seen(3.0 * data.features + 5.0), data)
        return
    expected, tolerance = IDENTITY[name]
    if name == "kd":  # unbiased, hence below zero: the diagonal of the cross term is not left out
        assert -0.5 < got <= expected + tolerance
    else:
        assert got == pytest.approx(expected, abs=tolerance)


@each_of_features
def test_a_metric_does_not_depend_on_the_order_of_rows(name):
    generated, reference = seen(gauss(100, 4, 1, 1.3)), seen(gauss(100, 4, 2))
    generated.predicted[:20] += 1
    one, other = (np.random.default_rng(key).permutation(100) for key in (3, 4))
    shuffled, turned = generated.take(one), reference.take(other)
    first = value(name, generated, reference)
    assert value(name, shuffled, turned) == pytest.approx(first, rel=1e-9, abs=1e-9)
    assert value(name, generated, reference) == first


@each_of_features
@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("side", ["samples", "reference"])
def test_features_that_are_not_finite_are_an_error(name, poison, side):
    bad = seen(gauss(60, 4, 0))
    bad.features[3, 1] = poison
    good = seen(gauss(60, 4, 1))
    pair = (bad, good) if side == "samples" else (good, bad)
    with pytest.raises(MetricError, match=f"^{name}@eye: the features of the {side}"):
        value(name, *pair)


@each_of_features
@pytest.mark.parametrize("side", ["samples", "reference"])
def test_too_few_rows_are_an_error(name, side):
    metric = make("metrics", name)
    enough, few = seen(gauss(60, 4, 0)), seen(gauss(metric.least_n() - 1, 4, 1))
    pair = (few, enough) if side == "samples" else (enough, few)
    with pytest.raises(
        MetricError, match=rf"{name}@eye: needs at least {metric.least_n()} {side}.*got {metric.least_n() - 1}"
    ):
        metric.checked(*pair)


@each_of_features
def test_the_least_number_of_rows_is_enough(name):
    metric = make("metrics", name)
    value = metric.checked(seen(gauss(metric.least_n(), 2, 0)), seen(gauss(metric.least_n(), 2, 1)))
    assert math.isfinite(value)


@each_of_features
def test_a_metric_that_needs_a_classifier_says_so_where_there_is_none(name):
    metric = make("metrics", name)
    data = seen(gauss(60, 4, 0))
    mute = Features(data.features, data.labels, views=data.views)
    if metric.needs_classifier:
        with pytest.raises(MetricError, match="says nothing about classes"):
            metric.checked(mute, data)
    else:
        assert metric.checked(mute, data) == metric.checked(data, data)


@each_of_features
def test_an_id_holds_name_extractor_version_and_number(name):
    metric = make("metrics", name)
    assert metric.family == f"{name}@eye"
    assert metric.id(1437) == f"{name}@eye.v{metric.version}-n1437"
    assert metric.direction in ("lower", "higher")


@pytest.mark.parametrize("name", plugins.discover("metrics"))
def test_a_metric_has_a_title_in_words_that_an_axis_can_show(name):
    metric = make("metrics", name)
    assert metric.title[0].isupper()
    assert metric.heading.startswith(metric.title)
    assert not set("@$_\\") & set(metric.heading)  # no formula for matplotlib, no id


def test_two_settings_of_a_metric_have_two_headings():
    headings = [make("metrics", "chain-recovery", of=of, statistic=s).heading for of in ("state", "argmax")
                for s in ("mean", "median")]  # fmt: skip
    headings += [make("metrics", "recovery", of=of).heading for of in ("state", "argmax")]
    headings += [make("metrics", "fd", extractor=name).heading for name in ("pixels", "clf")]
    assert len(set(headings)) == 8


def another(field: Any, value: Any) -> Any:
    """A further valid value of a field."""
    if get_origin(field.annotation) is Literal:
        return next(choice for choice in get_args(field.annotation) if choice != value)
    if isinstance(value, tuple):
        return (*value, "another")
    if isinstance(value, str | bool):
        return not value if isinstance(value, bool) else "another"
    if value is None:
        return 5
    return value / 2 if isinstance(value, float) else value + 5


@pytest.mark.parametrize("name", plugins.discover("metrics"))
def test_every_setting_of_a_metric_is_in_its_id_and_its_heading(name):
    metric = make("metrics", name)
    for key, field in type(metric).model_fields.items():
        if key != "uses":
            other = type(metric)(**{**metric.plain(), key: another(field, getattr(metric, key))})
            assert other.id(100, 4) != metric.id(100, 4), key
            assert other.id(100) != metric.id(100), key
            assert other.heading != metric.heading, key


@pytest.mark.parametrize(
    ("name", "settings", "id_"),
    [
        ("fd", {"extractor": "digits-clf"}, "fd@digits-clf.v1-n1437"),
        ("precision", {"extractor": "clf", "neighbours": 3}, "precision@clf.v1-n1437"),
        ("precision", {"extractor": "clf", "neighbours": 10}, "precision@clf+neighbours=10.v1-n1437"),
        ("kd", {"extractor": "clf", "subsets": 50, "subset_size": 200},
         "kd@clf+subsets=50+subset-size=200.v1-n1437"),
        ("masked-perplexity", {"at": 0.1}, "masked-perplexity@0.1.v1-n1437"),
        ("designable", {"folder": "esmfold", "best": True}, "designable@esmfold-best.v1-n1437"),
        ("designable", {"folder": "esmfold"}, "designable@esmfold.v1-n1437"),
        ("elbo", {}, "elbo@native.v1-n1437"),
        ("elbo", {"times": 9}, "elbo@native+times=9.v1-n1437"),
        ("sfid", {"extractor": "inception"}, "sfid@inception.v1-n1437"),
        ("is", {"extractor": "inception"}, "is@inception.v1-n1437"),
        ("is", {"extractor": "inception", "split": 500}, "is@inception+split=500.v1-n1437"),
        ("fd-ratio", {"among": ("clf", "dino-b")}, "fd-ratio@clf--dino-b.v1-n1437"),
        ("cknna", {"extractor": "dino"}, "cknna@dino.v1-n1000"),
        ("cknna", {"extractor": "dino", "estimator": "reference"}, "cknna@dino+estimator=reference.v1-n1000"),
        ("probe", {}, "probe@tap.v1-n1000"),
        ("probe", {"tap": "depth", "depth": 3, "at": 0.5, "test_rows": 360},
         "probe@block+depth=3+at=0.5+test-rows=360.v1-n360"),
    ],
)  # fmt: skip
def test_an_id_says_the_settings_that_are_not_the_defaults(name, settings, id_):
    assert make("metrics", name, **settings).id(1437) == id_


@pytest.mark.parametrize("name", plugins.discover("metrics"))
def test_another_number_of_samples_of_each_thing_is_another_id(name):
    metric = make("metrics", name)
    of_samples = metric.id(128) != metric.id(64)  # a probe of the network is not
    assert metric.id(128, 2) == metric.id(128) + ("-k2" if of_samples else "")


def test_another_number_of_reference_rows_is_another_id():
    assert make("metrics", "fd").id(718, reference=719) == "fd@eye.v1-n718-r719"


def modes(n: int, centres: tuple[float, ...], scale: float, seed: int) -> Features:
    """A mixture in the plane, in equal shares, with its modes on the first axis."""
    points = gauss(n, 2, seed, scale)
    points[:, 0] += np.resize(centres, n)
    return seen(points)


def test_a_generator_that_drops_a_mode_has_high_precision_and_low_recall():
    reference, generated = modes(300, (-10, 10), 1.0, 0), modes(300, (10,), 0.8, 1)
    assert value("precision", generated, reference) > 0.9
    assert value("recall", generated, reference) < 0.55


def test_a_noisy_generator_has_low_precision_and_high_recall():
    reference, generated = modes(300, (-10, 10), 1.0, 0), modes(300, (-10, 10), 8.0, 1)
    assert value("precision", generated, reference) < 0.3
    assert value("recall", generated, reference) > 0.75


def exact(n: int, mean: np.ndarray, deviations: np.ndarray, seed: int) -> Features:
    """Samples with exactly this mean and this diagonal covariance."""
    raw = gauss(n, len(mean), seed)
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return seen(mean + white * deviations)


def test_the_frechet_distance_of_diagonal_gaussians_is_the_closed_form():
    mean, other = np.array([0.0, 1.0, -2.0, 0.5]), np.array([0.3, 1.0, -1.0, 0.0])
    s, t = np.array([1.0, 0.5, 2.0, 0.1]), np.array([0.7, 0.5, 3.0, 1.0])
    expected = ((mean - other) ** 2).sum() + ((s - t) ** 2).sum()
    got = value("fd", exact(50, mean, s, 0), exact(70, other, t, 1))
    assert got == pytest.approx(expected, rel=1e-9)


def test_the_kernel_distance_is_the_unbiased_cubic_estimate():
    x, y = gauss(40, 3, 0), gauss(40, 3, 1, 1.5)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / 3 + 1) ** 3

    within = sum((kernel(z, z).sum() - np.trace(kernel(z, z))) / (40 * 39) for z in (x, y))
    expected = within - 2 * kernel(x, y).mean()
    assert value("kd", seen(x), seen(y), subsets=2) == pytest.approx(expected, rel=1e-6)


def test_better_samples_score_better_on_every_metric_of_similarity():
    reference, near, far = seen(gauss(200, 4, 0)), seen(gauss(200, 4, 1)), seen(gauss(200, 4, 2) + 3.0)
    for name in of_features():
        metric = plugins.discover("metrics")[name]
        if name not in ("copying", "accuracy") and metric.compares:
            better, worse = value(name, near, reference), value(name, far, reference)
            assert (better < worse) == (metric.direction == "lower"), name
            assert better != worse, name


def test_accuracy_is_the_share_of_samples_that_are_what_they_were_asked_to_be():
    data = seen(gauss(10, 2, 0))
    data.predicted[:3] += 1
    assert value("accuracy", data, data) == 0.7


def test_copying_is_the_share_of_samples_much_closer_to_one_row_than_to_any_other():
    reference = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), -1).reshape(-1, 2)
    copies = reference[:3] + 0.01
    between = reference[:7] + 0.5
    generated = seen(np.concatenate([copies, between]))
    assert value("copying", generated, seen(reference)) == pytest.approx(0.3)
    around_the_limit = np.array([[0.24, 0.0], [0.26, 0.0]])  # nearest : second is 1 : 3 at a quarter of the way
    assert value("copying", seen(around_the_limit), seen(reference)) == 0.5


# P11: the reference implementations of the ADM evaluator

GOLDEN = json.loads((HERE / "image_golden_crops_metrics.json").read_text())


def test_the_frechet_distance_of_the_adm_evaluator_matches():
    i, j = np.arange(400.0)[:, None], np.arange(8.0)[None]
    a = np.sin(0.37 * i * (j + 1) + j) * (1 + 0.1 * j)
    b = np.sin(0.29 * i * (j + 1) + 0.5 * j) * (1 + 0.05 * j) + 0.1 * j
    got = value("fd", *(seen(x.astype(np.float32)) for x in (a, b)))
    # The evaluator takes the means of float32 features in float32, which moves its value by 7e-7; ours are float64.
    assert GOLDEN["fid_AB"] == pytest.approx(1.5750923878, abs=1e-10)
    assert got == pytest.approx(GOLDEN["fid_AB"], abs=1e-6)


def test_precision_and_recall_of_the_adm_evaluator_match():
    reference = seen(torch.floor(24 * integer_hash(1200, 1)).reshape(300, 4).numpy())
    shift = np.array([6.0, 0.0, 3.0, 0.0])
    generated = seen(torch.floor(24 * integer_hash(2000, 2)).reshape(500, 4).numpy() + shift)
    golden = GOLDEN["pr_ints"]
    assert (golden["precision"], golden["recall"]) == pytest.approx((0.792, 0.8066666667), abs=1e-10)
    # Shares of whole numbers of rows: the same counts, whatever the precision of the division.
    assert 500 * value("precision", generated, reference) == pytest.approx(500 * golden["precision"], abs=1e-4)
    assert 300 * value("recall", generated, reference) == pytest.approx(300 * golden["recall"], abs=1e-4)


def test_the_inception_score_of_the_adm_evaluator_matches():
    i, j, k = np.arange(400.0)[:, None], np.arange(8.0)[None], np.arange(5.0)[None]
    a = (np.sin(0.37 * i * (j + 1) + j) * (1 + 0.1 * j)).astype(np.float32)
    logits = seen(a @ np.cos(0.21 * j.T * (k + 1)))
    for split, expected in ((100, 1.5164426823), (5000, 1.5201455201)):
        assert value("is", logits, logits, split=split) == pytest.approx(expected, abs=2e-7)  # theirs are float32


def test_splits_of_the_inception_score_are_consecutive():
    """Samples ordered by class: each split holds one class alone, and torch-fidelity's shuffle would mix them."""
    ordered = np.repeat(20.0 * np.eye(4), 50, axis=0)
    assert value("is", seen(ordered), seen(ordered), split=50) == pytest.approx(1.0, abs=1e-6)
    mixed = ordered[np.random.default_rng(0).permutation(200)]
    assert value("is", seen(mixed), seen(mixed), split=50) > 3.7
    assert value("is", seen(ordered), seen(ordered), split=200) == pytest.approx(4.0, abs=1e-5)
    # The last split is short and counts as any other: 3 classes in the first 150, 1 in the last 50.
    assert value("is", seen(ordered), seen(ordered), split=150) == pytest.approx((3 + 1) / 2, abs=1e-5)


def test_the_inception_score_is_that_of_torch_fidelity_without_its_shuffle():
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    logits = gauss(300, 7, 0, 3.0)
    expected = isc_features_to_metric(torch.from_numpy(logits), splits=3, shuffle=False)[KEY_METRIC_ISC_MEAN]
    assert value("is", seen(logits), seen(logits), split=100) == pytest.approx(expected, rel=1e-12)


def test_a_view_that_the_extractor_does_not_give_is_an_error():
    bare = Features(gauss(60, 4, 0))
    with pytest.raises(MetricError, match="sfid@eye: extractor eye gives no spatial"):
        value("sfid", bare, bare)


def test_a_frechet_distance_takes_published_moments_and_the_others_take_rows():
    generated, rows, whole = seen(gauss(90, 4, 0)), seen(gauss(60, 4, 1)), seen(gauss(500, 4, 2, 1.5))
    moments = whole.features.mean(0), np.cov(whole.features, rowvar=False)
    views_of = {name: Features(view.features, moments=moments) for name, view in rows.views.items()}
    published = Features(rows.features, rows.labels, rows.predicted, views=views_of, moments=moments, file="0a")
    for name in of_features():
        against = whole if plugins.discover("metrics")[name].of_moments else rows
        assert value(name, generated, published) == value(name, generated, against), name
    half = published.take(slice(30))
    assert half.moments is None
    assert half.file == "0a"
    assert value("fd", generated, half) == value("fd", generated, rows.take(slice(30)))
