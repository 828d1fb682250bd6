"""What every plugin of a kind must do, whoever wrote it; a new file is tested without a new test."""

import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file
from tiny_plugins import each, has_steps, make, under_test

from reedbench.core import io, plugins, seeds
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.encoders import AbstractEncoder, Material
from reedbench.nn.interpolants import LINEAR

EVERY = [(kind, name) for kind in plugins.KINDS for name in under_test(kind)]
every_plugin = pytest.mark.parametrize(("kind", "name"), EVERY, ids=[f"{kind}-{name}" for kind, name in EVERY])


# Every kind


def test_discovering_all_plugins_imports_nothing_heavy():
    heavy = ("torch", "sklearn", "scipy", "pandas", "torch_fidelity", "torchvision", "rdkit", "biotite", "transformers")
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
    said = plugins.discover(kind)[name].descriptions()
    assert [key for key, text in said.items() if key != "uses" and not text] == []


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
    known: tuple[str | None, ...] = ("image", "protein", "molecule")
    assert plugins.discover(kind)[name].domain in (known if kind != "metrics" else (*known, None))


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
    parts = [make_part() for make_part in dataset.parts()]
    assert [name for part in parts for name in part.ids] == list(rows.ids)
    assert [name for part in parts for name in part.split] == list(rows.split)
    for key, array in rows.arrays.items():
        other = again.arrays[key]
        if isinstance(array, Ragged):
            np.testing.assert_array_equal(array.lengths, other.lengths)
            array, other = array.values, other.values
        np.testing.assert_array_equal(array, other)
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


# Encoders that are classifiers


@pytest.mark.parametrize("name", [name for name, one in plugins.discover("encoders").items() if one.classifies])
def test_a_classifier_says_which_classes_rows_have(name, train):
    classes = make("encoders", name).classes(train)
    assert classes.shape == (len(train),)
    assert classes.dtype.kind == "i"


# Codecs


@each("codecs")
def test_a_codec_gives_every_value_back_or_says_that_it_does_not(name):
    codec = make("codecs", name)
    data = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    latents = codec.encode(data)
    assert latents.dtype == np.float32
    assert latents.shape[1:] == codec.shape({"shapes": {"images": data.shape[1:]}})
    decoded = codec.decode(latents)
    assert decoded.dtype == data.dtype
    assert decoded.shape == data.shape
    assert codec.lossy == (decoded != data).any()


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
    assert out.ndim == {"tokens": 3, "vector": 2, "attention": 5}[encoder.kind]
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
        predicted = encoder.classify(weights, whole)
        assert predicted.dtype == np.int64
        assert predicted.shape == (len(whole.rows),)
        assert set(predicted.tolist()) <= set(range(10))
    else:
        with pytest.raises(TypeError, match="does not classify"):
            encoder.classify(weights, whole)


@pytest.mark.parametrize(("half", "first"), [("even", 0), ("odd", 1)])
def test_a_classifier_of_half_of_the_rows_learns_from_these_alone(train, half, first):
    encoder, whole = make("encoders", "small-classifier", half=half), Material(train)
    made = encoder.pretrain(whole, whole, "s").weights
    alone = Material(train.take(range(first, len(train), 2)))
    other = make("encoders", "small-classifier").pretrain(alone, whole, "s").weights
    assert all((made[key] == other[key]).all() for key in made.keys() - {"scale"})


def test_the_probabilities_of_a_classifier_are_those_that_it_classifies_by(train):
    encoder, whole = make("encoders", "small-classifier"), Material(train)
    weights = encoder.pretrain(whole, whole, "s").weights
    found = encoder.log_probabilities(weights, whole)
    assert found.argmax(1).tolist() == encoder.classify(weights, whole).tolist()
    np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-5)


def test_the_small_classifier_learns(train, test):
    encoder = make("encoders", "small-classifier", dim=32, steps=60, batch=32, lr=5e-3)
    made = encoder.pretrain(Material(train), Material(test), "pretrain/x")
    assert np.mean(encoder.classify(made.weights, Material(train)) == train.arrays["labels"]) > 0.9
    assert 0 <= made.card["test_accuracy"] <= 1


