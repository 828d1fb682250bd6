"""What a launch line may ask for, and what is said of one that asks for nonsense."""

import pytest

from reedbench.core.errors import ConfigError
from reedbench.launch.command import main
from reedbench.launch.resources import Request
from reedbench.launch.slurm import parameters

LINE = ["--key", "prepare/digits", "--output", "results/x", "--", "step", "prepare", "--dataset", "digits"]


def test_a_request_becomes_options_of_sbatch():
    request = Request(
        "slurm", "train/a", gpus=8, nodes=2, tasks_per_node=8, cpus=12, mem_mb=1500, runtime=90, partition="gpu",
        constraint="h100", extra='--gres=tmp:1 --exclusive --mail-user="two words"',
    )  # fmt: skip
    asked = parameters(request, "reedbench:0:train/a:1", warning=462)
    assert asked["time"] == 90
    assert asked["signal_delay_s"] == 462
    assert asked["mem"] == "1500MB"
    assert (asked["nodes"], asked["ntasks_per_node"], asked["gpus_per_node"]) == (2, 8, 8)
    assert asked["partition"] == "gpu"
    assert "account" not in asked
    assert "--cpus-per-task=12" in asked["srun_args"]
    assert asked["additional_parameters"] == {
        "requeue": True, "gres": "tmp:1", "exclusive": True, "mail-user": "two words",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nodes": 0}, "nodes is 0; it must be at least 1"),
        ({"key": "../x"}, "must be names of letters"),
        ({"runtime": 3}, "runtime is 3 min; a job needs at least 5 min on Slurm"),
        ({"gpus": 2, "tasks_per_node": 4}, "4 processes per node share 2 GPU(s)"),
        ({"extra": "exclusive"}, "'exclusive' is not an option of sbatch"),
        ({"extra": "--mail-user='x"}, "No closing quotation"),
        ({"extra": "--array=1-3"}, "slurm_extra: --array is set by the launcher"),
    ],
)
def test_a_request_that_cannot_be_served_is_one_clear_line(options, words):
    with pytest.raises(ConfigError) as error:
        Request(**{"where": "slurm", "key": "train/a", **options})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            ["--where", "slrum", *LINE],
            "unknown launcher 'slrum'; did you mean 'slurm'? (allowed: inline, local, slurm)",
        ),
        (["--key", "a", "step"], "expected `-- step <verb> ...`"),
        (["--key", "a", "--", "plot"], "expected `-- step <verb> ...`"),
        (["--gpus", "many", *LINE], "'many' is not a number from 0 up"),
        (["--on-interrupt", "stay", *LINE], "unknown value of --on-interrupt 'stay'"),
        (["--gpu", "1", *LINE], "unrecognized arguments: --gpu=1"),
        (["--nodes", "2", *LINE], "the launcher 'inline' runs one process"),
        (["--where", "local", "--nodes", "2", *LINE], "asks for 2 nodes; the launcher 'local' has one"),
        (["--where", "local", "--gpus", "99", *LINE], "asks for 99 GPU(s); "),
        (["--where", "local", "--on-interrupt", "leave", *LINE], "this works with slurm only"),
        (["--where", "slurm", "--key", "a", "--", "step", "prepare"], "name the step's outputs with --output"),
    ],
)
def test_a_wrong_line_is_told_in_one_line_with_code_2(line, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(line) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_inline_refuses_gpus_where_there_are_none_and_says_what_drops_the_profile(capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["--gpus", "1", *LINE]) == 2
    said = capsys.readouterr().err
    assert "none is visible here, and the launcher is 'inline'" in said
    assert "add launcher=slurm" in said
