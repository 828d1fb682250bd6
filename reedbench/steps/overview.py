"""What `reedbench plan` prints: jobs, device-hours and disk of a benchmark, in words."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reedbench.core import devices, provenance
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.schema.planning import Job
from reedbench.schema.runs import Benchmark
from reedbench.steps.outlook import UNKNOWN, Amount, Outlook, added

LIGHT = ("fetch", "prepare", "tabulate", "plot")  # steps without networks


@dataclass(frozen=True)
class Pace:
    """How fast a device is taken to be: its peak, what that is called, and the share of it that is reached."""

    peak: float
    device: str
    mfu: float

    @classmethod
    def of(cls, peak: str, mfu: float) -> "Pace":
        """From the words of a command: a device, or TFLOP/s.

        Raises:
            ConfigError: there is no such device.
        """
        if (found := devices.peak(peak)) is not None:
            return cls(found, peak.lower(), mfu)
        try:
            number = float(peak)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise ConfigError(f"--peak {peak}: give TFLOP/s, or one of {', '.join(devices.PEAKS)}")
        return cls(number * 1e12, "as given", mfu)

    def hours(self, flops: float) -> float:
        """Of one device."""
        return flops / (self.peak * self.mfu) / 3600


def overview(benchmark: Benchmark, jobs: list[Job], pace: Pace) -> tuple[list[list[str]], list[list[str]], list[str]]:
    """Rows of two tables, of steps and of disk, and lines to print below them."""
    found = Outlook(benchmark)
    operations = found.operations()
    rows = [["step", "jobs", "there", "FLOPs", "GPU-hours", "to come", "hours spent"]]
    totals, spent_in_all = [Amount(), Amount()], 0.0
    for verb in dict.fromkeys(job.verb for job in jobs):
        mine = [job for job in jobs if job.verb == verb]
        there = [job for job in mine if Path(job.done).exists()]
        every, left = (
            added(operations.get(job.done, UNKNOWN) for job in some)
            for some in (mine, [job for job in mine if job not in there])
        )
        spent = sum(_hours(job.done) for job in there)
        spent_in_all += spent
        counts = [verb, str(len(mine)), str(len(there))]
        on_gpu = verb not in LIGHT and benchmark.resources(verb).gpus > 0
        hours = [every, left] if on_gpu else [Amount(), Amount()]
        totals = [a + b for a, b in zip(totals, hours, strict=True)]
        words = [x.said(lambda f: f"{pace.hours(f):.3g}") for x in hours] if on_gpu else ["", ""]
        rows.append([*counts, "" if verb in LIGHT else every.said("{:.2g}".format), *words, f"{spent:.3g}"])
    done = sum(int(row[2]) for row in rows[1:])
    words = [x.said(lambda f: f"{pace.hours(f):.3g}") for x in totals]
    rows.append(["all", str(len(jobs)), str(done), "", *words, f"{spent_in_all:.3g}"])
    return rows, _disk_rows(found), _notes(found, pace)


def _disk_rows(found: Outlook) -> list[list[str]]:
    kept = found.disk()
    rows = [[what, amount.said(size_words), size_words(_size(folders))] for what, amount, folders in kept]
    here = _size(folder for *_, folders in kept for folder in folders)
    rows.append(["all", added(amount for _, amount, _ in kept).said(size_words), size_words(here)])
    return [["kept", "in the end", "here now"], *rows]


def _notes(found: Outlook, pace: Pace) -> Iterator[str]:
    spec = found.spec
    yield (
        f"GPU-hours assume {100 * pace.mfu:.0f} % (--mfu) of {pace.peak / 1e12:.4g} TFLOP/s (--peak: {pace.device}, "
        "dense bf16): neither was measured. Steps that ask for no GPU have none. Hours spent are those of all devices "
        "on what is there."
    )
    if found.benchmark.resources("train").gpus and spec.train.precision != "bf16":
        yield f"train.precision is {spec.train.precision}: in bf16, for which the peak holds, products are faster"
    for name in found.stand_ins:
        width = found.sketched[name][-1]
        yield (
            f"the width of {name} is not known before its weights are there: {width} numbers stand for it; only the "
            "last layer of its projectors depends on them"
        )
    if spec.codec.compresses:
        yield "sample: the network's operations; what decoding takes is not counted"
    size = found.while_training().said(size_words)
    yield f"while a run trains, its states take {size}; images are counted as they are, and kept compressed or smaller"


def _hours(done: str) -> float:
    try:
        return float(provenance.cost(done)["device_seconds"]) / 3600
    except (MissingArtefact, KeyError, TypeError):
        return 0.0


def _size(folders: Iterable[str]) -> int:
    """Bytes of all files below, each counted once under whatever names it has."""
    files = (file for folder in dict.fromkeys(folders) for file in Path(folder).rglob("*") if file.is_file())
    return sum({(found.st_dev, found.st_ino): found.st_size for found in (file.stat() for file in files)}.values())


def size_words(size: float) -> str:
    """`1.2 GB`."""
    if size < 1000:
        return f"{size:.0f} B"
    power = min(int(math.log10(size)) // 3, 5)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"
