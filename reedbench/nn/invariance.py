"""Self-supervision by invariance: two random views of an image, and the VICReg loss between their embeddings.

Source: Bardes, Ponce and LeCun, ICLR 2022, arXiv:2105.04906 (loss and its weights 25, 25, 1).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reedbench.nn import draws

INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0  # arXiv:2105.04906, section 4.2
TARGET_STD, EPSILON = 1.0, 1e-4  # the hinge of the variance term

DEGREES, SCALE, SHEAR, SHIFT = 15.0, 0.15, 0.15, 1.0  # a digit stays the same digit; shift in pixels
GAIN, NOISE, CUT = 0.2, 0.15, 2  # of the ink; standard deviation in units of [-1, 1]; side of the hole in pixels


def random_view(images: Tensor, generator: np.random.Generator) -> Tensor:
    """A random affine map, ink gain, noise and a square hole for each image (b, c, s, s) in [-1, 1]; paper is -1."""
    b, size = len(images), images.shape[-1]

    def uniform(*shape: int) -> Tensor:
        return 2 * draws.uniform(generator, *shape) - 1

    grid = F.affine_grid(_affine(b, size, uniform), list(images.shape), align_corners=False)
    ink = F.grid_sample(images + 1, grid, align_corners=False) * (1 + GAIN * uniform(b, 1, 1, 1))
    view = ink - 1 + NOISE * draws.normal(generator, *images.shape)
    corner = draws.integers(generator, size - CUT + 1, 2, b, 1)
    inside = (torch.arange(size) >= corner) & (torch.arange(size) < corner + CUT)  # (2, b, size)
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return view.masked_fill(hole, -1.0)


def _affine(b: int, size: int, uniform: Callable[..., Tensor]) -> Tensor:
    """(b, 2, 3) matrices: rotation, anisotropic scale, shear and shift."""
    angle = uniform(b) * math.radians(DEGREES)
    sx, sy, shear = 1 + SCALE * uniform(b), 1 + SCALE * uniform(b), SHEAR * uniform(b)
    shift = uniform(2, b) * (2 * SHIFT / size)
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([cos * sx, shear - sin * sy, shift[0]], 1), torch.stack([sin * sx, cos * sy, shift[1]], 1)]
    return torch.stack(rows, 1)


def vicreg(a: Tensor, b: Tensor) -> Tensor:
    """VICReg between two embeddings (n, d) of the same images: alike, but neither constant nor redundant."""
    loss = INVARIANCE * F.mse_loss(a, b)
    for z in (a, b):
        centred = z - z.mean(0)
        spread = (centred.var(0) + EPSILON).sqrt()
        covariance = centred.T @ centred / (len(z) - 1)
        off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
        loss = loss + VARIANCE * F.relu(TARGET_STD - spread).mean() / 2 + COVARIANCE * off_diagonal / z.shape[1]
    return loss


def two_views(embed: Callable[[Tensor], Tensor], images: Tensor, generator: np.random.Generator) -> Tensor:
    """The loss between the embeddings (n, d) of two random views of images, embedded together."""
    views = torch.cat([random_view(images, generator), random_view(images, generator)])
    return vicreg(*embed(views).chunk(2))
