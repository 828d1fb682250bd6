"""Students of real runs: trained from their teacher's published weights, sampled without it, priced with it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reedbench import steps
from reedbench.core import divided, io, paths, provenance, stores
from reedbench.report import costs
from reedbench.schema import runs, suite
from reedbench.steps import gather

METHODS = """
  tuned: {base: sit, label: Tuned, init: teacher, teacher: {method: sit, step: 5}, steps: 5, ema_decay: 0}
  guide: {uses: guide, label: Guide, teacher: {method: sit, step: 10}, steps: 5}
  d: {uses: guided-distillation, label: Stage 1, teacher: {method: sit, step: 10}, steps: 5}
  d.two:
    uses: progressive-distillation
    label: 2 steps
    student_steps: 2
    teacher: {method: d, step: 5}
    steps: 5
    ema_decay: 0
    optimiser: {decay_over: 5}
table: [sit, tuned, guide, d, d.two]
"""


@pytest.fixture
def benchmark(workspace) -> runs.Benchmark:
    """The tiny benchmark with students; nothing has been trained."""
    edit("table: [sit, repa, reed]", METHODS)
    edit("  ode: {uses: euler, steps: 2}", "  ode: {uses: euler, steps: 2, guidance: 2}")
    assert steps.main(["prepare", "--dataset", "digits"]) == 0
    return now()


def edit(old: str, new: str) -> None:
    file = Path("config/benchmarks/tiny.yaml")
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    suite.load.cache_clear()


def now() -> runs.Benchmark:
    return runs.benchmark(suite.load(), "tiny")


def step(verb: str, method: str, *more: str) -> int:
    return steps.main([verb, "--benchmark", "tiny", "--method", method, "--seed", "0", *more])


def train(*methods: str) -> None:
    for method in methods:
        assert step("train", method, "--segment", "0") == 0


def test_students_are_trained_sampled_and_priced(benchmark, capsys):
    assert step("train", "tuned", "--segment", "0") == 3  # its teacher first
    assert "results/runs/tiny/sit/seed0/segment-0.json" in capsys.readouterr().err
    train("sit", "tuned", "guide", "d", "d.two")
    assert step("train", "tuned", "--segment", "1") == 2
    assert "ends at step 5, and has no segment 1" in capsys.readouterr().err
    teacher = divided.read("results/runs/tiny/sit/seed0/segment-0/step-0000010.safetensors")
    guide = divided.read("results/runs/tiny/guide/seed0/segment-0/step-0000005.safetensors")
    assert all(np.array_equal(guide[f"base.{name}"], tensor) for name, tensor in teacher.items())
    inputs = provenance.read("results/runs/tiny/guide/seed0/segment-0.json")["inputs"]
    read = ("segment-0.json", "segment-0/step-0000010.safetensors")
    assert {f"results/runs/tiny/sit/seed0/{name}" for name in read} <= inputs.keys()
    _check_costs()
    shutil.move("results/runs/tiny/sit", "away")  # what is published needs no teacher
    for method in ("guide", "d", "d.two"):
        assert step("sample", method, "--step", "5", "--sampler", "ode") == 0
        assert provenance.read(now().cell(method, 0, 5, "ode").samples)["notes"]["nfe"] == 2


def _check_costs() -> None:
    def curve(method: str) -> pd.DataFrame:
        return pd.read_csv(f"results/runs/tiny/{method}/seed0/segment-0/curve.csv").set_index("step")

    tiny, sit, d = now(), curve("sit"), curve("d")
    half, whole, distilled = sit.loc[5, "flops"], sit.loc[10, "flops"], d.loc[5, "flops"]
    assert half == whole / 2
    for method, flops in (("sit", 0), ("tuned", half), ("guide", whole), ("d", whole), ("d.two", whole + distilled)):
        assert gather._one_off(tiny.run(method, 0))["oneoff_flops"] == flops
        assert gather._base(tiny.run(method, 0)).get("base_flops", 0) == flops
    said = gather._base(tiny.run("d.two", 0))
    assert (said[costs.TAUGHT], said["base_step"]) == ("sit at step 10, then d at step 5", 15)


def test_another_teacher_is_not_taken_for_the_one_that_was(benchmark, capsys):
    train("sit", "tuned")
    weights = Path("results/runs/tiny/sit/seed0/segment-0/step-0000005.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert step("train", "tuned", "--segment", "0") == 3
    assert "not the weights that its receipt names" in capsys.readouterr().err
    receipt = "results/runs/tiny/sit/seed0/segment-0.json"
    said = stores.receipt(receipt)
    said["weights"][weights.name] = io.sha256(weights)
    io.write_json(receipt, said)
    assert step("train", "tuned", "--segment", "0") == 2
    assert "teacher tiny/sit/seed0/5 has other content than when this run was trained" in capsys.readouterr().err


def test_a_teacher_under_another_recipe_must_be_trained_again_first(benchmark, capsys):
    train("sit")
    edit("sit: {uses: aligned, label: SiT}", "sit: {uses: aligned, label: SiT, label_dropout: 0.3}")
    assert step("train", "tuned", "--segment", "0") == 3
    assert "the weights belong to recipe" in capsys.readouterr().err
    assert Path(paths.receipt("tiny", "sit", 0, 0)).exists()
