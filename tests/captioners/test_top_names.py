"""Captions from a classifier's best names and two colours."""

from pathlib import Path

import numpy as np
import pytest

timm = pytest.importorskip("timm")

from safetensors.torch import save_file  # noqa: E402

from reedbench.captioners.top_names import TopNames, imagenet_names, sentence  # noqa: E402
from reedbench.core.errors import ConfigError  # noqa: E402
from reedbench.domains.rows import Rows  # noqa: E402

MODEL = {"model": "test_efficientnet", "size": 32}


def photographs(n: int = 5) -> Rows:
    images = np.random.default_rng(0).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    images[0] = np.array([0, 0, 255])[:, None, None]
    return Rows([str(i) for i in range(n)], ["train"] * n, {"images": images, "labels": np.arange(n)})


def test_names_are_those_of_imagenets_classes_in_their_order():
    names = imagenet_names()
    assert (len(names), names[0], names[404], names[895]) == (1000, "tench", "airliner", "warplane")


def test_a_sentence_has_its_articles():
    names = ["airliner", "warplane", "airship"]
    assert sentence(names, "blue", "orange") == (
        "A photo of an airliner, or a warplane, or an airship; blue on an orange background."
    )


def test_the_three_largest_logits_are_named_best_first(tmp_path: Path):
    network = timm.create_model("test_efficientnet", num_classes=1000)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state["classifier.weight"].zero_()
    state["classifier.bias"].zero_()
    for label, bias in ((895, 2.0), (404, 3.0), (0, 1.0)):
        state["classifier.bias"][label] = bias
    save_file(state, tmp_path / "weights.safetensors")
    captioner = TopNames(weights=str(tmp_path / "weights.safetensors"), **MODEL)
    assert captioner.files() == (tmp_path / "weights.safetensors",)
    first = captioner.captions(photographs(1))
    assert first == ["A photo of an airliner, or a warplane, or a tench; blue on a blue background."]


def test_batches_do_not_matter():
    one, other = (TopNames(weights="none", batch=batch, **MODEL).captions(photographs()) for batch in (2, 32))
    assert one == other
    assert TopNames(weights="none", batch=2, **MODEL).identity() == TopNames(weights="none", **MODEL).identity()


def test_a_classifier_of_other_classes_is_refused(tmp_path: Path):
    network = timm.create_model("test_efficientnet", num_classes=10)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match="has 10 classes, not ImageNet's 1000"):
        TopNames(weights=str(tmp_path / "weights.safetensors"), **MODEL).captions(photographs())


def test_a_model_that_timm_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="captioner top-names: efficientnet_lite9: timm"):
        TopNames(model="efficientnet_lite9", weights="none").captions(photographs())
