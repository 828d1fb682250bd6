"""A training step and a sampling loop as REPA's authors run them, to be measured against: eager, in half precision.

Written from a description of what is computed (SiT, arXiv:2401.08740; REPA, arXiv:2410.06940, train.py, loss.py and
samplers.py @67f7145), with timm's attention and MLP as they use them. Times run as there, from data to noise.
On a GPU: autocast to float16 with scaled gradients, TF32 elsewhere, AdamW as torch chooses it without being asked, the
weight average in a loop over parameters, the loss read in every step.
"""

import math
from contextlib import nullcontext
from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
from timm.layers import Mlp
from timm.models.vision_transformer import Attention
from torch import Tensor, nn
from torch.nn.functional import normalize

SCALE = 0.18215


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale and shift tokens (b, n, d) by vectors (b, d)."""
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class Block(nn.Module):
    """A block of SiT."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(width, num_heads=heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(width, 4 * width, act_layer=lambda: nn.GELU(approximate="tanh"))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Tokens (b, n, d), condition (b, d)."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, dim=-1)
        x = x + gate_a.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_a, scale_a))
        return x + gate_m.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift_m, scale_m))


class FinalLayer(nn.Module):
    """Tokens to patches."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, values)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Tokens (b, n, d), condition (b, d)."""
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=-1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


class PatchEmbed(nn.Module):
    """Patches to tokens."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, s, s)."""
        return self.proj(x).flatten(2).transpose(1, 2)


class Time(nn.Module):
    """Times to vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """(b,)."""
        frequencies = torch.exp(-math.log(10000) * torch.arange(128, device=t.device) / 128)
        angles = t[:, None].float() * frequencies[None]
        return self.mlp(torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1).to(t.dtype))


class Label(nn.Module):
    """Labels to vectors; in training a tenth of them is dropped."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table, self.classes = nn.Embedding(classes + 1, width), classes

    def forward(self, y: Tensor) -> Tensor:
        """(b,)."""
        if self.training:
            y = torch.where(torch.rand(len(y), device=y.device) < 0.1, self.classes, y)
        return self.embedding_table(y)


class SiT(nn.Module):
    """SiT with one projector; its state dict has the published names."""

    def __init__(self, size: int, patch: int, width: int, depth: int, heads: int, dim: int, tap: int) -> None:
        super().__init__()
        self.patch, self.grid, self.tap = patch, size // patch, tap
        self.x_embedder, self.t_embedder, self.y_embedder = PatchEmbed(4, patch, width), Time(width), Label(1000, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2, width), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        layers = nn.Linear(width, 2048), nn.SiLU(), nn.Linear(2048, 2048), nn.SiLU(), nn.Linear(2048, dim)
        self.projectors = nn.ModuleList([nn.Sequential(*layers)])
        self.final_layer = FinalLayer(width, patch * patch * 4)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """The velocity; in training the projection of the tapped block, too."""
        x = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(y)
        projected = None
        for i, block in enumerate(self.blocks):
            x = block(x, c)
            if i + 1 == self.tap and self.training:
                projected = self.projectors[0](x)
        x, p, g = self.final_layer(x, c), self.patch, self.grid
        x = torch.einsum("nhwpqc->nchpwq", x.reshape(len(x), g, g, p, p, 4))
        return x.reshape(len(x), 4, g * p, g * p), projected

    def fuse(self, fused: bool) -> None:
        """Attention through torch's fused kernels, or as separate products and a softmax."""
        for block in self.blocks:
            block.attn.fused_attn = fused


class EagerTraining:
    """Steps on `moments` (n, 8, s, s), `labels` (n,) and `targets` (n, tokens, dim), which lie on the CPU."""

    def __init__(
        self,
        model: SiT,
        data: dict[str, Tensor],
        batch: int,
        pieces: int,
        device: str,
        half: Any,
        encoder: Any = None,
    ) -> None:
        """With batches in some pieces, and the half precision of the device, or none.

        An encoder is asked for its `tokens` of the data's `images` in place of `targets`.
        """
        self.encoder = encoder and encoder.to(device)
        self.model, self.data, self.device = model.to(device).train(), data, device
        self.rows, self.pieces = batch // pieces, pieces
        self.ema = deepcopy(self.model).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, betas=(0.9, 0.999), weight_decay=0.0)
        self.scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
        self.half = half

    def step(self) -> None:
        """One optimiser step."""
        losses = [self._pass() for _ in range(self.pieces)]
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            averaged = dict(self.ema.named_parameters())
            for name, parameter in self.model.named_parameters():
                averaged[name].mul_(0.9999).add_(parameter, alpha=1 - 0.9999)
        torch.stack(losses).sum().item()

    def _pass(self) -> Tensor:
        """Forward and backward; returns the loss, divided by the number of passes."""
        rows = torch.randint(len(self.data["labels"]), (self.rows,))
        seen = "targets" if self.encoder is None else "images"
        moments, labels, target = (self.data[name][rows].to(self.device) for name in ("moments", "labels", seen))
        if self.encoder is not None:
            with torch.no_grad(), torch.autocast(self.device, self.half) if self.half else nullcontext():
                target = self.encoder.tokens(target)
        mean, std = moments.float().chunk(2, dim=1)
        x, target = (mean + std * torch.randn_like(mean)) * SCALE, target.float()
        t, noise = torch.rand(len(x), 1, 1, 1).to(self.device), torch.randn_like(x)
        with torch.autocast(self.device, self.half) if self.half else nullcontext():
            velocity, projected = self.model((1 - t) * x + t * noise, t.flatten(), labels)
        assert projected is not None
        denoise = ((velocity.float() - (noise - x)) ** 2).mean(dim=(1, 2, 3)).mean()
        aligned = -(normalize(target, dim=-1) * normalize(projected.float(), dim=-1)).sum(-1).mean(1).mean()
        loss = (denoise + 0.5 * aligned) / self.pieces
        self.scaler.scale(loss).backward()
        return loss.detach()


@torch.no_grad()
def euler(model: SiT, noise: Tensor, labels: Tensor, steps: int) -> Tensor:
    """The ODE from t = 1, noise, to 0, with a float64 state and a network in float32."""
    x = noise.double()
    for now, after in pairwise(torch.linspace(1, 0, steps + 1, dtype=torch.float64)):
        t = torch.ones(len(x), device=x.device) * now.float()
        x = x + (after - now) * model(x.float(), t, labels)[0].double()
    return x.float()
