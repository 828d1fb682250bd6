"""card: what there is to know of a run, on a page, results/runs/<b>/<m>/seed<k>/card.md.

It is made of files that are there, without torch; of what is not there it says why, in a line.
"""

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from reedbench.core import io, paths, provenance, stores
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.provenance import Made
from reedbench.report import bibliography, cards, run_card
from reedbench.report import source as sources
from reedbench.report.escaping import escaped, table
from reedbench.report.run_card import Phase
from reedbench.schema import citations, reports, runs
from reedbench.schema.cells import Cell
from reedbench.schema.lineage import pools
from reedbench.schema.runs import Run
from reedbench.schema.suite import Suite
from reedbench.steps.gather import preparation

NAMED = re.compile(rf"(?:\./)?(?:{paths.RESULTS}/runs/)?([^/]+)/([^/]+)/(?:seed)?(\d+)(?:/|/card\.md)?")
SHOWN = ("label", "note")  # settings that stand elsewhere on the page
PACKAGES = ("reedbench", "torch", "numpy")  # those that a line has room for; sidecars have all


def card(run: Run, arguments: Namespace) -> Made:
    """Write the page of a run."""
    page, out = RunCard(run), paths.run_card(*run.names)
    io.write_text(out, "\n".join(page.lines()) + "\n")
    return Made([out], list(dict.fromkeys(page.read)), seeds=[run.seed])


def named(suite: Suite, text: str) -> Run:
    """The run of a folder, `results/runs/digits/repa/seed0`, or of a name, `digits/repa/seed0`.

    Raises:
        ConfigError: it names none.
    """
    found = NAMED.fullmatch(text.removeprefix(f"{Path.cwd()}/"))
    if found is None:
        raise ConfigError(
            f"'{text}' names no run: give benchmark/method/seed0, or its folder ({paths.run('<b>', '<m>', '<k>')})"
        )
    return runs.of(suite, found[1], found[2], int(found[3]))


