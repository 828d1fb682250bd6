"""Every script of speed/ that README or the guides name runs, with the smallest arguments there are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SPEED = REPOSITORY / "speed"
GUIDES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *REPOSITORY.glob("docs/*.md"), *SPEED.glob("*.md")]

# Arguments, in which {config} is the folder of the tiny benchmark, and what the script says in the end.
SCRIPTS = {
    "train_step.py": ("--config {config} --benchmark tiny --method reed --pairs 1 --steps 2", r"ratio ours/bare"),
    "against_eager.py": ("--patch 8 --batch 2 --pairs 1 --steps 1 --samples 1 --sampling-steps 1 --sampling-pairs 1",
                         r"(?s)training step: eager/ours median .*1 steps: eager/ours median"),
    "image_networks.py": ("vit --images 1 --depth 1", r"vit dinov2-vit-b bf16: deviation"),
    "run_plan.py": ("tiny --workers 2", r"(?s)train: .*plot: "),
    "large_dag.py": ("--runs 3", r"3 +\d+ +-n"),
    "batches_ahead.py": ("--rows 256 --steps 2 --width 8", r"and tokens +8 +32 +[\d.]+ +\d"),
    "streams.py": ("1", r"per_row +[\d.]+ ms"),
    "memory_bound.py": ("--count 500 --verbs prepare represent", r"represent .*\nall below 1536 MiB"),
    "semla_step.py": ("--pairs 1 --steps 1 --batch 2 --atoms 4 --width 8 --layers 2 --sets 4 --heads 2 --message 4",
                      r"(?s)outer product: .*all three: .* ratio median"),
    "launch_overhead.py": ("--jobs 1 --repeats 1 --inline-only", r"\n +1 +\d"),
}  # fmt: skip
MORE = {"against_eager.py": "--online"}  # switches with which a script runs once more
CASES = {name: (name, *told) for name, told in SCRIPTS.items()}
CASES |= {f"{name} {more}": (name, f"{SCRIPTS[name][0]} {more}", SCRIPTS[name][1]) for name, more in MORE.items()}
ELSEWHERE = {"simulate_cluster.py": "tests/slurm", "null_experiment.py": "tests/report",
             "molecule_scores.py": "tests/speed/test_molecule_scores.py",
             "overlap_margin.py": "tests/speed/test_overlap_margin.py"}  # fmt: skip


def named() -> set[str]:
    """Scripts that the guides name, as `speed/x.py`."""
    return {name for guide in GUIDES for name in re.findall(r"speed/(\w+\.(?:py|sh))", guide.read_text())}


def test_every_script_that_a_guide_names_is_there_and_is_run_here():
    assert {name for name in named() if not (SPEED / name).exists()} == set()
    assert {name for name in named() if name.endswith(".py")} <= {*SCRIPTS, *ELSEWHERE}


LONG = {"run_plan.py", "against_eager.py --online"}


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.long) if c in LONG else c for c in CASES])
def test_a_script_runs_with_the_smallest_arguments(case, workspace):
    script, words, said = CASES[case]
    benchmark = workspace / "config/benchmarks/tiny.yaml"
    one_run = benchmark.read_text().replace("table: [sit, repa, reed]", "table: [sit]").replace("[10, 20]", "[10]")
    if script == "run_plan.py":
        benchmark.write_text(one_run)
    command = [sys.executable, str(SPEED / script), *words.format(config=workspace / "config").split()]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(said, done.stdout), done.stdout


@pytest.mark.parametrize("script", sorted(SPEED.glob("*.sh")), ids=lambda script: script.name)
def test_a_shell_script_is_one(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
