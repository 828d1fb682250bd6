"""What tables and figures are made from: three plain collections, read from runs or from the committed cache.

`metrics`: one row per metric record (benchmark, method, seed, step, sampler, nfe, guidance, weights, metric, family,
value, n, unit, direction, version, spread, protocol; digests of recipe, sampling and evaluation). There is `reason`
where some value is missing: why it was not measured; `what` where the floor says what it is; `guided_by` where some
network is guided by itself (without it a second evaluation is meant); and `values` where a metric knows a number of
each sample: JSON, their quantiles (`steps.records`). `curves`: one row per log interval of a
run, with its loss terms, its costs so far, and constants of the run (`terms`: JSON, the kind of each loss term); of a
run that was trained elsewhere (`origin` says where) one row at its step, with costs of NaN: unknown.
`preview`: the first samples of a cell, uint8, by `method/step`; under `REAL` real data of the same kind, and under
`NAMES` what each sample was asked to be (where the data set was at hand).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core import io, paths
from reedbench.core.errors import MetricError, MissingArtefact

FLOOR = "floor"
REAL, NAMES = "real", "names"  # keys of a preview that are no cell's
Cell = tuple[str, int, int, str]  # method, seed, step, sampler
CELL = ["method", "seed", "step", "sampler"]
ORIGIN = "origin"  # column of curves: where weights come from that were not trained here
CURVE = ("step", "samples_seen", "device_seconds", "cpu_seconds", "flops")  # columns that every curve has
DRAWN = ("sampling", "guidance", "precision", "labels")  # how samples were, which rows of a table share
JSON = ("spread", "protocol", "values")  # parts of a record that are texts in a table
GUIDED_BY, PAIR = "guided_by", "pair"  # column of metrics, and what its absence means
SETTINGS = ("recipe", "sampling", "evaluation")  # digests of what a record was made under


@dataclass(frozen=True)
class Source:
    """Everything a report of one benchmark can say."""

    metrics: pd.DataFrame
    curves: pd.DataFrame
    preview: Mapping[str, np.ndarray]

    @property
    def floor(self) -> pd.DataFrame:
        """What real data score against real data, or the best that is possible."""
        return self.metrics[(self.metrics["method"] == FLOOR) & self.metrics["value"].notna()]

    @property
    def elsewhere(self) -> dict[str, str]:
        """Methods that were not trained here, and where their weights come from."""
        if ORIGIN not in self.curves:
            return {}
        known = self.curves.dropna(subset=ORIGIN)
        return dict(zip(known["method"], known[ORIGIN], strict=True))

    @property
    def last(self) -> pd.DataFrame:
        """Records of every method's last step; they may differ where some were not trained here."""
        own = self.metrics[self.metrics["step"] >= 0]
        return own[own["step"] == own.groupby("method")["step"].transform("max")]

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """Methods and the samplers that drew from them."""
        own = self.metrics[self.metrics["step"] >= 0][["method", "sampler"]].drop_duplicates()
        return {(str(method), str(sampler)) for method, sampler in own.itertuples(index=False)}

    def undrawn(self, methods: Iterable[str]) -> dict[str, list[str]]:
        """Of each method the samplers that drew from others and not from it; those that every sampler drew from are
        left out."""
        pairs = self.pairs
        samplers = [str(name) for name in self.metrics["sampler"].dropna().unique()]
        lacking = {method: [name for name in samplers if (method, name) not in pairs] for method in methods}
        return {method: names for method, names in lacking.items() if names}

    def only(self, cells: Sequence[Cell]) -> "Source":
        """The given cells (and the floor).

        Raises:
            MissingArtefact: some cell has no record.
        """
        index = pd.MultiIndex.from_frame(self.metrics[CELL])
        wanted = pd.MultiIndex.from_tuples(list(cells), names=CELL)
        if len(missing := wanted.difference(index.unique())):
            m, k, step, s = missing[0]
            raise MissingArtefact(
                f"no metrics for {m}, seed {k}, step {step}, sampler {s} "
                f"({len(missing)} of {len(cells)} cells missing); run the benchmark, or export its cache again"
            )
        methods = {cell[0] for cell in cells}
        keep = index.isin(wanted) | (self.metrics["method"] == FLOOR).to_numpy()
        curves = self.curves[self.curves["method"].isin(methods)]
        preview = {
            name: images for name, images in self.preview.items() if name.split("/")[0] in {*methods, REAL, NAMES}
        }
        return Source(self.metrics[keep].reset_index(drop=True), curves.reset_index(drop=True), preview)


