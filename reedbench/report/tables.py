"""The comparison table: tidy CSV (row = method x step x sampler), and a readable digest as Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core.errors import MetricError
from reedbench.report import clusters
from reedbench.report.intervals import Interval, interval, kind_of
from reedbench.report.source import HALVES, Source
from reedbench.report.speedup import cost_at, speedups

HEAD = ["benchmark", "domain", "method", "label", "backbone", "params", "step", "samples_seen", "sampler", "nfe",
        "guidance", "weights", "seeds"]  # fmt: skip
COSTS = ["device_seconds", "cpu_seconds", "flops"]
SPEEDUP = ["speedup_steps", "speedup_steps.low", "speedup_steps.high", "speedup_seconds", "speedup_seconds.low",
           "speedup_seconds.high", "speedup_interval", "speedup_target"]  # fmt: skip
ARROWS = {"lower": "↓", "higher": "↑"}


def tidy(source: Source, facts: Mapping[str, Any]) -> pd.DataFrame:
    """The table of decision 14, and the kind of the speed-ups' interval.

    `facts` holds benchmark, domain, backbone, metrics, speedup and methods (label and note by name). `source` may hold
    further methods, and must hold the baseline.

    Raises:
        MetricError: a cell lacks a metric that others have, or has it twice.
    """
    ids = metric_ids(source, facts["metrics"])
    cells = source.metrics[source.metrics["method"].isin(list(facts["methods"]))]
    gains = speedups(source, facts["speedup"]["metric"], facts["speedup"]["baseline"], list(facts["methods"]))
    order = {name: i for i, name in enumerate(facts["methods"])}
    rows = []
    for (method, step, sampler), cell in sorted(
        cells.groupby(["method", "step", "sampler"]), key=lambda item: (order[str(item[0][0])], item[0][1], item[0][2])
    ):
        values, gain = _metrics(cell, ids), _gain(gains, str(method), str(sampler))
        rows.append(
            {
                **_head(facts, str(method), int(step), str(sampler), cell, source),
                **values,
                **{name: _mean_cost(source, cell, name) for name in COSTS},
                **gain,
                "reason": "; ".join(part for part in (gain["reason"], *values["unmeasured"]) if part),
            }
        )
    columns = [*HEAD, *(f"{i}{suffix}" for i in ids for suffix in ("", ".low", ".high", ".interval")), *COSTS, *SPEEDUP]
    return pd.DataFrame(rows)[[*columns, "reason"]]


def metric_ids(source: Source, families: Sequence[str]) -> list[str]:
    """Metric ids of generated samples in the order of the benchmark file."""
    known = source.metrics[source.metrics["step"] >= 0].drop_duplicates("metric")
    return [name for family in families for name in known[known["family"] == family]["metric"]]


def _head(
    facts: Mapping[str, Any], method: str, step: int, sampler: str, cell: pd.DataFrame, source: Source
) -> dict[str, Any]:
    first = cell.iloc[0]
    return {
        "benchmark": facts["benchmark"],
        "domain": facts["domain"],
        "method": method,
        "label": facts["methods"][method]["label"],
        "backbone": facts["backbone"],
        "params": int(source.curves[source.curves["method"] == method]["params"].iloc[0]),
        "step": step,
        "samples_seen": round(_mean_cost(source, cell, "samples_seen")),
        "sampler": sampler,
        "nfe": int(first["nfe"]),
        "guidance": float(first["guidance"]),
        "weights": first["weights"],
        "seeds": " ".join(str(seed) for seed in sorted(cell["seed"].unique())),
    }


def _mean_cost(source: Source, cell: pd.DataFrame, column: str) -> float:
    """Mean over the cell's seeds; an evaluation may lie between two rows of the curve."""
    first = cell.iloc[0]
    runs = [cost_at(source, first["method"], int(seed), column, first["step"]) for seed in cell["seed"].unique()]
    return float(np.mean(runs))


