"""Small molecules from nothing to table and figures: what an edit reruns, provenance, and the cache."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.xdist_group("molecules")

FIGURES = ("speedup", "samples", "distributions")
TARGETS = ["results/tables/tiny.csv", *(f"results/figures/tiny/{name}.pdf" for name in FIGURES)]
CELLS = 4  # two methods at two steps
# What an edit runs again, beside the table and the figures.
EDITS: dict[str, tuple[str, str, dict[str, int]]] = {
    "a comment": ("title: Tiny", "# a comment\ntitle: Tiny", {}),
    "a new metric": ("  - {uses: validity}", "  - {uses: validity}\n  - {uses: uniqueness}",
                     {"evaluate": CELLS, "floor": 1}),
    "the weight of one method": ("weight: 0.25", "weight: 0.5", {"train": 1, "sample": 2, "evaluate": 2}),
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(make_workspace: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory, workspace_at) -> Any:
    """The tiny benchmark of molecules with table and figures, run from nothing. Do not edit: copy."""
    workspace = workspace_at(make_workspace(tmp_path_factory.mktemp("molecules") / "finished", "tiny_molecules"))
    outcome = workspace.snakemake("--", *TARGETS)
    logs = "".join(f"\n== {log}\n{log.read_text()}" for log in workspace.folder.rglob("logs/**/*.log"))
    assert outcome.code == 0, outcome.text + logs
    return workspace


@pytest.fixture
def copy(finished: Any, tmp_path: Path, workspace_at) -> Any:
    """A copy of it with its Snakemake records."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return workspace_at(tmp_path / "copy")


def reedbench(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "reedbench", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def test_the_table_has_every_metric_and_what_real_molecules_have(finished):
    table = pd.read_csv(finished.folder / TARGETS[0])
    assert table[["method", "step"]].values.tolist() == [[m, step] for m in ("semlaflow", "reed") for step in (5, 10)]
    scored = [f"{name}.v1-n16" for name in ("atom-stability@corrected", "validity@bonds", "distribution@bond-lengths")]
    assert table[scored].notna().all(axis=None)
    assert (table["cpu_seconds"] > 0).all()
    assert table.set_index("method")["flops"]["reed"].iloc[1] > table.set_index("method")["flops"]["semlaflow"].iloc[1]
    floor = json.loads((finished.folder / "results/metrics/tiny/floor.json").read_text())["records"]
    real = {one["family"]: one["value"] for one in floor if one["what"] == "real test data"}
    assert real["validity@bonds"] == real["atom-stability@corrected"] == 1
    for name in FIGURES:
        assert len(pd.read_csv(finished.folder / f"results/figures/tiny/{name}.csv"))
    assert finished.dry_run(*TARGETS).jobs == {}


def test_everything_behind_the_table_verifies(finished):
    said = reedbench(finished.folder, "verify", TARGETS[0]).stderr
    for file in ("results/data/smallmol/index.json", "results/encoders/smallmol/unimol.seed0/weights.safetensors"):
        assert file in said


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_exactly_what_depends_on_it(copy, edit):
    old, new, jobs = EDITS[edit]
    copy.edit(old, new)
    outcome = copy.dry_run(*TARGETS)
    assert outcome.jobs == ({**jobs, "tabulate": 1, "plot": len(FIGURES)} if jobs else {}), outcome.text
    if edit == "the weight of one method":
        assert {wildcards["m"] for rule, wildcards in outcome.planned if rule in ("train", "sample")} == {"reed"}


def test_table_and_pictures_come_back_from_the_cache_alone(copy):
    reedbench(copy.folder, "cache", "export", "tiny")
    kept = {name: (copy.folder / name).read_bytes() for name in (TARGETS[0], "results/figures/tiny/samples.svg")}
    for folder in (copy.folder / "results").iterdir():
        if folder.name != "cache":
            shutil.rmtree(folder)
    shutil.rmtree(copy.folder / "work")
    reedbench(copy.folder, "step", "tabulate", "--benchmark", "tiny", "--cache")
    reedbench(copy.folder, "step", "plot", "--benchmark", "tiny", "--figure", "samples", "--cache")
    assert (copy.folder / "results/from-cache/tiny/tiny.csv").read_bytes() == kept[TARGETS[0]]
    assert (copy.folder / "results/from-cache/tiny/figures/samples.svg").read_bytes() == list(kept.values())[1]
    assert not (copy.folder / "results/runs").exists()
