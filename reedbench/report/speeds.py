"""How fast the methods were trained, a line each: rows per second, what a row costs, and how well devices were used."""

import json
from collections.abc import Iterable, Mapping

import pandas as pd

RATE, MFU = "samples_per_second", "mfu"


def lines(curves: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """`REPA: 512 samples/s, 2.2e+12 FLOPs per sample, 47 % of the dense bf16 peak, on 4 x NVIDIA H200`.

    Rates are medians over the rows of all curves of a method. Nothing is said of curves that are older than the rate.
    """
    if RATE not in curves:
        return []
    return [_line(curves[curves["method"] == method], label) for method, label in labels.items()]


def _line(curves: pd.DataFrame, label: str) -> str:
    last = curves.groupby("seed")[["samples_seen", "flops"]].max().sum()
    said = [f"{curves[RATE].median():.4g} samples/s", f"{last['flops'] / last['samples_seen']:.2g} FLOPs per sample"]
    if MFU in curves and curves[MFU].notna().any():
        said.append(f"{100 * curves[MFU].median():.0f} % of the dense bf16 peak")
    if devices := _devices(curves["numerics"].dropna() if "numerics" in curves else ()):
        said.append(f"on {devices}")
    return f"{label}: {', '.join(said)}"


def _devices(recorded: Iterable[str]) -> str:
    every = (one for text in dict.fromkeys(recorded) for one in json.loads(text))
    found = dict.fromkeys((str(one.get("cpu", one.get("device"))), one.get("ranks", 1)) for one in every)
    return ", ".join(name if ranks == 1 else f"{ranks} x {name}" for name, ranks in found)
