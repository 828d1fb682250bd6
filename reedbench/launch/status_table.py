"""The status as a table that fits its terminal: where last words find no room beside their row, they go below it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from reedbench.launch.jobs import DONE, FAILED, LOST, QUEUED, REQUEUED, RUNNING, STATES, STOPPED, WAITING
from reedbench.launch.status import Report, Row, Status

GAP = 2  # between columns
ROOM = 40  # characters that last words need to be worth a column
STYLES = {
    FAILED: "bold red", LOST: "bold red", RUNNING: "green", REQUEUED: "yellow", QUEUED: "yellow",
    STOPPED: "magenta", WAITING: "dim", DONE: "dim",
}  # fmt: skip
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def watch(status: Status, seconds: float, console: Console) -> None:
    """Show the status again and again until Ctrl-C."""
    try:
        # The first look may say something on standard error: not into the table.
        with Live(overview(status.now()), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(seconds)
                live.update(overview(status.now()), refresh=True)
    except KeyboardInterrupt:
        return


def overview(report: Report) -> RenderableType:
    """Every run, the jobs that somebody may want to see, and how many there are of all."""
    runs = [row for row in report.rows if row.kind == "run"]
    jobs = [row for row in report.rows if row.kind == "job"]
    parts: list[RenderableType] = [Listing("run", runs), ""]
    if seen := [job for job in jobs if job.state not in (DONE, STOPPED)]:
        parts += [Listing("job", seen), ""]
    parts.append(Text(_counts("run", runs)))
    parts += [Text(_counts("other job", jobs))] if jobs else []
    parts += [Text(report.kept)] if report.kept else []
    parts += [Text(report.note, "yellow")] if report.note else []
    return Group(*parts)


class Listing:
    """Rows of one kind as a table; what wants to be seen comes first."""

    def __init__(self, title: str, rows: Sequence[Row]) -> None:
        self.title, self.rows = title, sorted(rows, key=lambda row: STATES.index(row.state))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - Measurement.get(console, options, self._table(COLUMNS)).maximum - GAP
        if room >= ROOM:
            table = self._table({**COLUMNS, "last line": _words})
            table.columns[-1].max_width = room
            yield table
            return
        table = self._table({title: cell for title, cell in COLUMNS.items() if title != "node"})
        header, *lines = console.render_lines(table, options, pad=False)
        yield from [*header, Segment.line()]
        for row, line in zip(self.rows, lines, strict=True):
            yield from [*line, Segment.line()]
            if row.node or row.line:
                yield _words(row, "    ", row.node)

    def _table(self, columns: "Columns") -> Table:
        """With the columns that have something to say."""
        cells = {title: [cell(row) for row in self.rows] for title, cell in columns.items()}
        shown = {title: column for title, column in cells.items() if any(column)}
        table = Table(box=None, padding=(0, GAP // 2), pad_edge=False, header_style="bold")
        table.add_column(self.title, no_wrap=True)
        for title in shown:
            table.add_column(title, justify="right" if title in NUMBERS else "left", no_wrap=True)
        for row, *texts in zip(self.rows, *shown.values(), strict=True):
            table.add_row(Text(row.name), *texts)
        return table


def _words(row: Row, indent: str = "", node: str | None = None) -> Text:
    line = (row.line or "").replace(f"{row.name}: ", "", 1)  # progress names its run
    words = indent + ": ".join(filter(None, (node, line)))
    return Text(words, "red" if row.state == FAILED else "dim", no_wrap=True, overflow="ellipsis")


def _step(row: Row) -> str:
    return "" if row.step is None else f"{row.step}/{row.total}"


def _rate(row: Row) -> str:
    if row.rate is None:
        return ""
    return f"{row.rate:.1f}/s" if row.rate >= 1 else f"{row.rate:.2g}/s"


def _left(row: Row) -> str:
    """`3h 12m`: the two largest units."""
    if row.eta_seconds is None:
        return ""
    seconds, parts = round(row.eta_seconds), list[str]()
    for unit, size in UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def _memory(row: Row) -> str:
    if row.gpu_memory_mb is None:
        return ""
    return f"{row.gpu_memory_mb} MB" if row.gpu_memory_mb < 1024 else f"{row.gpu_memory_mb / 1024:.1f} GB"


Columns = dict[str, Callable[[Row], str | Text]]
COLUMNS: Columns = {
    "state": lambda row: Text(row.state, STYLES[row.state]),
    "step": _step,
    "rate": _rate,
    "ETA": _left,
    "node": lambda row: Text(row.node or ""),
    "GPU": _memory,
}
NUMBERS = ("step", "rate", "ETA", "GPU")


def _counts(what: str, rows: Sequence[Row]) -> str:
    """`9 runs: 3 done, 1 running`."""
    numbers = Counter(row.state for row in rows)
    states = ", ".join(f"{numbers[state]} {state}" for state in reversed(STATES) if numbers[state])
    return f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}: {states}"
