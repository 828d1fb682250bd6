"""The comparison of methods: all numbers of the table, and the tidy CSV (row = method x step x sampler).

The CSV ends in the limits: what is no method and was measured as those were, such as real data in place of samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core.errors import MetricError
from reedbench.report.costs import Costs
from reedbench.report.intervals import Interval, interval
from reedbench.report.paired import Difference, differences
from reedbench.report.source import GUIDED_BY, PAIR, Source
from reedbench.report.speedup import Ratio, Speedup, speedups

HEAD = ["benchmark", "domain", "method", "label", "backbone", "params", "step", "samples_seen", "sampler", "nfe",
        "guidance", "guided_by", "weights", "seeds", "protocol"]  # fmt: skip
COSTS = ["device_seconds", "cpu_seconds", "flops"]
BOUNDS = ("", ".low", ".high")
OVER_SEEDS = (*BOUNDS, ".interval", ".delta", ".delta.low", ".delta.high", ".delta.interval")  # columns of a metric
SPEEDUP = [*(f"speedup_{axis}{bound}" for axis in ("steps", "seconds") for bound in BOUNDS), "speedup_interval",
           "speedup_censored", "speedup_common_from", "speedup_common_to",
           *(f"speedup_to_final{suffix}" for suffix in (*BOUNDS, ".interval", ".censored")),
           "speedup_target"]  # fmt: skip
DATA = "data"  # weights of a limit


@dataclass(frozen=True)
class Comparison:
    """What a table says: its tidy rows, and the speed-ups and paired differences that they hold.

    `facts` holds benchmark, domain, backbone, metrics, columns, speedup and methods (label and note by name); `against`
    is the method that differences are to: the baseline, or the first method where an ablation leaves the baseline out.
    """

    source: Source
    facts: Mapping[str, Any]
    ids: tuple[str, ...]
    against: str
    gains: tuple[Speedup, ...]
    paired: tuple[Difference, ...]
    table: pd.DataFrame

    def gain(self, method: str, sampler: str, axis: str) -> Speedup:
        """The speed-up of a method on an axis."""
        return next(one for one in self.gains if (one.method, one.sampler, one.axis) == (method, sampler, axis))

    def label(self, method: str) -> str:
        """What the table calls a method."""
        known = {self.facts["speedup"]["baseline"]: {"label": self.facts["baseline_label"]}, **self.facts["methods"]}
        return str(known[method]["label"])


def compare(source: Source, facts: Mapping[str, Any]) -> Comparison:
    """Compare the methods of a table; `source` may hold further ones, and must hold the baseline.

    Raises:
        MetricError: a cell lacks a metric that others have, or has it twice.
    """
    methods, baseline = list(facts["methods"]), facts["speedup"]["baseline"]
    against = baseline if baseline in methods else methods[0]
    ids = metric_ids(source, facts["metrics"])
    ends = facts.get("ends", {})
    gains = tuple(speedups(source, facts["speedup"]["metric"], baseline, methods, ends))
    paired = tuple(differences(source, ids, methods, against, ends))
    table = _tidy(source, facts, ids, gains, paired)
    return Comparison(source, facts, tuple(ids), against, gains, paired, table)


def metric_ids(source: Source, families: Sequence[str]) -> list[str]:
    """Metric ids of generated samples in the order of the families."""
    known = source.metrics[source.metrics["step"] >= 0].drop_duplicates("metric")
    return [name for family in families for name in known[known["family"] == family]["metric"]]


def shown_ids(of: Comparison) -> list[str]:
    """Metric ids of the columns that the benchmark selects; of all metrics where it selects none."""
    return metric_ids(of.source, of.facts.get("columns") or of.facts["metrics"])


def limits(of: Comparison) -> Iterator[tuple[str, dict[str, float]]]:
    """What stands beside the results under most of the shown columns' own ids, with its values by metric id."""
    floor, shown = of.source.floor, set(shown_ids(of))
    own = floor[floor["metric"].isin(of.ids)] if "what" in floor else floor[:0].assign(what="")
    for what, kind in own.groupby("what", sort=False):
        values = dict(zip(kind["metric"], kind["value"], strict=True))
        if 2 * len(shown & values.keys()) > len(shown):
            yield str(what), values


def as_csv(of: Comparison) -> str:
    """The tidy table and, below, the limits: full precision, an empty cell for what does not apply.

    A limit has its name as method and label, which no method can have, and neither step nor sampler.
    """
    known = {"benchmark": of.facts["benchmark"], "domain": of.facts["domain"], "weights": DATA}
    rows = [_limit(of, what, values) | known for what, values in limits(of)]
    below = pd.DataFrame(rows, columns=of.table.columns, dtype=object)
    whole = pd.concat([of.table.astype(object), below]) if rows else of.table
    text: str = whole.replace({np.nan: None}).to_csv(index=False, lineterminator="\n")
    return text


def _limit(of: Comparison, what: str, values: Mapping[str, float]) -> dict[str, Any]:
    """Name and values; one draw of data has no interval."""
    own = {name: values[name] for name in of.ids if name in values}
    return {"method": what, "label": what, **own, **{f"{name}.interval": "none" for name in own}}


