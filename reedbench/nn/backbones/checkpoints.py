"""Published checkpoints of SiT, REPA and REED: which layout a file has, what it says of itself, and the weights in it.

Layouts: a bare state dict (SiT's public file, REPA's and REED's `last.pt`), or a training checkpoint with `model`,
`ema`, `opt`, `args` and, of REPA and REED, `steps`. Names may have the prefix `module.` of data-parallel training,
blocks the early name `decoder_blocks`, and the head a second half of channels for variances. Source: SiT
sample_ddp.py:61-68 and train.py @947f95b; REPA generate.py:79 @67f7145; REED generate.py:75, utils.py:207 @0a4527e.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn

from reedbench.nn.backbones.reference import averaged_weights, from_reference_state, with_time_reversed
from reedbench.nn.backbones.sit import position_table

FIRST: Final = "x_embedder.proj.weight"
HEAD: Final = ("final_layer.linear.weight", "final_layer.linear.bias")
LABELS: Final = "y_embedder.embedding_table.weight"
POSITIONS: Final = "pos_embed"
DRIFT: Final = 1e-3  # of positions that were averaged although they are constant: 1.6e-4 after 20,000 steps of REED
PATHS: Final = {"linear": "linear", "Linear": "linear", "cosine": "gvp", "GVP": "gvp"}  # theirs -> ours
VELOCITY: Final = ("v", "velocity")  # words for what we sample with
AXES: Final = {FIRST: 4, LABELS: 2, POSITIONS: 3, HEAD[0]: 2, HEAD[1]: 1}  # of what sizes are read from
SHOWN = 6  # keys that a message repeats


@dataclass(frozen=True)
class Published:
    """What a file holds.

    Attributes:
        layout: in words.
        weights: float32, under the names of `SiT`, in the time of their authors.
        step: training step, where the file says it.
        variances: whether the head also predicted variances, which are left out.
        projectors: width of the representation that each projector ended in; they are left out.
        said: arguments of the training, where the file holds them.
    """

    layout: str
    weights: Mapping[str, Tensor]
    step: int | None
    variances: bool
    projectors: tuple[int, ...]
    said: Mapping[str, Any]

    @property
    def time(self) -> str | None:
        """Whose time the network was trained in, `sit` or `repa`, where the file shows it."""
        if self.projectors or self.step is not None:
            return "repa"
        return "sit" if self.variances or self.said else None  # SiT's training checkpoints do not hold `steps`

    @property
    def path(self) -> str | None:
        """Our name of the path that it was trained on, where the file says one that we have."""
        return PATHS.get(str(self.said.get("path_type")))

    @property
    def sizes(self) -> dict[str, int]:
        """Width, depth, patch, channels, side of the latents, and classes."""
        width, channels, patch, _ = self.weights[FIRST].shape
        blocks = {int(name.split(".")[1]) for name in self.weights if name.startswith("blocks.")}
        side = math.isqrt(self.weights[POSITIONS].shape[1]) * patch
        classes = len(self.weights[LABELS]) - 1
        return {"width": width, "depth": len(blocks), "patch": patch, "channels": channels, "side": side,
                "classes": classes}  # fmt: skip

    def contradicts(self, *, step: int, time: str, path: str) -> str | None:
        """What the file says otherwise than these settings of a method, if anything."""
        if self.step is not None and self.step != step:
            return f"'steps' is {self.step}, and the method says step: {step}"
        if self.time is not None and self.time != time:
            why = "it has projectors or 'steps'" if self.time == "repa" else "variances, or training without 'steps'"
            return f"is in the time of {self.time} ({why}), and the method says time: {time}"
        if "path_type" in self.said and self.path != path:
            return f"'args' has path_type {self.said['path_type']}, and the method says path: {path}"
        predicts = self.said.get("prediction", VELOCITY[0])
        if predicts not in VELOCITY:
            return f"'args' has prediction {predicts}: networks that predict a velocity are sampled here"
        return None

    def for_network(self, network: nn.Module, time: str) -> dict[str, Tensor]:
        """The weights of a network, in our time.

        Args:
            network: the `SiT` that is to have them; its values are not looked at.
            time: `sit` or `repa`.

        Raises:
            ValueError: the file has other weights, or some that are not finite.
        """
        check_fit(self.weights, network)
        return with_time_reversed(self.weights) if time == "repa" else dict(self.weights)


def check_fit(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Make sure that weights are those of a network.

    Raises:
        ValueError: it has others, or some are not finite; the message says which one in one line.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    faults = [f"'{n}' is {given[n]}, expected {own[n]}" for n in own if n in given and own[n] != given[n]]
    faults += [f"'{n}' is absent, expected {own[n]}" for n in own if n not in given]
    faults += [f"'{n}' {given[n]} is not expected: the backbone has none" for n in given if n not in own]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}; the backbone of the benchmark must be the file's")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise ValueError(f"'{name}' has values that are not finite")


def recognise(found: Mapping[str, Any]) -> Published:
    """Find out what a checkpoint is.

    Raises:
        ValueError: it is none of SiT, REPA or REED; the message is about the file, and does not name it.
    """
    training = not _is_state(found)
    if training and "ema" not in found:
        what = "a training checkpoint without 'ema'" if "model" in found else "neither a state dict nor a checkpoint"
        raise ValueError(
            f"is {what} of SiT, REPA or REED: it has {some(found)}; expected '{FIRST}' and the other tensors of a "
            "network, or 'ema' beside 'model', 'opt' and 'args'"
        )
    state = averaged_weights(found)
    where = "'ema'" if training else "it"
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"{where} is no state dict: expected names of weights with a tensor each")
    plain = {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
    _check_sizes(plain, where)
    heads = {name: len(tensor) for name, tensor in plain.items() if name.startswith("projectors.")
             and name.endswith(".4.bias")}  # fmt: skip
    weights = {name: tensor.float() for name, tensor in from_reference_state(plain).items()}
    _check_positions(weights)
    step, said = found.get("steps"), found.get("args")
    return Published(
        layout="training checkpoint, of which the average ('ema') is taken" if training else "bare state dict",
        weights=weights,
        step=int(step) if training and step is not None else None,
        variances=len(plain[HEAD[0]]) != len(weights[HEAD[0]]),
        projectors=tuple(heads[name] for name in sorted(heads)),
        said=vars(said) if training and hasattr(said, "__dict__") else {},
    )


def _is_state(found: Mapping[str, Any]) -> bool:
    return bool(found) and all(isinstance(value, Tensor) for value in found.values())


def _check_sizes(plain: Mapping[str, Tensor], where: str) -> None:
    """Refuse what sizes cannot be read from."""
    for name, axes in AXES.items():
        if name not in plain:
            raise ValueError(f"'{name}' is absent: {where} has {some(plain)}; expected the state dict of a SiT")
        if plain[name].ndim != axes:
            raise ValueError(f"'{name}' is {tuple(plain[name].shape)}, expected {axes} axes")
    _, channels, patch, _ = plain[FIRST].shape
    wanted = channels * patch**2
    for name in HEAD:
        if len(plain[name]) not in (wanted, 2 * wanted):
            raise ValueError(
                f"'{name}' is {tuple(plain[name].shape)}, expected {wanted} rows ({channels} channels, patch {patch}) "
                f"or {2 * wanted} (with variances)"
            )


def _check_positions(weights: Mapping[str, Tensor]) -> None:
    """The file's own positions are taken; what is far from sines and cosines is the table of another network."""
    _, tokens, width = (positions := weights[POSITIONS]).shape
    grid = math.isqrt(tokens)
    if grid * grid != tokens or width % 4:
        raise ValueError(f"'{POSITIONS}' is {tuple(positions.shape)}, expected (1, tokens of a square, width)")
    far = float((positions[0] - position_table(width, grid)).abs().max())
    if not far <= DRIFT:
        raise ValueError(f"'{POSITIONS}' is {far:.2g} away from SiT's sines and cosines, expected at most {DRIFT}")


def some(names: Mapping[str, Any]) -> str:
    """The first names of a dict, for a message."""
    shown = ", ".join(f"'{name}'" for name in list(names)[:SHOWN])
    more = len(names) - SHOWN
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")
