"""Mode `local`: real processes of this machine, with GPUs dealt out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reedbench.core.errors import ConfigError
from reedbench.launch import gpus
from reedbench.launch.coordinator import coordinator
from reedbench.launch.processes import Process

OUTPUTS = [f"results/data/digits/{name}" for name in ("shards", "manifest.parquet", "index.json")]


def line(key, **options):
    words = [sys.executable, "-m", "reedbench", "launch", "--where", "local", "--key", key]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    words += [word for output in OUTPUTS for word in ("--output", output)]
    return [*words, "--", "step", "prepare", "--dataset", "digits"]


def test_a_job_waits_for_a_gpu_that_nobody_holds(workspace, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    leases = workspace / gpus.LEASES.name
    another = subprocess.Popen(["sleep", "600"])
    assert gpus.lease(2, leases) == [3, 5]
    gpus.hand_over([3], Process.of(another.pid), leases)

    job = subprocess.Popen(
        line("prepare/digits", gpus=1),
        env={**os.environ, "TMPDIR": str(workspace)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "fewer than 1 GPU(s) are free" in job.stderr.readline()
    another.kill()
    another.wait()
    said = job.communicate(timeout=300)[1]

    assert job.returncode == 0, said
    record = json.loads((workspace / f"{OUTPUTS[-1]}.prov.json").read_text())["job"]
    assert (record["launcher"], record["cuda_visible_devices"]) == ("local", "3")
    holder = json.loads((leases / "3.json").read_text())["pid"]
    assert holder not in (another.pid, job.pid), "the lease is the job's, not the launcher's"


def test_a_step_that_fails_locally_gives_its_code_and_its_words(workspace):
    done = subprocess.run(
        [*line("prepare/digits"), "--expect", "000000000000"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "the configuration changed since this job was planned" in done.stderr


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")


def test_a_lease_ends_with_its_holder(two_gpus, tmp_path):
    other = subprocess.Popen(["sleep", "60"])
    assert gpus.lease(2, tmp_path) == [0, 1]
    assert gpus.lease(1, tmp_path) is None
    gpus.hand_over([0], Process.of(other.pid), tmp_path)
    other.kill()
    other.wait()
    assert gpus.lease(2, tmp_path) is None
    assert gpus.lease(1, tmp_path) == [0]


@pytest.mark.parametrize(("value", "seen"), [("", []), ("-1", []), ("NoDevFiles", []), ("2,7", [2, 7])])
def test_visible_gpus_are_those_of_the_environment(monkeypatch, value, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert gpus.visible() == seen


def test_gpus_without_numbers_cannot_be_dealt_out(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb")
    assert gpus.any_visible()
    assert gpus.lease(0, tmp_path) == []  # who wants none does not care
    with pytest.raises(ConfigError, match="name GPUs by their numbers"):
        gpus.visible()


def test_a_number_that_is_given_again_is_another_process():
    here = Process.this()
    assert here.alive()
    assert not Process(here.host, here.pid, "1").alive()
    assert not Process(here.host, 2**22 + 1, "").alive()
    assert Process("elsewhere", 1, "1").alive()


def test_a_launcher_knows_its_snakemake(tmp_path):
    program = tmp_path / "snakemake"
    inner = "from reedbench.launch.coordinator import coordinator as c; print(c().pid)"
    program.write_text(
        "import os, subprocess, sys\n"
        f"line = ['bash', '-c', '''{sys.executable} -c \"{inner}\"; true''']\n"
        "out = subprocess.run(line, capture_output=True, text=True)\n"
        "print(out.stdout.strip() == str(os.getpid()), out.stderr)\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, cwd=Path.cwd())
    assert done.stdout.startswith("True"), done
    if "snakemake" not in Path(f"/proc/{os.getppid()}/cmdline").read_text():
        assert coordinator() is None
