"""Published vision transformers as REPA uses them: filled from a file, fed with images, asked for tokens or a vector.

The network is timm's. Sources: REPA (arXiv:2410.06940) train.py and utils.py @67f7145; for the second protocol EDM2's
calculate_metrics.py @32ecad3, after dgm-eval (Stein et al. 2023, arXiv:2306.04675), and the position table of
DINOv2's own vision_transformer.py @027a9ac.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from timm.layers import SwiGLUPacked
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from reedbench.core.numerics import Precision
from reedbench.nn import timm_models
from reedbench.nn.vision_files import Parameter, parameters
from reedbench.nn.vision_models import Model

Protocol = Literal["repa", "fd-dinov2"]
OFFSET = 0.1  # tokens, which DINOv2's code adds to the side of a grid before it takes the ratio of sides


class PublishedTransformer(nn.Module):
    """A frozen network together with the preparation of its images.

    Attributes:
        model: which one.
        grid: tokens of a side.
        size: pixels of a side to which images are brought.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Model, grid: int, protocol: Protocol = "repa") -> None:
        """Without values: `filled` gives it those of a file."""
        super().__init__()
        self.model, self.grid, self.protocol, self.size = model, grid, protocol, grid * model.family.patch
        with torch.device("meta"):
            self.trunk = _trunk(model, self.size)
            self.norm = nn.LayerNorm(model.width, eps=model.family.epsilon)
        for name, colours in (("mean", model.family.mean), ("std", model.family.std)):
            self.register_buffer(name, torch.tensor(colours).view(1, 3, 1, 1), persistent=False)

    def placed(self, precision: Precision, device: str = "cpu") -> "PublishedTransformer":
        """The same on a device; images are prepared in float32, weights and activations are as `precision` says."""
        for part in (self.trunk, self.norm):
            timm_models.placed(part, precision, device)
        return self.to(device)

    def prepared(self, images: Tensor) -> Tensor:
        """(n, 1 or 3, height, width) uint8 -> (n, 3, size, size) float32; grey becomes three equal colours.

        Bicubic interpolation without antialiasing and without a cut at black and white, as REPA does it; under the
        protocol `fd-dinov2` with antialiasing. Images that have the size stay as they are.
        """
        x = images.to(self.mean.device).expand(-1, 3, -1, -1).float() / 255
        if self.model.family.resized_first or self.protocol == "fd-dinov2":
            return (self._resized(x) - self.mean) / self.std
        return self._resized((x - self.mean) / self.std)

    def _resized(self, x: Tensor) -> Tensor:
        if x.shape[-2:] == (self.size, self.size):
            return x
        smooth = self.protocol == "fd-dinov2"
        return functional.interpolate(x, (self.size, self.size), mode="bicubic", antialias=smooth)

    def hidden(self, images: Tensor) -> Tensor:
        """(n, class token, registers and patches, width) after the last block, before the final norm."""
        found: Tensor = self.trunk.forward_features(self.prepared(images).to(self.norm.weight.dtype))
        return found

    def tokens(self, images: Tensor) -> Tensor:
        """(n, grid * grid, width) float32, row by row, of images as `prepared` takes them.

        They are REPA's: after the final norm, or, for MAE and CLIP, before it.
        """
        out = self.hidden(images)[:, self.model.family.prefix :]
        return (self.norm(out) if self.model.family.normalised else out).float()

    def vector(self, images: Tensor) -> Tensor:
        """(n, width) float32: the class token after the final norm, DINOv2's `x_norm_clstoken` and CLIP's vector before
        its projection; without a class token (I-JEPA) the mean of the normalised patches."""
        out = self.hidden(images)
        return self.norm(out[:, 0]).float() if self.model.family.class_token else self.norm(out).mean(1).float()

    def attention(self, images: Tensor, layers: Sequence[int]) -> Tensor:
        """(n, layers, heads, patches, patches) float32: what the softmax of some blocks (1-based) is taken of, between
        patches alone: class token and registers are left out before any softmax. What comes behind is not computed."""
        h, prefix = self.prepared(images).to(self.norm.weight.dtype), self.model.family.prefix
        h = self.trunk.norm_pre(self.trunk._pos_embed(self.trunk.patch_embed(h)))
        found: dict[int, Tensor] = {}
        for number, block in enumerate(self.trunk.blocks[: max(layers)], start=1):
            if number in layers:
                found[number] = _logits(block.attn, block.norm1(h))[:, :, prefix:, prefix:]
            if number < max(layers):
                h = block(h)
        return torch.stack([found[layer] for layer in layers], 1)


def _logits(attention: Any, h: Tensor) -> Tensor:
    """(n, heads, tokens, tokens) of timm's attention, in float32."""
    q, k, _ = attention.qkv(h).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = attention.q_norm(q), attention.k_norm(k)
    return attention.scale * q.float() @ k.float().transpose(-2, -1)


