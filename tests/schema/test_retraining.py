"""Before an edit trains runs anew, the plan says which, why, and what they had cost."""

import sys
from pathlib import Path

import pytest

from reedbench import cli
from reedbench.core import io, paths, provenance, stores
from reedbench.schema import retraining, runs, settings
from reedbench.schema.suite import load


def edit(old, new):
    file = Path("config/benchmarks/tiny.yaml")
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    load.cache_clear()


def leave(m, seconds, b="tiny", k=0):
    """What a run of 20 steps leaves in results, without having run."""
    recipe = runs.of(load(), b, m, k).recipe
    io.write_json(paths.recipe(b, m, k), recipe)
    for i in range(2):
        receipt = paths.receipt(b, m, k, i)
        io.write_json(receipt, {"key": settings.key(recipe), "start": 10 * i, "stop": 10 * (i + 1),
                               "parameters": 1, "weights": {}})  # fmt: skip
        costs = {"device_seconds": seconds * (i + 1) / 2, "cpu_seconds": 1.0, "flops": 1e9 * (i + 1)}
        made = {"step": "train", "version": 1, "settings": "", "sha256": "", "inputs": {}, "outputs": [], "command": []}
        io.write_json(provenance.sidecar(receipt), {**made, "notes": {"run_costs": costs}})


@pytest.fixture
def trained(workspace):
    for m, seconds in (("sit", 3600.0), ("reed", 7200.0)):
        leave(m, seconds)


def said():
    return retraining.lines(retraining.retrained(runs.benchmark(load(), "tiny")))


def test_nothing_is_said_where_nothing_changes(trained):
    assert said() == []
    edit("title: Tiny", "title: Other")
    assert said() == []


def test_an_edit_of_all_methods_is_one_line_with_its_cost(trained):
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    (line,) = said()
    assert line == (
        "tiny: an edit trains 2 runs anew: sit (seed 0), reed (seed 0): train.optimiser.lr: 0.001 -> 0.002; "
        "that had cost 3 device-hours and 4e+09 FLOPs (the old states are kept)"
    )


def test_an_edit_of_one_method_names_it_alone(trained):
    edit("weight: 0.25", "weight: 0.75")
    (line,) = said()
    assert (
        "1 run anew: reed (seed 0): objective.alignments.1.weight: 0.25 -> 0.75; that had cost 2 device-hours" in line
    )


def test_a_run_that_was_never_trained_is_not_trained_anew(trained):
    for file in Path(paths.run("tiny", "sit", 0)).glob("segment-*"):
        file.unlink()
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    assert [one.run.method for one in retraining.retrained(runs.benchmark(load(), "tiny"))] == ["reed"]


def test_it_is_said_again_where_a_planning_was_interrupted(trained):
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    for run in runs.benchmark(load(), "tiny").runs(["sit", "reed"]):
        settings.put_recipe(run.recipe_file, run.recipe)  # as Snakemake does while it plans; then Ctrl-C
    (line,) = said()
    assert "an edit trains 2 runs anew: sit (seed 0), reed (seed 0): an edit that was planned before" in line


TAUGHT = """
  tuned: {base: sit, label: Tuned, init: teacher, teacher: {method: sit, step: 10}}
  more: {base: sit, label: More, init: teacher, teacher: {method: tuned, step: 20}}
  other: {base: sit, label: Other, init: teacher, teacher: {method: repa, step: 10}}
table: [sit, repa, tuned, more, other]
"""


@pytest.fixture
def taught(workspace):
    edit("table: [sit, repa, reed]", TAUGHT)
    edit("baseline: sit", "baseline: repa")
    for m in ("sit", "tuned", "more", "other"):
        leave(m, 60.0)


def test_of_a_teacher_it_is_said_what_changed(taught):
    edit("sit: {uses: aligned, label: SiT}", "sit: {uses: aligned, label: SiT, label_dropout: 0.2}")
    for m in ("tuned", "more", "other"):  # which are no copies of it in this
        edit(f"{m}: {{base: sit,", f"{m}: {{base: sit, label_dropout: 0.1,")
    own, students = said()
    assert "1 run anew: sit (seed 0): objective.label_dropout: the default -> 0.2" in own
    assert "2 runs anew: tuned (seed 0), more (seed 0): teacher sit: objective.label_dropout: the default" in students
    assert "teacher.recipe" not in students


