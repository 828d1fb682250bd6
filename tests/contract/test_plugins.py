"""What every plugin of a kind must do, whoever wrote it; a new file is tested without a new test."""

import json
import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from reference_vectors import HERE, integer_hash
from safetensors.numpy import load_file

from reedbench.core import io, plugins, seeds
from reedbench.core.errors import MetricError
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.encoders import AbstractEncoder, Material
from reedbench.metrics import AbstractMetric, Features
from reedbench.nn.interpolants import LINEAR

# Constructor arguments that make a plugin tiny, or that it cannot do without.
MINIMAL: dict[tuple[str, str], dict[str, Any]] = {
    ("codecs", "pixels"): {"rounding": "round"},
    ("encoders", "invariant-patches"): {"dim": 8, "steps": 2, "batch": 16},
    ("encoders", "small-classifier"): {"dim": 4, "steps": 3, "batch": 16},
    ("encoders", "caption-and-image"): {"captioner": "measured", "image": "patches", "dim": 4},
    ("backbones", "sit"): {"width": 8, "depth": 2, "heads": 2},
    ("objectives", "aligned"): {
        "label": "REPA",
        "alignments": [{"encoder": "patches", "depth": 1, "projector_width": 8}],
    },
    **{("metrics", name): {"extractor": "eye"} for name in plugins.discover("metrics")},
    **{("samplers", name): {"steps": 20} for name in plugins.discover("samplers")},
}
EVERY = [(kind, name) for kind in plugins.KINDS for name in plugins.discover(kind)]
every_plugin = pytest.mark.parametrize(("kind", "name"), EVERY, ids=[f"{kind}-{name}" for kind, name in EVERY])


def each(kind: str, *leave_out: str):
    """Parametrise over the names of the plugins of a kind."""
    return pytest.mark.parametrize("name", [name for name in plugins.discover(kind) if name not in leave_out])


def make(kind: str, name: str, **more: Any) -> Any:
    """A tiny instance of a plugin."""
    arguments = {"uses": name, **MINIMAL.get((kind, name), {}), **more}
    try:
        return plugins.discover(kind)[name](**arguments)
    except ValidationError as error:
        pytest.fail(f"give the least arguments of {kind} plugin '{name}' in MINIMAL: {error}")


# Every kind


def test_discovering_all_plugins_imports_nothing_heavy():
    heavy = ("torch", "sklearn", "scipy", "pandas", "torch_fidelity", "torchvision", "rdkit")
    code = (
        "import sys; from reedbench.core import plugins; [plugins.discover(kind) for kind in plugins.KINDS]; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_kind_has_a_plugin():
    assert [kind for kind in plugins.KINDS if not plugins.discover(kind)] == []


@every_plugin
def test_the_name_is_what_uses_says_and_nothing_else(kind, name):
    plugin = make(kind, name)
    assert plugin.uses == plugin.plugin_name() == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    with pytest.raises(ValidationError, match="uses"):
        type(plugin)(**{**plugin.plain(), "uses": "another"})


@every_plugin
def test_the_version_is_a_positive_integer(kind, name):
    version = plugins.discover(kind)[name].version
    assert type(version) is int
    assert version >= 1


@every_plugin
def test_the_class_says_in_its_first_line_what_it_is(kind, name):
    plugin = plugins.discover(kind)[name]
    assert (plugin.__doc__ or "").strip().splitlines()[0].endswith((".", "`", ":"))
    assert (sys.modules[plugin.__module__].__doc__ or "").strip()


@every_plugin
def test_every_field_is_described(kind, name):
    fields = plugins.discover(kind)[name].model_fields
    assert [key for key, field in fields.items() if key != "uses" and not field.description] == []


@every_plugin
def test_the_configuration_survives_plain_values_and_json(kind, name):
    plugin = make(kind, name)
    assert type(plugin)(**json.loads(json.dumps(plugin.plain(), allow_nan=False))) == plugin


@every_plugin
def test_the_configuration_is_frozen_and_refuses_unknown_keys(kind, name):
    plugin = make(kind, name)
    with pytest.raises(ValidationError, match="frozen"):
        plugin.uses = name
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(plugin)(**plugin.plain(), no_such_key=1)


@every_plugin
def test_the_domain_is_known(kind, name):
    if kind in ("objectives", "samplers", "metrics"):
        assert not hasattr(plugins.discover(kind)[name], "domain")
    else:
        assert plugins.discover(kind)[name].domain in ("image", "protein", "molecule")


# Datasets


@pytest.mark.parametrize("name", [name for name, plugin in plugins.discover("datasets").items() if plugin.embedded])
def test_an_embedded_dataset_is_whole_and_the_same_each_time(name):
    dataset = make("datasets", name)
    rows, again = dataset.rows(), dataset.rows()
    assert len(set(rows.ids)) == len(rows.ids) == len(rows.split) == len(rows)
    assert {TRAIN, TEST} <= set(rows.split)
    assert {len(array) for array in rows.arrays.values()} == {len(rows)}
    assert list(rows.ids) == list(again.ids)
    assert list(rows.split) == list(again.split)
    for key, array in rows.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[key])
    assert json.loads(json.dumps(dataset.facts())) == dataset.facts()


