"""Nothing that was trained is lost or trained again: not for another recipe, a finer grid, or other segments."""

import shutil
from pathlib import Path

import pytest
import torch
from tiny_runs import REPA, outcome, train, train_both

from reedbench.core import io, numerics, paths
from reedbench.schema import suite
from reedbench.training.checkpoint import Store
from reedbench.training.segments import Segment, train_segment
from reedbench.training.trainer import Trainer


@pytest.fixture
def trained(monkeypatch):
    """Steps that are trained from now on."""
    steps, update = [], Trainer.update

    def counted(self, step):
        steps.append(step + 1)
        return update(self, step)

    monkeypatch.setattr(Trainer, "update", counted)
    return steps


def edit(old, new):
    file = Path("config/benchmarks/tiny.yaml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    suite.load.cache_clear()


def test_an_edit_that_is_taken_back_finds_everything_and_goes_on(run, trained, capfd):
    train_both()
    del trained[:]
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    assert train(0) == 0
    assert trained == list(range(1, 11))
    assert outcome() != run

    edit("lr: 2.0e-3", "lr: 1.0e-3")
    del trained[:]
    train_both()
    assert outcome() == run
    assert trained == []
    assert capfd.readouterr().err.count("collected from the store") == 2

    assert train(2) == 0  # a longer run goes on from its own state
    assert trained == list(range(21, 31))
    edit("lr: 1.0e-3", "lr: 2.0e-3")
    del trained[:]
    assert train(0) == train(1) == 0
    assert trained == list(range(11, 21))  # and so does the other recipe


def test_a_recipe_is_published_again_though_its_states_are_gone(run, trained):
    train_both()
    shutil.rmtree(paths.run("tiny", "reed", 0))
    for state in Path("work").rglob("state/*"):
        state.unlink()
    del trained[:]
    train_both()
    assert outcome() == run
    assert trained == []


def test_published_weights_take_no_room_twice(run):
    train_both()
    (published,) = Path("results").rglob("step-0000020.safetensors")
    (kept,) = Path("work").rglob("weights/step-0000020.safetensors")
    assert published.samefile(kept)


def test_weights_that_were_damaged_are_trained_again_and_nothing_else(run, trained, capfd):
    train_both()
    (file,) = Path("work").rglob("weights/step-0000015.safetensors")
    file.write_bytes(b"damaged")
    del trained[:]
    assert train(1) == 0
    assert outcome() == run
    assert trained == list(range(1, 16))  # no state before step 15 is left
    assert "is not what training wrote" in capfd.readouterr().err


# ---- the same recipe, cut otherwise


class Cut:
    """A run of 20 steps in one store, published in a folder of its own for every cut."""

    def __init__(self, make, folder):
        self.make, self.folder = make, folder

    def __call__(self, name, length, save_every, store="store", **settings):
        out, previous = self.folder / name, None
        for i in range(20 // length):
            receipt = str(out / f"segment-{i}.json")
            span = (i * length, (i + 1) * length)
            segment = Segment("key", *span, save_every, 4, 100, str(out / f"segment-{i}"), receipt, previous, "b/m/0")
            train_segment(self.make(REPA, **settings), Store(self.folder / store), segment)
            previous = receipt
        return out


@pytest.fixture
def cut(make, tmp_path):
    return Cut(make, tmp_path)


def weights(out):
    return {file.name: file.read_bytes() for file in out.glob("segment-*/step-*.safetensors")}


def receipts(out):
    return [io.read_json(file) for file in sorted(out.glob("segment-?.json"))]


def test_a_finer_grid_trains_only_what_was_not_kept_and_gives_the_same_bytes(cut, trained, capfd):
    coarse = cut("coarse", 10, 10)
    del trained[:]
    fine = cut("fine", 10, 5)
    assert trained == [*range(1, 6), *range(6, 16)]  # 15 steps: the states of 5 and 20 are there, that of 10 is not
    said = capfd.readouterr().err
    assert "segment 0-10: the weights of step 5 were not kept; running again from step 0 (same bytes)" in said
    anew = cut("anew", 10, 5, store="another")
    assert weights(fine) == weights(anew)
    assert receipts(fine) == receipts(anew)
    assert weights(coarse).items() <= weights(fine).items()
    del trained[:]
    assert weights(cut("again", 10, 10)) == weights(coarse)
    assert trained == []


@pytest.mark.parametrize(("before", "after"), [(10, 20), (20, 10)])
def test_segments_of_another_length_are_made_from_what_is_there(cut, trained, before, after):
    cut("before", before, 5)
    del trained[:]
    made = cut("after", after, 5)
    assert trained == []
    anew = cut("anew", after, 5, store="another")
    assert weights(made) == weights(anew)
    assert receipts(made) == receipts(anew)


def steps_and_costs(out):
    lines = [line.split(",") for file in sorted(out.glob("segment-?/curve.csv")) for line in file.open()]
    at = lines[0].index("device_seconds")
    rows = [line for line in lines if line[0] != "step"]
    return [int(row[0]) for row in rows], [float(row[at]) for row in rows]


@pytest.mark.parametrize(("length", "grid"), [(10, 5), (5, 5), (20, 10)])
def test_curves_stay_whole_and_costs_grow_whatever_the_cut(cut, length, grid):
    cut("before", 10, 10)
    steps, costs = steps_and_costs(cut("after", length, grid))
    assert set(range(4, 21, 4)) | set(range(length, 21, length)) <= set(steps)
    assert steps == sorted(set(steps))
    assert costs == sorted(costs)


# ---- what only rounds


def test_other_numerics_are_said_and_stand_in_the_receipt(cut, capfd, monkeypatch):
    here = numerics.here

    def elsewhere(*arguments, **options):
        return {**here(*arguments, **options), "cpu": "another"}

    first = cut("first", 10, 5)
    (shared,) = {io.canonical_json(receipt["numerics"]) for receipt in receipts(first)}
    assert '"cpu_capability"' in shared
    assert f'"torch": "{torch.__version__}"' in shared
    for step in (10, 15, 20):  # as if the run had been stopped behind step 5
        for part in ("weights", "record", "state"):
            for file in (cut.folder / "store" / part).glob(f"step-{step:07d}.*"):
                file.unlink()
    store = Store(cut.folder / "store")
    shutil.rmtree(store.states)
    straight = Segment("key", 0, 5, 5, 4, 3, *(str(cut.folder / n) for n in ("s", "s.json")), None, "b/m/0")
    for file in (*store.weights.iterdir(), *store.records.iterdir()):
        file.unlink()
    train_segment(cut.make(REPA), Store(store.folder), straight)
    capfd.readouterr()

    monkeypatch.setattr(numerics, "here", elsewhere)
    second = receipts(cut("second", 10, 5))
    own = numerics.cpu_model()
    assert [receipt["numerics"]["cpu"] for receipt in second] == [f"{own} then another", "another"]
    spans = [(span["after"], span["numerics"]["cpu"]) for span in second[0]["numerics_after"]]
    assert spans == [(0, own), (5, "another")]
    assert "numerics_after" not in second[1]
    said = capfd.readouterr().err
    assert said.count("under other numerics") == 1
    assert f"b/m/0: from step 5 on under other numerics: cpu {own} -> another; only rounding differs" in said


def piece(cut, name, start, stop, every, previous=None):
    """One segment of a run; returns its receipt's path."""
    receipt = str(cut.folder / f"{name}.json")
    span = Segment("key", start, stop, every, 4, 100, str(cut.folder / name), receipt, previous, "b/m/0")
    train_segment(cut.make(REPA), Store(cut.folder / "store"), span)
    return receipt


def test_a_coarser_grid_still_tells_under_what_the_steps_in_between_were_trained(cut, monkeypatch):
    real = numerics.here
    monkeypatch.setattr(numerics, "here", lambda *a, **k: {**real(*a, **k), "cpu": "A"})
    piece(cut, "first", 0, 5, 5)
    monkeypatch.setattr(numerics, "here", lambda *a, **k: {**real(*a, **k), "cpu": "B"})
    piece(cut, "fine", 0, 10, 5)
    assert io.read_json(piece(cut, "coarse", 0, 10, 10))["numerics"]["cpu"] == "A then B"


def test_a_curve_stays_whole_after_a_walk_back_that_was_killed(cut, monkeypatch):
    first, update = piece(cut, "first", 0, 5, 5), Trainer.update
    shutil.rmtree(cut.folder / "store")  # as a scratch disk is purged

    def killed(self, step):
        if step == 7:
            raise KeyboardInterrupt
        return update(self, step)

    monkeypatch.setattr(Trainer, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        piece(cut, "second", 5, 10, 5, first)
    monkeypatch.setattr(Trainer, "update", update)
    piece(cut, "whole", 0, 10, 10)
    rows = (cut.folder / "whole" / "curve.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["4", "5", "8", "10"]


def test_a_record_of_another_shape_is_none(tmp_path):
    store = Store(tmp_path)
    for content in ([], {}, None, {"weights": "x"}):
        io.write_json(store.record_file(5), content)
        assert store.record(5) is None
        assert not store.is_whole(5)


def test_numerics_of_several_times_are_one_plain_dict():
    parts = [{"threads": 1, "cpu": "a"}, {"threads": 2, "cpu": "a"}, {"threads": 1, "cpu": "a"}]
    assert numerics.joined(parts) == {"cpu": "a", "threads": "1 then 2 then 1"}
    assert numerics.joined(parts[:1]) == parts[0]
    assert numerics.changes(parts[0], {"cpu": "a"}) == "threads 1 -> -"
