"""What a rank's CPU does for a batch of 256 ImageNet-sized latents, and whether that hides behind a step of 50 ms.

Rows of 4x32x32 and their tokens (256 of width 768 in half precision) lie in memory maps; a rank reads, encodes and
draws its own. Prints, for latents alone and with tokens, for a rank of 1, 2, 4 and 8: CPU-milliseconds per batch
(median), and what a step takes that itself waits for 50 ms, as if for a GPU: with nothing made ahead, and with the
thread that makes two batches ahead.

    python speed/batches_ahead.py [--rows 4096] [--steps 30] [--width 768]
"""

import argparse
import statistics
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

from reedbench.backbones.sit import SiTBackbone
from reedbench.codecs.pixels import Pixels
from reedbench.core import io, seeds, shards
from reedbench.domains import rows
from reedbench.domains.rows import TRAIN, Rows
from reedbench.objectives.aligned import Aligned, Alignment
from reedbench.schema.benchmark import Training
from reedbench.training import loaders, trainer
from reedbench.training.loaders import TrainingData
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import Trainer

BATCH, SHAPE, TOKENS, STEP = 256, (4, 32, 32), 256, 0.05
METHODS = {
    "latents": Aligned(label="SiT"),
    "and tokens": Aligned(label="REPA", alignments=(Alignment(encoder="tokens", depth=1, projector_width=16),)),
}


def write(folder: Path, count: int, width: int) -> None:
    """Latents as bytes, and their tokens."""
    draws, ids = np.random.default_rng(0), [f"{i:06d}" for i in range(count)]
    arrays = {"images": draws.integers(0, 256, (count, *SHAPE), dtype=np.uint8), "labels": np.arange(count) % 1000}
    rows.write(folder / "data", Rows(ids, [TRAIN] * count, arrays), {"classes": 1000})
    one = draws.standard_normal((64, TOKENS, width)).astype(np.float16)
    shards.write_parts(folder / "tokens" / "shards", ({"representation": one} for _ in range(count // 64)))
    io.write_json(folder / "tokens" / "index.json", {"train_ids": rows.ids_digest(ids)})


def of_rank(folder: Path, method: Aligned, world: int, depth: int) -> Trainer:
    """A trainer of the first of some ranks, whose `ahead` makes `depth` batches ahead; it meets nobody."""
    data = TrainingData(folder / "data", {name: folder / name for name in method.encoders()}, Pixels())
    backbone = SiTBackbone(width=16, depth=1, heads=2, patch=2).build(data.shape(), data.facts)
    learner = method.build(backbone, data.target_shapes(), lambda name: seeds.stream("init", name))
    made = Trainer(learner, data, Training(batch=BATCH, segment=10, save_every=10), "x", 0, Ranks.alone("cpu"))
    made.ranks = Ranks(world, 0, 0, "cpu")  # from now on: there is nobody to be joined
    made.ahead = trainer.Ahead(made._drawn, depth, lambda step, other: True)
    return made


def cpu_milliseconds(made: Trainer, steps: int) -> float:
    """Of one batch."""
    spent = []
    for step in range(steps):
        began = time.process_time()
        made.ahead.take(step)
        spent.append(1e3 * (time.process_time() - began))
    return statistics.median(spent)


def step_milliseconds(made: Trainer, steps: int) -> float:
    """Of a step that takes its batch and then waits."""
    spent = []
    for step in range(steps):
        began = time.perf_counter()
        made.ahead.take(step)
        time.sleep(STEP)
        spent.append(1e3 * (time.perf_counter() - began))
    return statistics.median(spent)


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser()
    for name, default in (("rows", 4096), ("steps", 30), ("width", 768)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    loaders.RESIDENT = 0
    print("what        ranks  rows  CPU-ms  step, nothing ahead  step, two ahead")
    with tempfile.TemporaryDirectory(prefix="batches-") as name:
        write(Path(name), asked.rows, asked.width)
        for (what, method), world in product(METHODS.items(), (1, 2, 4, 8)):
            made = [of_rank(Path(name), method, world, depth) for depth in (0, 0, trainer.AHEAD)]
            cpu, *steps = cpu_milliseconds(made[0], asked.steps), *(step_milliseconds(m, asked.steps) for m in made[1:])
            numbers = f"{world:>5}  {BATCH // world:>4}  {cpu:>6.1f}  {steps[0]:>19.1f}  {steps[1]:>15.1f}"
            print(f"{what:<10}  {numbers}", flush=True)


if __name__ == "__main__":
    main()