def _tidy(
    source: Source, facts: Mapping[str, Any], ids: Sequence[str], gains: Sequence[Speedup], paired: Sequence[Difference]
) -> pd.DataFrame:
    """The table of decision 14, with differences per metric, and what belongs to the speed-ups."""
    cells = source.metrics[source.metrics["method"].isin(list(facts["methods"]))]
    order, costs = {name: i for i, name in enumerate(facts["methods"])}, Costs(source)
    drawn = {name: i for i, name in enumerate(facts["protocols"])}
    delta = {(one.method, one.step, one.sampler, one.metric): one.over for one in paired}
    rows = []
    for (method, step, sampler), cell in sorted(
        cells.groupby(["method", "step", "sampler"]),
        key=lambda item: (order[str(item[0][0])], item[0][1], drawn[str(item[0][2])]),
    ):
        key = (str(method), int(str(step)), str(sampler))
        values = {name: _over_seeds(cell, name, key) for name in ids}
        metrics = {k: v for name in ids for k, v in _metric(name, values[name], delta.get((*key, name))).items()}
        gain = _gain(gains, str(method), str(sampler))
        reasons = [gain.pop("reason"), *(reason for name in ids if (reason := _unmeasured(cell, name)))]
        rows.append(
            {
                **_head(facts, key, cell, source, costs),
                **metrics,
                **{name: _mean_cost(costs, cell, name, with_base=True) for name in COSTS},
                **gain,
                "reason": "; ".join(part for part in reasons if part),
            }
        )
    return pd.DataFrame(rows)[
        [*HEAD, *(f"{i}{suffix}" for i in ids for suffix in OVER_SEEDS), *COSTS, *SPEEDUP, "reason"]
    ]


def _head(
    facts: Mapping[str, Any], key: tuple[str, int, str], cell: pd.DataFrame, source: Source, costs: Costs
) -> dict[str, Any]:
    first, (method, step, sampler) = cell.iloc[0], key
    return {
        "benchmark": facts["benchmark"],
        "domain": facts["domain"],
        "method": method,
        "label": facts["methods"][method]["label"],
        "backbone": facts["backbone"],
        "params": int(source.curves[source.curves["method"] == method]["params"].iloc[0]),
        "step": step,
        "samples_seen": round(_mean_cost(costs, cell, "samples_seen")),
        "sampler": sampler,
        "nfe": _whole(cell.drop_duplicates("seed")["nfe"].mean()),
        "guidance": float(first["guidance"]),
        "guided_by": PAIR if pd.isna(by := first.get(GUIDED_BY)) else by,
        "weights": first["weights"],
        "seeds": " ".join(str(seed) for seed in sorted(cell["seed"].unique())),
        "protocol": facts["protocols"][sampler],
    }


def _whole(value: float) -> float | int:
    """Evaluations that were counted have a mean over samples and seeds."""
    return int(value) if value == int(value) else float(value)


def _mean_cost(costs: Costs, cell: pd.DataFrame, column: str, *, with_base: bool = False) -> float:
    """Mean over the cell's seeds; an evaluation may lie between two rows of the curve."""
    method, seeds = cell.iloc[0]["method"], [int(seed) for seed in cell["seed"].unique()]
    at = np.asarray([cell.iloc[0]["step"]], np.float64)
    base = [costs.base(column, method, seed) if with_base else 0.0 for seed in seeds]
    own = [costs.of(column, method, seed, at) for seed in seeds]
    return float(np.mean([a + b for a, b in zip(own, base, strict=True)]))


def _over_seeds(cell: pd.DataFrame, name: str, key: tuple[str, int, str]) -> Interval:
    own, seeds = cell[cell["metric"] == name].sort_values("seed"), sorted(cell["seed"].unique())
    if own["seed"].tolist() != seeds:
        m, step, s = key
        raise MetricError(f"{name}: not one value per seed for {m}, step {step}, sampler {s}; evaluate its cells again")
    return interval(own["value"].tolist())


def _unmeasured(cell: pd.DataFrame, name: str) -> str:
    """Why a metric has no value somewhere in a cell."""
    lost = cell[(cell["metric"] == name) & cell["value"].isna()]
    return f"{name}: {lost['reason'].iloc[0]}" if len(lost) else ""


def _metric(name: str, over: Interval, delta: Interval | None) -> dict[str, Any]:
    """Columns of a metric: value and, but for the method that differences are to, difference."""
    columns = {name: over.mean, f"{name}.low": over.low, f"{name}.high": over.high, f"{name}.interval": over.kind}
    fields = ("mean", "low", "high", "kind")
    suffixes = ("", ".low", ".high", ".interval")
    taken = dict.fromkeys(fields) if delta is None else {field: getattr(delta, field) for field in fields}
    return columns | {f"{name}.delta{s}": taken[field] for s, field in zip(suffixes, fields, strict=True)}


def _gain(gains: Sequence[Speedup], method: str, sampler: str) -> dict[str, Any]:
    own = {one.axis: one for one in gains if (one.method, one.sampler) == (method, sampler)}
    steps = own["steps"]
    return {
        **_ratio("speedup_steps", steps.ratio),
        **_ratio("speedup_seconds", own["device_seconds"].ratio),
        "speedup_interval": steps.ratio.kind,
        "speedup_censored": steps.ratio.censored,
        "speedup_common_from": steps.start,
        "speedup_common_to": steps.end,
        **_ratio("speedup_to_final", steps.to_final),
        "speedup_to_final.interval": steps.to_final.kind,
        "speedup_to_final.censored": steps.to_final.censored,
        "speedup_target": steps.target,
        "reason": steps.reason,
    }


def _ratio(name: str, ratio: Ratio) -> dict[str, Any]:
    return {name: ratio.value, f"{name}.low": ratio.low, f"{name}.high": ratio.high}
