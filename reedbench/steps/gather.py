"""Collects what a report is made from: metric files, curves, previews and one-off costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core import io, paths, provenance
from reedbench.report import source as sources
from reedbench.report.source import Cell, Source
from reedbench.schema import settings
from reedbench.schema.suite import Suite

PREVIEW = 10  # images per method and checkpoint, of the first seed and sampler


def facts(suite: Suite, b: str, methods: Sequence[str]) -> dict[str, Any]:
    """The words and choices of a report."""
    benchmark = suite.benchmark(b)
    backbone = benchmark.backbone
    return {
        **settings.reporting(suite, b, tuple(methods)),
        "benchmark": b,
        "baseline_label": benchmark.methods[benchmark.speedup.baseline].label,
        "domain": benchmark.dataset.domain,
        "backbone": backbone.name(),
    }


def with_baseline(suite: Suite, b: str, methods: Sequence[str]) -> tuple[str, ...]:
    """The methods, and the baseline of the speed-up if it is not among them."""
    baseline = suite.benchmark(b).speedup.baseline
    return tuple(methods) if baseline in methods else (*methods, baseline)


def from_runs(suite: Suite, b: str, cells: Sequence[Cell]) -> tuple[Source, list[str]]:
    """Read the cells' metric files and their runs; returns also the files that were read.

    Raises:
        MissingArtefact: something has not been run yet.
    """
    benchmark = suite.benchmark(b)
    metric_files = [paths.metrics(b, *cell) for cell in cells] + [paths.floor(b)]
    runs = list(dict.fromkeys((m, k) for m, k, _, _ in cells))
    receipts = [paths.receipt(b, m, k, i) for m, k in runs for i in range(settings.segments(suite, b))]
    metrics = sources.records(io.read_json(file) for file in metric_files)
    curves = pd.concat([_curve(suite, b, m, k) for m, k in runs], ignore_index=True)
    first_seed, first_sampler = benchmark.seeds[0], next(iter(benchmark.samplers))
    preview = {
        f"{m}/{step}": _preview(paths.samples(b, m, k, step, s))
        for m, k, step, s in cells
        if k == first_seed and s == first_sampler
    }
    return Source(metrics, curves, preview), [*metric_files, *receipts]


def load(suite: Suite, b: str, methods: Sequence[str], *, cache: bool) -> tuple[Source, list[str]]:
    """The source of a report on some methods, from the committed cache or from runs."""
    cells = settings.cells(suite, b, tuple(methods))
    if cache:
        files = paths.cache_files(b)
        return sources.read_cache(b).only(cells), files
    return from_runs(suite, b, cells)


def available(suite: Suite, b: str) -> list[Cell]:
    """All cells of the benchmark that have been evaluated."""
    every = settings.cells(suite, b, settings.all_methods(suite, b))
    return [cell for cell in every if Path(paths.metrics(b, *cell)).exists()]


def _curve(suite: Suite, b: str, m: str, k: int) -> pd.DataFrame:
    segments = [paths.segment(b, m, k, i) for i in range(settings.segments(suite, b))]
    constants = {"benchmark": b, "method": m, "seed": k, "params": _parameters(segments[0]), **_one_off(suite, b, m)}
    return sources.curve_of(segments, constants)


def _parameters(segment: str) -> int:
    """Trainable parameters that sampling needs: projectors and fixed tables do not count."""
    weights = io.read_tensors(min(io.require(segment).glob("step-*.safetensors")))
    return sum(int(w.size) for name, w in weights.items() if not name.startswith("projectors.") and name != "pos_embed")


def _one_off(suite: Suite, b: str, m: str) -> dict[str, float]:
    """Cost of what a method needs prepared once: captions, encoders and representations, from their sidecars."""
    dataset = suite.benchmark(b).dataset.id
    marks: dict[str, dict[str, Any]] = {}
    for name in settings.method(suite, b, m).encoders():
        for file in _preparation(suite, dataset, name):
            if provenance.sidecar(file).exists():
                marks[file] = provenance.read(file)
    names = ("device_seconds", "cpu_seconds", "flops")
    return {f"oneoff_{name}": provenance.total(marks.values(), name) for name in names}


def _preparation(suite: Suite, dataset: str, name: str) -> list[str]:
    """The cost-bearing artefacts behind a representation."""
    encoder = suite.encoder(dataset, name)
    files = [paths.shards(paths.representation(dataset, name))]
    if (captioner := encoder.reads_captions_of()) is not None:
        files.append(paths.captions(dataset, captioner))
    for each in (name, *encoder.reads_encoders()):
        if suite.encoder(dataset, each).pretrained:
            files.append(paths.weights(paths.encoder(dataset, each)))
    return files


def _preview(file: str) -> np.ndarray:
    with np.load(io.require(file), allow_pickle=False) as arrays:
        images: np.ndarray = arrays["arr_0"][:PREVIEW]
    return images
