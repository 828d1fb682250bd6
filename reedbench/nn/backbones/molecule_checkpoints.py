"""Published checkpoints of SemlaFlow, of REED's molecules and of EDM: what they say, and their weights as ours.

Layouts: SemlaFlow and REED keep a checkpoint of Lightning, whose `state_dict` has the network as `gen.*`, its average
as `ema_gen.module.*` and, of REED, a frozen encoder, and whose `hyper_parameters` say how it was trained; EDM keeps a
bare state dict, with the network as `dynamics.*` and its noise schedule as `gamma.*`. Source: semlaflow/models/fm.py
and README @2f41e57; EDM main_qm9.py and equivariant_diffusion/en_diffusion.py @fce07d7.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from reedbench.nn.backbones.published import Foreign, Published, Said, check_fit, some
from reedbench.nn.molecule_classes import FIRST as SPECIAL
from reedbench.nn.molecule_classes import MASK_BOND
from reedbench.nn.molecule_diffusion import gammas

AVERAGE, TRAINED = "ema_gen.module.", "gen."
# The first is in every file of theirs and nothing reads it; the others are REED's, of which projectors were trained.
LEFT_OUT: Final = re.compile(r"dynamics\.(layers\.0\.edge_feat_norm|time_embedder|projectors)\.")
OF_SIZES: Final = "size_emb.weight"
SEMLA: Final = f"of SemlaFlow or REED's molecules ('{TRAINED}{OF_SIZES}')"
STRATEGIES: Final = {"uniform-sample": "uniform", "mask": "mask", "dirichlet": "dirichlet"}  # theirs -> ours
SCHEDULE: Final = re.compile(r"gamma\.|buffer$")
GAMMA: Final = "gamma.gamma"
NEAR: Final = 1e-3  # of a schedule in float32, and of scales
EMBEDDED: Final = "egnn.embedding.weight"
EDM: Final = f"of EDM ('dynamics.{EMBEDDED}')"


def semla_weights(found: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of a `Semla`, the average where there is one; `published.check_fit` says whether it is the one meant.

    Args:
        found: a checkpoint of Lightning, its `state_dict`, or the state dict of the network alone.

    Raises:
        Foreign: it is none of them; the message is about the file, and does not name it.
        ValueError: it is one, and something in it is no tensor.
    """
    state, prefix = _semla_state(found)
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    return _floats({name: tensor for name, tensor in own.items() if not LEFT_OUT.match(name)})


def semla_sizes(weights: Mapping[str, Tensor]) -> dict[str, int | bool]:
    """Arguments of the `Semla` that weights are of, but for what they do not show: how coordinates are normed.

    Raises:
        ValueError: a tensor is absent that says one of them.
    """

    def rows(name: str) -> int:
        return _matrix(weights, name, "Semla").shape[0]

    layers = len({name.split(".")[2] for name in weights if name.startswith("dynamics.layers.")})
    sets, between = rows("dynamics.coord_proj.weight"), "dynamics.layers.{}.message_ff.message_mlp.{}.weight"
    return {
        "tokens": rows("atom_classifier_head.2.weight"),
        "bonds": rows("edge_out_proj.2.weight"),
        "width": rows("feat_proj.2.weight"),
        "layers": layers,
        "sets": sets,
        "heads": rows(between.format(0, 2)) - sets,
        "message": rows("dynamics.layers.0.message_ff.node_proj.weight"),
        **({"message_hidden": rows(between.format(1, 0))} if layers > 2 else {}),
        "edge": rows("edge_in_proj.2.weight"),
        "max_atoms": rows("size_emb.weight"),
        "size_embedding": weights["size_emb.weight"].shape[1],
        "self_condition": weights["dynamics.coord_proj.weight"].shape[1] == 2,
        "bond_refine": "dynamics.refine_layer.node_proj.weight" in weights,
    }


def semla(found: Mapping[str, Any]) -> "PublishedSemla":
    """Find out what a checkpoint of SemlaFlow is; as `semla_weights` with what the file says.

    Raises:
        Foreign: it is none.
        ValueError: it is one, and lacks a tensor that says a size.
    """
    (state, prefix), weights = _semla_state(found), semla_weights(found)
    semla_sizes(weights)
    said, step = found.get("hyper_parameters"), found.get("global_step")
    outer = "checkpoint of Lightning" if "state_dict" in found else "bare state dict"
    return PublishedSemla(
        layout=f"{outer}, of which the average ('ema_gen') is taken" if prefix == AVERAGE else outer,
        weights=weights,
        step=step if isinstance(step, int) else None,
        projectors=len({name.split(".")[-3] for name in state if f"{prefix}dynamics.projectors." in name}),
        encoder=any(name.startswith("encoder.") for name in state),
        said=said if isinstance(said, Mapping) else {},
    )


