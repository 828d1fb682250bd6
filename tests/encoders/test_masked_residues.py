"""The in-suite encoder of residues: what it learns, from what, and what it gives."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from reedbench.core.ragged import Ragged
from reedbench.datasets.backbones import Backbones
from reedbench.domains.rows import Rows
from reedbench.encoders import Material, masked_residues
from reedbench.encoders.masked_residues import MaskedResidues

STREAM = "pretrain/made/residues"


def tiny(**more) -> MaskedResidues:
    trained = {"steps": 2, "batch": 8} if more.get("steps", 2) else {}
    return MaskedResidues(**{"dim": 8, "layers": 2, "heads": 2, **trained, **more})


@pytest.fixture(scope="module")
def split() -> tuple[Rows, Rows]:
    rows = Backbones(chains=40, test_chains=10, min_length=12, max_length=30, sharpness=3.0).rows()
    return rows.where("train"), rows.where("test")


@pytest.fixture(scope="module")
def train(split) -> Material:
    return Material(split[0])


@pytest.fixture(scope="module")
def test(split) -> Material:
    return Material(split[1])


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return {n: w.tobytes() for n, w in one.items()} == {n: w.tobytes() for n, w in other.items()}


def test_it_learns_to_predict_masked_residues(train, test):
    made = tiny(dim=16, steps=100, batch=16, lr=1e-2).pretrain(train, test, STREAM)
    card = made.card
    assert card["last_loss"] < 0.8 * card["first_loss"]
    assert card["train_accuracy"] > card["train_rate_of_most_common"] + 0.1
    assert card["test_accuracy"] > card["test_rate_of_most_common"] + 0.05
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_a_random_encoder_is_not_trained_and_still_standardised(train, test):
    encoder = tiny(steps=0)
    made = encoder.pretrain(train, test, STREAM)
    assert made.card["first_loss"] is made.card["last_loss"] is None
    assert "random" in made.card["objective"]
    assert not same(made.weights, tiny().pretrain(train, test, STREAM).weights)
    assert np.abs(encoder.represent(made.weights, train).values.mean(0)).max() < 1e-4


@pytest.mark.parametrize(("output", "dim"), [("residues", 8), ("pairs", 4)])
def test_channels_are_standardised_over_the_training_split(output, dim, train, test):
    encoder = tiny(output=output)
    weights = encoder.pretrain(train, test, STREAM).weights
    out = encoder.represent(weights, train)
    lengths = train.rows.arrays["tokens"].lengths
    assert isinstance(out, Ragged)
    assert encoder.kind == output
    assert out.dtype == np.float32
    assert out.lengths.tolist() == (lengths**2 if output == "pairs" else lengths).tolist()
    assert out.values.shape[1] == dim
    np.testing.assert_allclose(out.values.mean(0, np.float64), 0, atol=1e-3)
    np.testing.assert_allclose(out.values.std(0, dtype=np.float64), 1, atol=2e-3)


@pytest.mark.parametrize("output", ["residues", "pairs"])
def test_a_representation_does_not_depend_on_the_other_rows(output, train, test):
    encoder = tiny(output=output)
    weights = encoder.pretrain(train, test, STREAM).weights
    out = encoder.represent(weights, train)
    order = np.random.default_rng(0).permutation(len(train.rows))
    permuted = encoder.represent(weights, Material(train.rows.take(order)))
    np.testing.assert_allclose(permuted.values, out[order].values, rtol=1e-4, atol=1e-4)
    alone = encoder.represent(weights, Material(train.rows.take(np.array([7]))))
    np.testing.assert_allclose(alone.values, out[7], rtol=1e-4, atol=1e-4)


def test_pairs_are_laid_out_row_by_row(train, test):
    encoder = tiny(output="pairs")
    weights = encoder.pretrain(train, test, STREAM).weights
    row = encoder.represent(weights, train)[3]
    length = train.rows.arrays["tokens"].lengths[3]
    raw = (row * weights["std"] + weights["mean"]).reshape(length, length, 4)
    # Attention of residue i goes to all j: over j, and not over i, it is a distribution.
    np.testing.assert_allclose(np.exp(raw).mean(1), 1, atol=1e-3)
    assert np.abs(np.exp(raw).mean(0) - 1).max() > 1e-2


def test_weights_depend_on_the_stream_and_the_training_rows_alone(train, test):
    weights = tiny().pretrain(train, test, STREAM).weights
    torch.manual_seed(5)
    assert same(weights, tiny().pretrain(train, Material(test.rows.take(np.arange(3))), STREAM).weights)
    assert not same(weights, tiny().pretrain(train, test, "pretrain/made/other").weights)
    assert not same(weights, tiny().pretrain(Material(train.rows.take(np.arange(30))), test, STREAM).weights)


def test_layers_differ_and_minus_one_is_the_last(train, test):
    weights = tiny(steps=0).pretrain(train, test, STREAM).weights
    outputs = {layer: tiny(steps=0, layer=layer).represent(weights, train).values for layer in (-1, 0, 1, 2)}
    np.testing.assert_array_equal(outputs[-1], outputs[2])
    assert all(np.abs(outputs[one] - outputs[2]).max() > 0.1 for one in (0, 1))


def test_missing_atoms_and_unknown_residues_are_taken(train, test):
    arrays = dict(train.rows.arrays)
    coordinates, tokens = arrays["coordinates"].values.copy(), arrays["tokens"].values.copy()
    coordinates[::7] = np.nan
    coordinates[3::7, 3] = np.nan
    tokens[::5] = 20
    arrays["coordinates"] = Ragged(coordinates, arrays["coordinates"].lengths)
    arrays["tokens"] = Ragged(tokens, arrays["tokens"].lengths)
    broken = Material(Rows(train.rows.ids, train.rows.split, arrays))
    encoder = tiny()
    made = encoder.pretrain(broken, test, STREAM)
    assert np.isfinite(made.card["last_loss"])
    assert np.isfinite(encoder.represent(made.weights, broken).values).all()


def test_a_chain_without_any_amino_acid_gives_no_nan(test):
    rows = test.rows.take(np.array([0]))
    tokens = Ragged(np.full_like(rows.arrays["tokens"].values, 20), rows.arrays["tokens"].lengths)
    blank = Material(Rows(rows.ids, rows.split, {**rows.arrays, "tokens": tokens}))
    made = tiny().pretrain(blank, test, STREAM)
    assert made.card["first_loss"] == 0
    assert all(np.isfinite(w).all() for w in made.weights.values())
    assert made.card["train_rate_of_most_common"] == made.card["train_accuracy"] == 0


def test_a_test_split_without_chains_is_scored_as_nothing(train, test):
    card = tiny().pretrain(train, Material(test.rows.take(np.arange(0))), STREAM).card
    assert card["test_rate_of_most_common"] == card["test_accuracy"] == 0


def test_weights_fit_small_passes_too(train, test, monkeypatch):
    encoder = tiny()
    weights = encoder.pretrain(train, test, STREAM).weights
    out = encoder.represent(weights, train)
    monkeypatch.setattr(masked_residues, "PAIRS", 1)
    np.testing.assert_allclose(encoder.represent(weights, train).values, out.values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"dim": 10, "heads": 4}, "no multiple of heads"), ({"layer": 3}, "there are 2"), ({"layer": -2}, "layer")],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        MaskedResidues(**settings)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("output", ["residues", "pairs"])
def test_a_gpu_gives_the_same_but_for_rounding(train, test, output):
    encoder = tiny(output=output)
    weights = encoder.pretrain(train, test, STREAM).weights
    found = encoder.prepared(weights, train, "cuda")(train)
    np.testing.assert_allclose(found.values, encoder.represent(weights, train).values, rtol=1e-3, atol=1e-3)
