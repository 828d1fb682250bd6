"""Kernel distance: unbiased squared MMD with the cubic kernel. Binkowski et al. 2018, arXiv:1801.01401 (KID)."""

from typing import ClassVar, Literal

from pydantic import Field

from reedbench.metrics import FeatureMetric, Features


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
        import torch
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

        size = min(self.subset_size, len(generated), len(reference))
        tensors = [torch.from_numpy(data.features) for data in (generated, reference)]
        result = kid_features_to_metric(*tensors, kid_subsets=self.subsets, kid_subset_size=size, verbose=False)
        return float(result[KEY_METRIC_KID_MEAN])