@dataclass(frozen=True)
class PublishedSemla(Published):
    """What a file of a `Semla` holds.

    Attributes:
        projectors: how many of REED's it has; they are left out.
        encoder: whether it has REED's frozen encoder, which is left out.
        said: hyper-parameters of the training, where the file holds them.
    """

    projectors: int
    encoder: bool
    said: Mapping[str, Any]

    @property
    def classes(self) -> str | None:
        """What noise is to atoms and bonds, by our name, where the file shows it."""
        hidden = "mask" if self.sizes["bonds"] > MASK_BOND else None
        return STRATEGIES.get(str(self.said.get("integration-type-strategy")), hidden)

    @property
    def scale(self) -> float | None:
        """Angstrom per unit, where the file says it."""
        found = self.said.get("coord_scale")
        return float(found) if isinstance(found, int | float) else None

    @property
    def sizes(self) -> dict[str, Any]:
        """Those of `semla_sizes`, and how coordinates are normed, where the file says it."""
        norm = self.said.get("coord_norm")
        return {**semla_sizes(self.weights), **({} if norm is None else {"coordinate_norm": norm})}

    @property
    def details(self) -> str:
        """Of the molecules."""
        tokens, bonds, most = (self.sizes[name] for name in ("tokens", "bonds", "max_atoms"))
        return (
            f"{tokens} types of atoms (padding, mask and {tokens - SPECIAL} elements; which ones no file says: "
            f"SemlaFlow's 16 are the codec's default), {bonds} classes of bonds, fewer than {most} atoms"
        )

    @property
    def left_out(self) -> list[str]:
        """What REED trains beside the network."""
        projectors = [f"{self.projectors} projector(s)"] if self.projectors else []
        return [*projectors, *(["the frozen encoder"] if self.encoder else [])]

    def told(self) -> dict[str, Any]:
        """Step, and what noise is to classes."""
        return {"step": self.step, "process": "flow", "classes": self.classes}

    def needs(self) -> dict[str, dict[str, Any]]:
        """A backbone of these sizes, and a codec of this scale."""
        sizes = {name: size for name, size in self.sizes.items() if name not in ("tokens", "bonds")}
        scale = {} if self.scale is None else {"scale": self.scale}
        masked = {"mask_bonds": True} if self.sizes["bonds"] > MASK_BOND else {}
        return {"backbone": sizes, "codec": {**scale, **masked}}

    def contradicts(self, said: Said) -> str | None:
        """A step, classes, their numbers, or how coordinates are scaled and normed."""
        method, codec, backbone = (said.get(name, {}) for name in ("method", "codec", "backbone"))
        if (process := method.get("process", "flow")) != "flow":
            return f"is of SemlaFlow, which is a flow, and the method says process: {process}"
        words = {"step": ("'global_step' is", self.step), "classes": ("has classes", self.classes)}
        for name, (what, value) in words.items():
            if value is not None and value != (given := method.get(name, value)):
                return f"{what} {value}, and the method says {name}: {given}"
        tokens, bonds = self.sizes["tokens"], self.sizes["bonds"]
        if len(codec.get("elements", ())) not in (0, tokens - SPECIAL):
            return f"has {tokens - SPECIAL} elements, and the codec has {len(codec['elements'])}: {codec['elements']}"
        if method.get("classes") == "mask" and bonds <= MASK_BOND:
            return f"has {bonds} classes of bonds, none of which is hidden, and the method says classes: mask"
        if (masked := codec.get("mask_bonds")) is not None and masked != (bonds > MASK_BOND):
            return f"has {bonds} classes of bonds, and the codec says mask_bonds: {str(masked).lower()}"
        if self.scale is not None and abs(self.scale / (given := codec.get("scale", self.scale)) - 1) > NEAR:
            return f"'hyper_parameters' has coord_scale {self.scale}, and the codec says scale: {given}"
        norm = self.said.get("coord_norm")
        if norm is not None and norm != (given := backbone.get("coordinate_norm", norm)):
            return f"'hyper_parameters' has coord_norm {norm}, and the backbone says coordinate_norm: {given}"
        return None

    def for_network(self, network: nn.Module, method: Mapping[str, Any]) -> dict[str, Tensor]:
        """As they are."""
        check_fit(self.weights, network)
        return dict(self.weights)

    def record(self, method: Mapping[str, Any]) -> dict[str, Any]:
        """What was left out."""
        return {"projectors_left_out": self.projectors}


