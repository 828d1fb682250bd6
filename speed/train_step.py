"""Overhead of our training loop: CPU time of blocks of our steps against a bare loop of the same model and batch.

Both train REED on digits on one thread, in interleaved blocks (ours, bare, ours, bare, ...); the figure is the median
ratio of nine pairs. The bare loop is what a short script would do: random rows, random times and noise from torch's
global generator, velocity and cosine losses, backward, clip, fused AdamW, weight average. No named streams, no loss
terms with weights, no curve, no guards.

    python speed/train_step.py [--pairs 9] [--steps 40] [--benchmark digits] [--method reed]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from our_step import our_step
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.optim.swa_utils import get_ema_multi_avg_fn

from reedbench import steps
from reedbench.schema import runs, suite
from reedbench.schema.planning import jobs
from reedbench.steps.train import build
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import Trainer

CONFIG = Path(__file__).parents[1] / "config"


def prepared_trainers(config: Path, benchmark: str, method: str) -> tuple[Trainer, Trainer]:
    """Two equal trainers of a benchmark of images, in a temporary working directory."""
    folder = Path(tempfile.mkdtemp(prefix="reedbench-speed-"))
    (folder / "config").symlink_to(config.resolve())
    os.chdir(folder)
    loaded = suite.load()
    run = runs.of(loaded, benchmark, method, 0)
    used = list(run.encoders.values())
    used += [other for name in used for other in loaded.read_by(run.benchmark.dataset, name).values()]
    for job in jobs(run.benchmark):
        wanted = job.verb in ("prepare", "caption") or any(f"--encoder {name}" in job.command for name in used)
        if wanted and (code := steps.main(job.command.split()[2:])):
            raise SystemExit(code)
    torch.set_num_threads(1)
    one, other = (build(run, Ranks.alone("cpu"))[0] for _ in range(2))
    return one, other


def bare_step(trainer: Trainer) -> Callable[[], None]:
    """One step as a short script would write it, on the trainer's network and average."""
    network, data, given = trainer.network, trainer.data, trainer.settings.optimiser
    parameters = list(trainer.parameters.values())
    optimiser = torch.optim.AdamW(
        parameters, lr=given.lr, betas=given.betas, eps=given.eps, weight_decay=given.weight_decay, fused=True
    )
    average = get_ema_multi_avg_fn(trainer.settings.ema_decay)
    images = torch.from_numpy(data.codec.encode(data.rows.arrays["images"]))
    labels = torch.from_numpy(data.rows.arrays["labels"])
    targets = [torch.from_numpy(data.stores[tap.encoder].read("representation")).float() for tap in network.taps]
    weights = [tap.weight for tap in network.taps]
    batch = trainer.settings.batch

    def step() -> None:
        rows = torch.randint(len(images), (batch,))
        x_1, t, x_0 = images[rows], torch.rand(batch), torch.randn(batch, *images.shape[1:])
        y = torch.where(torch.rand(batch) < 0.1, 10, labels[rows])
        s = t.view(-1, 1, 1, 1)
        velocity, projections = network(s * x_1 + (1 - s) * x_0, t, y)
        loss: Tensor = (velocity - (x_1 - x_0)).square().mean()
        for weight, projection, target in zip(weights, projections, targets, strict=True):
            loss = loss - weight * cosine_similarity(projection, target[rows], dim=-1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average(list(trainer.average.values()), parameters, None)

    return step


def cpu_seconds(step: Callable[[], None], count: int) -> float:
    """CPU seconds of `count` steps."""
    began = time.process_time()
    for _ in range(count):
        step()
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=40, help="steps per block")
    parser.add_argument("--config", type=Path, default=CONFIG, help="folder of config.yaml")
    parser.add_argument("--benchmark", default="digits")
    parser.add_argument("--method", default="reed")
    arguments = parser.parse_args()
    one, other = prepared_trainers(arguments.config, arguments.benchmark, arguments.method)
    ours, bare = our_step(one, log_every=20), bare_step(other)
    cpu_seconds(ours, arguments.steps), cpu_seconds(bare, arguments.steps)  # warm-up
    pairs = [(cpu_seconds(ours, arguments.steps), cpu_seconds(bare, arguments.steps)) for _ in range(arguments.pairs)]
    ratios = sorted(a / b for a, b in pairs)
    per_step = [1000 * statistics.median(column) / arguments.steps for column in zip(*pairs, strict=True)]
    print(f"ours {per_step[0]:.2f} ms/step, bare {per_step[1]:.2f} ms/step (median of {arguments.pairs} blocks)")
    print(f"ratio ours/bare: median {statistics.median(ratios):.3f}, {ratios[0]:.3f} .. {ratios[-1]:.3f}")


if __name__ == "__main__":
    main()
