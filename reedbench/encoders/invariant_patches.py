"""A patch encoder trained self-supervised on the training split by view invariance (VICReg, arXiv:2105.04906).

It plays DINOv2's part on images too small for DINOv2. With `steps: 0` it stays random: the control that asks whether
the *content* of a representation matters. Labels are never seen; they only score the linear probe of the card.
"""

import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import seeds
from reedbench.domains import image
from reedbench.encoders import AbstractEncoder, Material, Pretrained
from reedbench.encoders._views import agreeing


class InvariantPatches(AbstractEncoder):
    """One token per 2x2 patch, standardised over the training split."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Literal["tokens", "vector"]] = "tokens"
    cites: ClassVar[tuple[str, ...]] = ("bardes2022vicreg",)
    uses: Literal["invariant-patches"] = "invariant-patches"

    dim: int = Field(64, ge=8, multiple_of=2)
    """Width of a token."""
    steps: int = Field(200, ge=0)
    """Training steps; 0 is a random encoder."""
    batch: int = Field(256, ge=2)
    """Images per step."""
    lr: float = Field(3.0e-3, gt=0)
    """Peak learning rate of AdamW; 20 steps of warm-up, then a cosine."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "InvariantPatches":
        if not self.steps:
            self.refuse("batch", "lr", where="on steps: 0")
        return self

    def cited(self) -> tuple[str, ...]:
        """None where it stays random."""
        return self.cites if self.steps else ()

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """A token per 2x2 patch, the last ones half empty where a side is odd."""
        _, height, width = facts["shapes"]["images"]
        return (math.ceil(height / 2) * math.ceil(width / 2), self.dim)

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Train, then measure the moments that standardise the tokens."""
        import torch

        from reedbench.nn.initialisation import as_torch_does

        began = time.process_time()
        images = torch.from_numpy(image.to_signed(train.rows.arrays["images"]))
        network = self._network(images.shape[1])
        as_torch_does(network, lambda name: seeds.stream(stream, "init", name))
        losses = agreeing(network, images, self, stream) if self.steps else []
        with torch.no_grad():
            tokens = network(images).double()
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        flat = tokens.flatten(0, 1)
        weights |= {"mean": flat.mean(0).float().numpy(), "std": flat.std(0).float().numpy()}
        seconds = time.process_time() - began
        card = {
            "objective": "VICReg between two random views" if self.steps else "none (random weights)",
            "first_loss": losses[0] if losses else None,
            "last_loss": losses[-1] if losses else None,
            "probe_accuracy": self._probe(weights, train, test),
            "probe": "logistic regression on the mean token, training split -> test split",
            "cpu_seconds": round(seconds, 1),
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, tokens, dim) float32: every dimension has mean 0 and variance 1 over the training tokens.

        A common mean would make all cosines alike and leave the alignment little to say.
        """
        import torch

        images = torch.from_numpy(image.to_signed(material.rows.arrays["images"]))
        network = self._network(images.shape[1])
        network.load_state_dict({n: torch.from_numpy(w) for n, w in weights.items() if n not in ("mean", "std")})
        with torch.no_grad():
            tokens = torch.cat([network(part) for part in images.split(512)]).numpy()
        standardised: np.ndarray = (tokens - weights["mean"]) / weights["std"]
        return standardised

    def _network(self, channels: int) -> Any:
        from reedbench.nn.small_images import PatchEncoder

        return PatchEncoder(channels, self.dim)

    def _probe(self, weights: Mapping[str, np.ndarray], train: Material, test: Material) -> float:
        from sklearn.linear_model import LogisticRegression

        x, x_test = (self.represent(weights, part).mean(1) for part in (train, test))
        scale = x.std(0)
        probe = LogisticRegression(max_iter=300, C=0.1).fit(x / scale, image.classes_of(train.rows))
        return round(float(probe.score(x_test / scale, image.classes_of(test.rows))), 4)
