"""smoke: does a job at this site have what benchmarks need? Prints what is there, and for what is not, what to fix."""

import os
import shutil
import socket
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from reedbench import __version__
from reedbench.core import io, locks, paths
from reedbench.core.console import say
from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import ReedbenchError, RunAgain
from reedbench.core.provenance import Made
from reedbench.schema.suite import Suite
from reedbench.training.ranks import Ranks, joined

WRITTEN_MB = 256
SLOW_MB_PER_SECOND = 50
REDUCED_MB = 64
SKEW_SECONDS = 5.0
PATIENCE = timedelta(minutes=3)


@dataclass(frozen=True)
class Finding:
    """One line of the report; `fix` says what to do where something is wrong."""

    what: str
    value: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{'FIX' if self.fix else 'ok '}  {self.what:<18} {self.value}" + (
            f"\n     -> {self.fix}" if self.fix else ""
        )


def smoke(suite: Suite, arguments: Namespace) -> Made | None:
    """Look at this job's node(s) and write results/smoke/report.txt.

    Raises:
        ReedbenchError: something is to be fixed.
    """
    gpus = int(os.environ.get(GPUS_VARIABLE) or 0)
    try:
        # Words go over gloo: a node whose GPU does not work must be able to say so.
        with joined("cpu", PATIENCE) as ranks:
            reports = _gathered(ranks, [*_place(), *_processors(), *_gpus(gpus, ranks), *_file_system()])
            common = list(
                _sums(ranks, on_gpus=gpus > 0 and not any(f.fix for report in reports.values() for f in report))
            )
    except RunAgain as error:
        raise ReedbenchError(f"ranks cannot talk to each other: {error}") from error
    if not ranks.first:
        return None
    report = _written(reports, common)
    say(report)
    if any(finding.fix for finding in [*common, *(f for found in reports.values() for f in found)]):
        raise ReedbenchError("this site is not ready: see the lines marked FIX")
    io.write_text(paths.smoke(), report + "\n")
    return Made([paths.smoke()])


def _gathered(ranks: Ranks, findings: list[Finding]) -> dict[str, list[Finding]]:
    """Findings of one rank per node, by node."""
    here = os.environ.get("SLURMD_NODENAME", socket.gethostname())
    if ranks.world == 1:
        return {here: findings}
    everyone: list[Any] = [None] * ranks.world
    dist.all_gather_object(everyone, (here, findings))
    return dict(reversed(everyone))


def _written(reports: dict[str, list[Finding]], common: list[Finding]) -> str:
    lines = []
    for node in sorted(reports):
        lines += [f"node {node}", *map(str, reports[node])]
    return "\n".join([*lines, "all nodes", *map(str, common)])


def _place() -> Iterator[Finding]:
    partition = os.environ.get("SLURM_JOB_PARTITION")
    nodes = os.environ.get("SLURM_JOB_NODELIST", socket.gethostname())
    yield Finding("reedbench", f"{__version__}, torch {torch.__version__}, in {Path(__file__).parents[1]}")
    yield Finding("place", f"partition {partition}, nodes {nodes}" if partition else f"no Slurm job, host {nodes}")
    if partition:
        found = shutil.which("scontrol")
        yield Finding(
            "scontrol", found or "not on the node",
            "" if found else "without it a job cannot requeue itself at its time limit; it is submitted again instead",
        )  # fmt: skip


def _processors() -> Iterator[Finding]:
    threads, there = int(os.environ.get("OMP_NUM_THREADS") or 1), len(os.sched_getaffinity(0))
    fix = f"this process asked for {threads}: check the site's srun defaults (--cpus-per-task, --cpu-bind)"
    yield Finding("processors", f"{there} for this process", fix if there < threads else "")


