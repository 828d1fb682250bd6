"""The published image encoders of REPA and REED: DINOv2, DINO, MoCo-v3, MAE, CLIP and I-JEPA, with their exact tokens.

Preparation of images, position tables and what the tokens are: REPA (arXiv:2410.06940) train.py and utils.py @67f7145.
REPA's own network for DINO is not published; here its tokens are the patches after the final norm, as for DINOv2.

OpenAI's own file of CLIP is TorchScript, which is code and is not read: take `model.safetensors` of
openai/clip-vit-large-patch14, or the state dict of open_clip's `ViT-L-14-quickgelu`, `openai` (a CLIP of another
training without QuickGELU has the same keys and is another network).
"""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import checkpoint, numerics, pins, seeds
from reedbench.core.errors import ConfigError
from reedbench.encoders import Encode, Kind, Material, Pretrained
from reedbench.encoders._images import PublishedEncoder, attention_quality, coded, measured, probed
from reedbench.nn.vision_models import MODELS, Model

if TYPE_CHECKING:
    from reedbench.nn.vision_transformers import PublishedTransformer


class Vit(PublishedEncoder):
    """A published vision transformer that REPA aligns to: its patch tokens, or one vector per image."""

    domain: ClassVar[str] = "image"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch"})
    cites: ClassVar[tuple[str, ...]] = tuple(
        dict.fromkeys(key for model in MODELS.values() for key in model.family.cites)
    )
    uses: Literal["vit"] = "vit"

    model: Literal[
        "dinov2-vit-s", "dinov2-vit-b", "dinov2-vit-l", "dinov2-vit-g", "dinov2reg-vit-s", "dinov2reg-vit-b",
        "dinov2reg-vit-l", "dinov2reg-vit-g", "dinov1-vit-b", "mocov3-vit-s", "mocov3-vit-b", "mocov3-vit-l",
        "mae-vit-b", "mae-vit-l", "clip-vit-l", "jepa-vit-h",
    ] = "dinov2-vit-b"  # fmt: skip
    """Which one, as REPA calls them."""
    weights: pins.Weights
    """A name of config/weights.yaml, or a file (.pth, .pt, .safetensors; from the working directory or
    $REEDBENCH_DATA): that of its authors, or the same network by the names of timm or transformers; of CLIP by those of
    transformers or open_clip, as OpenAI's own file is TorchScript. A message tells where a missing one is."""
    output: Literal["tokens", "vector", "attention"] = "tokens"
    """Patch tokens (after the final norm; for MAE and CLIP before it); one vector: the class token after the final
    norm, or, of I-JEPA, which has none, the mean of its normalised tokens; or the logits of `layers`' attention between
    patches, of which an image has millions: `mode: online` keeps none."""
    layers: tuple[int, ...] = ()
    """For output: attention: blocks whose logits are given, 1-based, in this order."""
    grid: int = Field(16, ge=1)
    """Tokens of a side, to which images and position table are brought: 16 for images of 256 pixels, 32 for 512."""
    protocol: Literal["repa", "fd-dinov2"] = "repa"
    """How: `repa` resizes images without antialiasing and positions with it; `fd-dinov2`, for a vector of DINOv2, does
    the opposite, as the published Frechet distances in its features do."""
    width: int | None = Field(None, ge=1)
    """Width of tokens, for a network of the same family and another size."""
    depth: int | None = Field(None, ge=1)
    """Its blocks."""
    heads: int | None = Field(None, ge=1)
    """Its heads of attention."""
    standardise: bool = False
    """Bring every channel to mean 0 and variance 1 over `sample` training images; REPA does not."""
    sample: int = Field(1000, ge=1)
    """Images of each split, drawn at random, on which the moments and the card's probe are measured."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of weights and activations, and not of the preparation of images. On a CPU without instructions for `bf16` fp32
    is taken in its place."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "Vit":
        if self.network.width % self.network.heads:
            raise ValueError(f"heads: {self.network.heads} do not divide the width of {self.network.width}")
        return self

    @model_validator(mode="after")
    def _layers_of_the_attention(self) -> "Vit":
        if self.output != "attention":
            self.refuse("layers", where=f"on output: {self.output}")
            return self
        self.refuse("standardise", where="on output: attention")
        if not self.layers or len(set(self.layers)) < len(self.layers):
            raise ValueError("output: attention needs `layers`, each once")
        if not 1 <= min(self.layers) <= max(self.layers) <= self.network.depth:
            raise ValueError(f"layers {list(self.layers)} must lie between 1 and the depth {self.network.depth}")
        return self

    @model_validator(mode="after")
    def _protocol_has_an_effect(self) -> "Vit":
        if self.protocol == "fd-dinov2" and not (self.model.startswith("dinov2-") and self.output == "vector"):
            raise ValueError("protocol: fd-dinov2 is for output: vector of a model dinov2-...")
        return self

    def cited(self) -> tuple[str, ...]:
        """The family of the model."""
        return self.network.family.cites

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """As `output` says."""
        return self.output

    @property
    def network(self) -> Model:
        """The model, of the size that is asked for."""
        sizes = {"width": self.width, "depth": self.depth, "heads": self.heads}
        return replace(MODELS[self.model], **{name: size for name, size in sizes.items() if size is not None})

    def files(self) -> tuple[Path, ...]:
        """The weights."""
        return (pins.file(self.weights),)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """From the settings."""
        if self.output == "attention":
            return (len(self.layers), self.network.heads, self.grid**2, self.grid**2)
        return (self.grid**2, self.network.width) if self.output == "tokens" else (self.network.width,)

    def flops(self, facts: Mapping[str, Any]) -> float | None:
        """Of the network; None where timm is not installed."""
        try:
            from reedbench.nn import vision_transformers
        except ImportError:
            return None
        import torch

        from reedbench.nn import flops

        network = vision_transformers.PublishedTransformer(self.network, self.grid, self.protocol)
        image = torch.zeros(1, 3, network.size, network.size, device="meta")
        with flops.counter() as counter, torch.no_grad():
            if self.output == "attention":
                network.to("meta").attention(image, self.layers)
            else:
                network.trunk.forward_features(image)
        return float(counter.get_total_flops())

    def transformer(self, device: str = "cpu") -> "PublishedTransformer":
        """The network with its weights on a device: `tokens` and `vector` take images there, in training steps too.

        Raises:
            ConfigError: timm is not installed, or the file is not one of this network.
            MissingArtefact: it is not there.
        """
        try:
            from reedbench.nn import vision_transformers
        except ImportError as error:
            raise ConfigError("encoder vit needs timm: pip install 'reedbench[image]'") from error
        (file,) = self.files()
        state = checkpoint.tensors(file, f"the file of {self.network.source}", [Namespace])
        try:
            filled = vision_transformers.filled(self.network, state, self.grid, self.protocol)
        except ValueError as error:
            raise ConfigError(f"{file}: {error}; the file of {self.network.source}") from error
        return filled.placed(self.precision, device)

    def identity(self) -> dict[str, Any]:
        """Without `sample` where it changes the card alone."""
        keyed = super().identity()
        if not self.standardise:
            keyed.pop("sample", None)
        return keyed

    def studied_rows(self, count: int) -> int:
        """At most `sample`."""
        return min(self.sample, count)

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Read the weights; measure moments, and how much of the labels is to be seen."""
        began = time.process_time()
        transformer = self.transformer(self._device)
        train, test = self._some(train, stream), self._some(test, stream)
        quality, weights = self._measured(transformer, train, test)
        family = self.network.family
        card: dict[str, Any] = {
            "objective": f"published weights {self.weights}",
            "network": f"{self.model}, {family.paper}",
            "licence": family.licence,
            "parameters": sum(parameter.numel() for parameter in transformer.parameters()),
            "pixels": transformer.size,
            "tokens": f"{self.grid} x {self.grid}, {'after' if family.normalised else 'before'} the final norm",
            "precision": numerics.computes_in(self.precision, self._device),
            "measured_on": len(train.rows),
        }
        return Pretrained(weights, card | quality | {"cpu_seconds": round(time.process_time() - began, 1)})

    def _measured(
        self, transformer: "PublishedTransformer", train: Material, test: Material
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """For the card, and the moments by which it standardises."""
        if self.output == "attention":
            nothing = {"mean": np.zeros(1, np.float32), "std": np.ones(1, np.float32)}
            return attention_quality(self._raw(transformer, train)), nothing
        pooled, mean, std = measured(self._raw(transformer, train))
        flat = np.zeros_like(mean), np.ones_like(std)
        weights = dict(zip(("mean", "std"), (mean, std) if self.standardise else flat, strict=True))
        labelled = "labels" in train.rows.arrays and len(test.rows)
        return probed(pooled, train, measured(self._raw(transformer, test))[0], test) if labelled else {}, weights

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read the weights; it gives (n, tokens, width) or (n, width) float32.

        Raises:
            ConfigError: timm is not installed, or the file is not one of this network.
            MissingArtefact: it is not there.
        """
        transformer = self.transformer(device)
        mean, std = weights["mean"], weights["std"]

        def encode(part: Material) -> np.ndarray:
            return np.concatenate([(x - mean) / std for x in self._raw(transformer, part)])

        return encode

    def function(self, weights: Mapping[str, np.ndarray], device: str) -> Callable[[Any], Any]:
        """As `output` says."""
        return self._what(self.transformer(device))

    def _what(self, transformer: "PublishedTransformer") -> Callable[[Any], Any]:
        if self.output == "attention":
            return lambda images: transformer.attention(images, self.layers)
        return transformer.tokens if self.output == "tokens" else transformer.vector

    def _raw(self, transformer: "PublishedTransformer", material: Material) -> Iterator[np.ndarray]:
        return coded(material, self.batch, self.uses, self.model, self._what(transformer))

    def _some(self, material: Material, stream: str) -> Material:
        """Those that are measured: all, or a draw of them, in their order."""
        order = seeds.stream(stream, "sample").permutation(len(material.rows))
        return material.take(sorted(order[: self.sample].tolist()))
