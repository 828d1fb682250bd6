"""Steps that go part by part: killed anywhere, and shared by any number of processes, they end in the same bytes."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_vae
from forked import in_processes, killed

from reedbench import steps
from reedbench.core import faults, interruption, io, paths, provenance, shards
from reedbench.core.errors import ConfigError
from reedbench.core.parts import every
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema import suite
from reedbench.steps.features import read_features

ROWS = 300  # of a part
CODEC = "{uses: sd-vae, weights: made/tiny, channels: 2, factor: 2}"
CAPTIONED, TEXT = "caption --dataset digits --captioner measured", paths.captions("digits", "measured")
PATCHES = paths.representation("digits", "patches")
# By step: its command, what it leaves, and how many parts it has.
STEPS = {
    "prepare": ("prepare --dataset digits", paths.data("digits"), 6),
    "caption": (CAPTIONED, TEXT, 5 + 2),
    "compress": ("compress --dataset digits --codec tiny", paths.latents("digits", "tiny"), 5),
    "represent": ("represent --dataset digits --encoder patches", PATCHES, 5),
    "statistics": ("represent --dataset digits --extractor clf", paths.statistics("digits", "clf"), 5),
}
WEIGHTS = [f"pretrain --dataset digits --encoder {name}" for name in ("patches", "clf")]


def run(command: str) -> int:
    suite.load.cache_clear()
    return steps.main(command.split())


def digests(output: str) -> dict[str, str]:
    """Of everything that a step left, but for what tells its costs."""
    found = sorted(Path(output).rglob("*")) if Path(output).is_dir() else [Path(output)]
    return {str(file): io.sha256(file) for file in found if file.is_file() and not file.name.endswith(".prov.json")}


@pytest.fixture(scope="module")
def whole(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every step was run by one process that nobody killed."""
    folder = make_workspace(tmp_path_factory.mktemp("streams") / "work")
    tiny_vae.save(folder / "made" / "tiny")
    latent = (folder / "config/benchmarks/tiny.yaml").read_text().replace("{uses: pixels}", CODEC)
    (folder / "config/benchmarks/latent.yaml").write_text(latent)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "ROWS_PER_SHARD", ROWS)
        for command in [STEPS["prepare"][0], *WEIGHTS, *(STEPS[step][0] for step in STEPS if step != "prepare")]:
            assert run(command) == 0
        assert list(every()) == []
    return folder


@pytest.fixture
def again(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, dict[str, str]]]:
    """Takes away what a step left; gives its command and the bytes that it has to leave again."""
    shutil.copytree(whole, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", ROWS)

    def remove(step: str) -> tuple[str, dict[str, str]]:
        command, output, _ = STEPS[step]
        wanted = digests(output)
        shutil.rmtree(output) if Path(output).is_dir() else Path(output).unlink()
        return command, wanted

    return remove


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_three_points_a_step_goes_on_and_ends_in_the_same_bytes(step, again, monkeypatch):
    command, wanted = again(step)
    for fault, left in (("before-part@1", 1), ("after-part@2", 3), (f"after-part@{STEPS[step][2] - 1}", None)):
        monkeypatch.setenv(faults.VARIABLE, fault)
        killed(lambda: run(command))
        ((_, folder),) = every()
        kept = {file.name: file.stat().st_ino for file in folder.glob("part-*[0-9].*") if file.suffix != ".json"}
        assert len({name.split(".")[0] for name in kept}) == (left or STEPS[step][2])
    monkeypatch.delenv(faults.VARIABLE)
    assert not Path(STEPS[step][1]).is_file()
    assert run(command) == 0
    assert digests(STEPS[step][1]) == wanted
    assert list(every()) == []
    if step in ("prepare", "represent"):  # the parts of the killed processes themselves
        made = Path(paths.shards(STEPS[step][1])).glob("*.safetensors")
        assert {file.stat().st_ino for file in made} <= set(kept.values())


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_several_processes_make_the_same_bytes_and_the_first_one_records_them(step, world, again):
    command, wanted = again(step)
    assert in_processes(world, lambda: run(command)) == [0] * world
    output = STEPS[step][1]
    assert digests(output) == wanted
    record = provenance.read(paths.index(output) if Path(output).is_dir() else output)
    assert provenance.cost(record["outputs"][0])["device_seconds"] > 0
    assert list(every()) == []


def test_a_step_that_one_process_began_three_go_on_with(again, monkeypatch):
    command, wanted = again("represent")
    monkeypatch.setenv(faults.VARIABLE, "after-part@1")
    killed(lambda: run(command))
    monkeypatch.delenv(faults.VARIABLE)
    assert in_processes(3, lambda: run(command)) == [0] * 3
    assert digests(PATCHES) == wanted


def test_asked_to_leave_all_processes_pause_and_what_they_made_is_kept(again, capfd):
    command, wanted = again("represent")

    def leaving() -> int:
        with interruption.deferred():
            interruption.ask(interruption.LEAVE)
        return run(command)

    assert in_processes(2, leaving) == [75, 75]
    assert "represent/digits/patches: paused, 3 of 5 parts left; run again to go on" in capfd.readouterr().err
    assert run(command) == 0
    assert digests(PATCHES) == wanted


def test_a_step_that_another_process_is_at_is_not_done_twice(again, monkeypatch, capfd):
    command, _ = again("represent")
    monkeypatch.setenv(faults.VARIABLE, "raise:before-part@2")
    with pytest.raises(RuntimeError):
        run(command)
    monkeypatch.delenv(faults.VARIABLE)
    ((_, folder),) = every()
    with (folder / "lock").open("a") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run(command) == 75
    assert "represent/digits/patches: another process makes it now" in capfd.readouterr().err


def test_what_a_part_took_is_counted_whoever_made_it(again, monkeypatch):
    command, _ = again("represent")
    monkeypatch.setenv(faults.VARIABLE, "after-part@1")
    killed(lambda: run(command))
    monkeypatch.delenv(faults.VARIABLE)
    ((_, folder),) = every()
    for number in range(2):
        io.write_json(folder / f"part-{number:05d}.json", {"device_seconds": 1000.0})
    assert run(command) == 0
    assert 2000 < provenance.read(paths.shards(PATCHES))["device_seconds"] < 3000


def test_parts_of_other_data_are_not_taken(again, monkeypatch):
    command, wanted = again("represent")
    monkeypatch.setenv(faults.VARIABLE, "after-part@1")
    killed(lambda: run(command))
    monkeypatch.delenv(faults.VARIABLE)
    weights = Path(paths.weights(paths.encoder("digits", "patches")))
    other = {name: np.roll(array, 1) for name, array in io.read_tensors(weights).items()}
    io.write_tensors(weights, other)
    mark = provenance.sidecar(weights)
    io.write_json(mark, {**io.read_json(mark), "sha256": io.sha256(weights)})
    assert run(command) == 0
    made = digests(PATCHES)
    assert not set(made.values()) & set(wanted.values())


def test_features_of_several_parts_are_those_of_one(again, monkeypatch, whole):
    several = read_features(paths.statistics("digits", "clf"))
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 16384)
    assert run(STEPS["statistics"][0]) == 0
    one = read_features(paths.statistics("digits", "clf"))
    np.testing.assert_allclose(several.features, one.features, rtol=1e-5)
    np.testing.assert_array_equal(several.labels, one.labels)
    np.testing.assert_array_equal(several.predicted, one.predicted)


