"""Staged outputs arrive whole, in order, and again after a launcher was killed half way."""

import os
from pathlib import Path

import pytest

from reedbench.core import io, staging
from reedbench.core.errors import MissingArtefact
from reedbench.launch import publish as module
from reedbench.launch.publish import publish

OUTPUTS = ["results/runs/segment-0", "results/runs/segment-0.json"]


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """What a training job leaves: a directory, its receipt, and their sidecars."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(staging.VARIABLE, str(tmp_path / "stage"))
    with io.atomic_directory("results/runs/segment-0") as folder:
        (folder / "weights").write_text("w")
    for name in ("segment-0.json", "segment-0.prov.json", "segment-0.json.prov.json"):
        io.write_json(f"results/runs/{name}", name)
    assert not Path("results").exists()
    monkeypatch.delenv(staging.VARIABLE)
    return tmp_path / "stage"


def published():
    return {str(file.relative_to("results")): file.read_text() for file in Path("results").rglob("*") if file.is_file()}


def test_everything_that_was_staged_is_published(stage):
    publish(stage, OUTPUTS, "train/a")
    assert set(published()) == {
        "runs/segment-0/weights", "runs/segment-0.json", "runs/segment-0.prov.json", "runs/segment-0.json.prov.json",
    }  # fmt: skip


def test_the_directory_comes_before_the_receipt_and_sidecars_last(stage, monkeypatch):
    order = []
    place = module._place
    monkeypatch.setattr(module, "_place", lambda source, target: (order.append(str(target)), place(source, target)))
    publish(stage, OUTPUTS, "train/a")
    assert order == [*OUTPUTS, "results/runs/segment-0.json.prov.json", "results/runs/segment-0.prov.json"]


def test_publishing_again_after_a_crash_gives_the_same(stage):
    publish(stage, OUTPUTS, "train/a")
    once = published()
    Path("results/runs/segment-0/.snakemake_timestamp").touch()
    Path("results/runs/segment-0.json").unlink()
    publish(stage, OUTPUTS, "train/a")
    assert published() == once


def test_a_step_that_left_an_output_unmade_publishes_nothing(stage):
    with pytest.raises(MissingArtefact, match=r"train/a: the step succeeded without making results/other"):
        publish(stage, [*OUTPUTS, "results/other"], "train/a")
    assert not Path("results").exists()


def test_published_files_are_new_for_snakemake(stage):
    file = stage / "results/runs/segment-0.json"
    os.utime(file, (1, 1))
    publish(stage, OUTPUTS, "train/a")
    assert Path("results/runs/segment-0.json").stat().st_mtime > 1


def test_across_file_systems_files_are_copied(stage, monkeypatch):
    def refuse(*_):
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    publish(stage, OUTPUTS, "train/a")
    assert Path("results/runs/segment-0/weights").read_text() == "w"


def test_only_results_are_staged(stage, monkeypatch):
    monkeypatch.setenv(staging.VARIABLE, "/somewhere")
    assert staging.staged("results/x") == Path("/somewhere/results/x")
    assert staging.staged("work/x") == Path("work/x")
    assert staging.staged("/abs/results/x") == Path("/abs/results/x")