def _metrics(cell: pd.DataFrame, ids: Sequence[str]) -> dict[str, Any]:
    columns: dict[str, Any] = {"unmeasured": []}
    seeds = sorted(cell["seed"].unique())
    for name in ids:
        own = cell[cell["metric"] == name].sort_values("seed")
        if own["seed"].tolist() != seeds:
            m, step, s = cell.iloc[0][["method", "step", "sampler"]]
            raise MetricError(
                f"{name}: not one value per seed for {m}, step {step}, sampler {s}; evaluate its cells again"
            )
        if own["value"].isna().any():
            columns["unmeasured"].append(f"{name}: {own.loc[own['value'].isna(), 'reason'].iloc[0]}")
        over = interval(own["value"].tolist())
        columns |= {name: over.mean, f"{name}.low": over.low, f"{name}.high": over.high, f"{name}.interval": over.kind}
    return columns


def _gain(gains: pd.DataFrame, method: str, sampler: str) -> dict[str, Any]:
    own = gains[(gains["method"] == method) & (gains["sampler"] == sampler)].set_index("axis")
    columns: dict[str, Any] = {}
    for name, axis in (("speedup_steps", "steps"), ("speedup_seconds", "device_seconds")):
        columns |= {
            name: own.loc[axis, "value"],
            f"{name}.low": own.loc[axis, "low"],
            f"{name}.high": own.loc[axis, "high"],
        }
    steps = own.loc["steps"]
    return {
        **columns,
        "speedup_interval": steps["interval"],
        "speedup_target": steps["target"],
        "reason": steps["reason"],
    }


def digest(table: pd.DataFrame, source: Source, facts: Mapping[str, Any]) -> pd.DataFrame:
    """One row per method and sampler at its last step, formatted for people."""
    last = table[table["step"] == table.groupby(["method", "sampler"])["step"].transform("max")]
    shown = pd.DataFrame({"method": last["label"], "step": last["step"]})
    if last["sampler"].nunique() > 1:
        shown["sampler"] = last["sampler"]
    for name in metric_ids(source, facts["metrics"]):
        direction = source.metrics[source.metrics["metric"] == name]["direction"].iloc[0]
        title = f"{name.rsplit('.v', 1)[0]} {ARROWS[direction]}"
        shown[title] = [text(_interval_of(row, name)) for _, row in last.iterrows()]
    shown["device s"] = [f"{value:.0f}" for value in last["device_seconds"]]
    for name, title in (("speedup_steps", "speed-up, steps"), ("speedup_seconds", "speed-up, seconds")):
        shown[title] = [_times(row, name) for _, row in last.iterrows()]
    return shown.reset_index(drop=True)


def _interval_of(row: pd.Series, name: str) -> Interval:
    return Interval(row[name], row[f"{name}.low"], row[f"{name}.high"], row[f"{name}.interval"])


def text(value: Interval) -> str:
    """`3.48 [3.19, 3.77]`, with digits that suit the size; a dash for what was not measured."""
    if pd.isna(value.mean):
        return "–"
    digits = 2 if abs(value.mean) >= 1 else 3 if abs(value.mean) >= 0.0995 else 4
    mean = f"{value.mean:.{digits}f}"
    if value.kind == "none" or value.low == value.high:
        return mean
    return f"{mean} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def _times(row: pd.Series, name: str) -> str:
    value, low, high = (row[f"{name}{suffix}"] for suffix in ("", ".low", ".high"))
    if pd.isna(value):
        return "not reached" if "never reaches" in str(row["reason"]) else "–"
    sign = "≥ " if str(row["reason"]).startswith("reached before") else ""
    return f"{sign}{value:.2f}x" + ("" if pd.isna(low) or low == high else f" [{low:.2f}, {high:.2f}]")


