"""prepare of images: killed, shared and with bad files it leaves the same bytes, and what follows reads arrays."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from forked import in_processes, killed
from PIL import Image
from yaml import safe_dump, safe_load

from reedbench import steps
from reedbench.core import faults, io, paths
from reedbench.core.errors import RunAgain
from reedbench.core.parts import even_cuts, every
from reedbench.datasets import image_folder
from reedbench.datasets._image_files import Files
from reedbench.datasets.image_folder import ImageFolder
from reedbench.domains import rows
from reedbench.domains.image_files import BadImage
from reedbench.domains.rows import TEST, TRAIN
from reedbench.schema import suite

SIDE, PARTS = 8, 5
OUT = paths.data("image-folder")


@pytest.fixture
def images(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten training images in two classes and two test images, three rows a part."""
    for i in range(12):
        folder = workspace / ("train" if i < 10 else "val") / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (10 + i, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    monkeypatch.setattr(image_folder, "even_cuts", lambda n, size: even_cuts(n, size, 3 * size))
    configure(workspace)
    return workspace


def configure(workspace: Path, **more) -> None:
    file = workspace / "config" / "benchmarks" / "tiny.yaml"
    dataset = {"uses": "image-folder", "path": "train", "validation": "val", "resolution": SIDE, **more}
    file.write_text(safe_dump({**safe_load(file.read_text()), "dataset": dataset}, sort_keys=False))
    suite.load.cache_clear()


def prepare() -> int:
    suite.load.cache_clear()
    return steps.main(["prepare", "--dataset", "image-folder"])


def digests() -> dict[str, str]:
    found = sorted(Path(OUT).rglob("*"))
    return {str(file): io.sha256(file) for file in found if file.is_file() and not file.name.endswith(".prov.json")}


def test_killed_and_shared_it_ends_in_the_same_bytes(images, monkeypatch):
    assert prepare() == 0
    wanted = digests()
    assert sum(name.endswith(".safetensors") for name in wanted) == PARTS
    io.remove(Path(OUT), Path("results"))
    for fault in ("before-part@1", "after-part@2", f"after-part@{PARTS - 1}"):
        monkeypatch.setenv(faults.VARIABLE, fault)
        killed(prepare)
    monkeypatch.delenv(faults.VARIABLE)
    assert prepare() == 0
    assert digests() == wanted
    io.remove(Path(OUT), Path("results"))
    assert in_processes(3, prepare) == [0] * 3
    assert digests() == wanted
    assert list(every()) == []


@pytest.mark.parametrize("storage", ["png", "webp", "raw"])
def test_what_is_on_disk_is_read_as_arrays_of_known_size(images, storage):
    configure(images, storage=storage)
    assert prepare() == 0
    whole = ImageFolder(path="train", validation="val", resolution=SIDE).rows()
    index = rows.index(OUT)
    assert index["splits"] == {TRAIN: 10, TEST: 2}
    assert index["shapes"] == {"images": [3, SIDE, SIDE], "labels": []}
    assert index["classes"] == 2
    read = rows.read(OUT, TRAIN)
    assert read.sizes().tolist() == [3 * SIDE**2 + 8] * 10
    assert read.lengths().tolist() == [1] * 10
    for of in (read, read.take(range(10))):
        np.testing.assert_array_equal(of.arrays["images"], whole.where(TRAIN).arrays["images"])
    np.testing.assert_array_equal(read.take([7, 2]).arrays["images"], whole.arrays["images"][[7, 2]])
    np.testing.assert_array_equal(rows.first_of(OUT, TRAIN, [1]).arrays["images"], whole.arrays["images"][5:6])


def test_the_manifest_has_the_same_digests_however_images_are_stored(images):
    tables = []
    for storage in ("png", "raw"):
        configure(images, storage=storage)
        assert prepare() == 0
        tables.append(io.read_table(Path(OUT) / "manifest.parquet").to_pydict())
        io.remove(Path(OUT), Path("results"))
    assert tables[0] == tables[1]
    assert len(set(tables[0]["sha256"])) == 12


def test_a_bad_image_stops_it_and_tolerated_later_no_part_is_made_twice(images, capsys):
    (images / "train/b/7.png").write_bytes(b"\x89PNG")
    assert prepare() == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "train/b/7.png cannot be read (" in said
    assert "say `tolerate: 1` or more" in said
    ((_, folder),) = every()
    kept = {file.name: file.stat().st_ino for file in folder.glob("part-*.safetensors")}
    assert 0 < len(kept) < PARTS
    configure(images, tolerate=1)
    assert prepare() == 0
    made = {file.stat().st_ino for file in Path(paths.shards(OUT)).glob("*.safetensors")}
    assert set(kept.values()) < made
    index = rows.index(OUT)
    assert index["splits"] == {TRAIN: 9, TEST: 2}
    ((name, why),) = index["left_out"].items()
    assert name == "train/b/7.png"
    assert why.startswith("cannot be read (")
    assert "b/7" not in rows.read(OUT, TRAIN).ids


def test_too_many_bad_images_in_all_are_told_at_the_end_and_the_parts_kept(images, capfd):
    for name in ("a/0.png", "b/9.png"):
        (images / "train" / name).write_bytes(b"\x89PNG")
    configure(images, tolerate=1)
    assert in_processes(2, prepare)[0] == 2  # each process has left out one
    assert "2 images are bad, and `tolerate` is 1" in capfd.readouterr().err
    ((_, folder),) = every()
    assert len(list(folder.glob("part-*.safetensors"))) == PARTS
    configure(images, tolerate=2)
    assert prepare() == 0
    assert len(rows.index(OUT)["left_out"]) == 2


@pytest.mark.parametrize("mended", [["a/0.png"], ["a/0.png", "b/9.png"]])
@pytest.mark.parametrize("ranks", [1, 2])
def test_images_that_are_mended_are_made_and_the_other_parts_kept(images, capfd, mended, ranks):
    whole = {name: (images / "train" / name).read_bytes() for name in ("a/0.png", "b/9.png")}
    for name in whole:
        (images / "train" / name).write_bytes(b"\x89PNG")
    configure(images, tolerate=1)
    assert in_processes(2, prepare)[0] == 2
    assert "mend them" in capfd.readouterr().err
    ((_, folder),) = every()
    (images / "held").mkdir()
    for part in folder.glob(
        "part-*.safetensors"
    ):  # a second name, so that no new part can have the number of a lost one
        os.link(part, images / "held" / part.name)
    kept = {file.stat().st_ino for file in (images / "held").iterdir()}
    for name in mended:
        (images / "train" / name).write_bytes(whole[name])
    assert in_processes(ranks, prepare) == [0] * ranks
    assert len(kept & {file.stat().st_ino for file in Path(paths.shards(OUT)).glob("*")}) == PARTS - len(mended)
    index = rows.index(OUT)
    assert index["splits"] == {TRAIN: 8 + len(mended), TEST: 2}
    assert len(index.get("left_out", {})) == 2 - len(mended)


def test_an_image_that_could_not_be_read_for_a_moment_is_not_left_out(images, capfd, monkeypatch):
    configure(images, tolerate=1)
    load, failed = Files._load, []

    def once(self: Files, name: str) -> bytes:
        if name == "a/4.png" and not failed:
            failed.append(name)
            raise BadImage("cannot be read (Stale file handle)")
        return load(self, name)

    monkeypatch.setattr(Files, "_load", once)
    assert prepare() == RunAgain.exit_code
    assert "train/a/4.png; run again" in capfd.readouterr().err
    assert not Path(OUT, "index.json").exists()
    assert prepare() == 0
    assert "left_out" not in rows.index(OUT)
    assert rows.index(OUT)["splits"] == {TRAIN: 10, TEST: 2}


def test_images_of_one_id_stop_it_before_any_part_is_made(images, capfd):
    with zipfile.ZipFile(images / "twice.zip", "w") as archive:
        archive.write(images / "train/a/0.png", "a/0.png")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.write(images / "train/a/2.png", "a/0.png")
    configure(images, path="twice.zip", validation="")
    assert prepare() == 2
    assert "twice.zip/a/0.png: is there twice" in capfd.readouterr().err
    assert list(every()) == []


def test_an_extractor_reads_them(images):
    assert prepare() == 0
    assert steps.main(["represent", "--dataset", "image-folder", "--extractor", "pixels"]) == 0
    assert Path(paths.statistics("image-folder", "pixels")).exists()


def test_the_real_images_are_prepared(workspace):
    if not (folder := paths.external("imagenet-sample")).exists():
        pytest.skip(f"no ImageNet images in {folder} (set REEDBENCH_DATA)")
    configure(workspace, path=str(folder), validation="", resolution=64)
    assert prepare() == 0
    assert rows.index(OUT)["splits"] == {TRAIN: 160}
    assert rows.read(OUT, TRAIN).take([0]).arrays["images"].shape == (1, 3, 64, 64)


def test_an_encoder_whose_card_needs_test_rows_says_so_where_there_are_none(images, capfd):
    configure(images, validation="")
    assert prepare() == 0
    assert steps.main(["pretrain", "--dataset", "image-folder", "--encoder", "clf"]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "reedbench step" in line]
    assert "encoder clf: small-classifier tells in its card how it does on test rows, and image-folder has none" in line
