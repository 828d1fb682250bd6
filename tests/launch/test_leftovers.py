"""`reedbench clean` lists what no configuration asks for, deletes it when told to, and never what somebody may want."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from reedbench import cli
from reedbench.core import io, paths
from reedbench.core.parts import Parts
from reedbench.launch import leftovers, ticket
from reedbench.launch.processes import Process

OLD, OLDER, OTHER = "a" * 12, "b" * 12, "c" * 12


@pytest.fixture
def clean(monkeypatch, capsys):
    """Runs the command; gives what it prints, split at white space."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["reedbench", "clean", *arguments])
        monkeypatch.setenv("COLUMNS", "300")
        assert cli.main() == 0
        out, err = capsys.readouterr()
        return out + err

    return run


@pytest.fixture
def store(scene):
    """Makes a store with one state of so many bytes, written so many seconds ago."""

    def make(method="sit", key=None, size=1000, ago=0.0, seed=0, step=10):
        folder = Path(paths.store("tiny", method, seed, key or scene.key(method)))
        file = folder / "state" / f"{paths.step_name(step)}.safetensors"
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(size))
        (folder / "lock").touch()
        for written in (file, folder / "lock"):
            os.utime(written, (file.stat().st_mtime - ago,) * 2)
        return folder

    return make


def listed(scene):
    return {str(one.path): one.why for one in leftovers.leftovers(scene.suite)}


def test_a_clean_directory_has_nothing_to_clean(scene, store, clean):
    store()
    scene.receipts(2)
    assert "nothing to clean" in clean()


def test_stores_of_other_recipes_are_listed_with_size_and_age_and_stay(scene, store, clean):
    store()
    old = store(key=OLD, size=2_500_000, ago=3 * 86400 + 60)
    said = clean()
    assert [word in said for word in (str(old), "another recipe", "2.5 MB", "3 d", "nothing was deleted")] == [True] * 5
    assert old.exists()


def test_delete_removes_what_was_listed_and_nothing_else(scene, store, clean):
    mine, old = store(), store(key=OLD, ago=100)
    io.write_json("results/cache/gone/cache.prov.json", {})
    io.write_json("results/data/other/index.json", {})
    assert "deleted; 1 kB freed" in clean("--delete")
    assert mine.exists()
    assert not old.exists()
    assert Path("results/cache/gone/cache.prov.json").exists()
    assert Path("results/data/other/index.json").exists()


def test_the_newest_state_of_a_configured_run_is_never_listed(scene, store):
    newest, _ = store(key=OLD, ago=100), store(key=OLDER, ago=200)
    assert listed(scene) == {paths.store("tiny", "sit", 0, OLDER): "another recipe"}  # edited, and not trained since
    store(ago=300)  # the present recipe's, though older, stays too
    assert str(newest) not in listed(scene)
    assert paths.store("tiny", "sit", 0, scene.key()) not in listed(scene)


def test_a_locked_store_is_never_listed_nor_deleted(scene, store):
    store()
    held = store(key=OLD, ago=100)
    found = leftovers.leftovers(scene.suite)
    with (held / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert listed(scene) == {}
        leftovers.delete(found)  # it was free when it was listed
        assert held.exists()
    assert listed(scene) == {str(held): "another recipe"}


def test_results_that_no_file_names_are_listed(scene):
    for name in ("runs/tiny/sit/seed0/a", "runs/tiny/sit/seed7/a", "samples/tiny/gone/seed0/a",
                 "metrics/other/x/seed0/a", "metrics/tiny/floor.json", "figures/other/a.pdf", "tables/tiny.csv",
                 "tables/other.csv", "tables/other.csv.prov.json", "ablations/tiny/depth.csv"):  # fmt: skip
        io.write_text(f"results/{name}", "a")
    assert listed(scene) == {
        "results/runs/tiny/sit/seed7": "no such seed",
        "results/samples/tiny/gone": "no such method",
        "results/metrics/other": "no such benchmark",
        "results/figures/other": "no such benchmark",
        "results/tables/other.csv": "no such benchmark",
        "results/tables/other.csv.prov.json": "no such benchmark",
    }


def test_what_is_linked_from_elsewhere_frees_nothing_until_all_names_go(scene, store):
    gone = store("gone", OLD)
    weights = gone / "weights" / "step-0000010.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(bytes(5000))
    published = Path("results/runs/tiny/gone/seed0/segment-0") / weights.name
    published.parent.mkdir(parents=True)
    os.link(weights, published)
    found = leftovers.leftovers(scene.suite)
    assert {str(one.path): one.size for one in found} == {str(gone): 1000, "results/runs/tiny/gone": 0}
    assert leftovers.total(found) == 6000


def test_folders_of_jobs_are_listed_unless_one_is_waited_for(scene):
    scene.other_ticket("train/tiny/gone/seed0/segment-0", state=ticket.PUBLISHED)
    scene.other_ticket("train/other/sit/seed0/segment-0", state=ticket.SUBMITTED)
    scene.other_ticket("sample/other/sit/seed0/step-0000010/ode", process=Process.this().plain(), where="local")
    scene.other_ticket("train/tiny/sit/seed0/segment-0", state=ticket.PUBLISHED)
    assert listed(scene) == {"work/jobs/train/tiny/gone": "no such method"}


def test_status_says_how_much_is_kept(scene, store):
    store()
    assert scene.report().kept == ""
    store(key=OLD, size=3000, ago=100)
    store(key=OTHER, size=2000, ago=200)
    assert scene.report().kept == "2 stores of other recipes: 5 kB; reedbench clean lists what nothing asks for"


@pytest.fixture
def parts():
    """Leaves one part of a step that was killed."""

    def make(*names, size=1000):
        one = Parts(names, "settings", 2)
        with one.held():
            one.file(0).write_bytes(bytes(size))
        return one

    return make


def test_parts_of_unfinished_steps_are_listed_and_go_when_told(scene, parts, clean):
    one = parts("represent", "digits", "patches", size=2_000_000)
    said = clean()
    assert [word in said for word in (str(one.folder), "parts of an unfinished step", "2 MB")] == [True] * 3
    assert one.missing() == [1]
    assert scene.report().kept == "1 step kept in parts: 2 MB; reedbench clean lists what nothing asks for"
    clean("--delete")
    assert not one.folder.exists()


def test_parts_of_a_step_that_runs_or_waits_are_never_listed(scene, parts):
    running, queued, gone = (parts("represent", "digits", name) for name in ("patches", "caption", "older"))
    scene.other_ticket("represent/digits/caption", state=ticket.SUBMITTED)
    with running.lock.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert list(listed(scene)) == [str(gone.folder)]
        found = [leftovers.Leftover(running.folder, "seen before it ran", 0, 0, running.lock)]
        assert leftovers.delete(found) == 0
    assert running.missing() == queued.missing() == [1]


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (11e9, "11 GB")])
def test_sizes_are_readable(size, words):
    assert leftovers.size_words(size) == words
