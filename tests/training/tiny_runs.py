"""Tiny runs for the tests of training: a trainer on random images, and the `tiny` benchmark's REED."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import doubled
import numpy as np
import torch

from reedbench import steps
from reedbench.backbones.sit import SiTBackbone
from reedbench.codecs.pixels import Pixels
from reedbench.core import io, paths, seeds, shards
from reedbench.domains import rows
from reedbench.domains.rows import TRAIN, Rows
from reedbench.nn import initialisation
from reedbench.objectives import Schedule
from reedbench.objectives.aligned import Aligned, Alignment
from reedbench.schema.benchmark import Optimiser, Training
from reedbench.steps import taught
from reedbench.training.loaders import TrainingData
from reedbench.training.pool import Pool
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import Trainer

Make = Callable[..., Trainer]

ROWS, CLASSES, SIDE, WIDTH, DEPTH, BATCH = 40, 3, 8, 16, 2, 8
PATCHES = Alignment(encoder="patches", depth=1, projector_width=16)
TEXT = Alignment(encoder="text", depth=2, weight=0.25, projector_width=16)
SIT = Aligned(label="SiT")
REPA = Aligned(label="REPA", alignments=(PATCHES,))
REED = Aligned(label="REED", alignments=(PATCHES, TEXT), denoise=Schedule(shape="linear-ramp", length=5))
NO_CLIP = 1e9


def write_data(folder: Path) -> None:
    """40 random images, a representation per patch, two per image, and one of attention between patches."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, 1, SIDE, SIDE), dtype=np.uint8)
    labels = np.arange(ROWS) % CLASSES
    made = Rows([f"{i:02d}" for i in range(ROWS)], [TRAIN] * ROWS, {"images": images, "labels": labels})
    rows.write(folder / "data", made, {"classes": CLASSES})
    patches = (SIDE // 2) ** 2
    shapes = {
        "patches": (patches, 6),
        "text": (5,),
        "token": (6,),
        "attention": (2, 2, patches, patches),
    }
    for name, shape in shapes.items():
        shards.write(
            folder / name / "shards", {"representation": rng.standard_normal((ROWS, *shape)).astype(np.float16)}
        )
        io.write_json(folder / name / "index.json", {"train_ids": rows.ids_digest(made.ids)})


def trainer(
    folder: Path,
    method: Any,
    *,
    seed: int = 0,
    shaken: bool = False,
    double: bool = False,
    ranks: Ranks | None = None,
    teacher: Any = None,
    **settings: Any,
) -> Trainer:
    """A trainer of a method; with `shaken` weights nothing is zero, so that every parameter has a gradient."""
    torch.set_num_threads(1)
    optimiser = Optimiser(lr=1e-3, clip=settings.pop("clip", 1.0))
    training = Training(**{"batch": BATCH, "optimiser": optimiser, "segment": 10, "save_every": 5, **settings})
    kept = {name: folder / name for name in method.encoders()}
    pool = Pool(samples(), Pixels(), range(CLASSES), "samples") if method.pooled() else None
    data = TrainingData(folder / "data", kept, Pixels(), pool=pool)
    backbone = SiTBackbone(width=WIDTH, depth=DEPTH, heads=2).build(data.shape(), data.facts)
    learner = method.build(backbone, data.target_shapes(), lambda name: seeds.stream("init", "b", seed, name))
    method.rewarded(learner, dict.fromkeys(method.judges(), judge))
    if teacher is not None and method.init == "teacher":
        taught.begin(learner, teacher.state_dict(), method, "tiny")
    if shaken:
        for name, parameter in learner.network.named_parameters():
            initialisation.normal(parameter, 0.2, seeds.stream("shaken", name))
    if double:
        _double(learner, data)
    return Trainer(learner, data, training, "b", seed, ranks or Ranks.alone("cpu"), teacher)


def samples(count: int = 10) -> Rows:
    """Random images in place of those that a teacher would draw, of each class at least one."""
    images = np.random.default_rng(1).integers(0, 256, (count, 1, SIDE, SIDE), dtype=np.uint8)
    labels = np.arange(count) % CLASSES
    return Rows([str(i) for i in range(count)], ["sample"] * count, {"images": images, "labels": labels})


def judge(latents: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of classes, by the mean of a sample."""
    logits = latents.flatten(1).mean(1, keepdim=True) * torch.arange(1.0, CLASSES + 1).to(latents)
    return logits.log_softmax(1)


def teacher(method: Any, *, double: bool = False) -> Any:
    """What is sampled of a method, with weights of which none is zero."""
    backbone = SiTBackbone(width=WIDTH, depth=DEPTH, heads=2).build((1, SIDE, SIDE), {"classes": CLASSES})
    network = method.network(backbone)
    for name, parameter in network.named_parameters():
        initialisation.normal(parameter, 0.2, seeds.stream("teacher", name))
    return network.double() if double else network


def _double(learner: Any, data: TrainingData) -> None:
    """Make network and data float64; what is drawn keeps its values."""
    draw, targets = learner.draw, data.targets
    learner.network.double()
    learner.draw = lambda batch, streams: doubled.cast(draw(batch, streams))
    data.targets = lambda *asked: doubled.cast(targets(*asked))


CELL = ["--benchmark", "tiny", "--method", "reed", "--seed", "0"]
PREPARATION = [
    ["prepare", "--dataset", "digits"],
    ["caption", "--dataset", "digits", "--captioner", "measured"],
    ["pretrain", "--dataset", "digits", "--encoder", "patches"],
    ["pretrain", "--dataset", "digits", "--encoder", "caption"],
    ["represent", "--dataset", "digits", "--encoder", "patches"],
    ["represent", "--dataset", "digits", "--encoder", "caption"],
]


def train(segment: int) -> int:
    """Train a segment of the `tiny` benchmark's REED here; returns the exit code."""
    return steps.main(["train", *CELL, "--segment", str(segment)])


def train_both() -> None:
    """Train both segments."""
    for segment in (0, 1):
        assert train(segment) == 0


def outcome() -> dict[str, str]:
    """sha256 of all published weights and the receipts."""
    run = Path(paths.run("tiny", "reed", 0))
    files = [*run.glob("segment-*/step-*.safetensors"), *run.glob("segment-*.json")]
    return {str(file.relative_to(run)): io.sha256(file) for file in files if ".prov." not in file.name}
