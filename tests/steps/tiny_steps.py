"""Commands and edits of the tiny benchmark, for tests that run several steps in this process."""

from pathlib import Path
from typing import Any

import yaml

from reedbench import steps
from reedbench.schema import runs, suite

FILE = Path("config/benchmarks/tiny.yaml")


def run(command: str) -> int:
    """A step, on the configuration as it is now; returns the exit code."""
    suite.load.cache_clear()
    return steps.main(command.split())


def must(command: str) -> None:
    """A step that has to succeed."""
    assert run(command) == 0, command


def benchmark() -> runs.Benchmark:
    """As its file says now."""
    suite.load.cache_clear()
    return runs.benchmark(suite.load(), "tiny")


def put(content: dict[str, Any]) -> None:
    """Write the benchmark file."""
    FILE.write_text(yaml.safe_dump(content))
    suite.load.cache_clear()


def change(**sections: Any) -> None:
    """Replace sections of the benchmark file."""
    put({**yaml.safe_load(FILE.read_text()), **sections})


def edit(old: str, new: str) -> None:
    """Replace text of the benchmark file, which must be there."""
    text = FILE.read_text()
    assert old in text
    FILE.write_text(text.replace(old, new))
    suite.load.cache_clear()