def _gpus(asked: int, ranks: Ranks) -> Iterator[Finding]:
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not asked:
        yield Finding("GPUs", f"none asked for ({there} usable, CUDA_VISIBLE_DEVICES={seen})")
        return
    fix = (
        f"asked for {asked} per node: is the partition one with GPUs, does `nvidia-smi` work there, and is torch's "
        f"CUDA ({torch.version.cuda}) one that the driver supports?"
    )
    names = ", ".join(sorted({torch.cuda.get_device_name(i) for i in range(there)})) or "none"
    # A site may show each process its own GPU alone.
    share = max(1, asked // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) if ranks.world > 1 else asked
    yield Finding("GPUs", f"{there} ({names}), CUDA_VISIBLE_DEVICES={seen}", fix if there < share else "")
    if there:
        yield Finding("matrix product", f"{_teraflops():.0f} TFLOP/s in bf16")


def _teraflops(size: int = 8192, repeats: int = 20) -> float:
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    a @ a
    torch.cuda.synchronize()
    began = time.monotonic()
    for _ in range(repeats):
        a @ a
    torch.cuda.synchronize()
    return 2 * size**3 * repeats / (time.monotonic() - began) / 1e12


def _file_system() -> Iterator[Finding]:
    folder = Path(paths.WORK) / "smoke" / f"{socket.gethostname()}-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield _write_speed(folder)
        yield _locks(folder)
        yield _links(folder)
        skew = abs((folder / "written").stat().st_mtime - time.time())
        fix = "the file server's clock differs from the node's: Snakemake compares times; ask for NTP"
        yield Finding("clocks", f"differ by {skew:.1f} s", fix if skew > SKEW_SECONDS else "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_speed(folder: Path) -> Finding:
    block, began = os.urandom(1 << 20), time.monotonic()
    with (folder / "written").open("wb") as file:
        for _ in range(WRITTEN_MB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    speed = WRITTEN_MB / (time.monotonic() - began)
    fix = f"training states go to {paths.WORK}/: put the working directory on a faster file system"
    return Finding("write speed", f"{speed:.0f} MB/s in {paths.WORK}/", fix if speed < SLOW_MB_PER_SECOND else "")


def _locks(folder: Path) -> Finding:
    with (folder / "lock").open("w") as file:
        if why := locks.refused(file):
            return Finding("file locks", why, "mount with locks (NFS: v4 or lockd; Lustre: -o flock)")
    return Finding("file locks", "work")


def _links(folder: Path) -> Finding:
    try:
        os.link(folder / "written", folder / "link")
    except OSError as error:
        return Finding("hard links", f"none ({error}): outputs are copied, which takes time and space twice")
    return Finding("hard links", "work")


def _sums(ranks: Ranks, *, on_gpus: bool) -> Iterator[Finding]:
    """Sums between ranks; every rank must come through here."""
    if ranks.world == 1:
        yield Finding("all-reduce", "one process (give the rule smoke nodes and tasks_per_node to try more)")
        return
    device, group = "cpu", None
    if on_gpus:
        torch.cuda.set_device(ranks.local % torch.cuda.device_count())
        device, group = "cuda", dist.new_group(backend="nccl", timeout=PATIENCE)
    tensor = torch.ones(REDUCED_MB << 18, device=device)
    dist.all_reduce(tensor, group=group)  # connects
    seconds = _timed_sum(tensor, ranks, group)
    right = bool((tensor == ranks.world**2).all())
    speed = tensor.numel() * 4 * 2 * (ranks.world - 1) / ranks.world / seconds / 1e9
    fix = "sums are wrong: check NCCL_SOCKET_IFNAME, and look at NCCL_DEBUG=INFO"
    yield Finding("all-reduce", f"{ranks.world} ranks: {speed:.2f} GB/s on {device}", "" if right else fix)


def _timed_sum(tensor: torch.Tensor, ranks: Ranks, group: Any) -> float:
    def settled() -> float:
        if tensor.is_cuda:
            torch.cuda.synchronize()
        ranks.barrier()
        return time.monotonic()

    began = settled()
    dist.all_reduce(tensor, group=group)
    return settled() - began
