"""The attention of a small transformer, trained self-supervised on the training split by view invariance (VICReg).

It plays the part of DINOv2's attention, which HASTE (arXiv:2505.16792) aligns to, on images too small for DINOv2: what
is kept of it are the logits of its heads. Labels are never seen; they only score the linear probe of the card.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import seeds
from reedbench.domains import image
from reedbench.encoders import AbstractEncoder, Kind, Material, Pretrained
from reedbench.encoders._images import attention_quality, probed
from reedbench.encoders._views import agreeing

AT_ONCE = 512


class InvariantAttention(AbstractEncoder):
    """Logits of the attention of every block, between the patches of square images."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Kind] = "attention"
    cites: ClassVar[tuple[str, ...]] = ("bardes2022vicreg",)
    uses: Literal["invariant-attention"] = "invariant-attention"

    dim: int = Field(64, ge=8, multiple_of=4)
    """Width of a token."""
    depth: int = Field(2, ge=1)
    """Blocks; the attention of each is a layer of the representation."""
    heads: int = Field(4, ge=1)
    """Heads of attention; they divide the width."""
    patch: int = Field(2, ge=1)
    """Side of a patch; the backbone that is aligned to it must have as many tokens."""
    steps: int = Field(200, ge=0)
    """Training steps; 0 is a random encoder."""
    batch: int = Field(256, ge=2)
    """Images per step."""
    lr: float = Field(1.0e-3, gt=0)
    """Peak learning rate of AdamW; 20 steps of warm-up, then a cosine."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "InvariantAttention":
        if not self.steps:
            self.refuse("batch", "lr", where="on steps: 0")
        if self.dim % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide the width of {self.dim}")
        return self

    def cited(self) -> tuple[str, ...]:
        """None where it stays random."""
        return self.cites if self.steps else ()

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """Blocks, heads, and patches twice."""
        tokens = (facts["shapes"]["images"][-1] // self.patch) ** 2
        return (self.depth, self.heads, tokens, tokens)

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Train, then measure what its tokens know and how far its attention is from even."""
        import torch

        from reedbench.nn.initialisation import as_torch_does

        began = time.process_time()
        images = torch.from_numpy(image.to_signed(train.rows.arrays["images"]))
        network = self._network(images.shape)
        as_torch_does(network, lambda name: seeds.stream(stream, "init", name))
        losses = agreeing(network, images, self, stream) if self.steps else []
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        pooled, of_test = (_pooled(network, part) for part in (train, test))
        card = {
            "objective": "VICReg between two random views" if self.steps else "none (random weights)",
            "first_loss": losses[0] if losses else None,
            "last_loss": losses[-1] if losses else None,
            **probed(pooled, train, of_test, test),
            **attention_quality(self._parts(weights, train)),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, depth, heads, tokens, tokens) float32."""
        import torch

        images = torch.from_numpy(image.to_signed(material.rows.arrays["images"]))
        network = self._network(images.shape)
        network.load_state_dict({name: torch.from_numpy(x) for name, x in weights.items()})
        with torch.no_grad():
            found: np.ndarray = torch.cat([network.attention(part) for part in images.split(AT_ONCE)]).numpy()
        return found

    def _parts(self, weights: Mapping[str, np.ndarray], material: Material) -> Iterator[np.ndarray]:
        """As `represent`; of 50,000 images at once it would not fit into memory."""
        count = len(material.rows)
        for begin in range(0, count, AT_ONCE):
            yield self.represent(weights, material.take(range(begin, min(begin + AT_ONCE, count))))

    def _network(self, shape: tuple[int, ...]) -> Any:
        from reedbench.nn.small_images import PatchTransformer

        return PatchTransformer(shape[1], shape[-1], self.patch, self.dim, self.heads, self.depth)


def _pooled(network: Any, material: Material) -> np.ndarray:
    """Mean tokens, (n, dim)."""
    import torch

    images = torch.from_numpy(image.to_signed(material.rows.arrays["images"]))
    with torch.no_grad():
        found: np.ndarray = torch.cat([network(part).mean(1) for part in images.split(AT_ONCE)]).numpy()
    return found
