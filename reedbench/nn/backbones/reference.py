"""Weights of the public SiT, REPA and REED networks, brought into the form and time direction of `SiT`.

Source: REED generate.py:70-85, utils.py:207 @0a4527e; REPA generate.py:79 @67f7145; SiT models.py @947f95b.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reedbench.nn.backbones.sit import time_frequencies

_BLOCK = re.compile(r"^blocks\.(\d+)\.")
_LEGACY_BLOCK = re.compile(r"^decoder_blocks\.(\d+)\.")


def averaged_weights(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Averaged weights: the entry `ema` of a training checkpoint, or the checkpoint if it is a state dict."""
    return checkpoint.get("ema", checkpoint)


def from_reference_state(state: Mapping[str, Tensor], *, projectors: bool = False) -> dict[str, Tensor]:
    """Translate the state dict of a reference network into one that `SiT` loads strictly.

    Prefixes of data-parallel training are removed, `decoder_blocks` of early REPA files are numbered on from
    the `blocks`, and of a head that also predicts variances only the mean is kept. No number is changed: a
    network trained with t = 0 for data (REPA and REED, not SiT) still needs `with_time_reversed`.

    Args:
        state: state dict of the reference.
        projectors: keep the entries `projectors.*`, which belong to training and not to `SiT`.
    """
    plain = {key.removeprefix("module."): value for key, value in state.items()}
    plain = {key: value for key, value in plain.items() if projectors or not key.startswith("projectors.")}
    return _mean_head_only(_number_blocks(plain))


def _number_blocks(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename `decoder_blocks.i` to `blocks.(i + n)`, n being the number of `blocks`."""
    first = 1 + max((int(match[1]) for key in state if (match := _BLOCK.match(key))), default=-1)
    return {_LEGACY_BLOCK.sub(lambda match: f"blocks.{first + int(match[1])}.", k): v for k, v in state.items()}


def _mean_head_only(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the second half of the output channels where there are twice as many as input channels.

    The output is laid out row, column, channel, so the half is taken within every pixel of the patch.
    """
    _, channels, patch, _ = state["x_embedder.proj.weight"].shape
    pixels, rows = patch * patch, len(state["final_layer.linear.weight"])
    if rows != 2 * channels * pixels:
        return state
    head = {key: state[key] for key in ("final_layer.linear.weight", "final_layer.linear.bias")}
    means = {k: v.unflatten(0, (pixels, 2 * channels))[:, :channels].flatten(0, 1) for k, v in head.items()}
    return state | means


def with_time_reversed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the network -net(x, 1 - t, y): those of REPA or REED in our time, or the other way round.

    The time embedding begins with a linear map of cos(f t) and sin(f t), and those of f (1 - t) are linear in them; so
    this is exact but for rounding to the weights' precision, and whoever loads the result needs no wrapper. A test
    holds it to `ReversedTime`.

    Args:
        state: state dict of a `SiT`.
    """
    first, last = "t_embedder.mlp.0.weight", ("final_layer.linear.weight", "final_layer.linear.bias")
    of_cos, of_sin = state[first].double().chunk(2, dim=1)
    cos, sin = (f(time_frequencies().double()) for f in (torch.cos, torch.sin))
    turned = torch.cat([of_cos * cos + of_sin * sin, of_cos * sin - of_sin * cos], dim=1)
    return {**state, first: turned.to(state[first].dtype), **{name: -state[name] for name in last}}


class ReversedTime(nn.Module):
    """A network trained with t = 0 for data and t = 1 for noise, seen in our time: v(x, t) = -net(x, 1 - t).

    Needed for REPA and REED. The original SiT runs from noise to data as we do and must not be wrapped.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[int] = ()) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As `SiT.forward`, with t = 0 for noise; the hidden states are those of the wrapped network."""
        v, hidden = self.net(x, 1 - t, y, taps)
        return -v, hidden
