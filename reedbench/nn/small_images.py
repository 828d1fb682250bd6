"""Small convolutional networks for small images: a patch encoder and classifiers, all trained in-suite.

They stand in for the pretrained encoders (DINOv2) and extractors (Inception) of the large benchmarks where images are
too small for those or no weights are at hand.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.backbones.sit import Attention, Mlp, PatchEmbedding, position_table


class ResidualUnit(nn.Module):
    """x + conv1x1(gelu(conv3x3(gelu(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same."""
        result: Tensor = x + self.out(F.gelu(self.mix(F.gelu(x))))
        return result


class PatchEncoder(nn.Module):
    """Images (b, c, h, w) -> one token per 2x2 patch (b, h w / 4, dim), row by row, layer-normalised."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, dim // 2, 3, padding=1)
        self.patch = nn.Conv2d(dim // 2, dim, 3, stride=2, padding=1)
        self.unit = ResidualUnit(dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, images: Tensor) -> Tensor:
        """Tokens of the images."""
        h = self.unit(self.patch(F.gelu(self.stem(images))))
        tokens: Tensor = self.norm(h.flatten(2).transpose(1, 2))
        return tokens


class PatchTransformer(nn.Module):
    """A small vision transformer without a class token: square images -> one token per patch, layer-normalised.

    Its blocks are those of arXiv:2010.11929, with fixed positions.
    """

    positions: Tensor

    def __init__(self, channels: int, size: int, patch: int, dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.embed = PatchEmbedding(channels, patch, dim)
        self.attentions = nn.ModuleList(Attention(dim, heads, qk_norm=False) for _ in range(depth))
        self.mlps = nn.ModuleList(Mlp(dim, 4 * dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.register_buffer("positions", position_table(dim, size // patch)[None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Tokens (b, n, dim) of images (b, c, s, s)."""
        return self._through(images)[0]

    def attention(self, images: Tensor) -> Tensor:
        """What the softmax of every block is taken of, (b, depth, heads, n, n)."""
        return torch.stack(self._through(images)[1], 1)

    def _through(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        h, logits = self.embed(images) + self.positions, list[Tensor]()
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            h = h + attention(F.layer_norm(h, h.shape[-1:]), logits)
            h = h + mlp(F.layer_norm(h, h.shape[-1:]))
        tokens: Tensor = self.norm(h)
        return tokens, logits


class Classifier(nn.Module):
    """Images (b, c, h, w) -> logits (b, classes); `features` are the penultimate activations (b, dim)."""

    def __init__(self, channels: int, size: int, dim: int, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()
        )
        self.hidden = nn.Linear(32 * ((size + 1) // 2) ** 2, dim)
        self.head = nn.Linear(dim, classes)

    def features(self, images: Tensor) -> Tensor:
        """Penultimate activations."""
        return F.relu(self.hidden(self.convolutions(images).flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.features(images))
        return logits


class DeepClassifier(nn.Module):
    """Six convolutions in three pairs: images (b, c, h, w) -> logits (b, classes), `features` (b, dim).

    Each convolution is followed by batch normalisation and ReLU, each pair but the last by a maximum over 2x2; the mean
    over what is left of the image are the features. Sides are multiples of 4, or the last pixels do not count.
    """

    def __init__(self, channels: int, dim: int, classes: int) -> None:
        super().__init__()
        widths = (channels, dim // 4, dim // 4, dim // 2, dim // 2, dim, dim)
        layers: list[nn.Module] = []
        for i, (inside, outside) in enumerate(pairwise(widths)):
            layers += [nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i in (1, 3) else []
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(dim, classes)

    def features(self, images: Tensor) -> Tensor:
        """Mean over the image of the last activations."""
        features: Tensor = self.convolutions(images).mean((2, 3))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.features(images))
        return logits
