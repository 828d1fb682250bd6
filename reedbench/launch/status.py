"""What all runs of a suite do at this moment, and the jobs around them. Asks files and one squeue; changes nothing.

Nothing that a launcher loads: it reads the configuration.
"""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from reedbench.core import paths
from reedbench.launch import leftovers
from reedbench.launch.jobs import DONE, FAILED, LOST, QUEUED, REQUEUED, RUNNING, STOPPED, WAITING, Job, Jobs
from reedbench.launch.leftovers import other_stores, size_words, unfinished
from reedbench.launch.progress import Progress, held, log_of, look
from reedbench.launch.tail import last_line, written
from reedbench.launch.ticket import comment_of
from reedbench.schema import lineage, runs, words
from reedbench.schema.runs import Run
from reedbench.schema.suite import Suite

CELLS = ("sample/", "evaluate/")  # how names of jobs of cells begin
SILENT = 600.0  # seconds without a word after which a running job is worth a look


@dataclass(frozen=True)
class Row:
    """A run or another job. What is unknown, or makes no sense in its state, is None."""

    kind: str
    """`run`, or `job`: another launched one (prepare, sample, ...)."""
    name: str
    """`<benchmark>/<method>/seed<k>` of a run, else the job's key."""
    state: str
    """failed, lost, running, requeued, queued, stopped, waiting or done."""
    step: int | None = None
    """The last one done; where nothing runs, the one from which training goes on."""
    total: int | None = None
    """Steps until the last evaluation, in whole segments."""
    rate: float | None = None
    """Steps per second."""
    eta_seconds: float | None = None
    """Until `total`."""
    launcher: str | None = None
    """inline, local or slurm."""
    job: str | None = None
    """Number of the job at its launcher."""
    node: str | None = None
    gpu_memory_mb: int | None = None
    """The most that the first process has held on its GPU."""
    line: str | None = None
    """Why it waits, or its last words."""


@dataclass(frozen=True)
class Report:
    """Everything at one time."""

    rows: list[Row]
    note: str
    """What could not be found out; mostly empty."""
    kept: str = ""
    """How much is kept for recipes that no configuration asks for, and of unfinished steps; mostly empty."""


class Status:
    """The status of a suite, or of one of its benchmarks, as often as it is asked for.

    Raises:
        ConfigError: there is no such benchmark.
    """

    def __init__(self, suite: Suite, benchmark: str = "") -> None:
        chosen = [runs.benchmark(suite, b) for b in ([benchmark] if benchmark else suite.benchmarks)]
        self.topics = {name for one in chosen for name in (one.name, one.dataset)} if benchmark else set()
        # With those that they learn from, and how many segments are wanted.
        self.runs = lineage.with_teachers(run for one in chosen for run in one.runs(one.methods))
        # An ablation is asked for by its name alone.
        self.tabled = lineage.with_teachers(run for one in chosen for run in one.runs(one.spec.table))
        self.jobs, self.suite = Jobs(), suite

    def now(self) -> Report:
        """Look at every run and job."""
        jobs, note = self.jobs.now()
        rows = {run: _of_run(run, segments, jobs) for run, segments in self.runs.items()}
        shown = [row for run, row in rows.items() if run in self.tabled or row.state != WAITING]
        segments = {_key(run, i) for run, wanted in self.runs.items() for i in range(wanted)}
        cells = self._cells if any(key.startswith(CELLS) for key in jobs) else {}
        others = [
            _of_job(job, cells.get(key)) for key, job in jobs.items() if key not in segments and self._concerns(key)
        ]
        return Report([*shown, *others], note, self._kept())

    @cached_property
    def _cells(self) -> dict[str, str]:
        """Words of the jobs of all cells, by their names."""
        found = {}
        for benchmark in dict.fromkeys(run.benchmark for run in self.runs):
            pools = [pool for pool in lineage.pools(self.runs) if pool.run.benchmark == benchmark]
            for cell in dict.fromkeys([*benchmark.cells(benchmark.spec.methods), *pools]):
                place = (*cell.run.names, paths.step_name(cell.step).removeprefix("step-"), cell.sampler)
                arguments, recipe, sampling = words.cell(*place), cell.run.key, cell.sampling_key
                scoring = words.evaluate(arguments, benchmark.scoring.key, recipe, sampling)
                found[words.cell_key("sample", *place)] = words.sample(arguments, sampling, recipe)
                found[words.cell_key("evaluate", *place)] = scoring
        return found

    def _kept(self) -> str:
        kept = [("store", "of other recipes", other_stores(self.suite)), ("step", "kept in parts", unfinished())]
        words = [
            f"{len(found)} {what}{'' if len(found) == 1 else 's'} {how}: {size_words(leftovers.total(found))}"
            for what, how, found in kept
            if found
        ]
        return "; ".join([*words, "reedbench clean lists what nothing asks for"]) if words else ""

    def _concerns(self, key: str) -> bool:
        """Keys name their benchmark or dataset."""
        return not self.topics or not self.topics.isdisjoint(key.split("/"))


