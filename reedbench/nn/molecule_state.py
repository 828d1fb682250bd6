"""Molecules as joint states: places of atoms, their classes, and the classes of their pairs; and how they are sampled.

Charges are no part of a state: they are predicted, and never noisy.

Source: SemlaFlow, arXiv:2406.07266; REED molecule/semlaflow/flowmodels/fm.py:974-1046 @0a4527e (sampling).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from reedbench.nn.coupling import Prior, points
from reedbench.nn.learner import Streams
from reedbench.nn.parts import Categorical, Continuous, Entries, State
from reedbench.nn.samplers import jointly

Said = tuple[Tensor, Tensor, Tensor]  # places, and probabilities of atoms and pairs: by what a network is conditioned


def pairs(mask: Tensor) -> Tensor:
    """(b, N, N), 1 where both atoms are, of a mask (b, N)."""
    return mask[:, :, None] * mask[:, None, :]


@dataclass(frozen=True)
class Parts:
    """The parts of a molecule."""

    coordinates: Continuous
    types: Categorical
    bonds: Categorical

    def prior(self, streams: Streams, mask: Tensor, kind: Prior = "centred") -> State:
        """The state at t = 0 of rows whose atoms a mask (b, N) shows; `kind` as in `coupling.points`."""
        return {
            "coordinates": points(Entries(streams("noise/coordinates"), mask), mask, kind),
            "types": self.types.prior(Entries(streams("noise/types"), mask), mask),
            "bonds": self.bonds.prior(Entries(streams("noise/bonds"), mask, axes=2), pairs(mask)),
        }

    def noised(self, x_0: State, x_1: Mapping[str, Tensor], t: Tensor, streams: Streams, mask: Tensor) -> State:
        """The state at times t (b,) between noise and data."""
        more = Entries(streams("mixing/coordinates"), mask).normal(3) if self.coordinates.noise else None
        kept = Entries(streams("mixing/types"), mask), Entries(streams("mixing/bonds"), mask, axes=2)
        return {
            "coordinates": self.coordinates.noised(x_0["coordinates"], x_1["coordinates"], t, more),
            "types": self.types.noised(x_0["types"], x_1["types"], t, kept[0], mask),
            "bonds": self.bonds.noised(x_0["bonds"], x_1["bonds"], t, kept[1], pairs(mask)),
        }

    def inputs(self, state: Mapping[str, Tensor], t: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """What the network sees of a state: places, classes as vectors, times and mask, in the dtype of the mask."""
        seen = state["coordinates"], self.types.seen(state["types"]), self.bonds.seen(state["bonds"]), t
        return (*(x.to(mask.dtype) for x in seen), mask)

    def moves(self, streams: Streams, mask: Tensor, noise: float) -> dict[str, Any]:
        """How samplers move each part; `noise` as in `Categorical.step`."""
        kinds = {"types": (self.types, 1, mask), "bonds": (self.bonds, 2, pairs(mask))}
        moves: dict[str, Any] = {
            name: partial(
                part.step, noise=noise, numbers=Entries(streams(f"transitions/{name}"), mask, axes), there=there
            )
            for name, (part, axes, there) in kinds.items()
        }
        return {"coordinates": self.coordinates.step, **moves}


def said(prediction: Any) -> Said:
    """What a prediction says, as networks are conditioned by it: logits become probabilities, float32 at least."""
    chances = (_chances(logits) for logits in (prediction.types, prediction.bonds))
    return (prediction.coordinates, *chances)  # type: ignore[return-value]


def _chances(logits: Tensor) -> Tensor:
    return torch.softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), -1)


@torch.no_grad()
def generated(
    network: Any, parts: Parts, state: State, mask: Tensor, times: Sequence[float], streams: Streams, noise: float = 1.0
) -> Any:
    """What a network predicts at the end of a grid of times, from a state of the prior on; NFE is one less than times.

    The reference moves the state once more and does not look at it; here this step is left out.

    Args:
        network: called as `nn.backbones.semla.Semla`; one that is conditioned by its last prediction says so.
        parts: of the state.
        state: at the first time.
        mask: (b, N), 1 where an atom is.
        times: the grid.
        streams: gives by name one stream per row.
        noise: rate at which classes are changed beyond need.

    Returns:
        The last prediction: places, and logits of atoms, pairs and charges.
    """
    last: Any = None

    def predict(state: State, now: float) -> State:
        nonlocal last
        previous = None if last is None or not network.self_condition else said(last)
        t = torch.full((len(mask),), now, dtype=mask.dtype, device=mask.device)
        last, _ = network(*parts.inputs(state, t, mask), previous=previous)
        places, types, bonds = said(last)
        return {"coordinates": places.double(), "types": types, "bonds": bonds}

    begun = {**state, "coordinates": state["coordinates"].double()}
    predict(jointly(predict, begun, parts.moves(streams, mask, noise), times[:-1]), times[-2])
    return last