def egnn_weights(found: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of an `EGNN`, without the noise schedule.

    Args:
        found: the state dict that EDM saves, or that of its network.

    Raises:
        Foreign: it is neither; the message is about the file, and does not name it.
        ValueError: it is one, and something in it is no tensor.
    """
    own = {name: tensor for name, tensor in _plain(found).items() if not SCHEDULE.match(name)}
    if EMBEDDED not in own:
        raise Foreign(
            f"is no checkpoint of EDM: it has {some(found)}; expected 'dynamics.{EMBEDDED}' and the other tensors of "
            "a network",
            EDM,
        )
    return _floats(own)


def egnn_sizes(weights: Mapping[str, Tensor]) -> dict[str, int | bool]:
    """Arguments of the `EGNN` that weights are of, but for what they do not show: whether moves are bounded.

    Raises:
        ValueError: a tensor is absent that says one of them.
    """
    width, inputs = _matrix(weights, EMBEDDED, "EGNN").shape
    blocks = {name.split(".")[1] for name in weights if name.startswith("egnn.e_block_")}
    attention = "egnn.e_block_0.gcl_0.att_mlp.0.weight" in weights
    return {"features": inputs - 1, "width": width, "layers": len(blocks), "attention": attention}


def egnn(found: Mapping[str, Any]) -> "PublishedEGNN":
    """Find out what a checkpoint of EDM is; as `egnn_weights`.

    Raises:
        Foreign: it is none.
        ValueError: it is one, and has another schedule of noise than EDM's.
    """
    weights, plain = egnn_weights(found), _plain(found)
    egnn_sizes(weights)
    if learned := [name for name in plain if name.startswith("gamma.") and name != GAMMA]:
        raise ValueError(f"has a schedule of noise that was learned ('{learned[0]}'); here it is EDM's polynomial one")
    schedule = plain.get(GAMMA)
    if schedule is not None and not _is_ours(schedule):
        raise ValueError(
            f"'{GAMMA}' {tuple(schedule.shape)} is another schedule of noise than EDM's polynomial one of "
            f"{len(gammas()) - 1} levels, by which networks are sampled here"
        )
    return PublishedEGNN("bare state dict", weights, None, schedule is not None)


@dataclass(frozen=True)
class PublishedEGNN(Published):
    """What a file of an `EGNN` holds.

    Attributes:
        schedule: whether it has the schedule of noise, which is known.
    """

    schedule: bool

    @property
    def sizes(self) -> dict[str, Any]:
        """Those of `egnn_sizes`."""
        return egnn_sizes(self.weights)

    @property
    def details(self) -> str:
        """Of the molecules."""
        return (
            f"{self.sizes['features']} features of an atom (its element, one-hot, and its atomic number where the "
            "backbone says atomic_numbers; EDM's are 5 elements and the number on QM9, 16 elements on GEOM-Drugs)"
        )

    @property
    def left_out(self) -> list[str]:
        """The schedule."""
        return ["the schedule of noise"] if self.schedule else []

    def told(self) -> dict[str, Any]:
        """That it is a diffusion."""
        return {"step": None, "process": "diffusion"}

    def needs(self) -> dict[str, dict[str, Any]]:
        """A backbone of these sizes."""
        return {"backbone": {name: size for name, size in self.sizes.items() if name != "features"}}

    def contradicts(self, said: Said) -> str | None:
        """The process, or the number of features."""
        method, codec, backbone = (said.get(name, {}) for name in ("method", "codec", "backbone"))
        if (process := method.get("process", "diffusion")) != "diffusion":
            return f"is of EDM, which is a diffusion, and the method says process: {process}"
        given = len(codec.get("elements", ())) + (number := bool(backbone.get("atomic_numbers")))
        if codec and backbone and given != self.sizes["features"]:
            return (
                f"has {self.sizes['features']} features of an atom, and the benchmark {given}: {given - number} "
                f"elements of the codec, and atomic_numbers: {str(number).lower()} of the backbone"
            )
        return None

    def for_network(self, network: nn.Module, method: Mapping[str, Any]) -> dict[str, Tensor]:
        """As they are."""
        check_fit(self.weights, network)
        return dict(self.weights)


def _semla_state(found: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A state dict that has a `Semla`, and what stands before its names."""
    state = found.get("state_dict", found)
    state = {str(name): tensor for name, tensor in state.items()} if isinstance(state, Mapping) else {}
    prefix = next((p for p in (AVERAGE, TRAINED, "") if p + OF_SIZES in state), None)
    if prefix is None:
        raise Foreign(
            f"is no checkpoint of SemlaFlow: it has {some(state or found)}; expected '{TRAINED}{OF_SIZES}' and the "
            "other tensors of a network, or 'state_dict' with them",
            SEMLA,
        )
    return state, prefix


def _plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """What EDM saves, under the names of its network."""
    return {str(name).removeprefix("module.").removeprefix("dynamics."): tensor for name, tensor in found.items()}


def _is_ours(schedule: Any) -> bool:
    ours = gammas()
    return (
        isinstance(schedule, Tensor)
        and schedule.shape == ours.shape
        and torch.allclose(schedule.double(), ours, rtol=0, atol=NEAR)
    )


def _matrix(weights: Mapping[str, Tensor], name: str, network: str) -> Tensor:
    if name not in weights or weights[name].ndim != 2:
        raise ValueError(f"'{name}' is absent or no matrix: expected the state dict of a {network}")
    return weights[name]


def _floats(state: Mapping[str, Any]) -> dict[str, Tensor]:
    if wrong := [name for name, tensor in state.items() if not isinstance(tensor, Tensor)]:
        raise ValueError(f"'{wrong[0]}' is no tensor: expected a state dict")
    return {name: tensor.float() for name, tensor in state.items()}
