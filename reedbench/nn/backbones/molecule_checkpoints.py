"""Published checkpoints of SemlaFlow, of REED's molecules and of EDM: their weights under the names of ours.

Layouts: SemlaFlow and REED keep a checkpoint of Lightning, whose `state_dict` has the network as `gen.*`, its average
as `ema_gen.module.*` and, of REED, a frozen encoder; EDM keeps a bare state dict, with the network as `dynamics.*` and
its noise schedule. Source: semlaflow/models/fm.py:450-462 and README @2f41e57; EDM main_qm9.py @fce07d7.

What a file says of itself beside weights is not looked at: whoever reads it takes tensors and plain values alone.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from reedbench.nn.backbones.checkpoints import some

AVERAGE, TRAINED = "ema_gen.module.", "gen."
# The first is in every file of theirs and nothing reads it; the others are REED's, of which projectors were trained.
LEFT_OUT: Final = re.compile(r"dynamics\.(layers\.0\.edge_feat_norm|time_embedder|projectors)\.")
SCHEDULE: Final = re.compile(r"gamma\.|buffer$")


def semla_weights(found: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of a `Semla`, the average where there is one; `checkpoints.check_fit` says whether it is the one meant.

    Args:
        found: a checkpoint of Lightning, its `state_dict`, or the state dict of the network alone.

    Raises:
        ValueError: it is none of them; the message is about the file, and does not name it.
    """
    state = found.get("state_dict", found)
    state = state if isinstance(state, Mapping) else {}
    first = "size_emb.weight"
    prefix = next((p for p in (AVERAGE, TRAINED, "") if p + first in state), None)
    if prefix is None:
        raise ValueError(
            f"is no checkpoint of SemlaFlow: it has {some(state or found)}; expected '{TRAINED}{first}' and the other "
            "tensors of a network, or 'state_dict' with them"
        )
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    return _floats({name: tensor for name, tensor in own.items() if not LEFT_OUT.match(name)})


def semla_sizes(weights: Mapping[str, Tensor]) -> dict[str, int | bool]:
    """Arguments of the `Semla` that weights are of, but for what they do not show: how coordinates are normed.

    Raises:
        ValueError: a tensor is absent that says one of them.
    """

    def rows(name: str) -> int:
        if name not in weights or weights[name].ndim != 2:
            raise ValueError(f"'{name}' is absent or no matrix: expected the state dict of a Semla")
        return len(weights[name])

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


def egnn_weights(found: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of an `EGNN`, without the noise schedule.

    Args:
        found: the state dict that EDM saves, or that of its network.

    Raises:
        ValueError: it is neither; the message is about the file, and does not name it.
    """
    plain = {str(name).removeprefix("module.").removeprefix("dynamics."): tensor for name, tensor in found.items()}
    own = {name: tensor for name, tensor in plain.items() if not SCHEDULE.match(name)}
    if "egnn.embedding.weight" not in own:
        raise ValueError(
            f"is no checkpoint of EDM: it has {some(found)}; expected 'dynamics.egnn.embedding.weight' and the other "
            "tensors of a network"
        )
    return _floats(own)


def _floats(state: Mapping[str, Any]) -> dict[str, Tensor]:
    if wrong := [name for name, tensor in state.items() if not isinstance(tensor, Tensor)]:
        raise ValueError(f"'{wrong[0]}' is no tensor: expected a state dict")
    return {name: tensor.float() for name, tensor in state.items()}
