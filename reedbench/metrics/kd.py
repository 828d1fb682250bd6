"""Kernel distance: unbiased squared MMD with the cubic kernel. Binkowski et al. 2018, arXiv:1801.01401 (KID)."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.metrics import FeatureMetric, Features, _blocks


class KernelDistance(FeatureMetric):
    """Kernel distance (MMD), averaged over random subsets; unlike the Frechet distance it does not fall with n."""

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Kernel distance"
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
        from torch_fidelity.helpers import get_kwarg
        from torch_fidelity.metric_kid import kernel_mmd

        # As `kid_features_to_metric`, whose tensors would be all rows in memory.
        size = min(self.subset_size, len(generated), len(reference))
        draws = np.random.RandomState(get_kwarg("rng_seed", {}))

        def some(data: Features) -> np.ndarray:
            return _blocks.taken(data.features, draws.choice(len(data), size, replace=False))

        return float(np.mean([kernel_mmd(some(generated), some(reference)) for _ in range(self.subsets)]))
