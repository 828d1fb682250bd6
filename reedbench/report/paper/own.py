"""Own results that measure what papers print: of the benchmarks that config/paper.yaml names, and of no other.

They are read from finished metrics files and from committed caches; nothing is made or asked for.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from reedbench.core import io, paths, provenance
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.report import intervals
from reedbench.report import source as sources
from reedbench.report.intervals import Interval
from reedbench.report.paper.protocol import Protocol, of_cell
from reedbench.schema import runs
from reedbench.schema.cells import Cell
from reedbench.schema.paper import Measured, Paper
from reedbench.schema.published_row import METRICS, Published
from reedbench.schema.runs import Benchmark
from reedbench.schema.suite import Suite

UNITS: Final = {("share", "%"): 100.0}  # by what an own unit is multiplied to give the papers'
OWN_REFERENCE = "reference of the suite"  # evaluator of a number that is not to the published reference
Origin = Literal["runs", "cache"]
Place = tuple[str, int, str]  # method, step and sampler, as this suite calls them


@dataclass(frozen=True)
class OwnCell:
    """A number of ours in place of a paper's: a method's metric after some training, drawn by a sampler.

    Attributes:
        benchmark: which measured it.
        data: the data set, as papers call it; likewise
        backbone: the network,
        method: the method, and
        metric: the metric.
        baseline: the method against which the order must be the papers'.
        steps: of training.
        epoch: steps that count as an epoch.
        sampler: its name in the benchmark's file.
        values: by seed, in the papers' unit.
        seeds: how many the benchmark has.
        protocol: how it was measured.
        origin: `runs` of this working directory, or the committed `cache`.
        imported: whether the weights come from a published checkpoint.
        files: that were read.
    """

    benchmark: str
    data: str
    backbone: str
    method: str
    metric: str
    baseline: str
    steps: int
    epoch: int
    sampler: str
    values: Mapping[int, float]
    seeds: int
    protocol: Protocol
    origin: Origin = "runs"
    imported: bool = False
    files: tuple[str, ...] = ()

    @property
    def over_seeds(self) -> Interval:
        """Mean and interval."""
        return intervals.interval(list(self.values.values()))

    def measures(self, row: Published) -> bool:
        """Whether it is what a row prints, the protocol aside; of a variant of a method it is not."""
        names = ("data", "backbone", "method", "metric")
        same = all(getattr(self, name) == getattr(row, name) for name in names) and not row.setting
        return same and self.steps == (row.steps if row.steps is not None else (row.epochs or 0) * self.epoch)


@dataclass
class Own:
    """Everything that was found.

    Attributes:
        cells: in the order of config/paper.yaml and of the benchmarks.
        refused: results that cannot be used, with the reason, one sentence each.
    """

    cells: list[OwnCell] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def read(paper: Paper, suite: Suite) -> Own:
    """Results of the benchmarks that measure what papers print; of a cell that was run here the cache is not asked.

    Raises:
        ConfigError: the suite has no such benchmark, or one whose data are embedded, which are no paper's.
    """
    own = Own()
    for name, one in paper.measured.items():
        benchmark = runs.benchmark(suite, name)
        if benchmark.spec.dataset.embedded:
            raise ConfigError(f"{paths.PAPER}: measured.{name}: has embedded data, which are no paper's: take it out")
        by_place: dict[Place, tuple[Origin, pd.DataFrame]] = {}
        for place, records in _places(_cached(benchmark, one, own.refused)):
            by_place[place] = "cache", records
        for place, records in _places(_run(benchmark, one, own.refused)):
            by_place[place] = "runs", records
        for (method, step, sampler), (origin, records) in by_place.items():
            cell = benchmark.cell(method, benchmark.spec.seeds[0], step, sampler)
            own.cells += _cells(cell, one, records, origin, own.refused)
    return own


def _places(records: pd.DataFrame) -> Iterator[tuple[Place, pd.DataFrame]]:
    for (method, step, sampler), group in _grouped(records, ["method", "step", "sampler"]):
        yield (str(method), int(step), str(sampler)), group


def _grouped(records: pd.DataFrame, by: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    if len(records):
        yield from records.groupby(by, sort=False)


def _run(benchmark: Benchmark, one: Measured, refused: list[str]) -> pd.DataFrame:
    """Records of the cells that have been evaluated here."""
    bodies = []
    for cell in benchmark.cells(one.methods):
        if not Path(cell.metrics).exists():
            continue
        try:
            provenance.require(cell.metrics, benchmark.scoring.key)
            body = io.read_object(cell.metrics, {"method": str, "records": list})
        except MissingArtefact as error:
            refused.append(str(error))
            continue
        if _is_current(cell, body):
            bodies.append(body)
        else:
            refused.append(
                f"{cell.metrics}: made under other settings than the configuration's: snakemake {cell.metrics}"
            )
    return sources.records(bodies)


def _cached(benchmark: Benchmark, one: Measured, refused: list[str]) -> pd.DataFrame:
    """Records of the committed cache, if there is one."""
    if not Path(paths.cache_record(benchmark.name)).exists():
        return pd.DataFrame()
    records = sources.read_cache(benchmark.name).metrics
    records = records[records["method"].isin(list(one.methods))]
    kept = []
    for (method, seed, step, sampler), group in _grouped(records, sources.CELL):
        try:
            cell = benchmark.cell(str(method), int(seed), int(step), str(sampler))
            current = _is_current(cell, group.iloc[0])
        except ConfigError:  # a method or sampler that the configuration no longer has
            current = False
        if current:
            kept.append(group)
        else:
            what = f"{method}, seed {seed}, step {step}, sampler {sampler}"
            refused.append(f"{paths.cache(benchmark.name)}: {what}: made under other settings than the configuration's")
    return pd.concat(kept) if kept else pd.DataFrame()


def _is_current(cell: Cell, said: Any) -> bool:
    """Whether a record was made under the settings that the configuration has now."""
    now = cell.run.key, cell.sampling_key, cell.run.benchmark.scoring.key
    return tuple(said.get(name) for name in sources.SETTINGS) == now


def _cells(cell: Cell, one: Measured, records: pd.DataFrame, origin: Origin, refused: list[str]) -> Iterator[OwnCell]:
    """What the records of all seeds of a cell say on the papers' metrics."""
    benchmark = cell.run.benchmark
    for metric, family in one.metrics.items():
        there = records[records["family"] == family]
        lost = there[there["value"].isna()]
        for record in lost.to_dict("records"):
            where = benchmark.cell(*(record[name] for name in sources.CELL)).title
            refused.append(f"{where}: {family}: {record['reason']}")
        there = there[there["value"].notna()]
        if there.empty:
            continue
        first = there.iloc[0]
        scale = UNITS.get((str(first["unit"]), METRICS[metric].unit), 1.0)
        values = {int(seed): scale * float(value) for seed, value in zip(there["seed"], there["value"], strict=True)}
        yield OwnCell(
            benchmark=benchmark.name,
            data=one.data,
            backbone=one.backbone,
            method=one.methods[cell.run.method],
            metric=metric,
            baseline=one.methods[one.baseline],
            steps=cell.step,
            epoch=one.epoch,
            sampler=cell.sampler,
            values=values,
            seeds=len(benchmark.spec.seeds),
            protocol=of_cell(cell, int(first["n"]), _evaluator(benchmark, one, family, first["protocol"])),
            origin=origin,
            imported=not cell.run.trained,
            files=_files(cell, list(values), origin),
        )


def _evaluator(benchmark: Benchmark, one: Measured, family: str, protocol: str) -> str:
    """Whose evaluator a number agrees with: nobody's if it is to rows of this suite in place of the published file."""
    metric = next(metric for metric in benchmark.spec.metrics if metric.family == family)
    compares = metric.compares and bool(metric.extractors())
    own = one.protocol.evaluator and compares and not json.loads(protocol).get("published")
    return OWN_REFERENCE if own else one.protocol.evaluator


def _files(cell: Cell, seeds: Sequence[int], origin: Origin) -> tuple[str, ...]:
    benchmark = cell.run.benchmark
    if origin == "cache":
        return (f"{paths.cache(benchmark.name)}/metrics.parquet",)
    return tuple(benchmark.cell(cell.run.method, seed, cell.step, cell.sampler).metrics for seed in seeds)
