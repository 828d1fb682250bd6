"""Frechet distance of spatial features: sFID, as the ADM evaluator measures it.

Nash et al. 2021, arXiv:2103.03841; guided-diffusion's evaluations/evaluator.py takes the first 7 channels of
one layer of Inception, flattened by row, column and channel (`encoders.inception`).
"""

from typing import ClassVar, Literal

from reedbench.metrics._frechet import FrechetMetric


class SpatialFrechetDistance(FrechetMetric):
    """Frechet distance of what the extractor sees where in the image. Falls with n: compare equal n only."""

    view: ClassVar[str] = "spatial"
    title: ClassVar[str] = "Spatial Frechet distance"
    cites: ClassVar[tuple[str, ...]] = ("heusel2017fid", "nash2021sparse")
    uses: Literal["sfid"] = "sfid"