def test_a_step_and_what_the_student_itself_changes_are_said_beside_it(taught):
    edit(
        "init: teacher, teacher: {method: sit, step: 10}}",
        "init: teacher, teacher: {method: sit, step: 20}, ema_decay: 0}",
    )
    (tuned, more) = retraining.retrained(runs.benchmark(load(), "tiny"))
    assert tuned.changes == ("teacher.step: 10 -> 20", "train.ema_decay: 0.9 -> 0.0")
    assert more.changes == tuple(f"teacher tuned: {change}" for change in tuned.changes)


def test_of_a_teacher_that_was_not_planned_or_is_another_one_it_is_said_that_it_changed(taught):
    edit("label: REPA\n", "label: REPA\n    label_dropout: 0.2\n")
    (line,) = said()  # nothing of repa is here
    assert "1 run anew: other (seed 0): its teacher changed;" in line
    edit("    label_dropout: 0.2\n", "")
    edit("teacher: {method: tuned, step: 20}", "teacher: {method: sit, step: 20}")
    (line,) = said()
    assert "1 run anew: more (seed 0): its teacher changed;" in line


def taught_elsewhere() -> Path:
    """A method whose teacher is of another benchmark, of which this is the file."""
    other = Path("config/benchmarks/other.yaml")
    other.write_text(Path("config/benchmarks/tiny.yaml").read_text())
    far = "{base: sit, label: Far, init: teacher, teacher: {benchmark: other, method: sit, step: 10}}"
    edit("table: [sit, repa,", f"  far: {far}\ntable: [far, sit, repa,")
    return other


def test_a_teacher_of_another_benchmark_is_named_with_it(taught):
    other = taught_elsewhere()
    leave("far", 60.0)
    there = runs.of(load(), "other", "sit", 0)
    io.write_json(there.recipe_file, there.recipe)
    other.write_text(other.read_text().replace("lr: 1.0e-3", "lr: 2.0e-3"))
    load.cache_clear()
    (line,) = said()
    assert "1 run anew: far (seed 0): teacher other/sit: train.optimiser.lr: 0.001 -> 0.002;" in line


def test_a_teacher_of_another_benchmark_is_said_under_the_students_seeds(taught):
    other = taught_elsewhere()
    edit("seeds: [0]", "seeds: [0, 1]")
    for k in (0, 1):
        leave("sit", 60.0, "other", k)
        leave("far", 60.0, k=k)
    other.write_text(other.read_text().replace("lr: 1.0e-3", "lr: 2.0e-3"))
    load.cache_clear()
    teachers, students = said()
    assert teachers == (
        "other: an edit trains 2 runs anew: sit (seed 0, 1): train.optimiser.lr: 0.001 -> 0.002; that had cost "
        "2 device-minutes and 4e+09 FLOPs (the old states are kept)"
    )
    assert students.startswith("tiny: an edit trains 2 runs anew: far (seed 0, 1): teacher other/sit: train.optimiser")


def test_an_edit_that_is_taken_back_is_said_to_cost_nothing(trained):
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    key = runs.of(load(), "tiny", "sit", 0).key
    store = stores.Folder(paths.store("tiny", "sit", 0, key))
    io.write_json(store.record_file(20), {})
    kept, anew = sorted(said(), key=len)
    assert kept.startswith("tiny: 1 run goes back to a recipe that is kept, nothing is trained twice: sit (seed 0)")
    assert "1 run anew: reed" in anew


def test_costs_that_nobody_recorded_are_left_out(trained):
    for file in Path("results").rglob("*.prov.json"):
        file.unlink()
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    (line,) = said()
    assert "cost" not in line


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 1 -> 2"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a.1: 2 -> 3"]),
        ({"a": [1]}, {"a": [1, 3]}, ["a: [1] -> [1, 3]"]),
        ({"a": 1}, {"b": 1}, ["a: 1 -> the default", "b: the default -> 1"]),
    ],
)
def test_a_change_is_named_by_its_path(old, new, words):
    assert list(retraining.changes(old, new)) == words


def test_the_command_says_it(trained, monkeypatch, capsys):
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    monkeypatch.setattr(sys, "argv", ["reedbench", "plan", "tiny"])
    assert cli.main() == 0
    assert "train.optimiser.lr: 0.001 -> 0.002" in capsys.readouterr().out