def records(bodies: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Metric files -> one row per record.

    Raises:
        MetricError: two records have one metric id and two protocols, and must not share a column; or samples of one
            sampler were drawn under two settings, and must not share rows.
    """
    rows: list[dict[str, Any]] = []
    protocols: dict[str, str] = {}
    drawn: dict[Any, dict[str, Any]] = {}
    for body in bodies:
        if body["method"] != FLOOR:
            _check_drawn(body, drawn)
        cell = {name: body.get(name) for name in ("benchmark", "method", "sampler", "weights", *SETTINGS)}
        numbers = {"seed": -1, "step": -1, "nfe": 0, "guidance": 1.0}
        cell |= {name: body.get(name, default) for name, default in numbers.items()}
        cell |= {name: body[name] for name in (GUIDED_BY,) if name in body}
        for record in body["records"]:
            plain = {k: v for k, v in record.items() if k not in JSON}
            texts = {name: json.dumps(record[name], sort_keys=True) for name in JSON if name in record}
            protocol = texts["protocol"]
            # The floor compares halves: its reference is smaller by design, and so is its n.
            if body["method"] != FLOOR and protocols.setdefault(record["metric"], protocol) != protocol:
                raise MetricError(
                    f"{record['metric']}: measured under two protocols ({protocol} and {protocols[record['metric']]}); "
                    "evaluate all cells again"
                )
            rows.append({**cell, **plain, **texts})
    return pd.DataFrame(rows)


def _check_drawn(body: Mapping[str, Any], drawn: dict[Any, dict[str, Any]]) -> None:
    """Samples of all cells of a sampler must have been drawn alike; `drawn` says how the first one's were."""
    now = {name: body.get(name) for name in DRAWN}
    before = drawn.setdefault(body.get("sampler"), now)
    if now != before:
        name = next(name for name in DRAWN if now[name] != before[name])
        raise MetricError(
            f"sampler {body['sampler']}: {body['method']}, step {body['step']}, was drawn with {name} {now[name]}, and "
            f"another cell with {before[name]}; sample and evaluate all cells again"
        )


def curve_of(files: Mapping[str, int], constants: Mapping[str, Any]) -> pd.DataFrame:
    """The curve of a run from its segments' CSV files, with the run's constants as columns.

    Args:
        files: the last step of each file, by its path.
        constants: values of further columns.

    Raises:
        MissingArtefact: a file is absent, or is not a whole curve.
    """
    parts = []
    for file, stop in files.items():
        try:
            part = pd.read_csv(io.require(file))
        except ValueError as error:  # pandas' errors for what is no CSV
            raise MissingArtefact(f"{file}: not a CSV file ({error}); train its segment again") from error
        if not set(CURVE) <= set(part.columns) or part["step"].iloc[-1:].tolist() != [stop]:
            raise MissingArtefact(f"{file}: not the whole curve up to step {stop}; train its segment again")
        parts.append(part)
    return pd.concat(parts, ignore_index=True).assign(**constants)


def no_curve(step: int, samples_seen: int, constants: Mapping[str, Any]) -> pd.DataFrame:
    """What stands for the curve of a run that was trained elsewhere: its one step, and no costs.

    Args:
        step: of the weights.
        samples_seen: until then.
        constants: values of further columns; of `ORIGIN` too.
    """
    unknown = dict.fromkeys(("device_seconds", "cpu_seconds", "flops"), np.nan)
    return pd.DataFrame([{"step": step, "samples_seen": samples_seen, **unknown, **constants}])


def read_cache(benchmark: str) -> Source:
    """The committed cache of a benchmark.

    Raises:
        MissingArtefact: there is none, or it is damaged.
    """
    folder = Path(paths.cache(benchmark))
    metrics, curves = (io.read_table(folder / f"{name}.parquet").to_pandas() for name in ("metrics", "curves"))
    return Source(metrics, curves, io.read_npz(folder / "preview.npz"))


def write_cache(benchmark: str, source: Source, made_from: Mapping[str, Any]) -> list[str]:
    """Write the cache of a benchmark; returns its files."""
    folder = Path(paths.cache(benchmark))
    for name, table in (("metrics", source.metrics), ("curves", source.curves)):
        with io.atomic(folder / f"{name}.parquet") as part:
            table.to_parquet(part, index=False)
    io.write_npz(folder / "preview.npz", source.preview, compressed=True)
    files = paths.cache_files(benchmark)
    io.write_json(paths.cache_record(benchmark), {**made_from, "sha256": {file: io.sha256(file) for file in files}})
    return [*files, paths.cache_record(benchmark)]
