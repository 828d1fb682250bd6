"""Run a benchmark's whole plan without Snakemake, independent runs side by side: for a GPU box that has only torch.

    python speed/run_plan.py digits --workers 8 --gpus 1

What comes before and after the runs goes one job at a time; each run (method and seed) is one chain of jobs. With
`--gpus N`, training and sampling are told to use GPUs, as a launcher would tell them. Prints seconds per verb.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from reedbench.core.constants import GPUS_VARIABLE
from reedbench.schema.planning import Job, jobs
from reedbench.schema.runs import benchmark
from reedbench.schema.suite import load

ON_GPU = ("train", "sample")


def run(job: Job, gpus: int) -> float:
    """Run one job; returns its seconds."""
    began = time.monotonic()
    environment = {**os.environ, GPUS_VARIABLE: str(gpus if job.verb in ON_GPU else 0), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "reedbench", *job.command.split()[1:], "--unless-fresh", job.done]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{job.command}\nexit code {done.returncode}\n{done.stderr}")
    return time.monotonic() - began


def cell(job: Job) -> str:
    """`digits sit 0` for a job of a run, nothing for the others."""
    words = job.arguments.split()
    return " ".join(words[:6]) if "--seed" in words else ""


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=0)
    arguments = parser.parse_args()
    seconds: Counter[str] = Counter()

    def chain(work: list[Job]) -> None:
        for job in work:
            seconds[job.verb] += run(job, arguments.gpus)

    plan = jobs(benchmark(load(), arguments.benchmark))
    first = next(i for i, job in enumerate(plan) if cell(job))
    last = max(i for i, job in enumerate(plan) if cell(job)) + 1
    chain(plan[:first])
    runs = [list(group) for _, group in groupby(sorted(plan[first:last], key=cell), key=cell)]
    with ThreadPoolExecutor(arguments.workers) as pool:
        list(pool.map(chain, runs))
    chain(plan[last:])
    for verb, spent in seconds.items():
        print(f"{verb}: {spent:.0f} s")


if __name__ == "__main__":
    main()
