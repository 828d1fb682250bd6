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

from reedbench.nn.backbones.published import Foreign, Published, Said, check_fit, some
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
WANTED: Final = f"of SiT, REPA or REED ('{FIRST}')"


@dataclass(frozen=True)
class PublishedSiT(Published):
    """What a file of a `SiT` holds; its weights are in the time of their authors.

    Attributes:
        variances: whether the head also predicted variances, which are left out.
        projectors: width of the representation that each projector ended in; they are left out.
        said: arguments of the training, where the file holds them.
    """

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

    @property
    def details(self) -> str:
        """Of the latents."""
        sizes = self.sizes
        return f"{sizes['channels']} channels of {sizes['side']} x {sizes['side']}, {sizes['classes']} classes"

    @property
    def left_out(self) -> list[str]:
        """Variances and projectors."""
        return [
            *(["the half of the head for variances"] if self.variances else []),
            *([f"{len(self.projectors)} projector(s) to {self.projectors}"] if self.projectors else []),
        ]

    def told(self) -> dict[str, Any]:
        """Step, time and path."""
        return {"step": self.step, "time": self.time, "path": self.path}

    def contradicts(self, said: Said) -> str | None:
        """A step, a time, a path, or that it predicts something else than a velocity."""
        method = said.get("method", {})
        if self.step is not None and self.step != (step := method.get("step", self.step)):
            return f"'steps' is {self.step}, and the method says step: {step}"
        if self.time is not None and self.time != (time := method.get("time", self.time)):
            why = "it has projectors or 'steps'" if self.time == "repa" else "variances, or training without 'steps'"
            return f"is in the time of {self.time} ({why}), and the method says time: {time}"
        if "path_type" in self.said and self.path != (path := method.get("path", self.path)):
            return f"'args' has path_type {self.said['path_type']}, and the method says path: {path}"
        predicts = self.said.get("prediction", VELOCITY[0])
        if predicts not in VELOCITY:
            return f"'args' has prediction {predicts}: networks that predict a velocity are sampled here"
        return None

    def for_network(self, network: nn.Module, method: Mapping[str, Any]) -> dict[str, Tensor]:
        """As they are in the time of `sit`, reversed in that of `repa`."""
        check_fit(self.weights, network)
        return with_time_reversed(self.weights) if method["time"] == "repa" else dict(self.weights)

    def record(self, method: Mapping[str, Any]) -> dict[str, Any]:
        """The time, and what was left out."""
        return {
            "time": method["time"],
            "variances_left_out": self.variances,
            "projectors_left_out": len(self.projectors),
        }


def recognise(found: Mapping[str, Any]) -> PublishedSiT:
    """Find out what a checkpoint is.

    Raises:
        Foreign: it is none of SiT, REPA or REED; the message is about the file, and does not name it.
        ValueError: it is one, and something is wrong with it; likewise.
    """
    training = not _is_state(found)
    if training and "ema" not in found:
        what = "a training checkpoint without 'ema'" if "model" in found else "neither a state dict nor a checkpoint"
        message = (
            f"is {what} of SiT, REPA or REED: it has {some(found)}; expected '{FIRST}' and the other tensors of a "
            "network, or 'ema' beside 'model', 'opt' and 'args'"
        )
        raise ValueError(message) if "model" in found else Foreign(message, WANTED)
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
    return PublishedSiT(
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
            message = f"'{name}' is absent: {where} has {some(plain)}; expected the state dict of a SiT"
            raise Foreign(message, WANTED) if name == FIRST else ValueError(message)
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
