"""What a run had cost when: every axis on which a speed-up is counted, with or without what was prepared once."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reedbench.report.source import Source

AXES: Mapping[str, str] = {"steps": "step", "samples": "samples_seen", "device_seconds": "device_seconds",
                           "cpu_seconds": "cpu_seconds", "flops": "flops"}  # fmt: skip
ONE_OFF = {name: f"oneoff_{name}" for name in ("device_seconds", "cpu_seconds", "flops")}
WITH = "+oneoff"  # added to an axis: with captions, pretrained encoders and representations


def axes(source: Source) -> list[str]:
    """The axes of a source: `steps` first, those `+oneoff` last, where the one-off cost is known."""
    known = [axis for axis, column in ONE_OFF.items() if column in source.curves]
    return [*AXES, *(f"{axis}{WITH}" for axis in known)]


def costs_at(source: Source, method: str, seed: int, axis: str, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cost of a run at each of some steps, on an axis."""
    name, _, with_one_off = axis.partition("+")
    curve = _curve(source, method, seed)
    once = float(curve[ONE_OFF[name]].iloc[0]) if with_one_off else 0.0
    return _between(curve, AXES[name], steps) + once


def cost_at(source: Source, method: str, seed: int, column: str, step: float) -> float:
    """A cost of a run (a column of its curve) at a step."""
    return float(_between(_curve(source, method, seed), column, np.asarray(step, np.float64)))


def _between(curve: pd.DataFrame, column: str, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolated between rows of the curve, and from nothing at step 0 to its first row."""
    at = np.concatenate([[0.0], curve["step"].to_numpy(np.float64)])
    costs = np.concatenate([[0.0], curve[column].to_numpy(np.float64)])
    found: NDArray[np.float64] = np.interp(steps, at, costs)
    return found


def _curve(source: Source, method: str, seed: int) -> pd.DataFrame:
    own = (source.curves["method"] == method) & (source.curves["seed"] == seed)
    return source.curves[own].sort_values("step")
