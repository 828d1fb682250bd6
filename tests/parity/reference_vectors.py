"""Golden numbers of the reference implementations and the tensors that they were computed from.

Source: SiT @947f95b, REPA @67f7145 and REED image/ @0a4527e, run once on the CPU; only numbers were kept.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from reedbench.nn.alignment import Projector
from reedbench.nn.backbones.sit import SiT

HERE = Path(__file__).parent
GOLDEN: dict[str, Any] = json.loads((HERE / "image_golden.json").read_text())


def tiny_models() -> dict[str, Tensor]:
    """Weights, inputs and outputs of two tiny reference networks."""
    return load_file(HERE / "image_tiny_models.safetensors")


def integer_hash(count: int, key: int) -> Tensor:
    """The values hash(count, key) in [-0.5, 0.5), float64, exact on every platform."""
    mask = 0xFFFFFFFF
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + key * 97531 + 1) & mask
    h = h ^ (h >> 15)
    # The product of two 32-bit numbers overflows int64; multiply by the halves of the factor instead.
    low, high = 2246822519 & 0xFFFF, 2246822519 >> 16
    h = (h * low + (((h * high) & mask) << 16)) & mask
    h = h ^ (h >> 13)
    return h.double() / 2**32 - 0.5


def wave(shape: tuple[int, ...], a: float, b: float) -> Tensor:
    """sin(a i + b) over the flat index i, float64."""
    return torch.sin(a * torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + b).reshape(shape)


def fill(tensors: dict[str, Tensor]) -> list[str]:
    """Set the k-th tensor by name, position tables excluded, to 0.5 hash(numel, k); return the names."""
    names = sorted(name for name in tensors if name != "pos_embed")
    for k, name in enumerate(names):
        tensors[name].copy_(0.5 * integer_hash(tensors[name].numel(), k).reshape(tensors[name].shape))
    return names


class Trio(torch.nn.Module):
    """The network of vectors P3 and P8: a tiny SiT with an image and a text projector."""

    def __init__(self) -> None:
        super().__init__()
        self.sit = SiT(size=8, channels=4, patch=2, width=48, depth=4, heads=4, classes=10)
        self.projectors = torch.nn.ModuleList([Projector(48, 32, 12), Projector(48, 32, 20)])
        self.double()

    def reference_state(self) -> dict[str, Tensor]:
        """All tensors under the names of the reference, where the projectors belong to the network."""
        return {key.removeprefix("sit."): value for key, value in self.state_dict().items()}


def filled_trio() -> Trio:
    """The network of P3 and P8 with its hash weights, in float64."""
    trio = Trio()
    fill(trio.reference_state())
    return trio
