"""Tiny networks of molecules, and their weights as SemlaFlow, REED and EDM publish theirs."""

from typing import Any

import torch
from torch import Tensor

from reedbench.core import seeds
from reedbench.nn.backbones.egnn import EGNN
from reedbench.nn.backbones.semla import Semla
from reedbench.nn.molecule_diffusion import gammas

SIZES = {
    "tokens": 7, "bonds": 5, "width": 12, "layers": 3, "sets": 6, "heads": 4, "message": 5, "message_hidden": 9,
    "edge": 8, "size_embedding": 3, "max_atoms": 20, "self_condition": True, "bond_refine": True,
}  # fmt: skip


def semla(**changes: Any) -> Semla:
    """Initialised; the same each time."""
    network = Semla(**{**SIZES, **changes})
    network.initialise(seeds.stream)
    return network


def egnn(**changes: Any) -> EGNN:
    """Initialised; the same each time."""
    network = EGNN(**{"features": 6, "width": 8, "layers": 2, **changes})
    network.initialise(seeds.stream)
    return network


def lightning(network: Semla, **said: Any) -> dict[str, Any]:
    """A checkpoint as Lightning keeps it after a training of REED, whose weights differ from their average."""
    own = dict(network.state_dict())
    edge = len(own["dynamics.bond_norm.weight"])
    own |= {f"dynamics.layers.0.edge_feat_norm.{name}": torch.ones(edge) for name in ("weight", "bias")}
    own |= {"dynamics.time_embedder.mlp.0.bias": torch.ones(5), "dynamics.projectors.0.4.bias": torch.ones(5)}
    state = {f"gen.{name}": tensor + 1 for name, tensor in own.items()}
    state |= {f"ema_gen.module.{name}": tensor for name, tensor in own.items()}
    state |= {"ema_gen.n_averaged": torch.tensor(7), "encoder.embed.weight": torch.ones(3, 3)}
    hyper = {
        "lr": 3e-4,
        "type_strategy": "ce",
        "integration-type-strategy": "uniform-sample",
        "train-length": 7,
        **said,
    }
    return {
        "epoch": 3, "global_step": 100, "pytorch-lightning_version": "2.4.0", "state_dict": state, "loops": {},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]}],
        "hparams_name": "kwargs", "hyper_parameters": hyper,
    }  # fmt: skip


def edm(network: EGNN, prefix: str = "dynamics.") -> dict[str, Tensor]:
    """What EDM saves: its network beside its schedule of noise."""
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    first = prefix.removesuffix("dynamics.")
    return {f"{first}buffer": torch.zeros(1), f"{first}gamma.gamma": gammas().float(), **state}
