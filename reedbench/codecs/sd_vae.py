"""Latents of Stable Diffusion's autoencoder, on which SiT, REPA and REED train. Rombach et al. 2022, arXiv:2112.10752.

Images are encoded once, by the step `compress`, to the moments of the posterior: mean and standard deviation without a
scale, as REPA keeps them, but in half precision, where REPA has float32. Every training step draws from it anew:
z = (mean + std * noise) * scale. The weights are a folder of diffusers, as `stabilityai/sd-vae-ft-mse` and `-ema` are
published.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr

from reedbench.codecs import Batch, Facts, Streams
from reedbench.codecs._images import ImageCodec
from reedbench.core import numerics, pins, pretrained
from reedbench.core.constants import IMAGE_LEVELS
from reedbench.core.errors import ConfigError, Diverged, MissingArtefact
from reedbench.domains import image

SAME = "same"
MOMENTS = "moments"
MOST = 64  # images of a network call
AT_ONCE = {"cpu": 2 << 16, "cuda": MOST << 16}  # and their pixels: activations are hundreds of times as many


class SDVAE(ImageCodec):
    """A KL autoencoder of diffusers: images <-> latents of an eighth of their sides."""

    lossy: ClassVar[bool] = True
    compresses: ClassVar[bool] = True
    decides_latents: ClassVar[tuple[str, ...]] = ("weights", "precision")
    of_samples: ClassVar[tuple[str, ...]] = ("decoder", "rounding")
    unkeyed: ClassVar[frozenset[str]] = frozenset({"threads"})
    cites: ClassVar[tuple[str, ...]] = ("rombach2022ldm",)
    uses: Literal["sd-vae"] = "sd-vae"

    weights: pins.Weights = "sd-vae-ft-mse"
    """What encodes, and decodes unless `decoder` says otherwise: a name of config/weights.yaml, or a folder with a / in
    it, of config.json and diffusion_pytorch_model.safetensors."""
    decoder: Annotated[str, pins.Pin((SAME,))] = SAME
    """What decodes samples: as `weights`, or `same`. REPA and REED encode with ft-mse and decode with ft-ema, whose
    encoders are the same."""
    channels: int = Field(4, ge=1)
    """Of a latent."""
    factor: int = Field(8, ge=1)
    """Pixels for each side of a latent's entry."""
    scale: float = Field(0.18215, gt=0)
    """By which a draw is multiplied before the backbone sees it."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the autoencoder, in both directions. On a CPU without instructions for bf16 fp32 is taken in its place."""
    rounding: image.Rounding = "truncate"
    """How samples become uint8: `truncate` as REPA and REED, `round` as SiT."""
    threads: int = Field(1, ge=1)
    """CPU threads of `compress`; another number rounds differently."""

    _device: str = PrivateAttr("cpu")

    def on(self, device: str) -> Self:
        """The same, on a device."""
        copy = self.model_copy()
        copy._device = device
        return copy

    @property
    def cpu_threads(self) -> int:
        """As `threads` says."""
        return self.threads

    def filed(self) -> str:
        """Under the name of what encodes."""
        name = re.sub(r"[^a-z0-9]+", "-", Path(self.weights).name.lower()).strip("-") or self.uses
        return f"{name}-bf16" if self.precision == "bf16" else name

    def files(self) -> tuple[Path, ...]:
        """The folder of what encodes, and of what decodes if that is another."""
        return tuple(pins.folder(text) for text in dict.fromkeys((self.weights, self._decoder)))

    @property
    def _decoder(self) -> str:
        return self.weights if self.decoder == SAME else self.decoder

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The factor less in both sides.

        Raises:
            ConfigError: a side cannot be divided.
        """
        _, height, width = image_shape
        if height % self.factor or width % self.factor:
            raise ConfigError(
                f"codec {self.uses}: images of {height}x{width} cannot be encoded: sides must be multiples of "
                f"{self.factor}"
            )
        return self.channels, height // self.factor, width // self.factor

    def compressed(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """`moments` (n, 2 * channels, height, width) float16, mean before standard deviation, in place of images.

        Raises:
            ConfigError: a moment does not fit into half precision.
        """
        half = self._moments(arrays["images"]).astype(np.float16)
        if not np.isfinite(half).all():
            raise ConfigError(f"codec {self.uses}: a moment is no number, or beyond what half precision holds")
        return {MOMENTS: half, **{name: array for name, array in arrays.items() if name != "images"}}

    def kept(self, facts: Facts) -> int:
        """Mean and standard deviation of every entry of a latent in half precision, and a label."""
        return 2 * math.prod(self.shape(facts)) * np.dtype(np.float16).itemsize + np.dtype(np.int64).itemsize

    def compressing_flops(self, facts: Facts) -> float | None:
        """Of the encoder that config.json of the folder describes; None where it is not there, or diffusers."""
        try:
            from diffusers import AutoencoderKL

            said = pretrained.configured(pins.folder(self.weights))
        except (ImportError, MissingArtefact):
            return None
        if not said:
            return None
        import torch

        from reedbench.nn import flops

        with torch.device("meta"), torch.no_grad(), flops.counter() as counter:
            AutoencoderKL.from_config(said).encode(torch.zeros(1, *facts["shapes"]["images"]))
        return float(counter.get_total_flops())

    def batch(self, arrays: Mapping[str, Any], length: int | None = None) -> Batch:
        """`moments` and `labels` of compressed rows; of images `x_1`, the scaled means, and `labels`."""
        import torch

        if MOMENTS not in arrays:
            return super().batch(arrays, length)
        labels = torch.from_numpy(arrays["labels"].astype(np.int64))
        return {MOMENTS: torch.from_numpy(arrays[MOMENTS].astype(np.float32)), "labels": labels}

    def drawn(self, batch: Batch, streams: Streams) -> Batch:
        """`x_1` from the posterior, in place of its moments."""
        import torch

        mean, std = batch[MOMENTS].chunk(2, 1)
        noise = torch.from_numpy(streams("posterior").normal(*mean.shape[1:]))
        others = {name: tensor for name, tensor in batch.items() if name != MOMENTS}
        return {"x_1": (mean + std * noise) * self.scale, **others}

    def encode(self, data: np.ndarray) -> np.ndarray:
        """uint8 -> float32 means, scaled."""
        return self._moments(data)[:, : self.channels] * np.float32(self.scale)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Scaled latents -> uint8.

        Raises:
            Diverged: what is decoded is no number.
        """

        def decoded(network: Any, part: Any) -> Any:
            return network.decode(part / self.scale).sample

        images = []
        for signed in self._through(self._decoder, latents, decoded):
            if not np.isfinite(signed).all():
                raise Diverged(f"codec {self.uses}: decodes to values that are no numbers; its latents have diverged")
            images.append(image.to_uint8(signed, self.rounding))
        return np.concatenate(images)

    def _moments(self, data: np.ndarray) -> np.ndarray:
        """uint8 -> (n, 2 * channels, height, width) float32: mean and standard deviation."""
        import torch

        def encoded(network: Any, part: Any) -> Any:
            posterior = network.encode(part / (IMAGE_LEVELS / 2) - 1).latent_dist
            return torch.cat([posterior.mean, posterior.std], 1)

        return np.concatenate(list(self._through(self.weights, data, encoded)))

    def _through(self, weights: str, rows: np.ndarray, call: Callable[[Any, Any], Any]) -> Iterator[np.ndarray]:
        """Rows through a network, some at a time, in this codec's precision whatever surrounds it.

        On the CPU every call is of one size, so that a row's bytes do not depend on its company.
        """
        import torch

        network = _network(pins.folder(weights), self._device, self.channels, self.factor)
        pixels = math.prod(rows.shape[2:]) * (self.factor**2 if rows.dtype != np.uint8 else 1)
        most = max(1, min(MOST, AT_ONCE[self._device] // pixels))
        half = numerics.computes_in(self.precision, self._device) == "bf16"
        for begin in range(0, len(rows), most):
            part = rows[begin : begin + most]
            missing = most - len(part) if self._device == "cpu" else 0
            full = torch.from_numpy(np.concatenate([part, np.repeat(part[-1:], missing, 0)])).to(self._device)
            with torch.no_grad(), torch.autocast(self._device, torch.bfloat16, enabled=half):
                yield call(network, full)[: len(part)].float().cpu().numpy()


@cache
def _network(folder: Path, device: str, channels: int, factor: int) -> Any:
    """An autoencoder, read once in a process.

    Raises:
        ConfigError: diffusers is not installed, the folder holds something else, or another shape of latents.
        MissingArtefact: there is no such folder.
    """
    try:
        from diffusers import AutoencoderKL
    except ImportError as error:
        raise ConfigError("codec sd-vae needs diffusers: pip install 'reedbench[image]'") from error
    if not (folder / "config.json").is_file():
        raise MissingArtefact(f"{folder}: no folder of diffusers (it has no config.json)")
    try:
        # Only safetensors: other formats may hold code.
        network, info = AutoencoderKL.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ConfigError(f"{folder}: no autoencoder of diffusers that codec sd-vae reads ({why})") from error
    wrong = [(what, name) for what in ("missing", "unexpected", "mismatched") for name in info[f"{what}_keys"]]
    if wrong:  # diffusers would take whatever is in memory for a weight that is not there
        what, name = wrong[0]
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ConfigError(f"{folder}: its weights are not those of its config.json ({what}: {name}{more})")
    found = network.config.latent_channels, 2 ** (len(network.config.block_out_channels) - 1)
    if found != (channels, factor):
        said = f"the codec says channels: {channels}, factor: {factor}"
        raise ConfigError(f"{folder}: latents of {found[0]} channels and a factor of {found[1]}; {said}")
    return network.to(device).float().eval()
