"""What training will compute and keep, counted before there are data: batches of zeros, and networks without memory.

It is the trainer's own count, of the trainer's own step; only the rows, representations and numbers are not there.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from reedbench.nn import flops
from reedbench.nn.learner import POOL, WHOLE, Batch, Learner, Streams
from reedbench.nn.shapes_alone import shapes_alone
from reedbench.schema.benchmark import Training
from reedbench.training.loaders import TrainingData
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import Trainer

Shape = tuple[int, ...]
ROWS = 64  # of which a step is counted, or groups of them: operations grow in proportion; of some rows losses ask more


class Outline:
    """The shapes of images or latents and their representations, in place of `TrainingData`."""

    lengths = None

    def __init__(self, shape: Shape, targets: Mapping[str, Shape], rows: int, *, pooled: bool = False) -> None:
        self.shape, self.shapes, self.size, self.pooled = shape, targets, rows, pooled

    def drawn(self, chosen: np.ndarray, batch: np.ndarray, streams: Streams) -> Batch:
        """Zeros."""
        x = torch.zeros(len(chosen), *self.shape)
        pool = {POOL: torch.zeros_like(x)} if self.pooled else {}
        return {"x_1": x, "labels": torch.zeros(len(chosen), dtype=torch.int64), **pool}

    def targets(self, chosen: np.ndarray, batch: np.ndarray, partners: Any, names: Collection[str] | None) -> Batch:
        """Zeros."""
        asked = {name: shape for name, shape in self.shapes.items() if names is None or name in names}
        return {f"target/{name}": torch.zeros(len(chosen), *shape) for name, shape in asked.items()}

    def seen(self, batch: Batch, names: Collection[str] | None) -> Batch:
        """The same: encoders that are asked in every step are not counted here."""
        return batch


@dataclass(frozen=True)
class Sizes:
    """Bytes of what a run keeps: one resumable state, and the weights of one save point."""

    state: int
    weights: int


def sizes(learner: Learner) -> Sizes:
    """Of a learner whose parameters may be on `meta`: a state holds network, average and both moments of AdamW."""
    trained = {name: p for name, p in learner.network.named_parameters() if p.requires_grad}
    frozen = [p for p in learner.network.parameters() if not p.requires_grad]
    kept = [*frozen, *learner.network.buffers(), *learner.state().values()]
    published = learner.published({name: p.detach() for name, p in trained.items()})
    return Sizes(4 * _bytes(trained.values()) + _bytes(kept), _bytes(published.values()))


def phases(
    learner: Learner,
    shape: Shape,
    targets: Mapping[str, Shape],
    settings: Training,
    teacher: Any = None,
    *,
    pooled: bool = False,
) -> dict[int, float]:
    """Floating-point operations of a step of every phase of training, by the phase's first step; on all ranks.

    Args:
        learner: its parameters are on `meta`, and have no values afterwards either.
        shape: of one image or latent.
        targets: shape of one representation, by encoder.
        settings: the batch counts; on how many ranks it is computed does not.
        teacher: the network that the loss looks up, likewise without values.
        pooled: whether it sets samples against data.
    """
    rows = settings.batch if learner.group == WHOLE else min(settings.batch, ROWS * learner.group)
    plain = {"batch": rows, "precision": "fp32", "accumulation": 1, "compile": False}
    outline = cast(TrainingData, Outline(shape, targets, rows, pooled=pooled))
    with shapes_alone():
        trainer = Trainer(
            learner, outline, settings.model_copy(update=plain), "outline", 0, Ranks.alone("cpu"), teacher
        )
    # Outside: what is drawn has values, and what meets the network's parameters has none any more.
    return {phase: trainer.flops(phase) * settings.batch / rows for phase in trainer.phases}


def evaluation(backbone: Any, shape: Shape) -> float:
    """Floating-point operations of one network evaluation for one image or latent."""
    with shapes_alone(), flops.counter() as counter, torch.no_grad():
        network = backbone.to("cpu").eval()
        network(torch.zeros(1, *shape), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    return float(counter.get_total_flops())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
