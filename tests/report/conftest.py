"""A hand-made source: runs with known curves, of which every number of a report can be worked out by hand."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reedbench.codecs.pixels import Pixels
from reedbench.report import source as sources
from reedbench.report.source import Source

SECONDS, CPU, FLOPS, BATCH = 2.0, 3.0, 1e6, 8  # per step
TERMS = '{"patches@1": "cosine"}'
Values = Mapping[tuple[str, int], Sequence[float]]  # (method, seed) -> value of fd@x at each step


def _record(family: str, value: float, direction: str, n: int, protocol: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metric": f"{family}.v1-n{n}", "family": family, "value": value, "n": n, "unit": "", "direction": direction,
        "version": 1, "spread": {"kind": "none", "reason": "1 stream"}, "protocol": dict(protocol),
    }  # fmt: skip


def _body(method: str, seed: int, step: int, records: list[dict[str, Any]], sampler: str = "ode") -> dict[str, Any]:
    cell = {"benchmark": "b", "method": method, "seed": seed, "step": step, "sampler": sampler, "weights": "ema"}
    return {**cell, "nfe": 50, "guidance": 1.5, "records": records}


def _source(
    values: Values,
    steps: Sequence[int] = (100, 200, 300, 400),
    oneoff: Mapping[str, float] | None = None,
    slower: Mapping[str, float] | None = None,
    direction: str = "lower",
    floor: bool = True,
    log_every: int = 50,
) -> Source:
    """`oneoff`: seconds (and a million times as many FLOPs) prepared once; `slower`: factor on a method's costs."""
    bodies = []
    for (method, seed), numbers in values.items():
        for step, value in zip(steps, numbers, strict=True):
            accuracy = _record("accuracy@x", 0.5 + 0.1 * seed, "higher", 64, {"uses": "accuracy"})
            bodies.append(_body(method, seed, step, [_record("fd@x", value, direction, 64, {"uses": "fd"}), accuracy]))
    if floor:
        bodies.append({"benchmark": "b", "method": "floor", "records": [_record("fd@x", 0.25, direction, 30, {})]})
    curves = []
    for method, seed in values:
        at = np.arange(log_every, max(steps) + 1, log_every)
        factor, once = (slower or {}).get(method, 1.0), (oneoff or {}).get(method, 0.0)
        curves.append(
            pd.DataFrame(
                {
                    "step": at, "samples_seen": at * BATCH, "denoise": 1 / at, "device_seconds": at * SECONDS * factor,
                    "cpu_seconds": at * CPU * factor, "flops": at * FLOPS * factor, "benchmark": "b", "method": method,
                    "seed": seed, "params": 1234, "oneoff_device_seconds": once, "oneoff_cpu_seconds": once,
                    "oneoff_flops": once * 1e6, "terms": TERMS,
                    **({} if method == "sit" else {"patches@1": -at / 1000}),
                }
            )
        )  # fmt: skip
    methods = dict.fromkeys(method for method, _ in values)
    rng = np.random.default_rng(0)
    preview = {f"{m}/{step}": rng.integers(0, 256, (6, 4, 4, 1), dtype=np.uint8) for m in methods for step in steps}
    return Source(sources.records(bodies), pd.concat(curves, ignore_index=True), preview)


def _lost(source: Source, reason: str, **where: Any) -> Source:
    """The same, but for values that were not measured: those of `fd@x` with these columns."""
    metrics = source.metrics.assign(reason=None)
    rows = (metrics["family"] == "fd@x") & (metrics[list(where)] == pd.Series(where)).all(axis=1)
    assert rows.any()
    metrics.loc[rows, ["value", "reason"]] = [np.nan, reason]
    return dataclasses.replace(source, metrics=metrics)


@pytest.fixture
def make_source() -> Callable[..., Source]:
    """Makes a source from the values of one metric per (method, seed) over steps."""
    return _source


@pytest.fixture
def lose() -> Callable[..., Source]:
    """Takes values of one metric away, with a reason: `lose(source, reason, method=..., step=...)`."""
    return _lost


@pytest.fixture
def make_records() -> Callable[..., pd.DataFrame]:
    """Makes metric rows of cells given as (method, seed, step, family, value, n, protocol)."""

    def make(*cells: tuple[str, int, int, str, float, int, Mapping[str, Any]]) -> pd.DataFrame:
        return sources.records(
            _body(m, k, step, [_record(family, value, "lower", n, protocol)])
            for m, k, step, family, value, n, protocol in cells
        )

    return make


@pytest.fixture
def make_body() -> Callable[[str], dict[str, Any]]:
    """Makes the metric file of a method's cell at step 100."""
    return lambda method: _body(method, 0, 100, [_record("fd@x", 1.0, "lower", 64, {"uses": "fd"})])


@pytest.fixture
def three_seeds(make_source: Callable[..., Source]) -> Source:
    """Two methods, three seeds, four evaluations; REPA reaches SiT's end at a third of the way and costs twice."""
    return make_source(
        {
            **{("sit", k): [40.0 + k, 20.0 + k, 12.0 + k, 10.0 + k] for k in range(3)},
            **{("repa", k): [20.0 + k, 10.0 + k, 6.0 + k, 5.0 + k] for k in range(3)},
        },
        oneoff={"repa": 100.0},
        slower={"repa": 2.0},
    )


@pytest.fixture
def facts() -> dict[str, Any]:
    """What a report of `three_seeds` says in words. REPA comes first in the benchmark file."""
    return {
        "benchmark": "b", "domain": "image", "backbone": "SiT-64x6/2", "title": "B", "description": "",
        "methods": {"repa": {"label": "REPA_x 50%", "note": "A note."}, "sit": {"label": "SiT", "note": ""}},
        "protocols": {"ode": "euler steps=50; pixels; balanced labels; fp32"},
        "shown_by": {"repa": "ode", "sit": "ode"},
        "places": {"sit": 0, "repa": 1}, "seeds": [0, 1, 2], "codec": Pixels(), "cached": True,
        "titles": {
            "fd@x": {"title": "Frechet distance, x", "direction": "lower", "unit": ""},
            "accuracy@x": {"title": "accuracy, x", "direction": "higher", "unit": "share"},
        },
        "metrics": ["fd@x", "accuracy@x"], "baseline_label": "SiT", "speedup": {"metric": "fd@x", "baseline": "sit"},
    }  # fmt: skip
