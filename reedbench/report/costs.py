"""What a run had cost when: every axis on which a speed-up is counted, with or without what was prepared once."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reedbench.report.source import Source

Array = NDArray[np.float64]

AXES: Mapping[str, str] = {"steps": "step", "samples": "samples_seen", "device_seconds": "device_seconds",
                           "cpu_seconds": "cpu_seconds", "flops": "flops"}  # fmt: skip
BASE = {column: f"base_{column}" for column in AXES.values()}  # of the training of what a run learns from
TAUGHT = "taught"  # column of curves: what that is, in words
ONE_OFF = {name: f"oneoff_{name}" for name in ("device_seconds", "cpu_seconds", "flops")}
WITH = "+oneoff"  # added to an axis: with captions, pretrained encoders and representations


class Costs:
    """The costs of every run of a source, over all its ranks, by step."""

    def __init__(self, source: Source) -> None:
        self._curves = source.curves

    @cached_property
    def axes(self) -> list[str]:
        """`steps` first; those `+oneoff` last, where the one-off cost is known (older caches lack that of the CPU)."""
        known = [axis for axis, column in ONE_OFF.items() if column in self._curves]
        return [*AXES, *(f"{axis}{WITH}" for axis in known)]

    def on(self, axis: str, method: str, seed: int, steps: Array) -> Array:
        """Cost of a run on an axis at each of some steps, with the training of what it learns from.

        On an axis `+oneoff` with all that its method needs prepared, which that training is part of.
        """
        name, _, with_one_off = axis.partition("+")
        run, column = self._runs[method, seed], AXES[name]
        once = run[ONE_OFF[name]][0] if with_one_off else self.base(column, method, seed)
        return self.of(column, method, seed, steps) + once

    def base(self, column: str, method: str, seed: int) -> float:
        """What training a run's teacher had cost, up to the step at which it was taken; NaN where nobody knows."""
        run = self._runs[method, seed]
        return float(run[BASE[column]][0]) if method in self._taught else 0.0

    def unknown(self, method: str) -> bool:
        """Whether a method learns from weights of which nobody knows what they had cost."""
        return any(np.isnan(self.base("flops", m, seed)) for m, seed in self._runs if m == method)

    def lacks(self, axis: str, method: str) -> bool:
        """Whether nobody knows what a method had cost on an axis, beside its own training."""
        return any(np.isnan(self.on(axis, m, seed, np.zeros(1))[0]) for m, seed in self._runs if m == method)

    @cached_property
    def _taught(self) -> set[str]:
        return set(self._curves.loc[self._curves[TAUGHT].notna(), "method"]) if TAUGHT in self._curves else set()

    def of(self, column: str, method: str, seed: int, steps: Array) -> Array:
        """A column of a run's curve: interpolated between rows, and from nothing at step 0 to the first row."""
        run = self._runs[method, seed]
        found: Array = np.interp(steps, np.append(0.0, run["step"]), np.append(0.0, run[column]))
        return found

    @cached_property
    def _runs(self) -> dict[tuple[str, int], dict[str, Array]]:
        wanted = [name for name in (*AXES.values(), *ONE_OFF.values(), *BASE.values()) if name in self._curves]
        runs = self._curves.sort_values("step").groupby(["method", "seed"])
        return {_key(key): {name: run[name].to_numpy(np.float64) for name in wanted} for key, run in runs}


def _key(key: object) -> tuple[str, int]:
    method, seed = pd.Series(key).tolist()
    return str(method), int(seed)
