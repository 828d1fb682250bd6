"""Frechet distance between two Gaussians fitted to features. Heusel et al. 2017, arXiv:1706.08500.

The formula is torch-fidelity's `fid_statistics_to_metric` to the last bit (tests compare); moments are float64 with
n - 1, as in its `np.cov`. It is written out, as importing torch-fidelity takes longer than all metrics of a small cell.
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import FeatureMetric, Features, Moments, _blocks


class FrechetMetric(FeatureMetric):
    """Frechet distance |mu - mu'|^2 + tr(S + S' - 2 sqrt(S S')). Falls with n: compare equal n only."""

    cites: ClassVar[tuple[str, ...]] = ("heusel2017fid",)
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    of_moments: ClassVar[bool] = True

    def value(self, generated: Features, reference: Features) -> float:
        """The distance, in squared units of the features."""
        return distance(moments(generated), moments(reference))


def moments(data: Features) -> Moments:
    """Those that were published with a reference, else of the rows."""
    return data.moments or _blocks.moments(data.features)


def distance(one: Moments, other: Moments) -> float:
    """Between Gaussians with these moments."""
    (mu, sigma), (other_mu, other_sigma) = one, other
    apart = mu - other_mu
    roots = np.sqrt(np.linalg.eigvals(sigma.dot(other_sigma)).astype(np.complex128)).real
    return float(apart.dot(apart) + np.trace(sigma) + np.trace(other_sigma) - 2 * np.sum(roots))
