"""Parameters of a published Uni-Mol: the stock one, or REED's with its global head, told by their names and shapes.

Names: deepmodeling/Uni-Mol, unimol/models/unimol.py @124ca24, and the prefix that REED's training puts before them
(arXiv:2507.08980, molecule/semlaflow/encoders.py @0a4527e).
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reedbench.nn.unimol import VOCABULARIES, UniMol

PREFIX = "unimol."
GLOBAL = "global_rep_head."
READ = ("embed_tokens.", "encoder.", "gbf.", "gbf_proj.")  # what stands elsewhere serves training alone
UNUSED = "encoder.final_head_layer_norm."  # likewise, and fine-tuned files lack it


@torch.no_grad()
def loaded(state: Mapping[str, Any], *, whole: bool) -> UniMol:
    """The network of a file, with its parameters; the file tells its size.

    Args:
        state: names and tensors, or a checkpoint that holds them as `model`.
        whole: the global head is needed.

    Raises:
        ValueError: a parameter is missing, superfluous, not finite or of another shape, or the vocabulary is another.
    """
    found = state.get("model", state)
    if not isinstance(found, Mapping):
        raise ValueError(f"its `model` is a {type(found).__name__}, and no dict of tensors")
    read = (*READ, GLOBAL) if whole else READ
    own = {str(name).removeprefix(PREFIX): tensor for name, tensor in found.items()}
    given = {n: x for n, x in own.items() if n.startswith(read) and not n.startswith(UNUSED)}
    if strange := [name for name, tensor in given.items() if not isinstance(tensor, Tensor)]:
        raise ValueError(f"'{strange[0]}' is no tensor")
    if whole and not any(name.startswith(GLOBAL) for name in given):
        raise ValueError(f"it has no global head ('{GLOBAL}*'): say `output: atoms`")
    network = _sized(given)
    wanted = {n: x for n, x in network.state_dict().items() if n.startswith(read) and not n.startswith(UNUSED)}
    if wrong := sorted(wanted.keys() ^ given.keys()):
        side = "lacks" if wrong[0] in wanted else "has no place for"
        raise ValueError(f"this network {side} '{wrong[0]}' ({len(wrong)} such names in all)")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape:
            raise ValueError(f"'{name}' has shape {tuple(given[name].shape)}, not {tuple(tensor.shape)}")
        if not given[name].isfinite().all():
            raise ValueError(f"'{name}' is not finite")
        tensor.copy_(given[name])
    return network


def _sized(given: Mapping[str, Tensor]) -> UniMol:
    """A network of the size that parameters have."""
    vocabulary, width = _shape(given, "embed_tokens.weight")
    heads, kernels = _shape(given, "gbf_proj.linear2.weight")
    hidden, _ = _shape(given, "encoder.layers.0.fc1.weight")
    if vocabulary not in VOCABULARIES:
        raise ValueError(
            f"it has {vocabulary} tokens; those of molecules have {' or '.join(map(str, VOCABULARIES))} (Uni-Mol, REED)"
        )
    if width % heads:
        raise ValueError(f"its width of {width} is no multiple of its {heads} heads")
    layers = {match[1] for name in given if (match := re.match(r"encoder\.layers\.(\d+)\.", name))}
    return UniMol(vocabulary, len(layers), width, hidden, heads, kernels)


def _shape(given: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    if name not in given or given[name].ndim != 2:
        raise ValueError(f"it has no matrix '{name}'")
    rows, columns = given[name].shape
    return rows, columns