def notes(table: pd.DataFrame, source: Source, facts: Mapping[str, Any]) -> list[str]:
    """What a reader must know to read the table right."""
    kinds = {"t95": "95 % t interval over seeds", "range": "range over the two seeds (no confidence interval)",
             "none": "one seed, no interval"}  # fmt: skip
    seeds = str(table["seeds"].iloc[0])
    kind = kind_of(len(seeds.split()))
    primary, baseline = facts["speedup"]["metric"], facts["baseline_label"]
    targets = table.groupby("sampler", sort=False)["speedup_target"].first()
    target = ", ".join(f"{_target(value)} with {sampler}" for sampler, value in targets.items())
    n = int(source.metrics[source.metrics["step"] >= 0]["n"].max())
    lines = [
        f"Values: mean [{kinds[kind]}], seeds {seeds}; n = {n} samples each.",
        f"Speed-up: baseline's cost at its last step / cost at which {primary} first reaches the value that "
        f"{baseline} ends at (mean {target}), same seed; geometric mean.",
    ]
    lines += _floors(source.floor)
    once = source.curves.groupby("method")["oneoff_device_seconds"].first()
    shown = ", ".join(f"{facts['methods'][m]['label']} {once[m]:.0f} s" for m in facts["methods"] if m in once.index)
    lines.append(f"Prepared once and not counted in these speed-ups (figures' speedup.csv counts it): {shown}.")
    lines += clusters.lines(source)
    lines += _unmeasured(source)
    lines += [f"{entry['label']}: {entry['note']}" for entry in facts["methods"].values() if entry["note"]]
    return [" ".join(line.split()) for line in lines]


def _target(value: float) -> str:
    return "not measured" if pd.isna(value) else f"{value:.4g}"


def _floors(floor: pd.DataFrame) -> list[str]:
    """What real data score, or the best that is possible."""
    halves = "Floor, training half against the other half"
    what = floor["what"].fillna(HALVES) if "what" in floor else pd.Series(HALVES, floor.index)
    lines = []
    for kind, own in floor.groupby(what, sort=False):
        values = ", ".join(f"{row['family']} {row['value']:.4g}" for _, row in own.iterrows())
        words = halves if kind == HALVES else f"Limit, {kind}"
        lines.append(f"{words} (n = {int(own['n'].iloc[0])}): {values}.")
    return lines


def _unmeasured(source: Source) -> list[str]:
    """Why metrics have no value, once each."""
    if "reason" not in source.metrics:
        return []
    missing = source.metrics[source.metrics["value"].isna()].drop_duplicates("family")
    return [f"{row['family']} was not measured: {row['reason']}." for _, row in missing.iterrows()]


def markdown(shown: pd.DataFrame, title: str, lines: Sequence[str]) -> str:
    """The digest as a Markdown document."""
    rows = [list(shown.columns), ["---"] * len(shown.columns), *shown.astype(str).to_numpy().tolist()]
    grid = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"# {title}\n\n{grid}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


def latex(shown: pd.DataFrame, lines: Sequence[str]) -> str:
    """The digest as a LaTeX tabular (booktabs), with the notes as comments."""
    plain = {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "≥": r"$\geq$", **{sign: f"\\{sign}" for sign in "_%&#$"}}

    def escape(word: object) -> str:
        return "".join(plain.get(letter, letter) for letter in str(word))

    rows = [[escape(word) for word in row] for row in shown.to_numpy().tolist()]
    body = "\n".join(" & ".join(row) + r" \\" for row in rows)
    head = " & ".join(escape(name) for name in shown.columns) + r" \\"
    comments = "\n".join(f"% {line}" for line in lines)
    begin = rf"\begin{{tabular}}{{l{'r' * (len(shown.columns) - 1)}}}"
    parts = [comments, begin, r"\toprule", head, r"\midrule", body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join(parts) + "\n"


def as_csv(table: pd.DataFrame) -> str:
    """Full precision, an empty cell for what does not apply."""
    text_table: str = table.replace({np.nan: None}).to_csv(index=False, lineterminator="\n")
    return text_table
