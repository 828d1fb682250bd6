"""What launching costs: 1, 16 and 48 jobs whose step does nothing, through Snakemake, inline and on Slurm.

    tests/slurm/cluster.sh start && . /tmp/reedbench-slurm/env && python speed/launch_overhead.py

The step is a stand-in that only writes its output (put in place of `reedbench.steps` by a sitecustomize module), so
that what is left is Snakemake, launcher, sbatch, queue, srun and the start of Python in the job. Both modes run in
turn, three times; the medians are printed, and the overhead per job is their difference.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
STAND_IN = """
import sys, types
from pathlib import Path

def main(argv):
    from reedbench.core.staging import staged
    file = staged(argv[-1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("made")
    return 0

module = types.ModuleType("reedbench.steps")
module.main = main
sys.modules["reedbench.steps"] = module
"""
SNAKEFILE = """
rule all:
    input: [f"results/{i}" for i in range(int(config["jobs"]))]

rule job:
    output: "results/{i}"
    log: "logs/{i}.log"
    resources: launchers=1
    shell:
        "reedbench launch --where {config[where]} --mem-mb 10 --runtime 5 --key job/{wildcards.i} --output {output}"
        " -- step nothing {output} > {log} 2>&1"
"""


def seconds(jobs: int, where: str) -> float:
    """Wall time of a whole Snakemake run in a fresh folder."""
    folder = Path(tempfile.mkdtemp(prefix="launch-overhead-"))
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "stand-in").mkdir()
    (folder / "stand-in" / "sitecustomize.py").write_text(STAND_IN)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}/stand-in:{REPOSITORY}",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    cores = "48" if where == "slurm" else "2"
    line = [sys.executable, "-m", "snakemake", "--cores", cores, "--quiet", "all"]
    began = time.monotonic()
    subprocess.run([*line, "--config", f"jobs={jobs}", f"where={where}"], cwd=folder, env=environment, check=True)
    spent = time.monotonic() - began
    assert all((folder / "results" / str(i)).read_text() == "made" for i in range(jobs))
    shutil.rmtree(folder)
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 16, 48])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--inline-only", action="store_true", help="without a cluster: the jobs of this machine alone")
    arguments = parser.parse_args()
    modes = ["inline"] if arguments.inline_only else ["inline", "slurm"]
    print("jobs  inline s" + ("" if arguments.inline_only else "  slurm s  overhead per job s"))
    for jobs in arguments.jobs:
        times: dict[str, list[float]] = {where: [] for where in modes}
        for _ in range(arguments.repeats):
            for where, measured in times.items():
                measured.append(seconds(jobs, where))
        inline, *slurm = (statistics.median(times[where]) for where in modes)
        print(
            f"{jobs:4}  {inline:8.1f}" + "".join(f"  {s:7.1f}  {(s - inline) / jobs:18.2f}" for s in slurm), flush=True
        )


if __name__ == "__main__":
    main()
