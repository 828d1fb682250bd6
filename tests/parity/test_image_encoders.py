"""Images and position tables are prepared as REPA prepares them: vector P9, from one run of its train.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reference_vectors import wave

pytest.importorskip("timm")

from reedbench.nn.vision_models import MODELS
from reedbench.nn.vision_transformers import PublishedTransformer, positions

GOLDEN = json.loads((Path(__file__).parent / "image_golden_crops_metrics.json").read_text())
PLACES = ((0, 0, 0), (1, 17, 33), (2, -1, -1))
FAMILIES = {
    "dinov2": "dinov2-vit-b", "dinov1": "dinov1-vit-b", "mocov3": "mocov3-vit-b", "mae": "mae-vit-l",
    "clip": "clip-vit-l", "jepa": "jepa-vit-h",
}  # fmt: skip


def image() -> torch.Tensor:
    """(1, 3, 256, 256) uint8 by the formulas of the vector."""
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    channels = [(3 * x + 5 * y) % 256, (x * y // 7) % 256, ((x // 9) * 17 + (y // 5) * 29) % 256]
    return torch.stack(channels)[None].to(torch.uint8)


@pytest.mark.parametrize("family", FAMILIES)
def test_images_are_prepared_as_the_reference_does(family):
    golden = GOLDEN[f"pre_{family}"]
    network = PublishedTransformer(replace(MODELS[FAMILIES[family]], width=8, depth=1, heads=1), 16)
    found = network.prepared(image())
    assert list(found.shape) == golden["shape"]
    assert found.double().sum().item() == pytest.approx(golden["sum"], rel=1e-6)
    assert found.double().norm().item() == pytest.approx(golden["l2"], rel=1e-6)
    assert [found[0][place].item() for place in PLACES] == pytest.approx(golden["px"], abs=2e-6)


def test_images_of_512_pixels_go_to_448_for_patches_of_14():
    larger = image().repeat(1, 1, 2, 2)
    for name, side in (("dinov2-vit-b", 448), ("mae-vit-l", 512)):
        network = PublishedTransformer(replace(MODELS[name], width=8, depth=1, heads=1), 32)
        assert network.prepared(larger).shape == (1, 3, side, side)


def test_positions_are_resampled_as_the_reference_does():
    golden, table = GOLDEN["pos_resample_37to16"], wave((1, 1370, 4), 0.01, 0.0).float()
    found = positions(table, 16, 1)
    assert list(found.shape) == golden["shape"]
    assert found.double().sum().item() == pytest.approx(golden["sum"], abs=1e-4)
    assert found.double().norm().item() == pytest.approx(golden["l2"], rel=1e-5)
    places = ((0, 0), (1, 0), (128, 2), (256, 3))
    assert [found[0][place].item() for place in places] == pytest.approx(golden["px"], abs=1e-5)