def _trunk(model: Model, size: int) -> VisionTransformer:
    """timm's network without the final norm."""
    family = model.family
    inner = 2 * model.hidden if model.gated else model.hidden  # gates and values lie in one matrix
    mlp: dict[str, Any] = {"act_layer": "quick_gelu"} if family.quick_gelu else {}
    if model.gated:
        mlp = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
    return VisionTransformer(
        img_size=size,
        patch_size=family.patch,
        num_classes=0,
        global_pool="",
        embed_dim=model.width,
        depth=model.depth,
        num_heads=model.heads,
        mlp_ratio=(inner + 0.5) / model.width,  # timm rounds the product down
        init_values=1.0 if family.layer_scale else None,
        class_token=family.class_token,
        no_embed_class=family.registers > 0,
        reg_tokens=family.registers,
        pre_norm=family.pre_norm,
        final_norm=False,
        norm_layer=partial(nn.LayerNorm, eps=family.epsilon),
        weight_init="skip",
        **mlp,
    )


def filled(model: Model, state: Mapping[str, Any], grid: int, protocol: Protocol = "repa") -> PublishedTransformer:
    """A network with the weights of a file, in eval mode, on the CPU, float32.

    Args:
        model: which one.
        state: what the file holds; see `vision_files`.
        grid: tokens of a side, to which the position table is brought.
        protocol: of images and positions.

    Raises:
        ValueError: a parameter is missing, is too much, or has another shape.
    """
    network = PublishedTransformer(model, grid, protocol)
    found = _with_positions(parameters(state, model), network)
    wanted = {name.removeprefix("trunk."): tensor.shape for name, tensor in network.state_dict().items()}
    _require(found, wanted, model.name)
    tensors = {name if name.startswith("norm.") else f"trunk.{name}": one.tensor for name, one in found.items()}
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def _require(found: Mapping[str, Parameter], wanted: Mapping[str, torch.Size], model: str) -> None:
    """Refuse parameters that are not those of the network; the shapes come first, as they tell most."""
    problems = [
        f"`{found[name].name}` is {tuple(found[name].tensor.shape)}, and that of {model} is {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name].tensor.shape != shape
    ]
    problems += [f"has no `{name}` {tuple(shape)} of {model}" for name, shape in wanted.items() if name not in found]
    problems += [
        f"has `{one.name}` {tuple(one.tensor.shape)}, which {model} has not"
        for name, one in found.items()
        if name not in wanted
    ]
    if problems:
        others = f" (and {len(problems) - 1} more such problems)" if problems[1:] else ""
        raise ValueError(problems[0] + others)


def _with_positions(found: dict[str, Parameter], network: PublishedTransformer) -> dict[str, Parameter]:
    """The position table brought to the grid; where registers follow the class token, its position is added to it."""
    table, family = found.get("pos_embed"), network.model.family
    if table is None or table.tensor.ndim != 3 or table.tensor.shape[-1] != network.model.width:
        return found  # refused by what is required
    rows = table.tensor.shape[1]
    own = int(family.class_token)
    if family.registers and math.isqrt(rows) ** 2 == rows:  # timm has added it already
        own = 0
    if rows <= own or math.isqrt(rows - own) ** 2 != rows - own:
        what = "the position of a class token and then a square grid" if own else "a square grid of positions"
        raise ValueError(f"`{table.name}` {tuple(table.tensor.shape)} is not {what}")
    tensor = positions(table.tensor, network.grid, own, network.protocol)
    token = found.get("cls_token")
    if family.registers and own and token is not None and token.tensor.shape == tensor[:, :1].shape:
        found = found | {"cls_token": Parameter(token.name, token.tensor + tensor[:, :1])}
        tensor = tensor[:, 1:]
    return found | {"pos_embed": Parameter(table.name, tensor)}


def positions(table: Tensor, grid: int, prefix: int, protocol: Protocol = "repa") -> Tensor:
    """A position table (1, prefix + side * side, width) brought to (1, prefix + grid * grid, width).

    Bicubic with antialiasing, as REPA has timm do it; under `fd-dinov2` without, and by the ratio of sides that
    DINOv2's code takes.
    """
    side = math.isqrt(table.shape[1] - prefix)
    if protocol == "repa" or side == grid:
        found: Tensor = resample_abs_pos_embed(table, [grid, grid], num_prefix_tokens=prefix)
        return found
    patches = table[:, prefix:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    ratio = (grid + OFFSET) / side
    moved = functional.interpolate(patches, scale_factor=(ratio, ratio), mode="bicubic")
    return torch.cat([table[:, :prefix], moved.flatten(2).transpose(1, 2)], dim=1)
