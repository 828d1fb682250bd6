"""Captions by a model, and representations of them: killed in the middle, and gone on with by two processes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("transformers")
pytest.importorskip("torchvision")

sys.path.insert(0, str(Path(__file__).parents[1] / "encoders"))

import qwen_folder
from forked import in_processes, killed

from reedbench import steps
from reedbench.captioners.qwen_vl import QwenVlCaptions
from reedbench.core import faults, io, paths, provenance, shards
from reedbench.core.parts import every
from reedbench.datasets.digits import Digits
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.schema import suite
from reedbench.steps.material import Captions

SCANS, PART = 36, 10
TRAINING = 24
CAPTION = "caption --dataset digits --captioner model"
REPRESENT = "represent --dataset digits --encoder joint"


def run(command: str) -> int:
    suite.load.cache_clear()
    return steps.main(command.split())


@pytest.fixture
def prepared(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few digits, a captioner and an encoder with a tiny model."""
    every_scan = Digits.rows
    monkeypatch.setattr(Digits, "rows", lambda self: _few(every_scan(self)))
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", PART)
    qwen_folder.write(workspace / "model")
    file = workspace / "config" / "benchmarks" / "tiny.yaml"
    tiny = yaml.safe_load(file.read_text())
    own = {"uses": "qwen-vl", "weights": "./model", "precision": "fp32", "batch": 4}
    tiny["captioners"]["model"] = {**own, "tokens": 6}
    tiny["encoders"]["joint"] = {**own, "captioner": "model", "layer": 2, "pooling": "reference", "neighbours": 7}
    file.write_text(yaml.safe_dump(tiny))
    assert run("prepare --dataset digits") == 0


def _few(scans: Rows) -> Rows:
    few = scans.take(np.arange(SCANS))
    return Rows(few.ids, ["train"] * TRAINING + ["test"] * (SCANS - TRAINING), few.arrays)


def finished_by_two(command: str, done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command, killed after its first parts, to its end."""
    monkeypatch.setenv(faults.VARIABLE, f"after-part@{done - 1}")
    killed(lambda: run(command))
    monkeypatch.delenv(faults.VARIABLE)
    ((_, folder),) = every()
    assert len([file for file in folder.glob("part-*") if file.suffix != ".json"]) == done
    assert in_processes(2, lambda: run(command)) == [0, 0]
    assert list(every()) == []


def test_captions_and_their_representations_are_those_of_one_go(prepared, workspace, monkeypatch):
    finished_by_two(CAPTION, 2, monkeypatch)
    file = paths.captions("digits", "model")
    train, test = (rows.read(paths.data("digits"), split) for split in (rows.TRAIN, rows.TEST))
    captioner = QwenVlCaptions(weights="./model", precision="fp32", tokens=6)
    for split in (train, test):
        assert list(Captions(file, split.ids)[:]) == captioner.captions(split)
    assert "model" in {Path(name).name for name in provenance.read(file)["inputs"]}

    finished_by_two(REPRESENT, 1, monkeypatch)
    out = paths.representation("digits", "joint")
    stored = shards.Shards(paths.shards(out)).read("representation", np.arange(TRAINING))
    encoder = suite.load().encoder("digits", "joint")
    at_once = encoder.represent({}, Material(train, Captions(file, train.ids)))
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, at_once, atol=2e-3)
    assert io.read_json(paths.index(out))["shape"] == [qwen_folder.WIDTH]


def test_parts_under_other_weights_are_not_taken(prepared, workspace, monkeypatch):
    monkeypatch.setenv(faults.VARIABLE, "after-part@0")
    killed(lambda: run(CAPTION))
    monkeypatch.delenv(faults.VARIABLE)
    other = io.read_tensors(workspace / "model" / "model.safetensors")
    other["model.layers.0.mlp.up_proj.weight"] = -other["model.layers.0.mlp.up_proj.weight"]
    io.write_tensors(workspace / "model" / "model.safetensors", other)
    assert run(CAPTION) == 0
    train = rows.read(paths.data("digits"), rows.TRAIN)
    captioner = QwenVlCaptions(weights="./model", precision="fp32", tokens=6)
    assert Captions(paths.captions("digits", "model"), train.ids)[:] == captioner.captions(train)
