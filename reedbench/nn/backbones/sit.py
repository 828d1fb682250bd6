"""SiT, the scalable interpolant transformer: a vision transformer with adaLN-zero conditioning.

Source: SiT models.py @947f95b (arXiv:2401.08740); REPA models/sit.py @67f7145 (taps). Same state-dict keys.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.initialisation import GeneratorFor, fill, normal, xavier_uniform

# Name: (depth, width, heads). SiT models.py:318-355 @947f95b; each comes with patches of 2, 4 and 8.
TIME_FEATURES: Final = 256
LONGEST_PERIOD: Final = 10_000.0
EMBEDDING_STD: Final = 0.02
LAYER_NORM_EPS: Final = 1e-6
QK_NORM_EPS: Final = 1e-5
ATTENTION: Final = "attention"
NOTHING: Final[Mapping[int, Tensor]] = MappingProxyType({})

# k: the output of the k-th block, (b, n, width); (ATTENTION, k): what its softmax is taken of, (b, heads, n, n).
Tap = int | tuple[str, int]


def position_table(width: int, grid: int) -> Tensor:
    """Fixed sines and cosines (grid * grid, width): the first half encodes the column, the second the row."""
    frequencies = LONGEST_PERIOD ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.outer(torch.arange(grid, dtype=torch.float64), frequencies)  # (g, width / 4)
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # (g, width / 2)
    column = axis[None].expand(grid, grid, -1)
    row = axis[:, None].expand(grid, grid, -1)
    return torch.cat([column, row], dim=-1).reshape(grid * grid, width).float()


def time_frequencies(device: torch.device | None = None) -> Tensor:
    """The (128,) geometric frequencies of `time_features`, from 1 down to almost 1 / 10,000, in float32."""
    half = TIME_FEATURES // 2
    exponents = torch.arange(half, dtype=torch.float32, device=device) / half
    return torch.exp(-math.log(LONGEST_PERIOD) * exponents)


def time_features(t: Tensor) -> Tensor:
    """Cosines, then sines, of t (b,) at geometric frequencies -> (b, 256), in float32 like the reference."""
    angles = t.float()[:, None] * time_frequencies(t.device)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm of tokens x (b, n, d), then scale and shift by per-sample vectors (b, d)."""
    x = F.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPS)
    return torch.addcmul(shift[:, None], x, 1 + scale[:, None])


class PatchEmbedding(nn.Module):
    """Cut an image into patches and map each to a token, row by row."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, s, s) -> (b, n, d)."""
        return self.proj(x).flatten(2).transpose(1, 2)


