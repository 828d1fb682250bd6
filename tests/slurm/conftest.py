"""A private Slurm cluster (two fake nodes with two fake GPUs each) and working directories to launch from.

It starts with the first test and is stopped, by pid files, at the end of the session.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
# What makes the tiny ImageNet, and files of weights for it.
sys.path[:0] = [str(REPOSITORY / "tests" / name) for name in ("workflow", "codecs", "encoders")]
CLUSTER = Path(__file__).parent / "cluster.sh"
# A cluster of this session's own, unless one is named; workers of the session find its name in their environment.
OWN = "SLURM_UP_ROOT" not in os.environ
if OWN:
    os.environ["SLURM_UP_ROOT"] = f"/tmp/reedbench-slurm-{os.getpid()}"
    os.environ["SLURM_UP_PORT"] = str(20000 + os.getpid() % 500 * 20)
ROOT = Path(os.environ["SLURM_UP_ROOT"])
KILL_WAIT = 3  # seconds, as in cluster.sh
PATIENCE = 600  # seconds; what takes longer has failed
PACKAGES = "slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins"
# In one process: most of a small step is its start.
PREPARATION = """
import itertools
from reedbench import steps
from reedbench.schema import planning, runs, suite

for job in itertools.takewhile(lambda job: job.verb != "evaluate", planning.jobs(runs.benchmark(suite.load(), "tiny"))):
    assert steps.main([job.verb, *job.arguments.split()]) == 0
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = f"no Slurm here: apt-get install --no-install-recommends {PACKAGES}"
    if shutil.which("sbatch") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if OWN and ROOT.exists():
        subprocess.run(["bash", str(CLUSTER), "purge"], check=False)


def until(what: str, condition: Callable[[], object], seconds: float = PATIENCE) -> object:
    """Wait for something to become true, and return it."""
    end = time.monotonic() + seconds
    while True:
        with suppress(subprocess.CalledProcessError):  # a controller that is busy
            if found := condition():
                return found
        assert time.monotonic() < end, f"gave up waiting for {what} after {seconds:.0f} s"
        time.sleep(0.05)


def jobs() -> dict[str, dict[str, str]]:
    """Fields of every job that the controller remembers."""
    text = subprocess.run(["scontrol", "-o", "show", "job"], capture_output=True, text=True, check=True).stdout
    rows = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in text.splitlines()]
    return {row["JobId"]: row for row in rows if "JobId" in row}


def release(job: str) -> None:
    """Lift the two minutes for which Slurm holds a requeued job."""
    until(f"job {job} to be requeued", lambda: jobs()[job]["JobState"] == "PENDING")
    time.sleep(KILL_WAIT + 1)  # else the delayed SIGKILL of its first life hits the second

    def started() -> bool:
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], capture_output=True)
        return jobs()[job]["JobState"] != "PENDING"

    until(f"job {job} to start again", started)


