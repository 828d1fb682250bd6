"""The large frozen networks of images on a GPU: whether they give what they give on the CPU, and images per second.

They have their published sizes and random weights, as gigabytes of weights cannot be carried to a GPU without a
network; Qwen2-VL is the tests' tiny one, for agreement alone.

    python speed/image_networks.py [vit] [sd-vae] [qwen-vl] [--device cuda] [--images 256]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from reedbench.captioners.qwen_vl import QwenVlCaptions
from reedbench.codecs.sd_vae import SDVAE
from reedbench.domains.rows import TRAIN, Rows
from reedbench.encoders import Material
from reedbench.encoders.qwen_vl import QwenVlStates
from reedbench.nn.vision_models import MODELS
from reedbench.nn.vision_transformers import PublishedTransformer

FEW = 4  # images that are compared


def transformer(name: str, grid: int = 16, depth: int | None = None) -> PublishedTransformer:
    """A published transformer with random weights, on the CPU in float32."""
    model = MODELS[name] if depth is None else replace(MODELS[name], depth=depth)
    network = PublishedTransformer(model, grid)
    generator = torch.Generator().manual_seed(0)
    for part in (network.trunk, network.norm):
        part.to_empty(device="cpu")
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.02, generator=generator)
    return network.eval().requires_grad_(False)


def pictures(count: int, side: int) -> np.ndarray:
    """Random smooth images, (n, 3, side, side) uint8."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (255 * torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)).byte().numpy()


def per_second(work: Callable[[], object], images: int, device: str) -> float:
    """Images per second, after a call that is not counted."""
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return images / (time.perf_counter() - began)


def deviation(one: Any, other: Any) -> str:
    """The largest one, relative to the root mean square."""
    a, b = (np.asarray(x, np.float64) for x in (one, other))
    return f"{np.abs(a - b).max() / np.sqrt((a**2).mean()):.1e}"


def vit(a: argparse.Namespace) -> None:
    """DINOv2-B: tokens in float32 and bf16."""
    some = torch.from_numpy(pictures(FEW, 256))
    with torch.no_grad():
        expected = transformer(a.model, depth=a.depth).tokens(some).numpy()
        for precision in ("fp32", "bf16"):
            network = transformer(a.model, depth=a.depth).placed(precision, a.device)
            found = network.tokens(some.to(a.device)).cpu().numpy()
            many = torch.from_numpy(pictures(a.images, 256)).to(a.device)
            rate = per_second(lambda: [network.tokens(part) for part in many.split(64)], a.images, a.device)  # noqa: B023
            print(f"vit {a.model} {precision}: deviation {deviation(expected, found)}, {rate:.1f} images/s")


def sd_vae(a: argparse.Namespace) -> None:
    """Stable Diffusion's autoencoder: moments of images, and images of latents."""
    from diffusers import AutoencoderKL

    folder = Path(tempfile.mkdtemp(prefix="reedbench-speed-")) / "vae"
    torch.manual_seed(0)
    widths = (128, 256, 512, 512)[:: 1 if a.depth is None else -1][: a.depth or 4]
    network = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=2,
    )
    network.save_pretrained(folder, safe_serialization=True)
    factor = 2 ** (len(widths) - 1)
    for precision in ("fp32", "bf16"):
        codec = SDVAE(weights=f"{folder}", factor=factor, precision=precision)
        other = codec.on(a.device)
        some, many = pictures(FEW, a.side), pictures(a.images, a.side)
        expected, found = (one.compressed({"images": some})["moments"] for one in (codec, other))
        rate = per_second(lambda: other.compressed({"images": many}), a.images, a.device)  # noqa: B023
        print(f"sd-vae {precision}, encode: deviation {deviation(expected, found)}, {rate:.1f} images/s")
        latents = np.random.default_rng(0).standard_normal((a.images, *codec.latent_shape(some.shape[1:])))
        latents = latents.astype(np.float32)
        differ = np.abs(codec.decode(latents[:FEW]).astype(int) - other.decode(latents[:FEW]).astype(int)).max()
        rate = per_second(lambda: other.decode(latents), a.images, a.device)  # noqa: B023
        print(f"sd-vae {precision}, decode: {differ} levels of 255 at most, {rate:.1f} images/s")


def qwen_vl(a: argparse.Namespace) -> None:
    """The captioner and the encoder."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "encoders"))
    import qwen_folder

    folder = str(qwen_folder.write(Path(tempfile.mkdtemp(prefix="reedbench-speed-")) / "model"))
    rows = Rows([str(i) for i in range(FEW)], [TRAIN] * FEW, {"images": pictures(FEW, 56)})
    captioner = QwenVlCaptions(weights=folder, tokens=8, precision="fp32")
    expected, found = (captioner.prepared(device)(rows) for device in ("cpu", a.device))
    print(f"qwen-vl captions: {sum(x == y for x, y in zip(expected, found, strict=True))} of {FEW} equal")
    encoder = QwenVlStates(captioner="any", weights=folder, layer=2, precision="fp32")
    vectors = (encoder.prepared({}, Material(rows, expected), d)(Material(rows, expected)) for d in ("cpu", a.device))
    print(f"qwen-vl vectors: deviation {deviation(*vectors)}")


PARTS = {"vit": vit, "sd-vae": sd_vae, "qwen-vl": qwen_vl}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--side", type=int, default=256, help="pixels, of the autoencoder")
    parser.add_argument("--model", default="dinov2-vit-b", choices=list(MODELS))
    parser.add_argument("--depth", type=int, help="of smaller networks than the published ones")
    a = parser.parse_args()
    for name in a.parts or PARTS:
        PARTS[name](a)


if __name__ == "__main__":
    main()
