"""SIMULATION: the real workflow and real launchers on a cluster that does not exist.

Snakemake runs the project's Snakefile with `--profile slurm`; sbatch, squeue and scancel are the scripts of
`simulated_cluster/`, whose jobs compute nothing, take a random time, and are lost now and then. Measured are the
processes of the waiting side (Snakemake, shells, launchers) and their calls; checked is that every output of every job
is there and right, and that each job succeeded and was published exactly once. Says nothing about Slurm's own limits.

    python speed/simulate_cluster.py --jobs 2000 --in-flight 200 --losses 0.05
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from simulated_cluster.server import content, file_of
from workspaces import JOBS_PER_SEED, REPOSITORY, SEGMENTS, many_runs

from reedbench.core import paths
from reedbench.launch.ticket import PUBLISHED, read
from reedbench.schema import runs
from reedbench.schema.suite import Suite, load

HERE = Path(__file__).parent / "simulated_cluster"
B, DATA = "tiny", "digits"
# Everything that the table reads, and not the table: light rules run here, and cannot read simulated contents.
# The rule stands first, as the workflow refuses targets that it does not know by its end.
SNAKEFILE = f"""
rule everything:
    input: lambda wildcards: reports.inputs(BENCHMARKS["{B}"])

include: "{REPOSITORY / "Snakefile"}"
"""
KINDS = ("snakemake", "launcher", "other")


def expected(suite: Suite) -> Iterator[tuple[str, list[str]]]:
    """Key and outputs of every job, as the rules declare them."""
    data = paths.data(DATA)
    yield f"prepare/{DATA}", [paths.shards(data), paths.manifest(data), paths.index(data)]
    yield f"caption/{DATA}/measured", [paths.captions(DATA, "measured")]
    for name in ("patches", "caption", "clf"):
        folder = paths.encoder(DATA, name)
        yield f"pretrain/{DATA}/{name}", [paths.weights(folder), paths.card(folder)]
    for name in ("patches", "caption"):
        folder = paths.representation(DATA, name)
        yield f"represent/{DATA}/{name}", [paths.shards(folder), paths.index(folder)]
    benchmark = runs.benchmark(suite, B)
    for name in benchmark.scoring.extractors:
        yield f"statistics/{DATA}/{name}", [paths.statistics(DATA, name)]
    yield f"floor/{B}", [paths.floor(B)]
    for run in benchmark.runs(benchmark.shown()):
        for i in range(SEGMENTS):
            yield f"train/{run.title}/segment-{i}", [run.segment(i), run.receipt(i)]
    for cell in benchmark.cells(benchmark.shown()):
        name = f"{cell.run.title}/{paths.step_name(cell.step)}/{cell.sampler}"
        yield f"sample/{name}", [cell.samples]
        yield f"evaluate/{name}", [cell.metrics]


@dataclass
class Process:
    """One process at one moment: CPU in seconds, memory in MB."""

    pid: int
    kind: str
    cpu: float
    rss: float
    pss: float
    private: float


def family_of(root: int) -> list[Process]:
    """A process and all its descendants."""
    parents: dict[int, int] = {}
    cpu: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        parents[pid], cpu[pid] = int(words[1]), (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    family, found = {root}, []
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    for pid in family:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
        except OSError:
            continue
        if not lines:
            continue
        mb = {name.rstrip(":"): int(value) / 1024 for name, value, *_ in lines}
        kind = "snakemake" if pid == root else "launcher" if "launch" in words[:4] else "other"
        found.append(Process(pid, kind, cpu[pid], mb["Rss"], mb["Pss"], mb["Private_Clean"] + mb["Private_Dirty"]))
    return found


@dataclass
class Sample:
    """The waiting side at one moment."""

    time: float
    calls: Counter[str]
    processes: list[Process] = field(repr=False)

    def total(self, kind: str | None = None) -> float:
        """Proportional memory: shared pages are shared out."""
        return sum(process.pss for process in self.processes if kind in (None, process.kind))

    def count(self, kind: str) -> int:
        """Processes of a kind."""
        return sum(process.kind == kind for process in self.processes)


def run(folder: Path, given: argparse.Namespace) -> tuple[int, float, list[Sample], float]:
    """Start the cluster and Snakemake, and watch; returns exit code, seconds, samples and CPU seconds."""
    cluster = folder / "cluster"
    cluster.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{HERE / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SIMULATED_CLUSTER": str(cluster),
        "SIMULATED_SBATCH_SECONDS": str(given.sbatch_seconds),
        "OMP_NUM_THREADS": "1",
    }
    serve = [sys.executable, str(HERE / "server.py"), str(cluster), "--losses", str(given.losses)]
    serve += ["--seed", str(given.seed), "--seconds", *map(str, given.seconds)]
    server = subprocess.Popen(serve)
    while not (cluster / "last").exists():
        time.sleep(0.1)
    command = [sys.executable, "-m", "snakemake", "-s", "Snakefile", "--profile", str(REPOSITORY / "slurm")]
    command += ["--resources", f"launchers={given.in_flight}", "local_cpu=2", "--quiet", "rules", "--", "everything"]
    began, samples, outage = time.time(), [], given.outage
    with (folder / "snakemake.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
                samples.append(
                    Sample(time.time(), Counter((cluster / "calls").read_text().split()), family_of(process.pid))
                )
                if outage and time.time() - began > given.outage_at:
                    (cluster / "down").touch()
                if (cluster / "down").exists() and time.time() - began > given.outage_at + outage:
                    (cluster / "down").unlink()
                    outage = 0
                time.sleep(given.every)
            process.returncode = os.waitstatus_to_exitcode(ended[1])
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            server.terminate()
            server.wait()
    return process.returncode, time.time() - began, samples, ended[2].ru_utime + ended[2].ru_stime


def check(folder: Path, losses: Counter[str]) -> list[str]:
    """What is wrong at the end; nothing, if every job succeeded and was published once and every output is right."""
    os.chdir(folder)
    wrong: list[str] = []
    jobs = dict(expected(load()))
    events = [json.loads(line) for line in Path("cluster/events.jsonl").read_text().splitlines()]
    count = Counter((event["key"], event["what"]) for event in events)
    for key, outputs in jobs.items():
        for output in outputs:
            file = file_of(output)
            if not file.is_file() or file.read_text() != content(key, output):
                wrong.append(f"{output}: is not what {key} wrote")
        done, submitted, lost = (count[key, what] for what in ("COMPLETED", "SUBMITTED", "LOST"))
        if done != 1 or submitted != 1 + lost:
            wrong.append(f"{key}: {submitted} submissions, {lost} lost, {done} completed")
        log = Path(f"logs/{key}.log").read_text()
        if log.count("exit code 0") != 1 or log.count("submitted slurm job") != submitted:
            wrong.append(f"{key}: its log tells another story")
        ticket = read(Path(paths.job(key)) / "ticket.json")
        if ticket is None or ticket.state != PUBLISHED:
            wrong.append(f"{key}: its ticket is not that of a published job")
        losses[key] = lost
    if strangers := {event["key"] for event in events} - set(jobs):
        wrong.append(f"jobs that nobody asked for: {strangers}")
    staged = [str(file) for file in Path("work/jobs").rglob("stage")]
    return wrong + [f"{file}: left behind" for file in staged]


def report(samples: list[Sample], in_flight: int) -> Iterator[str]:
    """What was measured, in lines."""
    peak = max(samples, key=Sample.total)
    parts = ", ".join(f"{peak.count(kind)} {kind} {peak.total(kind):.0f} MB" for kind in KINDS)
    yield f"peak of all processes (PSS, shared pages counted once): {peak.total():.0f} MB ({parts})"
    snakemake = max(sample.total("snakemake") for sample in samples)
    cpu = max(process.cpu for sample in samples for process in sample.processes if process.kind == "snakemake")
    yield f"Snakemake itself: {snakemake:.0f} MB at most, {cpu:.0f} CPU-s"
    yield f"launchers at once: at most {max(sample.count('launcher') for sample in samples)}"
    # Steady: nearly as many in flight as allowed.
    steady = [sample for sample in samples if sample.count("launcher") >= 0.9 * in_flight]
    if len(steady) < 3:
        yield "never steady"
        return
    waiting = [process for sample in steady for process in sample.processes if process.kind == "launcher"]
    for name in ("rss", "pss", "private"):
        values = sorted(getattr(process, name) for process in waiting)
        low, high = values[len(values) // 20], values[-len(values) // 20]
        yield f"a launcher's {name}: median {statistics.median(values):.1f} MB, 90 % in {low:.1f} .. {high:.1f}"
    busy = []
    for one, other in pairwise(steady):
        before = {process.pid: process.cpu for process in one.processes if process.kind == "launcher"}
        spent = [process.cpu - before[process.pid] for process in other.processes if process.pid in before]
        busy.append(statistics.median(spent) / (other.time - one.time))
    yield f"a waiting launcher's CPU: {1000 * statistics.mean(busy):.1f} ms per second"
    minutes = (steady[-1].time - steady[0].time) / 60
    calls = steady[-1].calls - steady[0].calls
    rates = ", ".join(f"{name} {calls[name] / minutes:.1f}" for name in ("squeue", "sbatch"))
    yield f"calls a minute over {minutes:.1f} steady minutes: {rates}"


def main() -> None:
    """Simulate, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000, help="about so many")
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--losses", type=float, default=0.05, help="part of the submissions")
    parser.add_argument("--seconds", type=float, nargs=2, default=(30, 90), help="shortest and longest job")
    parser.add_argument("--sbatch-seconds", type=float, default=0, help="how long sbatch takes, as on a busy cluster")
    parser.add_argument("--outage", type=float, default=0, help="seconds in which no command of the cluster answers")
    parser.add_argument("--outage-at", type=float, default=120, help="seconds after the start")
    parser.add_argument("--every", type=float, default=5, help="seconds between looks at memory")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="working directory to keep (default: a temporary one)")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="reedbench-simulation-"))
    many_runs(folder, max(1, round(given.jobs / JOBS_PER_SEED)))
    (folder / "Snakefile").write_text(SNAKEFILE)
    print(f"SIMULATION in {folder}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    code, seconds, samples, cpu = run(folder, given)
    print(f"snakemake: exit code {code} after {seconds / 60:.1f} min, {cpu:.0f} CPU-s with all launchers and calls")
    for line in report(samples, given.in_flight):
        print(line)
    losses: Counter[str] = Counter()
    wrong = check(folder, losses)
    calls = Counter((folder / "cluster" / "calls").read_text().split())
    print(f"calls: {dict(calls)}")
    again = dict(sorted(Counter(losses.values()).items()))
    print(f"{len(losses)} jobs, {sum(losses.values())} losses (number of losses: jobs {again})")
    print("\n".join(wrong[:20]) or "every output right; every job completed and published exactly once; nothing left")
    raise SystemExit(bool(wrong) or code)


if __name__ == "__main__":
    main()
