"""Frechet distance between two Gaussians fitted to features; under Inception's pool features, FID."""

from typing import ClassVar, Literal

from reedbench.metrics._frechet import FrechetMetric


class FrechetDistance(FrechetMetric):
    """Frechet distance |mu - mu'|^2 + tr(S + S' - 2 sqrt(S S')). Falls with n: compare equal n only."""

    title: ClassVar[str] = "Frechet distance"
    uses: Literal["fd"] = "fd"
