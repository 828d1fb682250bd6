"""Parameters of published vision transformers under timm's names, whoever wrote the file.

Four ways of naming are read: that of timm, which DINO, DINOv2, MoCo-v3, MAE and I-JEPA share but for a few names; that
of transformers; that of its CLIP; and that of OpenAI's CLIP, which open_clip keeps. Heads, decoders, text towers and
mask tokens are left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, cat

from reedbench.nn.vision_models import Model

MOCO = "module.base_encoder."  # the encoder that was trained; beside it is its average
PREFIXES = ("module.", "backbone.")
UNUSED = re.compile(r"(embeddings\.)?(mask_token|position_ids)|proj|(head|fc|pooler|classifier|decoder\w*)(\..*)?")
PARTS = ("q", "k", "v")  # of attention, where a file has them apart


@dataclass(frozen=True)
class Naming:
    """How a file calls what timm calls otherwise.

    Attributes:
        outside: names outside the blocks.
        blocks: pattern of what stands before the number of a block.
        inside: names within a block.
    """

    outside: Mapping[str, str]
    blocks: str
    inside: Mapping[str, str]

    def of(self, name: str) -> str | None:
        """The name in timm; None: there is none."""
        if block := re.fullmatch(rf"{self.blocks}(\d+)\.(.+)", name):
            own = _looked_up(self.inside, block[2])
            return own and f"blocks.{block[1]}.{own}"
        return _looked_up(self.outside, name)


def _looked_up(names: Mapping[str, str], name: str) -> str | None:
    stem, _, kind = name.rpartition(".")
    return names.get(name) or (f"{names[stem]}.{kind}" if stem in names else None)


TRANSFORMERS = Naming(
    {
        "embeddings.cls_token": "cls_token", "embeddings.position_embeddings": "pos_embed",
        "embeddings.register_tokens": "reg_token", "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "layernorm": "norm",
    },
    r"encoder\.layer\.",
    {
        "norm1": "norm1", "layernorm_before": "norm1", "norm2": "norm2", "layernorm_after": "norm2",
        "attention.attention.query": "attn.q", "attention.attention.key": "attn.k",
        "attention.attention.value": "attn.v", "attention.output.dense": "attn.proj",
        "layer_scale1.lambda1": "ls1.gamma", "layer_scale2.lambda1": "ls2.gamma",
        "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
        "mlp.weights_in": "mlp.fc1", "mlp.weights_out": "mlp.fc2",
    },
)  # fmt: skip
CLIP_OF_TRANSFORMERS = Naming(
    {
        "embeddings.class_embedding": "cls_token", "embeddings.position_embedding.weight": "pos_embed",
        "embeddings.patch_embedding": "patch_embed.proj", "pre_layrnorm": "norm_pre", "post_layernorm": "norm",
    },
    r"encoder\.layers\.",
    {
        "layer_norm1": "norm1", "layer_norm2": "norm2", "self_attn.q_proj": "attn.q", "self_attn.k_proj": "attn.k",
        "self_attn.v_proj": "attn.v", "self_attn.out_proj": "attn.proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
    },
)  # fmt: skip
OPENAI = Naming(
    {
        "class_embedding": "cls_token", "positional_embedding": "pos_embed", "conv1": "patch_embed.proj",
        "ln_pre": "norm_pre", "ln_post": "norm",
    },
    r"transformer\.resblocks\.",
    {
        "ln_1": "norm1", "ln_2": "norm2", "attn.in_proj_weight": "attn.qkv.weight",
        "attn.in_proj_bias": "attn.qkv.bias", "attn.out_proj": "attn.proj", "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    },
)  # fmt: skip
# Two parts of the name by which a naming is known: what stands before the second stands before all of the network.
MARKS = {
    ("", "embeddings.position_embeddings"): TRANSFORMERS,
    ("", "embeddings.class_embedding"): CLIP_OF_TRANSFORMERS,
    ("visual.", "class_embedding"): OPENAI,
}
# What authors call otherwise than timm. Those of blocks 13 and 14 are slips in published files of MoCo-v3.
SPELLING = {
    "register_tokens": "reg_token", "mlp.w12.": "mlp.fc1.", "mlp.w3.": "mlp.fc2.",
    "blocks.13.norm13.": "blocks.13.norm1.", "blocks.13.mlp.fc13.": "blocks.13.mlp.fc1.",
    "blocks.14.norm14.": "blocks.14.norm2.", "blocks.14.mlp.fc14.": "blocks.14.mlp.fc2.",
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """A tensor, float32, and what the file calls it."""

    name: str
    tensor: Tensor


def parameters(state: Mapping[str, Any], model: Model) -> dict[str, Parameter]:
    """What a file holds of the network, by timm's names.

    Args:
        state: of the file.
        model: whose it must be.

    Raises:
        ValueError: it holds something else than tensors, two tensors for one parameter, or a third of an attention.
    """
    found: dict[str, Parameter] = {}
    for name, own, tensor in _named(_unwrapped(state, model)):
        if UNUSED.fullmatch(own):
            continue
        if not isinstance(tensor, Tensor):
            raise ValueError(f"`{name}` is a {type(tensor).__name__}, and no tensor of {model.name}")
        if own in found:
            raise ValueError(f"`{found[own].name}` and `{name}` are both `{own}`")
        if own in ("cls_token", "pos_embed") and tensor.numel() > 1:  # some have no axis of images
            tensor = tensor.reshape(1, -1, tensor.shape[-1])
        found[own] = Parameter(name, tensor.float())
    return _joined(found)


def _unwrapped(state: Mapping[str, Any], model: Model) -> Mapping[str, Any]:
    """The network alone, out of what its authors save around it."""
    inner = state.get(model.family.within, state)
    if not isinstance(inner, Mapping):
        raise ValueError(f"`{model.family.within}` is a {type(inner).__name__}, and no dict of tensors")
    if not all(isinstance(name, str) for name in inner):
        raise ValueError(f"holds a dict whose keys are no names, and not the parameters of {model.name}")
    if any(name.startswith(MOCO) for name in inner):
        return {name: tensor for name, tensor in inner.items() if name.startswith(MOCO)}
    return inner


def _named(state: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Name in the file, name in timm and value of every entry; what timm has no name for keeps its own."""
    for (before, mark), naming in MARKS.items():
        for name in state:
            if name == before + mark or name.endswith(f".{before}{mark}"):
                prefix = name.removesuffix(mark)
                of_network = ((key, key.removeprefix(prefix)) for key in state if key.startswith(prefix))
                yield from ((key, naming.of(own) or own, state[key]) for key, own in of_network)
                return
    for name, value in state.items():
        own = name.removeprefix(MOCO)
        for prefix in PREFIXES:
            own = own.removeprefix(prefix)
        for theirs, ours in SPELLING.items():
            own = own.replace(theirs, ours)
        yield name, own, value


def _joined(found: dict[str, Parameter]) -> dict[str, Parameter]:
    """Queries, keys and values in one, as timm has them.

    Raises:
        ValueError: one is missing, or they differ in shape.
    """
    joined: dict[str, Parameter] = {}
    for name, parameter in found.items():
        apart = re.fullmatch(r"(blocks\.\d+\.attn\.)[qkv](\.\w+)", name)
        if apart is None:
            joined[name] = parameter
            continue
        if (whole := f"{apart[1]}qkv{apart[2]}") in joined:
            continue
        three = [found.get(f"{apart[1]}{part}{apart[2]}") for part in PARTS]
        there = [one for one in three if one is not None]
        shapes = {tuple(one.tensor.shape) for one in there}
        if len(shapes) > 1 or () in shapes or len(there) < len(PARTS):
            words = ", ".join(f"`{one.name}` {tuple(one.tensor.shape)}" for one in there)
            raise ValueError(f"has {words} where query, key and value of one shape belong")
        joined[whole] = Parameter(there[0].name, cat([one.tensor for one in there]))
    return joined
