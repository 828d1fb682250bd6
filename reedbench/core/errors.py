"""The exception tree and the exit codes that go with it.

ReedbenchError (1)
├── ConfigError (2)        the user's configuration or command line is wrong; lists every problem at once
├── MissingArtefact (3)    a file that an earlier step makes is not there, or is not what it should be
├── MetricError (4)        a number could not be computed (NaN, too few samples, mixed protocols)
│   └── NoValue (4)        of these samples there is none, which reports say in its place
├── Diverged (1)           a training loss, or a velocity that a sampler follows, is not finite
└── RunAgain (75)          the state is saved, or another process holds it: run the same command again
    └── Paused (75)        training was asked to leave, and did so with its state saved
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class ReedbenchError(Exception):
    """Anything that reedbench reports to its user in one line; without words where another process reports it."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a configuration file."""

    file: str
    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(ReedbenchError):
    """Wrong input of the user: carries all problems found, not only the first."""

    exit_code = 2

    def __init__(self, problems: str | Iterable[Problem]) -> None:
        self.problems = [] if isinstance(problems, str) else list(problems)
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, self.problems)))


class MissingArtefact(ReedbenchError):
    """A file that an earlier step should have made is absent or unusable."""

    exit_code = 3


class MetricError(ReedbenchError):
    """A metric has no finite, comparable value."""

    exit_code = 4


class NoValue(MetricError):
    """There is no number for these samples, and nothing is wrong: none of them has what is measured, or a package that
    is optional is not installed. Where samples are scored the record has the reason in place of a value."""


class Diverged(ReedbenchError):
    """A training loss, or a velocity that a sampler follows, became NaN or infinite."""


class RunAgain(ReedbenchError):
    """Nothing is lost; the same command will go on from here."""

    exit_code = 75


class Paused(RunAgain):
    """Training was asked to leave: its state is saved."""


OUTSIDE = "reedbench_plugins."  # how modules of plugins from outside the package are named


def place_outside(error: BaseException) -> str:
    """` (my/objectives/mine.py, line 12)` where an error comes through a plugin from outside the package, else nothing.

    Its author needs to know where; of the package's own lines they do not.
    """
    place, trace = "", error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if str(frame.f_globals.get("__name__", "")).startswith(OUTSIDE):
            place = f" ({frame.f_code.co_filename}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A clause `; did you mean 'x'?` for the closest allowed word, or nothing."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def unknown(what: str, word: str, allowed: Iterable[str]) -> str:
    """`unknown encoder 'pathces'; did you mean 'patches'? (allowed: a, b)`."""
    allowed = sorted(allowed)
    return f"unknown {what} '{word}'{did_you_mean(word, allowed)} (allowed: {', '.join(allowed) or 'none'})"