def _of_run(run: Run, segments: int, jobs: Mapping[str, Job]) -> Row:
    """Up to the last of the segments that are wanted."""
    progress, (_, total) = look(run), run.course.span(segments - 1)
    row = Row("run", run.title, DONE, min(progress.kept, total), total)
    if progress.published >= total:
        return row
    segment = progress.published // run.course.segment
    if job := _live(run, jobs):
        row = _launched(row, job)
        if row.state == QUEUED and progress.kept > progress.published:  # a new job, not the first of its segment
            row = replace(row, state=REQUEUED)
        return _paced(row, progress, job.said) if row.state == RUNNING else row
    log = log_of(run, segment)
    if held(run):  # by a process that no launcher watches
        row = replace(row, state=RUNNING, launcher="inline", node=platform.node(), line=last_line(log))
        return _paced(row, progress, max(progress.began, written(log)))
    job = _last(run, segment, jobs)
    if job and (job.state in (FAILED, LOST) or (job.state == STOPPED and progress.started)):
        return _launched(row, job)
    return replace(row, state=STOPPED, line=last_line(log)) if progress.started else replace(row, state=WAITING)


def _of_job(job: Job, today: str | None) -> Row:
    """`today`: the job's words as the workflow says them now, where they are known."""
    row = _launched(Row("job", job.key, job.state), job)
    if today is not None and not _says(job, today) and job.state not in (DONE, FAILED):
        return replace(row, line="has outdated settings; the workflow starts it again when it runs")
    return row


def _live(run: Run, jobs: Mapping[str, Job]) -> Job | None:
    """The job that trains a run, or will."""
    for i in range(run.course.segments):
        job = jobs.get(_key(run, i))
        if job and job.live:
            return job if _is_current(job, run, i) else _outdated(job)
    return None


def _last(run: Run, segment: int, jobs: Mapping[str, Job]) -> Job | None:
    """The job that was the last to train a segment."""
    job = jobs.get(_key(run, segment))
    return job if job and _is_current(job, run, segment) else None


def _key(run: Run, segment: int) -> str:
    """As the workflow names the job."""
    return words.train_key(*run.names, segment)


def _is_current(job: Job, run: Run, segment: int) -> bool:
    """Whether a job trains under the recipe of today."""
    return _says(job, words.train(*run.names, segment, run.key, run.course.grid(segment)))


def _says(job: Job, today: str) -> bool:
    """Whether a job has these words: its comment has a hash of them, as the workflow says them.

    What stands before the hash is left out: it depends on how this machine calls the working directory.
    """
    return job.ticket.comment.rpartition(":")[2] == comment_of(job.key, today.split()).rpartition(":")[2]


def _outdated(job: Job) -> Job:
    line = "has an outdated recipe; the workflow ends it when it runs again"
    return replace(job, verdict=job.verdict._replace(line=line))


def _launched(row: Row, job: Job) -> Row:
    state, line, node = job.verdict
    return replace(row, state=state, launcher=job.ticket.where, job=job.ticket.job, node=node, line=line)


def _paced(row: Row, progress: Progress, heard: float) -> Row:
    """A running row with its progress; `heard` is when its log was last written to, 0 if it has just started."""
    event = progress.event
    step, rate, memory = event.get("done", row.step), event.get("rate"), event.get("gpu_memory_mb")
    left = (row.total - step) / rate if rate else None
    silent = time.time() - max(heard, progress.said) if heard else 0.0
    line = row.line
    if silent > SILENT:
        line = f"no news for {silent // 60:.0f} min" + (f": {line}" if line else "")
    memory = None if memory is None else round(memory)
    return replace(row, step=step, rate=rate, eta_seconds=left, gpu_memory_mb=memory, line=line)
