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


def leave(m, seconds):
    """What a run of 20 steps leaves in results, without having run."""
    recipe = runs.of(load(), "tiny", m, 0).recipe
    io.write_json(paths.recipe("tiny", m, 0), recipe)
    for i in range(2):
        receipt = paths.receipt("tiny", m, 0, i)
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
    suite = load()
    return retraining.lines(runs.benchmark(suite, "tiny"))


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
    assert [one.method for one in retraining.retrained(runs.benchmark(load(), "tiny"))] == ["reed"]


def test_it_is_said_again_where_a_planning_was_interrupted(trained):
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    for run in runs.benchmark(load(), "tiny").runs(["sit", "reed"]):
        settings.put_recipe(run.recipe_file, run.recipe)  # as Snakemake does while it plans; then Ctrl-C
    (line,) = said()
    assert "an edit trains 2 runs anew: sit (seed 0), reed (seed 0): an edit that was planned before" in line


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
