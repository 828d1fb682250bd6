"""Any network of timm as an encoder: published weights, or random ones as the control without content.

Alignment targets of REPA are patch tokens of such a network (arXiv:2410.06940). Of a convolutional network the grid of
a stage takes their part. Every channel is standardised over the training tokens: raw features share a large mean, and
all cosines would be alike.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import checkpoint, numerics, pins, seeds
from reedbench.core.errors import ConfigError
from reedbench.domains import image
from reedbench.encoders import Encode, Kind, Material, Pretrained
from reedbench.encoders._images import PublishedEncoder, coded, images_of, measured, probed

RANDOM = "none"  # weights
OWN = "network."  # how parameters of a random network are called among the weights


class TimmModel(PublishedEncoder):
    """A network of timm: tokens of a layer, or one vector per image."""

    domain: ClassVar[str] = "image"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch"})
    cites: ClassVar[tuple[str, ...]] = ("wightman2019timm",)
    uses: Literal["timm"] = "timm"

    model: str = Field(examples=["test_efficientnet"])
    """Name of a model of timm."""
    weights: Annotated[str, pins.Pin((RANDOM,))] = Field(examples=[RANDOM])
    """A name of config/weights.yaml, a file (.pth, .pt, .safetensors; from the working directory or $REEDBENCH_DATA),
    or `none`: random weights, with batch-norm statistics measured on 512 training images."""
    output: Literal["tokens", "vector"] = "tokens"
    """Tokens of the layer, or one vector: what the classifier sees, or the mean token where `layer` is given."""
    layer: str = ""
    """Module whose output is taken, by its name in timm, as in `blocks.6`; all features where it is left out."""
    grid: int | None = Field(None, ge=1)
    """Tokens of a side, to which a finer grid is brought; as the layer has it where it is left out."""
    coarser: Literal["average", "stride"] = "average"
    """How a finer grid is brought to `grid`: by means, or by taking the middle of every patch."""
    size: int | None = Field(None, ge=8)
    """Pixels of a side to which images are brought; the model's own where it is left out."""
    resampling: Literal["bicubic", "bilinear", "nearest"] | None = None
    """How; the model's own where it is left out."""
    standardise: bool = True
    """Bring every channel to mean 0 and variance 1 over the training tokens."""
    every: int = Field(1, ge=1)
    """Moments and the card's probe are measured on every so-many-th image."""
    imagenet: bool = False
    """Labels are ImageNet's, in the order of their wnids: the card then says the top-1 accuracy."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of weights and activations. `bf16` halves the time; on a CPU without such instructions, where it would take
    twenty times as long, fp32 is taken in its place."""

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """As `output` says."""
        return self.output

    def files(self) -> tuple[Path, ...]:
        """The weights."""
        return () if self.weights == RANDOM else (pins.file(self.weights),)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """From the network without its values; None where timm is not installed."""
        found = self._outlined()
        return None if found is None else tuple(self._taken(*found).shape[1:])

    def flops(self, facts: Mapping[str, Any]) -> float | None:
        """Of the network up to its layer; None where timm is not installed."""
        from reedbench.nn import flops

        if (found := self._outlined()) is None:
            return None
        with flops.counter() as counter:
            self._taken(*found)
        return float(counter.get_total_flops())

    def pretraining_flops(self, facts: Mapping[str, Any], train: int, test: int) -> float | None:
        """Also of the whole network: for statistics under random weights, and for the top-1 accuracy."""
        from reedbench.nn import flops

        measured, found = super().pretraining_flops(facts, train, test), self._outlined()
        if measured is None or found is None:
            return None
        network, image = found
        with flops.counter() as counter:
            network(image)
        return measured + float(counter.get_total_flops()) * self._passed_whole(network, train, test)

    def _passed_whole(self, network: Any, train: int, test: int) -> int:
        """Images that go through the whole network, beside those that are measured."""
        from reedbench.nn import timm_models

        if self.weights != RANDOM:
            return self.studied_rows(test) if self.imagenet else 0
        batches, each = timm_models.CALIBRATION
        return min(batches * each, self.studied_rows(train)) if timm_models.normalisations(network) else 0

    def _outlined(self) -> tuple[Any, Any] | None:
        """The network without its values, and an image without any; None where timm is not installed."""
        try:
            from reedbench.nn import timm_models
        except ImportError:
            return None
        import torch

        network = self._built(lambda: timm_models.build(self.model, self.size, device="meta"))
        side = timm_models.Preparation(network, self.size, self.resampling).size
        return network, torch.zeros(1, 3, side, side, device="meta")

    def identity(self) -> dict[str, Any]:
        """Without `every` where it changes the card alone."""
        keyed = super().identity()
        if not self.standardise and self.weights != RANDOM:  # random weights see statistics of these images
            keyed.pop("every", None)
        return keyed

    def studied_rows(self, count: int) -> int:
        """One in `every`."""
        return len(range(0, count, self.every))

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Draw and calibrate random weights, if so; then measure moments, and how much of the labels is to be seen."""
        began = time.process_time()
        train, test = (self._some(part) for part in (train, test))
        weights = self._drawn(train, stream) if self.weights == RANDOM else {}
        network, prepare = self._network(weights, self._device)
        pooled, mean, std = measured(self._raw(network, prepare, train))
        flat = np.zeros_like(mean), np.ones_like(std)
        weights["mean"], weights["std"] = (mean, std) if self.standardise else flat
        card: dict[str, Any] = {
            "objective": "none (random weights)" if self.weights == RANDOM else f"published weights {self.weights}",
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "pixels": prepare.size,
            "resampling": prepare.resampling,
            "precision": numerics.computes_in(self.precision, self._device),
            "measured_on": len(train.rows),
        }
        if "labels" in train.rows.arrays and len(test.rows):
            card |= self._quality(network, prepare, pooled, train, test)
        return Pretrained(weights, card | {"cpu_seconds": round(time.process_time() - began, 1)})

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read the weights; it gives (n, tokens, width) or (n, width) float32.

        Raises:
            ConfigError: timm is not installed or has no such model or layer, or the weights are those of another one.
            MissingArtefact: they are not there.
        """
        network, prepare = self._network(weights, device)
        mean, std = weights["mean"], weights["std"]

        def encode(part: Material) -> np.ndarray:
            found = [(x - mean) / std for x in self._raw(network, prepare, part)]
            return np.concatenate(found).astype(np.float32)

        return encode

    def function(self, weights: Mapping[str, np.ndarray], device: str) -> Callable[[Any], Any]:
        """What the layer gives."""
        network, prepare = self._network(weights, device)
        first = next(network.parameters())
        return lambda images: self._taken(network, prepare(images.to(device)).to(first))

    def _network(self, weights: Mapping[str, np.ndarray], device: str) -> tuple[Any, Any]:
        """The network with its weights, and what prepares images for it."""
        import torch

        from reedbench.nn import timm_models

        if self.weights == RANDOM:
            network = self._built(lambda: timm_models.build(self.model, self.size))
            drawn = {n.removeprefix(OWN): torch.from_numpy(w) for n, w in weights.items() if n.startswith(OWN)}
            network.load_state_dict(network.state_dict() | drawn)
        else:
            state = checkpoint.tensors(self.files()[0], f"`weights` of encoder timm must be those of {self.model}")
            network = self._built(lambda: timm_models.filled(self.model, state, self.size))
        prepare = timm_models.Preparation(network, self.size, self.resampling)
        return timm_models.placed(network, self.precision, device), prepare

    def _built(self, build: Callable[[], Any]) -> Any:
        """What timm builds.

        Raises:
            ConfigError: it cannot.
        """
        try:
            return build()
        except ValueError as error:
            what = self.model if self.weights == RANDOM else f"{self.model} with weights {self.weights}"
            raise ConfigError(f"encoder timm: {what}: {error}") from error

    def _some(self, material: Material) -> Material:
        """Those that are measured, which are read when they are needed: together they may be hundreds of gigabytes."""
        return Material(material.rows.chosen(np.arange(0, len(material.rows), self.every)))

    def _drawn(self, train: Material, stream: str) -> dict[str, np.ndarray]:
        """Random weights, and batch-norm statistics of training images under them."""
        from reedbench.nn import timm_models

        seed = seeds.of(stream, "init") % 2**32  # torch's generator takes no more
        network = self._built(lambda: timm_models.build(self.model, self.size, seed=seed))
        if timm_models.normalisations(network):
            prepare = timm_models.Preparation(network, self.size, self.resampling)
            batches, each = timm_models.CALIBRATION
            chosen = seeds.stream(stream, "calibration").permutation(len(train.rows))[: batches * each]
            parts = [chosen[i : i + each] for i in range(0, len(chosen), each)]
            parts = [part for part in parts if len(part) > 1] or parts  # the statistics of one image are no statistics
            timm_models.calibrate(network, (prepare(images_of(train.take(part.tolist()), self.uses)) for part in parts))
        state = network.state_dict().items()
        return {f"{OWN}{name}": tensor.numpy() for name, tensor in state if tensor.is_floating_point()}

    def _quality(
        self, network: Any, prepare: Any, pooled: np.ndarray, train: Material, test: Material
    ) -> dict[str, Any]:
        of_test, _, _ = measured(self._raw(network, prepare, test))
        found = probed(pooled, train, of_test, test)
        if self.imagenet and self.weights != RANDOM:
            logits = np.concatenate(list(self._batches(network, prepare, test, network)))
            found["top1_accuracy"] = round(float(np.mean(logits.argmax(1) == image.classes_of(test.rows))), 4)
        return found

    def _raw(self, network: Any, prepare: Any, material: Material) -> Iterator[np.ndarray]:
        """What the layer gives, batch by batch.

        Raises:
            ConfigError: there is no such layer, or its grid does not fit.
        """
        return self._batches(network, prepare, material, lambda x: self._taken(network, x))

    def _batches(
        self, network: Any, prepare: Any, material: Material, what: Callable[[Any], Any]
    ) -> Iterator[np.ndarray]:
        first = next(network.parameters())
        return coded(material, self.batch, self.uses, self.model, lambda images: what(prepare(images).to(first)))

    def _taken(self, network: Any, x: Any) -> Any:
        from reedbench.nn import timm_models

        def taken() -> Any:
            if self.output == "vector":
                return timm_models.vector(network, x, self.layer)
            return timm_models.tokens(network, x, self.layer, self.grid, self.coarser)

        return self._built(taken)
