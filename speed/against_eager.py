"""Our training step and sampler against an eager one (speed/eager_sit.py), in turns, in one process.

Both train SiT with REPA on made latents (4x32x32, images of 256 pixels) and made representations, one encoder of 768
dimensions, with equal weights to begin with; ours is the trainer with all its streams, guards and curve. The figure is
the median ratio of pairs of blocks. On the CPU it is of CPU-seconds of one thread, on a GPU of wall time.

    python speed/against_eager.py [--size S] [--patch 4] [--batch 16] [--precision fp32]
    python speed/against_eager.py --device cuda --size XL --patch 2 --batch 256 --precision bf16 --compile   # H200
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from eager_sit import EagerTraining, SiT, euler
from our_step import our_step
from torch import Tensor

from reedbench.backbones.sit import SiTBackbone
from reedbench.codecs.sd_vae import SDVAE
from reedbench.core import io, seeds, shards
from reedbench.core.devices import peak
from reedbench.domains import rows
from reedbench.domains.rows import TRAIN, Rows
from reedbench.encoders import Online
from reedbench.encoders.vit import Vit
from reedbench.nn import initialisation
from reedbench.objectives.aligned import Aligned, Alignment
from reedbench.samplers.euler import Euler
from reedbench.schema.benchmark import Training
from reedbench.steps.precision import precise, products
from reedbench.training.loaders import TrainingData
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import Trainer

ROWS, DIM, SIDE = 512, 768, 32  # rows that are trained on, width of representations, side of latents


def write_data(folder: Path, tokens: int) -> dict[str, Tensor]:
    """Made latents and representations as `compress` and `represent` leave them; returns them for the eager step."""
    draw, labels = np.random.default_rng(0), np.arange(ROWS) % 1000
    images = np.zeros((ROWS, 3, 8 * SIDE, 8 * SIDE), np.uint8)
    made = Rows([f"{i:04d}" for i in range(ROWS)], [TRAIN] * ROWS, {"images": images, "labels": labels})
    rows.write(folder / "data", made, {"classes": 1000})
    moments = draw.standard_normal((ROWS, 8, SIDE, SIDE)).astype(np.float16)
    moments[:, 4:] = np.abs(moments[:, 4:])
    targets = draw.standard_normal((ROWS, tokens, DIM)).astype(np.float16)
    ids = {"train_ids": rows.ids_digest(made.ids)}
    for name, arrays in (
        ("latents", {"moments": moments, "labels": labels}),
        ("patches", {"representation": targets}),
    ):
        shards.write(folder / name / "shards", arrays)
        io.write_json(folder / name / "index.json", ids)
    return {
        "moments": torch.from_numpy(moments),
        "labels": torch.from_numpy(labels),
        "targets": torch.from_numpy(targets),
    }


def our_trainer(
    folder: Path, backbone: SiTBackbone, tap: int, settings: Training, device: str, encoder: Any = None
) -> Trainer:
    """With weights of which none is zero, so that both networks can be compared."""
    online = {} if encoder is None else {"patches": _online(encoder, device)}
    cached = {} if online else {"patches": folder / "patches"}
    data = TrainingData(folder / "data", cached, SDVAE(), folder / "latents", online)
    method = Aligned(label="REPA", alignments=(Alignment(encoder="patches", depth=tap),))
    network = backbone.build(data.shape(), data.facts)
    learner = method.build(network, data.target_shapes(), lambda name: seeds.stream("init", "b", 0, name))
    for name, parameter in learner.network.named_parameters():
        if not parameter.any():
            initialisation.normal(parameter, 0.02, seeds.stream("shaken", name))
    return Trainer(learner, data, settings, "b", 0, Ranks.alone(device))


def _online(encoder: Any, device: str) -> Online:
    """As `steps.train` makes it ready."""
    tokens = torch.compile(encoder.tokens) if device == "cuda" else encoder.tokens
    return Online(tokens, (encoder.grid**2, DIM), Vit.model_fields["batch"].default)


def eager_model(trainer: Trainer, backbone: SiTBackbone, tap: int) -> SiT:
    """The eager network with the trainer's weights; and a check that it computes the same."""
    width, depth, heads = backbone.dimensions
    model = SiT(SIDE, backbone.patch, width, depth, heads, DIM, tap).to(trainer.device)
    model.load_state_dict({**trainer.published(), **dict(trainer.learner.network.backbone.named_buffers())})
    x, t = torch.randn(2, 4, SIDE, SIDE, device=trainer.device), torch.tensor([0.2, 0.7], device=trainer.device)
    y = torch.tensor([3, 1000], device=trainer.device)
    with torch.no_grad():
        one, other = trainer.network.backbone(x, t, y)[0], model.eval()(x, t, y)[0]
    torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2 * float(one.abs().max()))
    return model


def our_sampling(trainer: Trainer, count: int, steps: int) -> Callable[[], None]:
    """Noise to latents, as the step `sample` draws them."""
    sampler, network = Euler(steps=steps), trainer.network.backbone
    objective = Aligned(label="SiT")

    def draw() -> None:
        streams = lambda name: seeds.rows(range(count), name, "b", 0)  # noqa: E731
        noise = torch.from_numpy(streams("noise").normal(4, SIDE, SIDE)).to(trainer.device)
        labels = (torch.arange(count) % 1000).to(trainer.device)
        network.eval()
        with torch.no_grad():
            sampler.draw(network, {"x_0": noise, "labels": labels}, streams, objective)["x_1"].cpu()
        network.train()

    return draw