# Data sets in parts


class Strips:
    """A data set that makes its parts one by one, and notes which."""

    id, version, made = "strips", 1, []

    def __init__(self, *splits: str, width: int = 2) -> None:
        self.splits, self.width = splits, width

    def identity(self) -> dict[str, object]:
        return {"uses": "strips", "splits": list(self.splits), "width": self.width}

    def files(self) -> tuple[Path, ...]:
        return ()

    def decides(self) -> None:
        return None

    def absent(self, ids: list[str]) -> dict[str, object]:
        return {"absent": 9 - len(ids)}

    def measured(self, made: Rows) -> dict[str, object]:
        return {"first": made.take([0]).arrays["images"].shape, "rows_seen": len(made)}

    def facts(self) -> dict[str, object]:
        return {"classes": 2}

    def remarks(self) -> list[str]:
        return []

    def parts(self) -> list[Callable[[], Rows]]:
        return [lambda number=number: self.part(number) for number in range(len(self.splits))]

    def part(self, number: int) -> Rows:
        self.made.append(number)
        images = np.full((3, 1, 2, 2 if number else self.width), number, np.uint8)
        return Rows([f"{number}-{i}" for i in range(3)], [self.splits[number]] * 3, {"images": images})


@pytest.fixture
def strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Strips], int]:
    """Prepares such a data set."""
    from argparse import Namespace

    from reedbench.steps.prepare import prepare

    monkeypatch.chdir(tmp_path)
    Strips.made.clear()

    class Suite:
        def __init__(self, one: Strips) -> None:
            self.one = one

        def dataset(self, name: str) -> Strips:
            return self.one

    return lambda one: prepare(Suite(one), Namespace(dataset="strips"))


def test_a_data_set_makes_each_of_its_parts_once_and_rows_keep_their_order(strips):
    strips(Strips("train", "test", "train"))
    assert Strips.made == [0, 1, 2]
    train = rows.read(paths.data("strips"), rows.TRAIN)
    assert list(train.ids) == ["0-0", "0-1", "0-2", "2-0", "2-1", "2-2"]
    assert train.take([4, 0]).arrays["images"][:, 0, 0, 0].tolist() == [2, 0]
    index = rows.index(paths.data("strips"))
    assert index["splits"] == {"train": 6, "test": 3}
    assert index["absent"] == 0  # of the nine ids that it is asked about
    assert index["rows_seen"] == 9  # of all parts, which are on disk
    assert index["first"] == [1, 1, 2, 2]


def test_parts_with_other_arrays_are_one_line(strips):
    with pytest.raises(ConfigError, match=r"^strips: the dataset's parts differ: 'images' is uint8 \(1, 2, 3\) in the"):
        strips(Strips("train", "train", width=3))
    assert list(every()) == []


def test_an_id_that_is_there_twice_is_one_line(strips):
    class Twice(Strips):
        def part(self, number: int) -> Rows:
            return super().part(0)

    with pytest.raises(ConfigError, match=r"^strips: two rows have the id '0-0'"):
        strips(Twice("train", "train"))


def test_without_a_training_row_nothing_is_written_or_kept(strips):
    with pytest.raises(ConfigError, match="no row in split 'train'"):
        strips(Strips("test"))
    assert list(every()) == []
    assert not Path("results").exists()