# Backbones, and words of objectives; the rest of them is in test_objectives.py

SHAPE = (1, 8, 8)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Six images with labels."""
    generator = torch.Generator().manual_seed(0)
    return {
        "x_1": torch.randn(6, *SHAPE, generator=generator),
        "labels": torch.arange(6),
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


@each("objectives", domain=None)
def test_words_are_no_part_of_what_an_objective_is(name):
    one = make("objectives", name, label="A", note="b")
    assert one.identity() == make("objectives", name, label="C", note="d").identity()


# Samplers

DATA = torch.linspace(-1, 1, 12).reshape(3, 1, 2, 2)


class PointMass:
    """The exact straight field towards known data, as a network too; counts how often and for how many rows."""

    calls = rows = 0

    def __call__(self, x: torch.Tensor, t: torch.Tensor, at: float) -> torch.Tensor:
        self.calls, self.rows = self.calls + 1, self.rows + len(x)
        data = DATA.repeat(len(x) // len(DATA), 1, 1, 1)
        return (data - x) / (1 - t[:, None, None, None]).clamp(min=1e-6)


class Network(PointMass):
    """It, with labels, as a backbone answers."""

    null_label = 10

    def __call__(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor]:
        return (super().__call__(x, t, 0.0),)


class Flow:
    """What samplers ask of an objective."""

    guided_by, joint = "pair", False

    def interpolant(self) -> str:
        return "linear"


def normal(seed: int) -> torch.Tensor:
    return torch.randn(DATA.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stepped(name: str, steps: int, **more: Any) -> Any:
    """A sampler of so many steps, where it has a number of steps."""
    return make("samplers", name, **({"steps": steps} if has_steps(name) else {}), **more)


@each("samplers")
def test_a_sampler_reaches_the_data_along_the_exact_straight_field(name):
    sampler = stepped(name, 200)
    x_1 = sampler.run(PointMass(), normal(99).float(), path=LINEAR, noise=normal)
    assert x_1.dtype == torch.float32
    # The last step of an SDE leaves noise of the scale of that step, adaptive steps the error that they are allowed.
    slack = max(5 * getattr(sampler, "last_step", 0.0), getattr(sampler, "rtol", 0.0), 1e-5)
    assert (x_1 - DATA).abs().max() < slack


@each("samplers")
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_the_network_evaluations_are_those_that_are_made(name, steps):
    sampler, field = stepped(name, steps), PointMass()
    sampler.run(field, normal(99).float(), path=LINEAR, noise=normal)
    if sampler.nfe(Flow()) is None:
        return  # they are counted, which the next test looks at
    assert sampler.nfe(Flow()) == field.calls > 0
    assert stepped(name, steps, guidance=2.0).nfe(Flow()) == 2 * field.calls
    assert stepped(name, steps, guidance=2.0, interval=(0.0, 0.0)).nfe(Flow()) > field.calls


@each("samplers")
@pytest.mark.parametrize("more", [{}, {"guidance": 2.0}, {"guidance": 2.0, "interval": (0.2, 0.5)}])
def test_what_a_sampler_says_of_its_evaluations_is_what_the_network_is_asked(name, more):
    sampler, network = stepped(name, 4, **more), Network()
    condition = {"x_0": normal(99).float(), "labels": torch.tensor([0, 1, 2])}
    drawn = sampler.draw(network, condition, lambda draw: seeds.rows(range(3), draw), Flow())
    said = [sampler.nfe(Flow())] * 3 if sampler.nfe(Flow()) is not None else drawn["evaluations"].tolist()
    assert all(type(each) is int for each in said)
    assert max(said) == network.rows / 3  # a network is asked for all until the last one has arrived


@each("samplers")
def test_samples_differ_where_a_sampler_asks_for_other_noise_and_nowhere_else(name):
    sampler, asked = make("samplers", name), []

    def noise(key: int):
        return lambda i: asked.append(i) or normal(100 * key + i)

    one, again, other = (
        sampler.run(PointMass(), normal(99).float(), path=LINEAR, noise=noise(key)) for key in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert torch.equal(one, other) == (not asked)
