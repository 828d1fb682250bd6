"""Collects what a report is made from: metric files, curves, previews and one-off costs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core import io, paths, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.domains import rows
from reedbench.report import source as sources
from reedbench.report.source import Cell, Source
from reedbench.schema import settings
from reedbench.schema.suite import Suite


def facts(suite: Suite, b: str, ablation: str | None) -> dict[str, Any]:
    """The words and choices of a report."""
    benchmark = suite.benchmark(b)
    backbone = benchmark.backbone
    return {
        **settings.reporting(suite, b, ablation),
        "benchmark": b,
        "domain": benchmark.dataset.domain,
        "backbone": backbone.name(),
    }


def with_baseline(suite: Suite, b: str, methods: Sequence[str]) -> tuple[str, ...]:
    """The methods, and the baseline of the speed-up if it is not among them."""
    baseline = suite.benchmark(b).speedup.baseline
    return tuple(methods) if baseline in methods else (*methods, baseline)


def load(
    suite: Suite, b: str, methods: Sequence[str], *, cache: bool, previews: bool = False
) -> tuple[Source, list[str]]:
    """The source of a report on some methods, from the committed cache or from runs; and the files that were read.

    Raises:
        MissingArtefact: something is absent, or was made under other settings than the configuration's.
    """
    cells = settings.cells(suite, b, tuple(methods))
    if not cache:
        return from_runs(suite, b, cells, previews=previews)
    source = sources.read_cache(b).only(cells)
    _check_settings(suite, b, source, "export its cache again (reedbench cache export)")
    return source, paths.cache_files(b)


def from_runs(suite: Suite, b: str, cells: Sequence[Cell], *, previews: bool) -> tuple[Source, list[str]]:
    """Read the cells' metric files, their curves and, if wanted, previews; returns also the files that were read.

    Raises:
        MissingArtefact: something has not been run, or was run under other settings than the configuration's.
    """
    metric_files = [paths.metrics(b, *cell) for cell in cells] + [paths.floor(b)]
    runs = list(dict.fromkeys((m, k) for m, k, _, _ in cells))
    receipts = [paths.receipt(b, m, k, i) for m, k in runs for i in range(settings.segments(suite, b))]
    evaluation = settings.key(settings.evaluation(suite, b))
    for file in metric_files:
        provenance.require(file, evaluation)
    metrics = sources.records(io.read_json(file) for file in metric_files)
    curves = pd.concat([_curve(suite, b, m, k) for m, k in runs], ignore_index=True)
    first = (suite.benchmark(b).seeds[0], next(iter(suite.benchmark(b).samplers)))
    shown = {f"{m}/{step}": paths.preview(b, m, k, step, s) for m, k, step, s in cells if (k, s) == first}
    files = list(shown.values()) if previews else []
    preview = {name: io.read_npz(file, ["arr_0"])["arr_0"] for name, file in shown.items()} if previews else {}
    if previews and (index := Path(paths.index(paths.data(settings.dataset_of(suite, b))))).exists():
        files.append(str(index))
        preview |= _real(suite, b)
    source = Source(metrics, curves, preview)
    _check_settings(suite, b, source, "sample and evaluate it again (snakemake does)")
    return source, [*metric_files, *receipts, *_curve_files(suite, b, runs), *files]


def _real(suite: Suite, b: str) -> dict[str, np.ndarray]:
    """Real data to show beside the samples, and what those were asked to be.

    Raises:
        MissingArtefact: the data are damaged, or were prepared under other settings.
    """
    benchmark, data = suite.benchmark(b), settings.dataset_of(suite, b)
    folder, codec, sampling = paths.data(data), benchmark.codec, benchmark.sampling
    provenance.require(paths.index(folder), settings.key(settings.dataset(suite, data)))
    index = rows.index(folder)
    asked = codec.asked(folder, index, sampling.count, sampling.streams)
    return {sources.REAL: codec.real(folder, asked), sources.NAMES: np.array(codec.names(asked))}


def _check_settings(suite: Suite, b: str, source: Source, advice: str) -> None:
    """Every record must come from the recipe, sampling and evaluation that the configuration describes now."""
    evaluation = settings.key(settings.evaluation(suite, b))
    for row in source.metrics.drop_duplicates([*sources.CELL, "recipe", "sampling", "evaluation"]).itertuples():
        floor = row.method == sources.FLOOR
        recipe = None if floor else settings.key(settings.recipe(suite, b, row.method, row.seed))
        sampling = None if floor else settings.key(settings.sampling(suite, b, row.sampler))
        found = tuple(None if pd.isna(value) else value for value in (row.recipe, row.sampling, row.evaluation))
        if found != (recipe, sampling, evaluation):
            cell = row.method if floor else f"{row.method}, seed {row.seed}, step {row.step}, sampler {row.sampler}"
            raise MissingArtefact(f"{b}: {cell} was scored under other settings than the configuration's; {advice}")


def available(suite: Suite, b: str) -> list[Cell]:
    """All cells of the benchmark that have been evaluated."""
    every = settings.cells(suite, b, settings.all_methods(suite, b))
    return [cell for cell in every if Path(paths.metrics(b, *cell)).exists()]


def _curve_files(suite: Suite, b: str, runs: Sequence[tuple[str, int]]) -> list[str]:
    """Curves of some runs, segment by segment."""
    count = settings.segments(suite, b)
    return [f"{paths.segment(b, m, k, i)}/curve.csv" for m, k in runs for i in range(count)]


def _curve(suite: Suite, b: str, m: str, k: int) -> pd.DataFrame:
    recipe = settings.key(settings.recipe(suite, b, m, k))
    receipts = [paths.receipt(b, m, k, i) for i in range(settings.segments(suite, b))]
    for receipt in receipts:
        provenance.require(receipt, recipe)
    read = [io.read_json(receipt) for receipt in receipts]
    constants = {"benchmark": b, "method": m, "seed": k, "params": read[0]["parameters"], **_one_off(suite, b, m, k)}
    constants["terms"] = json.dumps(read[0].get("terms", {}), sort_keys=True)
    # None where a receipt is older than these: nothing is said then.
    numerics = list({io.canonical_json(one): one for receipt in read if (one := receipt.get("numerics"))}.values())
    constants["numerics"] = json.dumps(numerics, sort_keys=True) if numerics else None
    stops = [receipt["stop"] for receipt in read]
    return sources.curve_of(dict(zip(_curve_files(suite, b, [(m, k)]), stops, strict=True)), constants)


def _one_off(suite: Suite, b: str, m: str, k: int) -> dict[str, float]:
    """Cost of what a run needs prepared once: captions, encoders and representations, from their sidecars.

    Raises:
        MissingArtefact: a sidecar is absent; what is not known does not cost nothing.
    """
    dataset = settings.dataset_of(suite, b)
    encoders = settings.encoders(suite, b, m, k).values()
    files = dict.fromkeys(file for name in encoders for file in _preparation(suite, dataset, name))
    marks = [provenance.cost(file) for file in files]
    names = ("device_seconds", "cpu_seconds", "flops")
    return {f"oneoff_{name}": provenance.total(marks, name) for name in names}


def _preparation(suite: Suite, dataset: str, name: str) -> list[str]:
    """The artefacts behind a representation, one per job."""
    encoder = suite.encoder(dataset, name)
    files = [paths.index(paths.representation(dataset, name))]
    if (captioner := encoder.reads_captions_of()) is not None:
        files.append(paths.captions(dataset, captioner))
    trained = [
        each for each in (name, *suite.read_by(dataset, name).values()) if suite.encoder(dataset, each).pretrained
    ]
    return files + [paths.weights(paths.encoder(dataset, each)) for each in trained]
