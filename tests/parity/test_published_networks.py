"""Networks that were trained elsewhere give what they are known to give, through this suite's own reading of them.

The numbers of EfficientNet-Lite0 were measured with the network of efficientnet-lite-pytorch, of whose logits timm's
differ by nothing; those of MiniLM are in its model card, and were measured with sentence-transformers' recipe.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from reedbench.core import allocator, checkpoint
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.text import Text

pytestmark = pytest.mark.xdist_group("published")

DATA = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data"))
IMAGES = DATA / "imagenet-sample"


@pytest.mark.skipif(not IMAGES.exists(), reason=f"{IMAGES} is not there (REEDBENCH_DATA)")
def test_published_efficientnet_lite0_knows_images_of_imagenet(published):
    timm = pytest.importorskip("timm")
    from PIL import Image
    from timm.data import create_transform, resolve_model_data_config

    from reedbench.nn import timm_models

    (file,) = published("efficientnet-lite0").glob("*.pth")
    allocator.keep()
    network = timm_models.filled("tf_efficientnet_lite0", checkpoint.tensors(file, "fetch it"))
    prepare = create_transform(**resolve_model_data_config(network), is_training=False)
    classes = timm.data.ImageNetInfo().label_names()
    files = sorted(IMAGES.glob("n*/*.JPEG"))
    labels = torch.tensor([classes.index(file.parent.name) for file in files])
    network.to(memory_format=torch.channels_last)
    with torch.no_grad():
        logits = torch.cat([network(prepare(Image.open(file).convert("RGB"))[None]) for file in files])
    assert len(files) == 160
    assert (logits.argmax(1) == labels).double().mean().item() == pytest.approx(0.894, abs=1e-3)
    best = logits.topk(5).indices == labels[:, None]
    assert best.any(1).double().mean().item() == pytest.approx(0.981, abs=1e-3)
    assert cross_entropy(logits.double(), labels).item() == pytest.approx(0.640, abs=1e-3)


def embedded(folder: Path, texts: list[str]) -> np.ndarray:
    pytest.importorskip("transformers")
    rows = Rows([str(i) for i in range(len(texts))], ["train"] * len(texts), {})
    return Text(captioner="any", weights=str(folder)).represent({}, Material(rows, texts))


def test_published_minilm_finds_sentences_similar(published):
    happy, dog, very, sunny, *others = embedded(
        published("minilm-l6"),
        [
            "That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day",
            "A cat sits on the sofa", "A freight truck on the road",
        ],
    )  # fmt: skip
    found = [float(happy @ other) for other in (dog, very, sunny)]
    np.testing.assert_allclose(found, [0.695, 0.943, 0.257], atol=1e-3)
    assert float(others[0] @ others[1]) < 0.3
