"""A tiny benchmark that was run once through Snakemake, and copies of it to try edits on."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
# Workspaces of this folder's tests, and what makes files of weights for others' tests.
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("codecs", "encoders"))]

FIGURES = [f"results/figures/tiny/{name}.pdf" for name in ("speedup", "differences", "samples", "alignment")]
TARGETS = ["results/tables/tiny.csv", *FIGURES]
TRIGGERS = ["--rerun-triggers", "mtime", "params", "input"]


@dataclass(frozen=True)
class Outcome:
    """What a Snakemake command said."""

    code: int
    text: str

    @property
    def jobs(self) -> Counter[str]:
        """Number of planned jobs per rule."""
        return Counter(rule for rule, _ in self.planned)

    @property
    def run(self) -> Counter[str]:
        """Number of jobs per rule that ran to their end."""
        return Counter(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", self.text))

    @property
    def planned(self) -> list[tuple[str, dict[str, str]]]:
        """Rule and wildcards of every job."""
        found = []
        for block in re.split(r"\n(?=(?:local)?rule |\[)", self.text):
            if head := re.match(r"(?:local)?rule (\w+):", block):
                line = re.search(r"^    wildcards: (.*)$", block, re.MULTILINE)
                pairs = line.group(1).split(", ") if line else []
                found.append((head.group(1), dict(pair.split("=", 1) for pair in pairs)))
        return found

    @property
    def shell_lines(self) -> list[str]:
        """The `reedbench step ...` part of every printed command."""
        return re.findall(r"step \w+ --[^>\n]*?(?= --expect)", self.text)


class Workspace:
    """A working directory in which Snakemake runs the project's Snakefile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def benchmark(self) -> Path:
        """The benchmark file."""
        return self.folder / "config" / "benchmarks" / "tiny.yaml"

    def edit(self, old: str, new: str) -> None:
        """Replace text of the benchmark file; it must be there."""
        text = self.benchmark.read_text()
        assert old in text, old
        self.benchmark.write_text(text.replace(old, new))

    def snakemake(self, *arguments: str) -> Outcome:
        """Run Snakemake here, on two cores."""
        return self.plain("--cores", "2", *TRIGGERS, *arguments)

    def plain(self, *arguments: str, path: str = os.environ["PATH"]) -> Outcome:
        """Run Snakemake here as the default profile says, in an environment that is not activated."""
        command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, "PATH": path}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout)

    def dry_run(self, *targets: str) -> Outcome:
        """What would run for the targets (the table and the figures unless others are named)."""
        outcome = self.snakemake("-n", "--", *(targets or TARGETS))
        assert outcome.code == 0, outcome.text
        return outcome


@pytest.fixture(scope="session")
def finished(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny benchmark with table and figures, run from nothing. Do not edit: copy."""
    workspace = Workspace(make_workspace(tmp_path_factory.mktemp("workflow") / "finished"))
    outcome = workspace.snakemake("--", *TARGETS)
    logs = "".join(f"\n== {log}\n{log.read_text()}" for log in workspace.folder.rglob("logs/**/*.log"))
    assert outcome.code == 0, outcome.text + logs
    return workspace


@pytest.fixture(scope="session")
def workspace_at() -> type[Workspace]:
    """Makes a workspace of a folder that a test fills itself."""
    return Workspace


@pytest.fixture
def copy(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace with its Snakemake records."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Workspace(folder)


@pytest.fixture
def fresh(make_workspace: Callable[[Path], Path], tmp_path: Path) -> Workspace:
    """A workspace in which nothing has run."""
    return Workspace(make_workspace(tmp_path / "fresh"))
