"""The customer's command, `snakemake --profile slurm <table>`, on a real Slurm; and what is left when it is killed."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 600  # seconds, as in conftest.py
TABLE = "results/tables/tiny.csv"
TIMES = ("device_seconds", "cpu_seconds", "speedup_seconds", "speedup_seconds.low", "speedup_seconds.high")
RECEIPT = "results/runs/tiny/sit/seed0/segment-0.json"
LOG = "logs/train/tiny/sit/seed0/segment-0.log"
HEAVY = ("prepare", "caption", "pretrain", "represent", "statistics", "train", "sample", "evaluate", "floor")
GPU = [f'{rule}:slurm_extra="--gres=gpu:1"' for rule in HEAVY] + [f"{rule}:mem_mb=500" for rule in HEAVY]


@pytest.fixture(autouse=True)
def _profile(bench):
    shutil.copytree(REPOSITORY / "slurm", bench.folder / "slurm")


def snakemake(*arguments, slurm=True):
    where = ["--profile", "slurm", "--set-resources", *GPU] if slurm else ["--cores", "2"]
    line = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), *where]
    return [*line, "--rerun-triggers", "mtime", "input", "params", *arguments]


def table(folder):
    """Rows of the table as text, without what differs between two runs of the same."""
    with (folder / TABLE).open(newline="") as file:
        return [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def test_the_table_is_the_local_one_and_every_heavy_job_ran_on_a_node(bench, tmp_path, make_workspace):
    for made in ("results", "work"):
        shutil.rmtree(bench.folder / made, ignore_errors=True)
    local = make_workspace(tmp_path / "local")
    here = bench.start(snakemake("--", TABLE))
    there = subprocess.run(
        snakemake("--", TABLE, slurm=False), cwd=local, env=bench.environment, capture_output=True, text=True
    )
    text, _ = here.communicate(timeout=PATIENCE)
    assert here.returncode == 0, text
    assert there.returncode == 0, there.stderr
    assert table(bench.folder) == table(local)
    records = [json.loads(file.read_text()) for file in bench.folder.rglob("*.prov.json")]
    heavy = [record for record in records if record["step"] not in ("tabulate", "plot")]
    assert {record["step"] for record in heavy} == {
        "prepare",
        "caption",
        "pretrain",
        "represent",
        "train",
        "sample",
        "evaluate",
    }
    assert {record["job"]["node"] for record in heavy} <= {"n1", "n2"}
    assert {record["job"]["cuda_visible_devices"] for record in heavy} <= {"0", "1"}
    assert {record["job"]["id"] for record in heavy} == set(bench.my_jobs())
    assert all(record["job"] is None for record in records if record not in heavy)


def held(bench, **environment):
    """Snakemake whose only job stands before step 7; returns it with the job's number."""
    bench.hold()
    workflow = bench.start(snakemake("--", RECEIPT), REEDBENCH_FAULT="hold:before-step@7", **environment)
    job = str(bench.ticket()["job"])
    bench.until("the state of step 6", lambda: 6 in bench.state_steps())
    return workflow, job


def test_after_kill_9_of_snakemake_the_rerun_attaches_to_the_same_job(bench, uninterrupted):
    workflow, job = held(bench)
    os.kill(workflow.pid, signal.SIGKILL)
    text, _ = workflow.communicate(timeout=PATIENCE)  # its launcher holds the pipe until it has noticed
    assert bench.logged(LOG, "the workflow is gone; its job goes on")
    assert not (bench.folder / RECEIPT).exists()
    assert bench.run(snakemake("--unlock")).returncode == 0
    again = bench.start(snakemake("--", RECEIPT))
    bench.until("the rerun to attach", lambda: bench.logged(LOG, f"re-attached to live job {job}"))
    bench.let_go()
    text, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, text
    assert list(bench.my_jobs()) == [job]
    assert bench.receipt() == uninterrupted["sit"]
    assert "Nothing to be done" in bench.run(snakemake("-n", "--", RECEIPT)).stdout


def test_ctrl_c_leaves_an_empty_queue_and_the_rerun_starts_again(bench, uninterrupted):
    workflow, job = held(bench)
    os.killpg(workflow.pid, signal.SIGINT)
    workflow.communicate(timeout=PATIENCE)
    bench.until("an empty queue", lambda: not bench.live())
    assert bench.my_jobs()[job]["JobState"] == "CANCELLED"
    bench.let_go()
    done = bench.run(snakemake("--", RECEIPT))
    assert done.returncode == 0, done.stdout
    assert bench.logged(LOG, "resumed at step")
    assert bench.receipt() == uninterrupted["sit"]


def test_dropping_the_profiles_configuration_is_noticed_before_training_on_the_login_node(bench):
    done = bench.run(snakemake("--config", "other=1", "--set-resources", "train:gpus=1", "--", RECEIPT))
    assert done.returncode != 0
    assert "asks for 1 GPU(s), none is visible here, and the launcher is 'inline'" in done.stdout
    assert "add launcher=slurm" in done.stdout