def eager_sampling(training: EagerTraining, count: int, steps: int) -> Callable[[], None]:
    """The same number of latents by the eager loop."""

    def draw() -> None:
        noise = torch.randn(count, 4, SIDE, SIDE, device=training.device)
        labels = torch.randint(0, 1000, (count,), device=training.device)
        euler(training.ema, noise, labels, steps).cpu()

    return draw


def seconds(work: Callable[[], None], count: int, device: str) -> float:
    """Of `count` calls: of this process on a CPU, by the clock on a GPU."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    if device == "cuda":
        torch.cuda.synchronize()
    began = clock()
    for _ in range(count):
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def report(
    what: str, ours: Callable[[], float], eager: Callable[[], float], pairs: int, count: int
) -> tuple[float, float]:
    """Measure in turns, and print; returns the seconds of one call of ours and of the other."""
    ours(), eager()  # warm-up
    measured = [(ours(), eager()) for _ in range(pairs)]
    ratios = sorted(b / a for a, b in measured)
    one, other = (statistics.median(column) / count for column in zip(*measured, strict=True))
    print(f"{what}: ours {1000 * one:.1f} ms, eager {1000 * other:.1f} ms (median of {pairs} blocks)")
    print(f"{what}: eager/ours median {statistics.median(ratios):.3f}, {ratios[0]:.3f} .. {ratios[-1]:.3f}", flush=True)
    return one, other


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="S", choices=("S", "B", "L", "XL"))
    parser.add_argument("--patch", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--accumulation", type=int, default=1, help="micro-batches, of both")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="fp32", choices=("fp32", "tf32", "bf16"), help="of ours")
    parser.add_argument("--compile", action="store_true", help="of ours")
    parser.add_argument("--online", action="store_true", help="ask DINOv2-B, with random weights, in every step")
    parser.add_argument("--separate", action="store_true", help="eager attention in training as separate products")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10, help="per block")
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--sampling-steps", type=int, default=50)
    parser.add_argument("--sampling-pairs", type=int, default=3)
    a = parser.parse_args()
    torch.set_num_threads(1)
    backbone = SiTBackbone(size=a.size, patch=a.patch)
    how = {"accumulation": a.accumulation, "precision": a.precision, "compile": a.compile}
    settings = Training(batch=a.batch, segment=1, save_every=1, **how)
    tap = min(8, backbone.blocks() // 3 * 2)
    folder = Path(tempfile.mkdtemp(prefix="reedbench-speed-"))
    data = write_data(folder, (SIDE // a.patch) ** 2)
    encoder = None
    if a.online:
        from image_networks import transformer

        encoder = transformer("dinov2-vit-b", SIDE // a.patch)
        data["images"] = torch.zeros(ROWS, 3, 8 * SIDE, 8 * SIDE, dtype=torch.uint8)
    ours_online = encoder and deepcopy(encoder).placed("bf16" if a.precision == "bf16" else "fp32", a.device)
    trainer = our_trainer(folder, backbone, tap, settings, a.device, ours_online)
    model = eager_model(trainer, backbone, tap)
    model.fuse(not a.separate)
    training = EagerTraining(model, data, a.batch, a.accumulation, a.device, _half(a), encoder)
    step = our_step(trainer)

    def ours(work: Callable[[], None], count: int, within: Any) -> Callable[[], float]:
        def timed() -> float:
            with within(a.precision, a.device, "--precision"):
                return seconds(work, count, a.device)

        return timed

    def eager(work: Callable[[], None], count: int) -> Callable[[], float]:
        def timed() -> float:
            with products("tf32" if a.device == "cuda" else "fp32", a.device, "--device"):
                return seconds(work, count, a.device)

        return timed

    one, _ = report("training step", ours(step, a.steps, products), eager(training.step, a.steps), a.pairs, a.steps)
    rate = trainer.flops(0) / one
    name = torch.cuda.get_device_name() if a.device == "cuda" else "cpu"
    most = peak(name)
    print(f"ours on {name}: {a.batch / one:.1f} images/s, {rate / 1e12:.3f} TFLOP/s"
          + ("" if most is None else f", {100 * rate / most:.1f} % of the dense bf16 peak"))  # fmt: skip
    training.ema.fuse(False)  # as the authors generate
    drawing = our_sampling(trainer, a.samples, a.sampling_steps)
    drawn = eager_sampling(training, a.samples, a.sampling_steps)
    what = f"{a.samples} samples, {a.sampling_steps} steps"
    report(what, ours(drawing, 1, precise), eager(drawn, 1), a.sampling_pairs, 1)


def _half(a: argparse.Namespace) -> Any:
    """Float16 on a GPU, as the authors train; on a CPU as ours."""
    return torch.float16 if a.device == "cuda" else torch.bfloat16 if a.precision == "bf16" else None


if __name__ == "__main__":
    main()
