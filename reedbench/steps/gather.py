"""Collects what a report is made from: metric files, curves, previews and one-off costs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core import io, paths, provenance, stores
from reedbench.core.errors import MissingArtefact
from reedbench.report import costs
from reedbench.report import source as sources
from reedbench.report.source import Source
from reedbench.schema import reports
from reedbench.schema.cells import Cell, Checkpoint
from reedbench.schema.lineage import pools
from reedbench.schema.runs import Benchmark, Run
from reedbench.steps.asked import asked_of


def facts(benchmark: Benchmark, ablation: str | None) -> dict[str, Any]:
    """The words and choices of a report."""
    shown, seed = benchmark.shown(ablation), benchmark.spec.seeds[0]
    return {
        **reports.reporting(benchmark, ablation),
        "benchmark": benchmark.name,
        "domain": benchmark.spec.dataset.domain,
        "backbone": benchmark.spec.backbone.name(),
        "protocols": {name: reports.protocol(benchmark, name) for name in benchmark.spec.samplers},
        "shown_by": {name: benchmark.run(name, seed).shown_by for name in shown},
    }


def load(
    benchmark: Benchmark, methods: Sequence[str], *, cache: bool, previews: bool = False
) -> tuple[Source, list[str]]:
    """The source of a report on some methods, from the committed cache or from runs; and the files that were read.

    Raises:
        MissingArtefact: something is absent, or was made under other settings than the configuration's.
    """
    cells = benchmark.cells(methods)
    if not cache:
        return from_runs(benchmark, cells, previews=previews)
    source = sources.read_cache(benchmark.name).only([cell.place for cell in cells])
    check_settings(benchmark, source, "export its cache again (reedbench cache export)")
    return source, paths.cache_files(benchmark.name)


def from_runs(benchmark: Benchmark, cells: Sequence[Cell], *, previews: bool) -> tuple[Source, list[str]]:
    """Read the cells' metric files, their curves and, if wanted, previews; returns also the files that were read.

    Raises:
        MissingArtefact: something has not been run, or was run under other settings than the configuration's.
    """
    floor, scoring = paths.floor(benchmark.name), benchmark.scoring
    metric_files = [*(cell.metrics for cell in cells), floor]
    runs = list(dict.fromkeys(cell.run for cell in cells))
    for file in metric_files:
        provenance.require(file, scoring.floor_key if file == floor else scoring.key)
    metrics = sources.records(io.read_object(file, {"method": str, "records": list}) for file in metric_files)
    curves = pd.concat([_curve(run) for run in runs], ignore_index=True)
    first = [cell for cell in cells if (cell.run.seed, cell.sampler) == (benchmark.spec.seeds[0], cell.run.shown_by)]
    shown = {f"{cell.run.method}/{cell.step}": cell.preview for cell in first}
    files = list(shown.values()) if previews else []
    preview = {name: io.read_npz(file, ["arr_0"])["arr_0"] for name, file in shown.items()} if previews else {}
    if previews and (index := Path(paths.index(benchmark.data))).exists():
        files.append(str(index))
        preview |= _real(benchmark)
    source = Source(metrics, curves, preview)
    check_settings(benchmark, source, "sample and evaluate it again (snakemake does)")
    receipts, its_curves = [r for run in runs for r in run.receipts], [c for run in runs for c in run.curves]
    for teacher in dict.fromkeys(teacher for run in runs for teacher in run.lineage):
        receipts.append(teacher.receipt)
        its_curves += [f"{teacher.folder}/curve.csv"] if teacher.run.trained else []
    return source, [*dict.fromkeys([*metric_files, *receipts, *its_curves, *files])]


def _real(benchmark: Benchmark) -> dict[str, np.ndarray]:
    """Real data to show beside the samples, and what those were asked to be.

    Raises:
        MissingArtefact: the data are damaged, or were prepared under other settings.
    """
    folder, codec = benchmark.data, benchmark.spec.codec
    provenance.require(paths.index(folder), benchmark.data_key)
    # The previews are those of the first seed, whatever the method.
    first = benchmark.run(next(iter(benchmark.spec.methods)), benchmark.spec.seeds[0])
    asked = asked_of(first, benchmark.spec.sampling.count)
    return {sources.REAL: codec.real(folder, asked), sources.NAMES: np.array(codec.names(asked))}


def check_settings(benchmark: Benchmark, source: Source, advice: str) -> None:
    """Every record must come from the recipe, sampling and evaluation that the configuration describes now.

    Raises:
        MissingArtefact: one comes from others.
    """
    scoring = benchmark.scoring
    for row in source.metrics.drop_duplicates([*sources.CELL, "recipe", "sampling", "evaluation"]).itertuples():
        floor, wanted = row.method == sources.FLOOR, (None, None, scoring.floor_key)
        if not floor:
            cell = benchmark.cell(row.method, row.seed, row.step, row.sampler)
            wanted = cell.run.key, cell.sampling_key, scoring.key
        found = tuple(None if pd.isna(value) else value for value in (row.recipe, row.sampling, row.evaluation))
        if found != wanted:
            what = row.method if floor else f"{row.method}, seed {row.seed}, step {row.step}, sampler {row.sampler}"
            raise MissingArtefact(
                f"{benchmark.name}: {what} was scored under other settings than the configuration's; {advice}"
            )


def available(benchmark: Benchmark) -> list[Cell]:
    """All cells of the benchmark that have been evaluated."""
    return [cell for cell in benchmark.cells(benchmark.methods) if Path(cell.metrics).exists()]


def _curve(run: Run) -> pd.DataFrame:
    for receipt in run.receipts:
        provenance.require(receipt, run.key)
    read = [stores.receipt(receipt) for receipt in run.receipts]
    constants = {
        "benchmark": run.benchmark.name, "method": run.method, "seed": run.seed,
        "params": read[0]["parameters"], **_one_off(run), **_base(run),
    }  # fmt: skip
    if not run.trained:
        return _of_elsewhere(run, read[0], constants)
    constants["terms"] = json.dumps(read[0].get("terms", {}), sort_keys=True)
    # None where a receipt is older than these: nothing is said then.
    numerics = list({io.canonical_json(one): one for receipt in read if (one := receipt.get("numerics"))}.values())
    constants["numerics"] = json.dumps(numerics, sort_keys=True) if numerics else None
    return sources.curve_of(dict(zip(run.curves, (receipt["stop"] for receipt in read), strict=True)), constants)


def _of_elsewhere(run: Run, receipt: Mapping[str, Any], constants: Mapping[str, Any]) -> pd.DataFrame:
    objective, said = run.objective, receipt["imported"]
    unknown = dict.fromkeys(constants.keys() & {*costs.ONE_OFF.values()}, np.nan)
    origin = {sources.ORIGIN: f"{said['file']} (sha256 {said['sha256'][:12]})"}
    return sources.no_curve(run.course.total, objective.samples_seen(), {**constants, **unknown, **origin})


def _one_off(run: Run) -> dict[str, float]:
    """Cost of what a run needs once before it: captions, encoders and representations, from their sidecars, and the
    training of its teacher up to the step that it takes, with all that this one needed, and the drawing of pools; what
    both need counts once.

    Raises:
        MissingArtefact: a sidecar is absent; what is not known does not cost nothing.
    """
    lineage = run.lineage
    every = [run, *(teacher.run for teacher in lineage)]
    files = dict.fromkeys(file for one in every for name in one.encoders.values() for file in preparation(one, name))
    files |= {paths.index(one.latents): None for one in every if one.latents is not None}
    marks = [provenance.cost(file) for file in files]
    others = [*(_training(teacher) for teacher in lineage), *(_drawing(pool) for pool in pools(every))]
    names = ("device_seconds", "cpu_seconds", "flops")
    return {f"oneoff_{n}": provenance.total(marks, n) + sum(costs[n] for costs in others) for n in names}


def _drawing(pool: Cell) -> dict[str, float]:
    """What the samples of a cell had cost: seconds are recorded, and as often as the network was asked for each of them
    are its operations.

    Raises:
        MissingArtefact: they have not been drawn.
    """
    from reedbench.steps import designing  # with torch: of few reports are there pools
    from reedbench.steps.outlook import Outlook

    said = provenance.cost(pool.samples)
    seconds = {name: provenance.total([said], name) for name in ("device_seconds", "cpu_seconds")}
    if pool.of_training:
        return {**seconds, "flops": designing.operations(pool)}
    drawn = Outlook(pool.run.benchmark).drawing(pool, said["notes"]["nfe"])
    return {**seconds, "flops": drawn.known if drawn.complete else np.nan}


def _base(run: Run) -> dict[str, Any]:
    """What a run learns from, in words, and the costs of training that; nothing of one that has no teacher."""
    if not (lineage := run.lineage):
        return {}
    trainings = [_training(teacher) for teacher in lineage]
    names = [
        one.run.method if one.run.benchmark == run.benchmark else f"{one.run.benchmark.name}/{one.run.method}"
        for one in lineage
    ]
    said = [f"{name} at step {one.step}" for name, one in zip(names, lineage, strict=True)]
    return {
        costs.TAUGHT: ", then ".join(said),
        **{column: sum(training[name] for training in trainings) for name, column in costs.BASE.items()},
    }


def _training(teacher: Checkpoint) -> dict[str, float]:
    """What a run had cost up to a step: a row of its curve ends at every save point; of weights from outside nothing is
    known.

    Raises:
        MissingArtefact: it has not been trained, or was trained under another recipe.
    """
    run = teacher.run
    if not run.trained:
        known = {"step": float(teacher.step), "samples_seen": float(run.objective.samples_seen())}
        return {**dict.fromkeys(sources.CURVE, np.nan), **known}
    provenance.require(teacher.receipt, run.key)
    curve = sources.curve_of({f"{teacher.folder}/curve.csv": stores.receipt(teacher.receipt)["stop"]}, {})
    (row,) = curve[curve["step"] == teacher.step].to_dict("records")
    return {str(name): float(value) for name, value in row.items() if name in sources.CURVE}


def preparation(run: Run, name: str) -> list[str]:
    """The artefacts behind what a run learns of an encoder, one per job."""
    suite, dataset = run.benchmark.suite, run.benchmark.dataset
    files = [paths.index(paths.representation(dataset, name))] if name in run.cached.values() else []
    if (captioner := suite.encoder(dataset, name).reads_captions_of()) is not None:
        files.append(paths.captions(dataset, captioner))
    trained = [
        each for each in (name, *suite.read_by(dataset, name).values()) if suite.encoder(dataset, each).pretrained
    ]
    return files + [paths.weights(paths.encoder(dataset, each)) for each in trained]
