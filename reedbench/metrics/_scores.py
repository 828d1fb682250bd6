"""Metrics on scores of the native sequence share this: which times there are, and the error where they do not fit."""

from collections.abc import Sequence

import numpy as np

from reedbench.core.errors import MetricError

SAME = 1e-9  # times closer than this are one time


def near(times: Sequence[float] | np.ndarray, wanted: float | np.ndarray) -> np.ndarray:
    """Where times are those that are wanted."""
    return np.abs(np.asarray(times) - wanted) <= SAME


def other_times(family: str, times: np.ndarray, advice: str) -> MetricError:
    """The error of samples that were scored at times which a metric has no use for."""
    there = ", ".join(f"{time:g}" for time in np.unique(times))
    return MetricError(f"{family}: the sampler scored the native sequence at {there}; {advice}")
