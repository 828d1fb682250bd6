"""Data and what is generated along with them, in one state: its layout, and flow matching on it.

Source: REG, arXiv:2507.01467 (a class token beside the latent); ReDi, arXiv:2504.16064 (a map of features).
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, from_numpy

from reedbench.nn.flow import FlowMatching
from reedbench.nn.learner import Batch, Streams

Shape = tuple[int, ...]


class Layout:
    """Several parts of each row in one flat tensor, the data first: samplers follow it as they follow data alone.

    Attributes:
        entries: of the data.
    """

    def __init__(self, data: Shape, companions: Mapping[str, Shape]) -> None:
        self.shapes = [tuple(data), *(tuple(shape) for shape in companions.values())]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.entries = self.sizes[0]

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Parts (b, *shape) -> (b, entries of all)."""
        return torch.cat([part.flatten(1) for part in parts], 1)

    def split(self, state: Tensor) -> list[Tensor]:
        """The parts of a state.

        Raises:
            ValueError: it has other entries.
        """
        if tuple(state.shape[1:]) != (sum(self.sizes),):
            raise ValueError(
                f"the network reads data and what it was trained with beside them in rows of {sum(self.sizes)} "
                f"numbers, and was given {tuple(state.shape[1:])}: draw from it as its objective says (`companions`)"
            )
        parts = zip(state.split(self.sizes, 1), self.shapes, strict=True)
        return [part.unflatten(1, shape) for part, shape in parts]


class JointFlow(FlowMatching):
    """Flow matching on data and companions at the same times, each companion with noise of its own stream.

    Reads `clean/<name>` (b, *shape) of every companion, which the learner adds; draws `noise/<name>`. Predictions are
    flat states.
    """

    def __init__(
        self, path: str, times: str, label_dropout: float, null_label: int, companions: Mapping[str, Shape]
    ) -> None:
        super().__init__(path, times, label_dropout, null_label)
        self.companions = dict(companions)

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Times, labels, and the noise of all parts."""
        device = batch["x_1"].device
        noise = {
            _noise(name): from_numpy(streams(f"{name}-noise").normal(*shape)).to(device)
            for name, shape in self.companions.items()
        }
        return {**super().draw(batch, streams), **noise}

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees: the state at t, t, y."""
        x_t, t, y = super().inputs(batch)
        parts = [self.part.noised(batch[_noise(name)], batch[clean(name)], t) for name in self.companions]
        return self.layout(batch).joined([x_t, *parts]), t, y

    def layout(self, batch: Batch) -> Layout:
        """Of the states of a batch."""
        return Layout(batch["x_1"].shape[1:], self.companions)

    def error(self, velocity: Tensor, batch: Batch) -> Tensor:
        """Of the data alone."""
        return super().error(self.layout(batch).split(velocity)[0], batch)

    def errors(self, velocity: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Squared error of every companion's velocity, mean over its entries: (b,)."""
        predicted = zip(self.companions, self.layout(batch).split(velocity)[1:], strict=True)
        found = {}
        for name, part in predicted:
            target = self.part.target(batch[_noise(name)], batch[clean(name)], batch["t"])
            found[name] = (part.to(target.dtype) - target).square().flatten(1).mean(1)
        return found


def clean(name: str) -> str:
    """Key of a companion at t = 1."""
    return f"clean/{name}"


def _noise(name: str) -> str:
    return f"noise/{name}"
