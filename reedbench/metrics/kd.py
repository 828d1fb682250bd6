"""Kernel distance: unbiased squared MMD with the cubic kernel. Binkowski et al. 2018, arXiv:1801.01401 (KID).

The formulas are torch-fidelity's `kid_features_to_metric`, and its `mmd2` after MMD-GAN, to the last bit (tests
compare); see `fd`.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.metrics import FeatureMetric, Features, _blocks

SEED = 2020  # torch-fidelity's default


class KernelDistance(FeatureMetric):
    """Kernel distance (MMD), averaged over random subsets; unlike the Frechet distance it does not fall with n."""

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Kernel distance"
    cites: ClassVar[tuple[str, ...]] = ("binkowski2018kid",)
    uses: Literal["kd"] = "kd"

    subsets: int = Field(100, ge=1)
    """Number of random subsets (seeded by torch-fidelity's default)."""
    subset_size: int = Field(1000, ge=2)
    """Samples per subset; all of them where there are fewer."""

    def least_n(self) -> int:
        """Fewer give an estimate that is all noise."""
        return 10

    def value(self, generated: Features, reference: Features) -> float:
        """The mean of the estimates; may be slightly negative."""
        size = min(self.subset_size, len(generated), len(reference))
        chance = np.random.RandomState(SEED)
        found = np.zeros(self.subsets)
        pair = (generated, reference)
        for i in range(self.subsets):
            x, y = (_blocks.taken(data.features, chance.choice(len(data), size, replace=False)) for data in pair)
            found[i] = _mmd2(_kernel(x, x), _kernel(x, y), _kernel(y, y))
        return float(np.mean(found))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(m, m) values of (x y / d + 1)^3."""
    values: np.ndarray = (np.matmul(x, y.T) * (1.0 / x.shape[1]) + 1) ** 3
    return values


def _mmd2(xx: np.ndarray, xy: np.ndarray, yy: np.ndarray) -> float:
    """Squared MMD from kernels (m, m) of m rows each, without bias: no row is compared with itself."""
    m = len(xx)
    within = sum((k.sum(axis=1) - np.diagonal(k)).sum() for k in (xx, yy))
    return float(within / (m * (m - 1)) - 2 * xy.sum(axis=0).sum() / (m * m))
