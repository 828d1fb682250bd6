"""Time and memory that Snakemake needs to see a large benchmark as one DAG, beside the same jobs as bare rules.

Dry runs of the project's Snakefile with `--profile slurm` on scratch benchmarks: `-n -q` reads the workflow and builds
the DAG (the first time it also writes every run's recipe), `-n` also fills in resources and commands and prints all
jobs. `bare` is a Snakefile with the same number of jobs and outputs, but one input per job, no params, no resources and
no logs: the least that Snakemake takes for so many jobs. Nothing is run.

    python speed/large_dag.py [--runs 300 3000]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workspaces import JOBS_PER_SEED, METHODS, REPOSITORY, many_runs

OURS = ["-s", str(REPOSITORY / "Snakefile"), "--profile", str(REPOSITORY / "slurm"), "--", "results/tables/tiny.csv"]
BARE = ["--cores", "1000", "--scheduler", "greedy", "--rerun-triggers", "mtime", "params", "input", "--", "table"]
BARE_SNAKEFILE = """
RUN, CELL = "runs/{m}/seed{k}/segment-", "/{m}/seed{k}/step-{step}/"

rule table:
    input:
        expand("metrics" + CELL + "ode.json", m=METHODS, k=range(SEEDS), step=range(1, 5)),
        expand(RUN + "{i}.json", m=METHODS, k=range(SEEDS), i=range(5)),

rule train:
    input: lambda w: (RUN + "{i}.json").format(m=w.m, k=w.k, i=int(w.i) - 1) if int(w.i) else []
    output: directory(RUN + "{i}"), RUN + "{i}.json"
    shell: "touch {output}"

rule sample:
    input: RUN + "{step}.json"
    output: "samples" + CELL + "samples.npz", "samples" + CELL + "preview.npz"
    shell: "touch {output}"

rule evaluate:
    input: "samples" + CELL + "samples.npz"
    output: "metrics" + CELL + "ode.json"
    shell: "touch {output}"
"""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall: float
    cpu: float
    peak_mb: float


def dry_run(folder: Path, arguments: list[str], *quiet: str) -> tuple[Cost, str]:
    """Run `snakemake -n` in a folder; returns what it took, and the first it said."""
    command = [sys.executable, "-m", "snakemake", "-n", *quiet, *arguments]
    began = time.monotonic()
    with (folder / "said").open("w+") as file:
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        wall, process.returncode = time.monotonic() - began, os.waitstatus_to_exitcode(status)
        file.seek(0)
        said = file.read(5000)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\nexit code {process.returncode}\n{said}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), said


def measure(runs: int, folder: Path) -> Iterator[tuple[str, Cost]]:
    """All dry runs at one size."""
    seeds = runs // METHODS
    ours, bare = folder / "ours", folder / "bare"
    many_runs(ours, seeds)
    bare.mkdir()
    (bare / "Snakefile").write_text(f"METHODS, SEEDS = ['sit', 'repa', 'reed'], {seeds}\n{BARE_SNAKEFILE}")
    yield "-n -q, first", dry_run(ours, OURS, "-q")[0]
    for name, where, arguments in (("", ours, OURS), (" bare", bare, BARE)):
        yield f"-n -q{name}", dry_run(where, arguments, "-q")[0]
        cost, said = dry_run(where, arguments)
        planned = int(re.findall(r"^total +(\d+)", said, re.MULTILINE)[0])
        assert 0 < planned - JOBS_PER_SEED * seeds < 20, said
        yield f"-n{name}", cost


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[300, 3000], help="multiples of three")
    os.environ["OMP_NUM_THREADS"] = "1"
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("runs   jobs    dry run       wall s  CPU s   peak MB")
    for runs in parser.parse_args().runs:
        with tempfile.TemporaryDirectory(prefix="reedbench-large-") as folder:
            for name, cost in measure(runs, Path(folder)):
                took = f"{cost.wall:<7.1f} {cost.cpu:<7.1f} {cost.peak_mb:.0f}"
                print(f"{runs:<6} {JOBS_PER_SEED * runs // METHODS:<7} {name:<13} {took}", flush=True)


if __name__ == "__main__":
    main()
