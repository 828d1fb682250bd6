"""Frechet distance between two Gaussians fitted to features. Heusel et al. 2017, arXiv:1706.08500.

The formula is torch-fidelity's `fid_statistics_to_metric`; moments are float64 with n - 1, as in its `np.cov`.
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import FeatureMetric, Features, _blocks


class FrechetDistance(FeatureMetric):
    """Frechet distance |mu - mu'|^2 + tr(S + S' - 2 sqrt(S S')). Falls with n: compare equal n only."""

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Frechet distance"
    uses: Literal["fd"] = "fd"

    def value(self, generated: Features, reference: Features) -> float:
        """The distance, in squared units of the features."""
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

        statistics = [_moments(generated), _moments(reference)]
        return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def _moments(data: Features) -> dict[str, np.ndarray]:
    mean, covariance = _blocks.moments(data.features)
    return {"mu": mean, "sigma": covariance}