class TimeEmbedding(nn.Module):
    """Map times to vectors of the model's width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """(b,) -> (b, d)."""
        return self.mlp(time_features(t).to(next(self.mlp.parameters()).dtype))


class LabelEmbedding(nn.Module):
    """A vector per class, and a last one that means "no class"."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, y: Tensor) -> Tensor:
        """(b,) -> (b, d)."""
        return self.embedding_table(y)


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.LayerNorm(width // heads, eps=QK_NORM_EPS) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width // heads, eps=QK_NORM_EPS) if qk_norm else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, logits: list[Tensor] | None = None) -> Tensor:
        """(b, n, d) -> (b, n, d); what the softmax is taken of, (b, heads, n, n), joins `logits` if there is a list."""
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in parts)  # each (b, heads, n, d / heads)
        q, k = self.q_norm(q), self.k_norm(k)
        if logits is not None:
            logits.append(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with the tanh form of GELU in between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, d) -> (b, n, d)."""
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """Attention and MLP, shifted, scaled and gated by the condition; the identity when initialised."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, qk_norm: bool) -> None:
        super().__init__()
        self.attn = Attention(width, heads, qk_norm)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, condition: Tensor, logits: list[Tensor] | None = None) -> Tensor:
        """Tokens (b, n, d) and condition (b, d) -> tokens (b, n, d); `logits` as in `Attention`."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=1)
        x = torch.addcmul(x, gate_a[:, None], self.attn(modulate(x, shift_a, scale_a), logits))
        return torch.addcmul(x, gate_m[:, None], self.mlp(modulate(x, shift_m, scale_m)))


class FinalLayer(nn.Module):
    """Map every token to the values of its patch."""

    def __init__(self, width: int, patch_values: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, patch_values)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens (b, n, d) and condition (b, d) -> patches (b, n, p * p * c), channel fastest."""
        return self.linear(self.modulated(x, condition))

    def modulated(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens as the linear layer reads them."""
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=1)
        return modulate(x, shift, scale)


def unpatchify(patches: Tensor, patch: int) -> Tensor:
    """Put patches (b, g * g, p * p * c), channel fastest, back into an image (b, c, g * p, g * p)."""
    grid = math.isqrt(patches.shape[1])
    cells = patches.unflatten(2, (patch, patch, -1)).unflatten(1, (grid, grid))  # (b, row, column, p, p, c)
    return cells.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class SiT(nn.Module):
    """Velocity network for square images or latents.

    A plain constructor leaves the default values of torch; call `initialise` or load a state dict. Labels are
    not dropped inside: replace them by `null_label` where the condition shall be absent.

    Args:
        size: side of the image or latent.
        channels: its channels.
        patch: side of a patch.
        width: width of a token, a multiple of 4 and of `heads`.
        depth: number of blocks.
        heads: attention heads.
        classes: number of classes; label `classes` is the null label.
        mlp_ratio: hidden width of the MLPs in units of `width`.
        qk_norm: layer norm on queries and keys.

    Attributes:
        width: width of the hidden states that `forward` hands out.
        heads: attention heads of a block.
        channels: of images.
        size: side of an image.
        null_label: label that means "no class".
        tokens: tokens per image.
    """

    def __init__(
        self,
        *,
        size: int,
        channels: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        classes: int,
        mlp_ratio: float = 4.0,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        if size % patch:
            raise ValueError(f"size {size} is not a multiple of patch {patch}")
        if width % heads or width % 4:
            raise ValueError(f"width {width} must be a multiple of 4 and of heads {heads}")
        self.patch, self.width, self.null_label = patch, width, classes
        self.heads, self.channels, self.size = heads, channels, size
        self.tokens = (size // patch) ** 2
        self.x_embedder = PatchEmbedding(channels, patch, width)
        self.t_embedder = TimeEmbedding(width)
        self.y_embedder = LabelEmbedding(classes, width)
        # A buffer: optimizers and weight averages walk over parameters and must leave the constant alone.
        self.register_buffer("pos_embed", position_table(width, size // patch)[None])
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio, qk_norm) for _ in range(depth))
        self.final_layer = FinalLayer(width, patch * patch * channels)

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[Tap] = (), *, only_taps: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Predict the velocity, and hand out hidden states on the way.

        Args:
            x: images (b, c, s, s).
            t: times (b,).
            y: labels (b,), integers in 0 .. classes.
            taps: what is wanted of the blocks 1 .. depth, see `Tap`.
            only_taps: leave out what comes behind the deepest tap; the velocity is then empty.

        Returns:
            The velocity (b, c, s, s), and what is tapped in the order of `taps`.
        """
        condition = self.condition(t, y)
        h, tapped = self.through(self.tokens_of(x), condition, taps, only_taps=only_taps)
        return (h.new_empty(0) if only_taps else self.velocity(h, condition)), tapped

    def tokens_of(self, x: Tensor) -> Tensor:
        """What the first block reads of images (b, c, s, s): (b, tokens, width)."""
        return self.x_embedder(x) + self.pos_embed

    def condition(self, t: Tensor, y: Tensor) -> Tensor:
        """What blocks are modulated by, (b, width): of times (b,) and labels (b,)."""
        return self.t_embedder(t) + self.y_embedder(y)

    def through(
        self,
        h: Tensor,
        condition: Tensor,
        taps: Sequence[Tap] = (),
        *,
        only_taps: bool = False,
        added: Mapping[int, Tensor] = NOTHING,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens (b, n, width) behind the last block, or behind the deepest tap, and what is tapped.

        `added` to the output of blocks, by their depth, is what another network says: (b, n, width).
        """
        depths = [tap if isinstance(tap, int) else tap[1] for tap in taps]
        if any(not 1 <= depth <= len(self.blocks) for depth in depths):
            raise ValueError(f"taps {tuple(taps)} must lie between 1 and the depth {len(self.blocks)}")
        tapped: dict[Tap, Tensor] = {}
        for depth, block in enumerate(self.blocks[: max(depths, default=0)] if only_taps else self.blocks, start=1):
            logits: list[Tensor] | None = [] if (ATTENTION, depth) in taps else None
            h = block(h, condition, logits)
            h = h + added[depth] if depth in added else h
            tapped[depth] = h
            if logits is not None:
                tapped[ATTENTION, depth] = logits[0]
        return h, tuple(tapped[tap] for tap in taps)

    def cut(self, block: int) -> "SiT":
        """The same network without the blocks behind one, 1-based."""
        self.blocks = self.blocks[:block]
        return self

    def velocity(self, h: Tensor, condition: Tensor) -> Tensor:
        """Tokens (b, tokens, width) behind the last block -> velocity (b, c, s, s)."""
        return unpatchify(self.final_layer(h, condition), self.patch)

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name, so that methods start with equal backbones.

        Weights are Xavier-uniform, those of the time and label embeddings N(0, 0.02^2), biases 0. Modulations
        and the output layer are 0: a fresh network is 0 and each of its blocks the identity.
        """
        initialise_layers(self, generator_for, silent="final_layer.")

    def take_over(self, sit: "SiT") -> None:
        """Become a SiT of another one's layers, without a copy; that one is not to be used any more."""
        nn.Module.__init__(self)  # the layers are there already
        self.patch, self.width, self.tokens = sit.patch, sit.width, sit.tokens
        self.heads, self.channels, self.size = sit.heads, sit.channels, sit.size
        for name, layer in sit.named_children():
            self.add_module(name, layer)
        self.register_buffer("pos_embed", sit.pos_embed)


def initialise_layers(network: nn.Module, generator_for: GeneratorFor, *, silent: str) -> None:
    """As `SiT.initialise`; what starts with `silent` is 0, too."""
    for name, parameter in network.named_parameters():
        if ".q_norm." in name or ".k_norm." in name:
            fill(parameter, 1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias") or "adaLN_modulation" in name or name.startswith(silent):
            fill(parameter, 0.0)
        elif name.startswith(("t_embedder.", "y_embedder.", "scale_embedder.")):
            normal(parameter, EMBEDDING_STD, generator_for(name))
        else:
            xavier_uniform(parameter, generator_for(name))