def pids(pattern: str) -> list[int]:
    """Processes whose command line contains a text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if pattern in line:
                found.append(int(entry.name))
    return sorted(found)


class Bench:
    """A working directory with the tiny benchmark, prepared as far as training needs it."""

    until, release, jobs = staticmethod(until), staticmethod(release), staticmethod(jobs)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "REEDBENCH_SQUEUE_SECONDS": "1",
            "REEDBENCH_GRACE_SECONDS": "1",
        }

    def command(self, key: str, step: str, *outputs: str, where: str = "slurm", **options: object) -> list[str]:
        """A launch line."""
        words = [sys.executable, "-m", "reedbench", "launch", "--where", where, "--key", key, "--mem-mb", "500"]
        for output in outputs:
            words += ["--output", output]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        return [*words, "--", "step", *step.split()]

    def train(self, method: str = "sit", segment: int = 0, **options: object) -> list[str]:
        """The launch line of a segment."""
        out = f"results/runs/tiny/{method}/seed0/segment-{segment}"
        step = f"train --benchmark tiny --method {method} --seed 0 --segment {segment}"
        return self.command(f"train/tiny/{method}/seed0/segment-{segment}", step, out, f"{out}.json", **options)

    def start(self, command: list[str], **environment: str) -> "subprocess.Popen[str]":
        """Start a command here; standard error and output go together into one pipe."""
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, command: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command here."""
        process = self.start(command, **environment)
        text, _ = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(command, process.returncode, text, "")

    def ticket(self, method: str = "sit", segment: int = 0) -> dict[str, object]:
        """The ticket of a segment, once its job has a number."""
        file = self.folder / f"work/jobs/train/tiny/{method}/seed0/segment-{segment}/ticket.json"

        def read() -> dict[str, object] | None:
            body = json.loads(file.read_text()) if file.exists() else {}
            return body if body.get("job") else None

        return until("a submitted job", read)  # type: ignore[return-value]

    def receipt(self, method: str = "sit", segment: int = 0) -> dict[str, object]:
        """The receipt of a segment."""
        return json.loads((self.folder / f"results/runs/tiny/{method}/seed0/segment-{segment}.json").read_text())

    def state_steps(self, method: str = "sit") -> list[int]:
        """Steps of the resumable states on disk."""
        files = self.folder.glob(f"work/tiny/{method}/seed0/*/state/step-*.safetensors")
        return sorted(int(file.stem.removeprefix("step-")) for file in files)

    def events(self, method: str = "sit") -> int:
        """The last step that training has reported."""
        lines = [line for file in self.folder.glob(f"work/tiny/{method}/seed0/*/events.jsonl") for line in file.open()]
        return json.loads(lines[-1])["done"] if lines else 0

    def logged(self, log: str, words: str) -> bool:
        """Whether a rule's log has these words; Snakemake removes it before its job runs again."""
        with suppress(FileNotFoundError):
            return words in (self.folder / log).read_text()
        return False

    def my_jobs(self) -> dict[str, dict[str, str]]:
        """Jobs that were submitted from this folder."""
        return {job: row for job, row in jobs().items() if row.get("WorkDir") == str(self.folder)}

    def live(self) -> list[str]:
        """Jobs of this folder that wait, run or are ending."""
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
        return [job for job, row in self.my_jobs().items() if row["JobState"] not in over]

    def hold(self) -> None:
        """Make jobs with a `hold:` fault wait at it."""
        (self.folder / "hold").touch()

    def let_go(self) -> None:
        """Let them go on."""
        (self.folder / "hold").unlink()

    def until_asked(self) -> None:
        """Wait until a job that is held has got a signal."""
        until("the signal to arrive", (self.folder / "asked").exists)

    def processes(self, job: str) -> list[int]:
        """Python processes of a job, one per rank."""
        folder = next((self.folder / "work" / "jobs").rglob(f"{job}_submitted.pkl")).parent
        return sorted(set(pids(f"-m submitit.core._submit {folder}")) - set(pids("srun ")))


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """The cluster is up, and every command of this process talks to it."""
    ROOT.parent.mkdir(parents=True, exist_ok=True)
    with ROOT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one session start it once
        subprocess.run(["bash", str(CLUSTER), "start"], check=True)
    os.environ["SLURM_CONF"] = f"{ROOT}/etc/slurm.conf"


@contextmanager
def once(folder: Path) -> Iterator[bool]:
    """Whether to make a folder that all workers of this session share; the others wait until it is made."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.with_suffix(".done")
        yield not done.exists()
        done.touch()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def prepared(make_workspace: Callable[[Path], Path], shared: Path) -> Path:
    """A folder with data and representations. Do not use: copy."""
    folder = shared / "prepared"
    with once(folder) as mine:
        if mine:
            done = Bench(make_workspace(folder)).run([sys.executable, "-c", PREPARATION])
            assert done.returncode == 0, done.stdout
    return folder


@contextmanager
def left_clean(here: Bench) -> Iterator[Bench]:
    """A bench of which nothing is left running."""
    try:
        yield here
    finally:
        for process in here.started:  # launchers first: they would submit a killed job again
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for pid in pids(str(here.folder)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if live := here.live():
            subprocess.run(["scancel", "--signal=KILL", *live], check=False)
            subprocess.run(["scancel", *live], check=False)


@pytest.fixture
def bench(prepared: Path, tmp_path: Path) -> Iterator[Bench]:
    """A copy of the prepared folder; nothing of it is left running."""
    folder = tmp_path / "bench"
    shutil.copytree(prepared, folder)
    with left_clean(Bench(folder)) as here:
        yield here


@pytest.fixture
def bench_at() -> Iterator[Callable[[Path], Bench]]:
    """Makes a bench of a folder that a test fills itself; nothing of it is left running."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(left_clean(Bench(folder)))


@pytest.fixture(scope="session")
def uninterrupted(prepared: Path, shared: Path) -> dict[str, Any]:
    """Receipts of the first segments, trained here without any launcher, and the folder that holds them."""
    folder = shared / "uninterrupted"
    bench = Bench(folder)
    with once(folder) as mine:
        if mine:
            shutil.copytree(prepared, folder)
            for method in ("sit", "reed"):
                done = bench.run(bench.train(method, where="inline"))
                assert done.returncode == 0, done.stdout
    return {"folder": folder, **{method: bench.receipt(method) for method in ("sit", "reed")}}