def test_no_class_of_digits_is_missing_from_a_split_and_no_row_is_in_both(digits):
    for split in (TRAIN, TEST):
        assert set(digits.where(split).arrays["labels"].tolist()) == set(range(10))
    assert len(digits.where(TEST)) == 360
    assert len(digits.where(TRAIN)) == 1437


# Captioners


@each("captioners")
def test_a_captioner_writes_one_text_per_row_whatever_the_other_rows_are(name, train):
    captioner = make("captioners", name)
    texts = captioner.captions(train)
    assert len(texts) == len(train)
    assert all(isinstance(text, str) and text.strip() for text in texts)
    assert captioner.captions(train) == texts
    order = np.random.default_rng(0).permutation(len(train))
    assert captioner.captions(train.take(order)) == [texts[i] for i in order]
    assert captioner.captions(train.take(np.array([5]))) == [texts[5]]


# Codecs


@each("codecs")
def test_a_codec_gives_every_value_back(name):
    codec = make("codecs", name)
    data = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    latents = codec.encode(data)
    assert latents.dtype == np.float32
    assert latents.shape[1:] == codec.shape(data.shape[1:])
    decoded = codec.decode(latents)
    assert decoded.dtype == data.dtype
    np.testing.assert_array_equal(decoded, data)


def test_truncated_pixels_lose_less_than_one_level():
    codec = make("codecs", "pixels", rounding="truncate")
    data = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    lost = data.astype(int) - codec.decode(codec.encode(data))  # float32 may fall just short of a level
    assert set(lost.ravel().tolist()) <= {0, 1}
    half_a_level = np.float32(1 / 255)
    np.testing.assert_array_equal(codec.decode(codec.encode(data) + half_a_level), data)


@pytest.mark.parametrize("rounding", ["truncate", "round"])
def test_latents_out_of_range_are_clipped(rounding):
    codec = make("codecs", "pixels", rounding=rounding)
    beyond = np.array([-3.0, -1.0, 1.0, 3.0], np.float32).reshape(1, 1, 2, 2)
    assert codec.decode(beyond).ravel().tolist() == [0, 0, 255, 255]


# Encoders


def material(encoder: AbstractEncoder, rows: Rows) -> Material:
    """What the encoder asks for: captions as a captioner writes them, tokens that depend on the row alone."""
    captions = None
    if encoder.reads_captions_of() is not None:
        captions = make("captioners", "measured-digits").captions(rows)
    pixels = rows.arrays["images"].reshape(len(rows), 16, 4).astype(np.float32) / 255
    return Material(rows, captions, dict.fromkeys(encoder.reads_encoders(), pixels))


def chosen(whole: Material, order: np.ndarray) -> Material:
    """Some rows of a material, in the order asked for."""
    captions = None if whole.captions is None else [whole.captions[i] for i in order]
    return Material(whole.rows.take(order), captions, {k: v[order] for k, v in whole.representations.items()})


@pytest.fixture(scope="module")
def pretrained(train, test):
    """Encoder, weights and material of the 64 rows by name; each encoder is trained once."""
    made: dict[str, tuple[AbstractEncoder, dict[str, np.ndarray], Material]] = {}

    def get(name: str) -> tuple[AbstractEncoder, dict[str, np.ndarray], Material]:
        if name not in made:
            encoder = make("encoders", name)
            whole = material(encoder, train)
            made[name] = encoder, encoder.pretrain(whole, material(encoder, test), "pretrain/x").weights, whole
        return made[name]

    return get