class RunCard:
    """The page of a run.

    Attributes:
        run: whose it is.
        read: files that it is made of.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.read: list[str] = []
        self._stopped = ""

    def lines(self) -> list[str]:
        """As Markdown."""
        run = self.run
        sections = {
            "Settings": self._settings,
            "Curve": self._curve,
            "Samples": self._samples,
            "Metrics": self._metrics,
            "Cost": self._cost,
            "Numerics": self._numerics,
            "Provenance": self._provenance,
            "Papers": self._papers,
        }
        lines = [f"# {escaped(run.objective.label)} ({escaped(run.title)})", "", escaped(run.benchmark.spec.title)]
        for title, section in sections.items():
            lines += ["", f"## {title}", "", *section()]
        return lines

    @cached_property
    def _trained(self) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
        """Receipts and their sidecars of the first segments, as far as they are there; `_stopped` says why no more."""
        found: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        for i, file in enumerate(self.run.receipts):
            try:
                found[i] = stores.receipt(file), self._sidecar(file, self.run.key)
            except MissingArtefact as error:
                self._stopped = str(error)
                break
        return found

    def _sidecar(self, file: str, key: str) -> dict[str, Any]:
        """That of a small file which must have been made under these settings."""
        provenance.require(file, key)
        self.read.append(file)
        return provenance.read(file)

    def _settings(self) -> Iterator[str]:
        run, spec, suite = self.run, self.run.benchmark.spec, self.run.benchmark.suite
        method, words = run.objective, run.objective.card()
        yield f"- data set `{run.benchmark.dataset}`: {escaped(reports.said(spec.dataset))}"
        yield f"- codec: {escaped(reports.said(spec.codec))}"
        parameters = next((receipt["parameters"] for receipt, _ in self._trained.values()), None)
        size = "" if parameters is None else f", {parameters:,} parameters"
        yield f"- backbone: {escaped(spec.backbone.name())}{size}"
        named = f"{escaped(words.name)}, " if words.name else ""
        yield f"- method: {named}objective `{method.uses}`, {escaped(words.standing)}"
        yield from (f"  - `{one.key}`: {escaped(one.value)}" for one in cards.differing(method) if one.key not in SHOWN)
        yield "- training:" if run.trained else "- training: none here"
        if run.trained:
            yield from (f"  - `{one.key}`: {escaped(one.value)}" for one in cards.differing(run.training))
        for name, filed in run.encoders.items():
            encoder = suite.encoder(run.benchmark.dataset, filed)
            yield f"- encoder `{name}`: {escaped(reports.said(encoder))}"
        if run.teacher is not None:
            yield f"- learns from {escaped(run.teacher.title)}"
        yield f"- all that changes its weights: `{run.recipe_file}`, key `{run.key}`"
        if method.note:
            yield f"- note: {escaped(method.note)}"

    @cached_property
    def _rows(self) -> pd.DataFrame | str:
        """The curve as far as the run is trained, or why there is none."""
        if not self.run.trained:
            return "none: these weights were trained elsewhere, and imported"
        stops = {self.run.curves[i]: receipt["stop"] for i, (receipt, _) in self._trained.items()}
        try:
            found = sources.curve_of(stops, {}) if stops else "none: not trained yet"
        except MissingArtefact as error:
            return str(error)
        self.read += stops
        return found

    def _curve(self) -> Iterator[str]:
        rows = self._rows
        if isinstance(rows, str):
            yield f"{rows[0].upper()}{escaped(rows[1:])}."
        else:
            files = ", ".join(f"`{self.run.curves[i]}`" for i in self._trained)
            yield f"{len(rows)} rows in {files}; some of them:"
            yield ""
            yield from run_card.curve(rows)
        if self._stopped:
            last = max((receipt["stop"] for receipt, _ in self._trained.values()), default=0)
            yield from ["", f"Trained up to step {last} of {self.run.course.total}: {escaped(self._stopped)}"]

    def _samples(self) -> Iterator[str]:
        benchmark, rows, reasons = self.run.benchmark, [], []
        for sampler in benchmark.spec.samplers:
            steps = self.run.drawn_at(sampler)
            found = {step: self._drawings[self.run.cell(step, sampler)] for step in steps}
            drawn = {step: said for step, said in found.items() if isinstance(said, Mapping)}
            if not steps:
                reasons.append(f"- {escaped(sampler)} does not draw from this method")
            elif not drawn:
                reasons.append(f"- {escaped(sampler)}: not drawn: {escaped(found[steps[0]])}")
            if not drawn:
                continue
            last = self.run.cell(max(drawn), sampler)
            drawn_at, evaluations = " ".join(map(str, drawn)), run_card.number(drawn[last.step]["notes"].get("nfe"))
            how = escaped(reports.protocol(benchmark, sampler))
            guidance = f"{last.drawer.guidance:g}"
            rows.append([escaped(sampler), how, guidance, drawn_at, evaluations, f"`{last.samples}`"])
            lacking = [str(step) for step in steps if step not in drawn]
            reasons += [f"- {escaped(sampler)}: not drawn at {', '.join(lacking)}"] if lacking else []
        if rows:
            yield f"{benchmark.spec.sampling.count} each; `{paths.PREVIEW}` in their folder has the first few."
            yield ""
            heads = ["sampler", "how", "guidance", "steps", "network evaluations", "folder of the last step"]
            yield from table(heads, rows)
        if reasons:
            yield from ["", *reasons] if rows else reasons

    @cached_property
    def _drawings(self) -> dict[Cell, Mapping[str, Any] | str]:
        """Of each cell the sidecar of its samples, or why there are none."""
        return {cell: self._drawn(cell) for cell in reports.cells(self.run)}

    def _drawn(self, cell: Cell) -> Mapping[str, Any] | str:
        """The sidecar of a cell's samples, or why there are none. The samples, which are large, are not read."""
        try:
            record = provenance.read(io.require(cell.samples))
        except MissingArtefact as error:
            return str(error)
        made = (record["settings"], record["notes"].get("recipe"))
        return record if made == (cell.sampling_key, self.run.key) else f"{cell.samples}: drawn under other settings"

    @cached_property
    def _scored(self) -> dict[str, dict[int, dict[str, Any] | str]]:
        """By sampler and step the metric file, or why there is none."""
        found: dict[str, dict[int, dict[str, Any] | str]] = {}
        for cell in reports.cells(self.run):
            found.setdefault(cell.sampler, {})[cell.step] = self._score(cell)
        return found

    def _score(self, cell: Cell) -> dict[str, Any] | str:
        try:
            self._sidecar(cell.metrics, self.run.benchmark.scoring.key)
            body = io.read_object(cell.metrics, {"records": list}, cure="evaluate it again")
        except MissingArtefact as error:
            return str(error)
        same = (body.get("recipe"), body.get("sampling")) == (self.run.key, cell.sampling_key)
        return body if same else f"{cell.metrics}: of samples of another recipe or of other settings"

    def _metrics(self) -> Iterator[str]:
        titles = {metric.family: metric.heading for metric in self.run.benchmark.spec.metrics}
        yield "One run: intervals over seeds stand in the benchmark's table."
        for sampler, by_step in self._scored.items():
            there = {step: body for step, body in by_step.items() if isinstance(body, dict)}
            lacking = {step: reason for step, reason in by_step.items() if isinstance(reason, str)}
            yield from ["", f"Sampler {escaped(sampler)}:", ""]
            if there:
                yield from run_card.metrics(there, titles)
            if lacking:
                first = next(iter(lacking.values()))
                steps = ", ".join(map(str, lacking))
                yield from [*([""] if there else []), f"Not evaluated at {steps}: {escaped(first)}"]

    def _cost(self) -> Iterator[str]:
        yield from run_card.costs(self._phases())
        yield ""
        yield "What comes before training may serve other runs too. Seconds of the wall clock are added up over jobs."

    def _phases(self) -> Iterator[Phase]:
        run = self.run
        before = [paths.index(run.benchmark.data), *([] if run.latents is None else [paths.index(run.latents)])]
        before += [file for name in run.encoders.values() for file in preparation(run, name)]
        for file in dict.fromkeys(before):
            yield _phase(str(Path(file).parent.relative_to(paths.RESULTS)), [file], 1)
        for teacher in run.lineage:
            there = [teacher.run.receipt(i) for i in range(teacher.segment + 1)]
            yield _phase(f"training of {teacher.title}", there, len(there))
        for pool in pools([*(teacher.run for teacher in run.lineage), run]):
            yield _phase(f"samples of {pool.title}", [pool.samples], 1)
        operations = None if isinstance(self._rows, str) else float(self._rows["flops"].iloc[-1])
        yield _phase("training", [run.receipt(i) for i in self._trained], len(run.receipts), operations)
        every = reports.cells(run)
        drawn = [cell.samples for cell in every if isinstance(self._drawings[cell], Mapping)]
        yield _phase("sampling", drawn, len(every))
        scored = [cell.metrics for cell in every if isinstance(self._scored[cell.sampler][cell.step], dict)]
        yield _phase("scoring", scored, len(every))

    def _numerics(self) -> Iterator[str]:
        """Of training, by segments where they differ."""
        by_kind: dict[str, list[int]] = {}
        for i, (receipt, _) in self._trained.items():
            if said := receipt.get("numerics"):
                text = ", ".join(f"{name} {value}" for name, value in sorted(said.items()))
                by_kind.setdefault(text, []).append(i)
        if not by_kind:
            yield "Not said: " + (
                "these weights were trained elsewhere." if not self.run.trained else "not trained yet."
            )
        for text, segments in by_kind.items():
            where = "" if len(by_kind) == 1 else f"segments {', '.join(map(str, segments))}: "
            yield f"- {where}{escaped(text)}"

    def _provenance(self) -> Iterator[str]:
        if not self._trained:
            yield f"Nothing has been made: {escaped(self._stopped)}"
            return
        for i, (receipt, record) in self._trained.items():
            git, weights = record.get("git") or {}, receipt["weights"]
            commit = str(git.get("commit") or "unknown")[:12] + (" with edits" if git.get("dirty") else "")
            known = record.get("packages") or {}
            versions = ", ".join(f"{name} {known[name]}" for name in PACKAGES if name in known)
            yield (
                f"- segment {i}, steps {receipt['start']} to {receipt['stop']}: commit {commit}; {escaped(versions)}; "
                f"{escaped(record.get('device', 'unknown device'))} of {escaped(record.get('host', 'unknown'))}"
            )
            yield from (f"  - `{name}` sha256 `{digest}`" for name, digest in sorted(weights.items())[-1:])
            if "imported" in receipt:
                yield f"  - from `{receipt['imported']['file']}` sha256 `{receipt['imported']['sha256']}`"
        yield f"- the whole chain: `reedbench verify {self.run.receipt(max(self._trained))}`"

    def _papers(self) -> Iterator[str]:
        found = citations.of_scores(self.run.benchmark, [self.run])
        keys = citations.by_key(found)
        for key, uses in keys.items():
            yield f"- {escaped(bibliography.short([key]))}: {escaped(', '.join(uses))}"
        if own := [what for what, cited in found.items() if not cited]:
            yield f"- without a paper of their own: {escaped(', '.join(own))}"
        yield from ["", "```bibtex", *bibliography.printed(keys), "```"]


def _phase(name: str, files: Sequence[str], wanted: int, flops: float | None = None) -> Phase:
    """Costs as sidecars say them; a job without one is not done."""
    found: list[Mapping[str, Any]] = []
    for file in files:
        with suppress(MissingArtefact):
            found.append(provenance.cost(file))
    return Phase(name, wanted, found, flops)
