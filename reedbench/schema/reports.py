"""What a benchmark reports: of which cells, in what words, with which figures."""

from typing import Any

from reedbench.core import paths, pins
from reedbench.schema.cells import Cell
from reedbench.schema.runs import Benchmark, Run
from reedbench.schema.settings import Settings
from reedbench.schema.versions import CROWD, FIGURES, OF_ABLATIONS, VERSIONS, levelled


def reporting(benchmark: Benchmark, ablation: str | None = None) -> Settings:
    """Settings of `tabulate` and `plot`: what is shown, in what words."""
    spec, methods = benchmark.spec, benchmark.shown(ablation)
    baseline = spec.speedup.baseline
    title = spec.title if ablation is None else f"{spec.title}: {spec.ablations[ablation].title}"
    ends = {
        name: length
        for name in dict.fromkeys((*methods, baseline))
        if (length := spec.methods[name].length()) is not None
    }
    return {
        "step": {verb: VERSIONS[verb] for verb in ("tabulate", "plot")},
        "title": title,
        "baseline_label": spec.methods[baseline].label,
        "places": {name: place for place, name in enumerate(spec.methods) if name in {*methods, baseline}},
        "methods": {name: spec.methods[name].words() for name in methods},
        "seeds": list(spec.seeds),
        "steps": list(spec.evaluate),
        **({"ends": ends} if ends else {}),
        **({"only_at": {name: list(steps) for name, steps in spec.only_at.items()}} if spec.only_at else {}),
        "metrics": [metric.family for metric in spec.metrics],
        "columns": list(spec.columns),
        "titles": {
            metric.family: {"title": metric.heading, "direction": metric.direction, "unit": metric.unit}
            for metric in spec.metrics
        },
        "speedup": spec.speedup.plain(),
    }


def protocol(benchmark: Benchmark, sampler: str) -> str:
    """How samples are drawn: `euler steps=50; sd-vae weights=sd-vae-ft-mse; balanced labels; fp32`.

    Plugins with the settings that are not their defaults, and with steps and pinned weights in any case. What else a
    number was made under stands beside it: the scale of guidance and the network evaluations in columns of their own,
    the extractor, its reference and n in the metric's id.
    """
    drawer, codec, asked = benchmark.spec.samplers[sampler], benchmark.spec.codec, benchmark.spec.sampling
    coupled = [f"batches of {asked.batch}"] if drawer.couples else []
    labels = [f"{asked.labels} labels"] if codec.labelled else []
    return "; ".join([said(drawer, "steps"), *coupled, said(codec, *pins.named(codec)), *labels, asked.precision])


def said(plugin: Any, *always: str) -> str:
    """`euler steps=50 interval=[0.3, 1.0]`."""
    settings, own = plugin.plain(), {"uses", "version", "code", "guidance"}
    shown = [name for name in settings if name not in own and (name in always or name in plugin.identity())]
    return " ".join([plugin.uses, *(f"{name}={settings[name]}" for name in shown)])


def figures(benchmark: Benchmark, ablation: str | None = None) -> list[str]:
    """Figures of a benchmark or an ablation.

    `levels` only where a metric is taken at several times, `distributions` where one knows a number of each sample,
    `differences` where a second method can be compared with the baseline, `speedup` and `alignment` where some run is
    trained here, `landscape` where many are.
    """
    several = levelled(metric.family for metric in benchmark.spec.metrics)
    methods, seed, baseline = benchmark.shown(ablation), benchmark.spec.seeds[0], benchmark.spec.speedup.baseline
    runs = {name: benchmark.run(name, seed) for name in methods}
    against = baseline if baseline in runs else methods[0]
    trained = sum(run.trained for run in runs.values())
    nothing = {
        "levels": not several,
        "distributions": not any(metric.has_values for metric in benchmark.spec.metrics),
        "differences": not any(_compared(run, runs[against]) for name, run in runs.items() if name != against),
        "speedup": not trained,
        "alignment": not trained,
        "landscape": trained < CROWD,
    }
    return [name for name in FIGURES if not nothing.get(name)]


def _compared(one: Run, other: Run) -> bool:
    """Whether some sampler draws from both: at the same step, or at any where one of them has a length of its own.

    As `report.paired.differences` finds them.
    """
    apart = any(run.objective.length() is not None for run in (one, other))
    drawn = ((set(one.drawn_at(name)), set(other.drawn_at(name))) for name in one.benchmark.spec.samplers)
    return any(own and theirs and (apart or own & theirs) for own, theirs in drawn)


def ablation_figures(benchmark: Benchmark, ablation: str) -> list[str]:
    """Figures of an ablation that are made together with a benchmark's own."""
    return [name for name in figures(benchmark, ablation) if name in OF_ABLATIONS]


def with_baseline(benchmark: Benchmark, ablation: str | None = None) -> tuple[str, ...]:
    """Methods of the table or of an ablation, and the baseline of the speed-up if it is not among them."""
    methods, baseline = benchmark.shown(ablation), benchmark.spec.speedup.baseline
    return methods if baseline in methods else (*methods, baseline)


def inputs(benchmark: Benchmark, ablation: str | None = None) -> list[str]:
    """Metric files and receipts of every cell of a table or an ablation, with the baseline's, and the floor.

    And receipts of what its runs learn from, which counts among their costs.
    """
    methods = with_baseline(benchmark, ablation)
    files = [cell.metrics for cell in benchmark.cells(methods)]
    files += [receipt for run in benchmark.runs(methods) for receipt in run.receipts]
    files += [teacher.receipt for run in benchmark.runs(methods) for teacher in run.lineage]
    return [*dict.fromkeys(files), paths.floor(benchmark.name)]


def card(run: Run) -> Settings:
    """Settings of `card`: of what and in what words."""
    return {
        "step": VERSIONS["card"],
        "recipe": run.key,
        "method": run.objective.words(),
        "title": run.benchmark.spec.title,
        "evaluation": run.benchmark.scoring.key,
        "sampling": {sampler: run.benchmark.sampling(sampler) for sampler in run.benchmark.spec.samplers},
        "steps": list(run.course.evaluated),
        "columns": {metric.family: metric.heading for metric in run.benchmark.spec.metrics},
    }


def cells(run: Run) -> list[Cell]:
    """Cells of a run, by sampler and step."""
    return [run.cell(step, sampler) for sampler in run.benchmark.spec.samplers for step in run.drawn_at(sampler)]


def card_inputs(run: Run) -> list[str]:
    """Receipts of a run and of what it learns from, and metric files of its cells."""
    receipts = [*(teacher.receipt for teacher in run.lineage), *run.receipts]
    return [*dict.fromkeys(receipts), *(cell.metrics for cell in cells(run))]