@each("encoders")
def test_an_encoder_gives_finite_float32_of_its_kind(name, pretrained):
    encoder, weights, whole = pretrained(name)
    out = encoder.represent(weights, whole)
    assert out.dtype == np.float32
    assert out.ndim == {"tokens": 3, "vector": 2}[encoder.kind]
    assert len(out) == len(whole.rows)
    assert np.isfinite(out).all()
    assert np.ptp(out, axis=0).max() > 0  # not the same for every row
    np.testing.assert_array_equal(out, encoder.represent(weights, whole))


@each("encoders")
def test_a_representation_does_not_depend_on_the_other_rows(name, pretrained):
    encoder, weights, whole = pretrained(name)
    out = encoder.represent(weights, whole)
    order = np.random.default_rng(1).permutation(len(whole.rows))
    np.testing.assert_allclose(encoder.represent(weights, chosen(whole, order)), out[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.represent(weights, chosen(whole, np.array([7]))), out[[7]], rtol=1e-4, atol=1e-5)


@each("encoders")
def test_pretraining_depends_on_its_stream_and_training_rows_alone(name, train, test, pretrained):
    encoder, weights, whole = pretrained(name)
    torch.manual_seed(123)
    again = encoder.pretrain(whole, material(encoder, test.take(np.arange(20, 40))), "pretrain/x").weights
    assert {n: w.tobytes() for n, w in again.items()} == {n: w.tobytes() for n, w in weights.items()}


@each("encoders")
def test_an_encoder_that_is_no_classifier_never_sees_labels(name, train, test, pretrained):
    encoder, weights, whole = pretrained(name)
    shuffled = {**train.arrays, "labels": np.roll(train.arrays["labels"], 1)}
    blind = Material(Rows(train.ids, train.split, shuffled), whole.captions, whole.representations)
    other = encoder.pretrain(blind, material(encoder, test), "pretrain/x").weights
    same = {n: w.tobytes() for n, w in other.items()} == {n: w.tobytes() for n, w in weights.items()}
    assert same != encoder.classifies


@each("encoders")
def test_pretrained_encoders_have_weights_and_a_card_and_others_have_neither(name, test, pretrained):
    encoder, weights, whole = pretrained(name)
    assert bool(weights) == encoder.pretrained
    made = encoder.pretrain(whole, material(encoder, test), "pretrain/y")
    assert bool(made.card) == encoder.pretrained
    assert json.loads(json.dumps(made.card, allow_nan=False)) == made.card


@each("encoders")
def test_weights_survive_a_safetensors_file(name, pretrained, tmp_path):
    encoder, weights, whole = pretrained(name)
    io.write_tensors(tmp_path / "weights.safetensors", weights)
    read = load_file(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(encoder.represent(read, whole), encoder.represent(weights, whole))


@each("encoders")
def test_only_classifiers_classify(name, pretrained):
    encoder, weights, whole = pretrained(name)
    if encoder.classifies:
        predicted = encoder.classify(weights, whole.rows)
        assert predicted.dtype == np.int64
        assert predicted.shape == (len(whole.rows),)
        assert set(predicted.tolist()) <= set(range(10))
    else:
        with pytest.raises(TypeError, match="does not classify"):
            encoder.classify(weights, whole.rows)


def test_the_small_classifier_learns(train, test):
    encoder = make("encoders", "small-classifier", dim=32, steps=60, batch=32, lr=5e-3)
    made = encoder.pretrain(Material(train), Material(test), "pretrain/x")
    assert np.mean(encoder.classify(made.weights, train) == train.arrays["labels"]) > 0.9
    assert 0 <= made.card["test_accuracy"] <= 1


# Backbones and objectives

SHAPE = (1, 8, 8)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Six images with labels and with token targets of dimension 4."""
    generator = torch.Generator().manual_seed(0)
    return {
        "x_1": torch.randn(6, *SHAPE, generator=generator),
        "labels": torch.arange(6),
        "target/patches": torch.randn(6, 16, 4, generator=generator),
    }


def built(name: str) -> Any:
    """An initialised tiny network."""
    network = make("backbones", name).build(SHAPE, {"classes": 10})
    network.initialise(lambda parameter: seeds.stream("init", parameter))
    return network


@each("backbones")
def test_a_backbone_gives_a_velocity_and_the_blocks_that_are_tapped(name, batch):
    plugin, network = make("backbones", name), built(name)
    depths = [1, plugin.blocks()]
    with torch.no_grad():
        velocity, hidden = network(batch["x_1"], torch.full((6,), 0.5), batch["labels"], taps=depths)
        bare = network(batch["x_1"], torch.full((6,), 0.5), batch["labels"])[0]
    assert velocity.shape == batch["x_1"].shape
    assert [h.shape[::2] for h in hidden] == [(6, network.width)] * 2
    assert torch.equal(velocity, bare)
    assert plugin.name()


@each("objectives")
def test_an_objective_trains_every_parameter_that_it_publishes(name, batch):
    objective = make("objectives", name)
    backbone = make("backbones", "sit").build(SHAPE, {"classes": 10})
    learner = objective.build(backbone, {"patches": (16, 4)}, lambda parameter: seeds.stream("init", parameter))
    drawn = learner.draw(batch, lambda stream: seeds.stream(stream, 0))
    terms, weights, coefficients = learner.terms(drawn), learner.weights(drawn), learner.coefficients(0)
    assert terms.keys() == weights.keys() == coefficients.keys()
    assert all(term.sum.isfinite() and term.weight == weights[key] for key, term in terms.items())
    torch.stack([coefficients[key] * terms[key].sum for key in terms]).sum().backward()
    trained = [parameter for parameter in learner.network.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)
    assert set(backbone.state_dict()) <= set(learner.published({}))


@each("objectives")
def test_the_terms_of_a_batch_are_the_sums_of_the_terms_of_its_parts(name, batch):
    objective = make("objectives", name)
    backbone = make("backbones", "sit").build(SHAPE, {"classes": 10})
    learner = objective.build(backbone, {"patches": (16, 4)}, lambda parameter: seeds.stream("init", parameter))
    drawn = learner.draw(batch, lambda stream: seeds.stream(stream, 0))
    with torch.no_grad():
        whole = learner.terms(drawn)
        parts = [learner.terms({k: v[part] for k, v in drawn.items()}) for part in (slice(0, 2), slice(2, 6))]
    for key, term in whole.items():
        assert sum(part[key].sum.item() for part in parts) == pytest.approx(term.sum.item(), rel=1e-5)
        assert sum(part[key].weight for part in parts) == term.weight


@each("objectives")
def test_the_recipe_of_an_objective_is_everything_but_words(name):
    one = make("objectives", name, label="A", note="b")
    assert one.recipe() == make("objectives", name, label="C", note="d").recipe()
    assert {*one.recipe(), "label", "note"} == set(type(one).model_fields)


# Samplers

DATA = torch.linspace(-1, 1, 12).reshape(3, 1, 2, 2)


class PointMass:
    """The exact straight field towards known data; counts how often it is asked."""

    calls = 0

    def __call__(self, x: torch.Tensor, t: torch.Tensor, at: float) -> torch.Tensor:
        self.calls += 1
        return (DATA - x) / (1 - t[:, None, None, None])


def normal(seed: int) -> torch.Tensor:
    return torch.randn(DATA.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each("samplers")
def test_a_sampler_reaches_the_data_along_the_exact_straight_field(name):
    sampler = make("samplers", name, steps=200)
    x_1 = sampler.run(PointMass(), normal(99).float(), path=LINEAR, noise=normal)
    assert x_1.dtype == torch.float32
    # The last step of an SDE leaves noise of the scale of that step.
    slack = 5 * sampler.last_step if (sampler.uses == "euler-maruyama") else 1e-5
    assert (x_1 - DATA).abs().max() < slack


@each("samplers")
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_the_network_evaluations_are_those_that_are_made(name, steps):
    sampler, field = make("samplers", name, steps=steps), PointMass()
    sampler.run(field, normal(99).float(), path=LINEAR, noise=normal)
    assert sampler.nfe() == field.calls > 0
    assert make("samplers", name, steps=steps, guidance=2.0).nfe() == 2 * field.calls
    assert make("samplers", name, steps=steps, guidance=2.0, interval=(0.0, 0.0)).nfe() > field.calls


@each("samplers")
def test_only_stochastic_samplers_use_noise(name):
    sampler = make("samplers", name)
    one, other = (
        sampler.run(PointMass(), normal(99).float(), path=LINEAR, noise=lambda i, key=key: normal(100 * key + i))
        for key in (1, 2)
    )
    assert torch.equal(one, other) != (sampler.uses == "euler-maruyama")


# Metrics

# Value and tolerance where the samples are the reference itself. Copying is then total, which is its worst value.
IDENTITY = {
    "fd": (0.0, 1e-5),
    "kd": (0.0, 1e-3),
    "precision": (1.0, 0.0),
    "recall": (1.0, 0.0),
    "accuracy": (1.0, 0.0),
    "copying": (1.0, 0.0),
}


def seen(features: np.ndarray, classes: int = 5) -> Features:
    """Features of samples that a classifier calls what they were asked to be."""
    labels = np.arange(len(features)) % classes
    return Features(np.asarray(features, np.float64), labels, labels.copy())


def gauss(n: int, dim: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((n, dim))


def value(name: str, generated: Features, reference: Features, **settings: Any) -> float:
    metric: AbstractMetric = make("metrics", name, **settings)
    return metric.checked(generated, reference)


@each("metrics")
def test_the_reference_itself_scores_the_value_of_identity(name):
    if name not in IDENTITY:
        pytest.fail(f"say in IDENTITY what metric '{name}' gives when the samples are the reference")
    data = seen(gauss(120, 4, 0))
    expected, tolerance = IDENTITY[name]
    got = value(name, data, seen(data.features))
    if name == "kd":  # unbiased, hence below zero: the diagonal of the cross term is not left out
        assert -0.5 < got <= expected + tolerance
    else:
        assert got == pytest.approx(expected, abs=tolerance)


@each("metrics")
def test_a_metric_does_not_depend_on_the_order_of_rows(name):
    generated, reference = seen(gauss(100, 4, 1, 1.3)), seen(gauss(100, 4, 2))
    generated.predicted[:20] += 1
    one, other = (np.random.default_rng(key).permutation(100) for key in (3, 4))
    shuffled = Features(generated.features[one], generated.labels[one], generated.predicted[one])
    turned = Features(reference.features[other], reference.labels[other], reference.predicted[other])
    first = value(name, generated, reference)
    assert value(name, shuffled, turned) == pytest.approx(first, rel=1e-9, abs=1e-9)
    assert value(name, generated, reference) == first


@each("metrics")
@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("side", ["samples", "reference"])
def test_features_that_are_not_finite_are_an_error(name, poison, side):
    bad = seen(gauss(60, 4, 0))
    bad.features[3, 1] = poison
    good = seen(gauss(60, 4, 1))
    pair = (bad, good) if side == "samples" else (good, bad)
    with pytest.raises(MetricError, match=f"^{name}@eye: the features of the {side}"):
        value(name, *pair)


@each("metrics")
@pytest.mark.parametrize("side", ["samples", "reference"])
def test_too_few_rows_are_an_error(name, side):
    metric = make("metrics", name)
    enough, few = seen(gauss(60, 4, 0)), seen(gauss(metric.least_n() - 1, 4, 1))
    pair = (few, enough) if side == "samples" else (enough, few)
    with pytest.raises(
        MetricError, match=rf"{name}@eye: needs at least {metric.least_n()} {side}.*got {metric.least_n() - 1}"
    ):
        metric.checked(*pair)


@each("metrics")
def test_the_least_number_of_rows_is_enough(name):
    metric = make("metrics", name)
    value = metric.checked(seen(gauss(metric.least_n(), 2, 0)), seen(gauss(metric.least_n(), 2, 1)))
    assert math.isfinite(value)


@each("metrics")
def test_a_metric_that_needs_a_classifier_says_so_where_there_is_none(name):
    metric = make("metrics", name)
    data = seen(gauss(60, 4, 0))
    mute = Features(data.features, data.labels)
    if metric.needs_classifier:
        with pytest.raises(MetricError, match="says nothing about classes"):
            metric.checked(mute, data)
    else:
        assert metric.checked(mute, data) == metric.checked(data, data)


@each("metrics")
def test_an_id_holds_name_extractor_version_and_number(name):
    metric = make("metrics", name)
    assert metric.family == f"{name}@eye"
    assert metric.id(1437) == f"{name}@eye.v{metric.version}-n1437"
    assert metric.direction in ("lower", "higher")


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
    for name, metric in plugins.discover("metrics").items():
        if name not in ("copying", "accuracy"):
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
