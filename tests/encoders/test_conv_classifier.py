"""The in-suite judge of colour images: it learns, and it is the same whatever it judges together."""

import numpy as np
import pytest

from reedbench.domains import image
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.conv_classifier import ConvClassifier

COLOURS = np.array([[220, 40, 40], [40, 200, 40], [40, 40, 220]])


def pictures(n: int, split: str, seed: int) -> Material:
    """8x8 images of three colours under strong noise; one class each."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    noisy = COLOURS[labels][:, :, None, None] + rng.normal(0, 60, (n, 3, 8, 8))
    images = np.clip(noisy, 0, 255).astype(np.uint8)
    return Material(Rows([f"{split}{i}" for i in range(n)], [split] * n, {"images": images, "labels": labels}))


@pytest.fixture(scope="module")
def learnt() -> tuple[ConvClassifier, dict[str, np.ndarray], dict[str, object], Material]:
    encoder = ConvClassifier(dim=8, steps=40, batch=16, lr=1e-2)
    test = pictures(60, "test", 1)
    made = encoder.pretrain(pictures(90, "train", 0), test, "pretrain/x")
    return encoder, made.weights, made.card, test


def test_it_learns_and_its_card_says_how_well(learnt):
    encoder, weights, card, test = learnt
    accuracy = np.mean(encoder.classify(weights, test) == test.rows.arrays["labels"])
    assert card["test_accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert accuracy > 0.9
    assert card["last_loss"] < card["first_loss"]


def test_features_are_of_size_one_and_do_not_depend_on_what_is_judged_together(learnt):
    encoder, weights, _, test = learnt
    features = encoder.represent(weights, test)
    assert features.shape == (60, 8)
    assert 0.7 < np.square(features).mean() < 1.3
    alone = np.concatenate([encoder.represent(weights, test.take([i])) for i in (0, 7, 59)])
    np.testing.assert_allclose(alone, features[[0, 7, 59]], atol=1e-5)


def test_the_class_is_that_of_the_largest_score_of_the_features(learnt):
    encoder, weights, _, test = learnt
    features = encoder.represent(weights, test) * weights["scale"]
    scores = features @ weights["head.weight"].T + weights["head.bias"]
    np.testing.assert_array_equal(encoder.classify(weights, test), scores.argmax(1))


def test_training_leaves_the_images_as_they_are(learnt):
    train = pictures(30, "train", 2)
    before = train.rows.arrays["images"].copy()
    ConvClassifier(dim=4, steps=2, batch=8).pretrain(train, train, "pretrain/y")
    np.testing.assert_array_equal(train.rows.arrays["images"], before)


def test_it_studies_images_through_the_codec_if_told_so(learnt):
    rows = learnt[3].rows
    assert ConvClassifier().studied(rows) is rows
    seen = ConvClassifier(through="half-resolution").studied(rows)
    np.testing.assert_array_equal(seen.arrays["images"], image.blurred(rows.arrays["images"]))
    assert seen.ids == rows.ids
    np.testing.assert_array_equal(seen.arrays["labels"], rows.arrays["labels"])
