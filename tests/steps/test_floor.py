"""The floor goes part by part: the same bytes after kills and on any processes, and what all rows give at once."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_vae
import yaml
from forked import in_processes, killed
from tiny_steps import benchmark, change, must, run

from reedbench.core import archives, faults, io, paths, provenance, seeds, shards
from reedbench.core.parts import every
from reedbench.domains import rows
from reedbench.steps import seen as seeing
from reedbench.steps.features import in_passes, reference_of, seen_by

ROWS, PARTS = 20, 16  # rows of a part; of 64 rows, two ways, under two extractors
FLOOR = "evaluate --benchmark tiny --floor"
THROUGH = "real test data through the codec"
VAE = {"uses": "sd-vae", "weights": "vae", "decoder": "other", "channels": 2, "factor": 2}


def floor() -> dict[tuple[str, str], float]:
    """Values by metric and what they are of."""
    return {(one["family"], one["what"]): one["value"] for one in io.read_json(paths.floor("tiny"))["records"]}


@pytest.fixture(scope="module")
def whole(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose floor was made by one process that nobody killed."""
    folder = make_workspace(tmp_path_factory.mktemp("floor") / "work")
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        probe = {"uses": "probe", "depth": 1, "train_rows": 40, "test_rows": 20}
        metrics = [{"uses": "fd", "extractor": name} for name in ("clf", "pixels")]
        change(codec={"uses": "half-resolution"}, metrics=[*metrics, probe])
        must("prepare --dataset digits")
        must("pretrain --dataset digits --encoder clf")
        for name in ("clf", "pixels"):
            must(f"represent --dataset digits --extractor {name}")
        patch.setattr(shards, "ROWS_PER_SHARD", ROWS)
        must(FLOOR)
        assert list(every()) == []
    return folder


@pytest.fixture
def work(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which parts are small."""
    shutil.copytree(whole, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", ROWS)
    return tmp_path / "work"


def removed() -> bytes:
    """Take the floor away; gives its bytes."""
    wanted, file = Path(paths.floor("tiny")).read_bytes(), Path(paths.floor("tiny"))
    file.unlink()
    return wanted


def test_parts_give_what_all_rows_give_at_once(work):
    tiny, found = benchmark(), floor()
    test = rows.read(tiny.data, rows.TEST)
    chosen = test.chosen(seeds.stream("through-codec", "digits").permutation(len(test))[:64])
    again = tiny.spec.codec.again(chosen.take(range(64)))
    for metric in tiny.spec.metrics[:2]:
        reference, _ = reference_of(tiny, metric.extractor, "cpu")
        seen, _ = seen_by(tiny.suite, "digits", metric.extractor, chosen)
        for what, data in (("real test data", chosen), (THROUGH, again)):
            assert found[metric.family, what] == metric.value(in_passes(seen, data), reference)


def test_killed_at_three_points_it_goes_on_and_ends_in_the_same_bytes(work, monkeypatch):
    wanted = removed()
    for fault, there in (("before-part@1", 1), ("after-part@9", 10), (f"after-part@{PARTS - 1}", PARTS)):
        monkeypatch.setenv(faults.VARIABLE, fault)
        killed(lambda: run(FLOOR))
        ((names, folder),) = every()
        assert names == "evaluate/tiny/floor"
        assert len(list(folder.glob("part-*.safetensors"))) == there
    monkeypatch.delenv(faults.VARIABLE)
    must(FLOOR)
    assert Path(paths.floor("tiny")).read_bytes() == wanted
    assert list(every()) == []


@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_leave_the_same_bytes(world, work):
    wanted = removed()
    assert in_processes(world, lambda: run(FLOOR)) == [0] * world
    assert Path(paths.floor("tiny")).read_bytes() == wanted
    assert provenance.read(paths.floor("tiny"))["device_seconds"] > 0
    assert list(every()) == []


def test_features_that_are_too_large_for_memory_score_the_same(work, monkeypatch):
    wanted = removed()
    monkeypatch.setattr(seeing, "LARGE", 1)
    monkeypatch.setattr(archives, "LARGE", 1)
    must(FLOOR)
    assert Path(paths.floor("tiny")).read_bytes() == wanted
    assert list(every()) == []


def test_parts_of_another_codec_are_not_taken(work, monkeypatch):
    before = floor()
    monkeypatch.setenv(faults.VARIABLE, f"after-part@{PARTS - 1}")
    killed(lambda: run(FLOOR))
    monkeypatch.delenv(faults.VARIABLE)
    change(codec={"uses": "half-resolution", "rounding": "truncate"})
    must(FLOOR)
    after = floor()
    moved = {key for key, value in before.items() if after[key] != value}
    assert moved == {("fd@clf", THROUGH), ("fd@pixels", THROUGH)}


def test_a_codec_that_loses_nothing_is_gone_through_by_nobody(work, monkeypatch):
    change(codec={"uses": "pixels"})
    monkeypatch.setattr(seeing, "seen_by", None)
    must(FLOOR)
    assert {what for _, what in floor()} == {"training half vs half", "network before training"}
    assert list(every()) == []


def pin(folder: Path) -> dict[str, Any]:
    files = {file.name: io.sha256(file) for file in sorted(folder.iterdir())}
    words = {"size_mb": 1, "licence": "MIT", "citation": "nobody", "purpose": "tests"}
    return {"path": str(folder), "files": files, **words}


def test_the_floor_waits_for_the_pinned_weights_of_its_codec_and_has_them_on_record(work, capfd):
    folders = {name: tiny_vae.save(Path("made") / name, seed=seed) for seed, name in enumerate(("vae", "other"))}
    pins = {"weights": {name: pin(folder) for name, folder in folders.items()}}
    Path("config/weights.yaml").write_text(yaml.safe_dump(pins))
    change(codec=VAE)
    for name in folders:
        assert run(FLOOR) == 3
        assert f"weights '{name}' are not here" in capfd.readouterr().err
        must(f"fetch --weights {name}")
    must(FLOOR)
    inputs = provenance.read(paths.floor("tiny"))["inputs"]
    assert {paths.pinned_files(name) for name in folders} <= set(inputs)
