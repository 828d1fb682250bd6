"""Tiny published vision transformers: random parameters by timm's names, as a file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from reedbench.nn.vision_models import MODELS, Model
from reedbench.nn.vision_transformers import PublishedTransformer

SIZE: dict[str, Any] = {"width": 32, "depth": 2, "heads": 2}


def tiny(name: str, **other: int) -> Model:
    """A model of two blocks."""
    return replace(MODELS[name], **{**SIZE, **other})


def parameters(model: Model, grid: int = 3, seed: int = 0) -> dict[str, Tensor]:
    """Random ones; `grid`: tokens of a side of the position table."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        name.removeprefix("trunk."): x.shape for name, x in PublishedTransformer(model, grid).state_dict().items()
    }
    return {
        name: float("norm" in name and name.endswith("weight")) + 0.2 * torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }


def write(file: Path, name: str = "dinov2-vit-b", **other: int) -> Path:
    """A file of them."""
    save_file(parameters(tiny(name, **other)), file)
    return file
