"""Published checkpoints beside a method that is trained here: rows of the table, notes, figures and the cache."""

import contextlib
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from reference_vectors import fill
from tiny_steps import benchmark, change, run
from torch import Tensor

from reedbench.core import io, paths, stores
from reedbench.nn.backbones.sit import SiT
from reedbench.schema import planning, suite
from reedbench.steps.export import export
from reedbench.steps.summary import paired


def tiny_state(scale: float) -> dict[str, Tensor]:
    """Weights of the tiny benchmark's backbone."""
    state = SiT(size=8, channels=1, patch=2, width=16, depth=2, heads=2, classes=10).state_dict()
    fill(state)
    return {name: scale * tensor if name.startswith("final_layer.linear") else tensor for name, tensor in state.items()}


@pytest.fixture(scope="module")
def whole(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a whole benchmark: a trained method, and two that are imported, one beyond the last step."""
    folder = make_workspace(tmp_path_factory.mktemp("whole") / "work")
    with contextlib.chdir(folder):
        torch.save(tiny_state(0.1), "public.pt")
        torch.save({"ema": tiny_state(0.2), "args": Namespace(path_type="Linear")}, "other.pt")
        imported = {"uses": "imported", "time": "sit"}
        methods = {
            "sit": {"uses": "aligned", "label": "SiT"},
            "public": {**imported, "label": "Public", "weights": "./public.pt", "step": 4000, "batch": 32},
            "other": {**imported, "label": "Other", "weights": "./other.pt", "step": 10, "note": "a note"},
        }
        change(methods=methods, table=list(methods), ablations={"apart": {"title": "?", "methods": ["sit", "public"]}},
             captioners={}, encoders={}, evaluate=[5, 10], seeds=[0, 1], metrics=[{"uses": "fd", "extractor": "clf"}],
             extractors={"clf": {"uses": "small-classifier", "dim": 8, "steps": 5}},
             sampling={"count": 64, "batch": 64})  # fmt: skip
        for job in planning.jobs(benchmark()):
            assert run(f"{job.verb} {job.arguments}") == 0, job
        suite.load.cache_clear()
    return folder


@pytest.fixture
def table(whole: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(whole)
    return pd.read_csv(paths.table("tiny"))


def test_the_row_is_labelled_and_says_what_is_not_known(table):
    public = table[table["method"] == "public"].iloc[0]
    assert table["method"].tolist() == ["sit", "sit", "public", "other"]
    assert table["weights"].tolist() == ["ema", "ema", "imported", "imported"]
    assert (public["step"], public["samples_seen"], public["seeds"]) == (4000, 4000 * 32, "0 1")
    assert public["params"] == table["params"].iloc[0]
    unknown = ["device_seconds", "cpu_seconds", "flops", "speedup_steps", "speedup_seconds", "speedup_to_final"]
    assert public[unknown].isna().all()
    assert "imported: what its training took is not known" in public["reason"]
    metric = next(name for name in table.columns if name.startswith("fd@clf") and name.endswith("-n64"))
    assert np.isfinite(table[metric]).all()
    # Differences are to the baseline at the same step.
    assert np.isnan(public[f"{metric}.delta"])
    assert np.isfinite(table[table["method"] == "other"].iloc[0][f"{metric}.delta"])


def test_the_trained_methods_keep_their_numbers_beside_it(table):
    last = table[(table["method"] == "sit") & (table["step"] == 10)].iloc[0]
    assert last["speedup_steps"] == 1
    assert last["device_seconds"] > 0
    assert pd.isna(last["reason"])


def test_readers_of_the_other_tables_see_it_too(table):
    text = Path(paths.table("tiny")).with_suffix(".md").read_text()
    assert "| Public (imported) | 4000 |" in text
    assert "Public: imported, not trained here: ./public.pt (sha256" in text
    assert text.count("What its training took is not known") == 2
    assert "nan" not in text
    lines = paired(benchmark(), cache=False, ablation=None, against=None)
    assert "Public against SiT: no step in common" in lines
    assert any(line.startswith("Other against SiT, fd@clf: ") and "not measured" not in line for line in lines)


def test_the_same_weights_stand_under_every_seed_with_noise_of_its_own(table):
    one, other = (benchmark().cell("public", k, 4000, "ode") for k in (0, 1))
    assert stores.receipt(one.receipt)["weights"] == stores.receipt(other.receipt)["weights"]
    samples = [io.read_npz(f"{cell.samples}/samples.npz", ["arr_0"])["arr_0"] for cell in (one, other)]
    assert (samples[0] != samples[1]).any()


def test_figures_show_what_there_is_of_it(table):
    shown = pd.read_csv(paths.figure("tiny", "speedup", ".csv"))
    assert set(shown[shown["kind"] == "curve"]["method"]) == {"sit"}
    assert set(shown[shown["kind"] == "level"]["method"]) == {"public", "other"}
    assert set(pd.read_csv(paths.figure("tiny", "differences", ".csv"))["method"]) == {"other"}
    pictures = pd.read_csv(paths.figure("tiny", "samples", ".csv"))
    assert set(pictures[pictures["method"] == "public"]["step"]) == {4000}
    assert set(pd.read_csv(paths.figure("tiny", "alignment", ".csv"))["method"]) == {"sit"}


def test_the_cache_says_the_same(whole, tmp_path, monkeypatch):
    shutil.copytree(whole, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    export(benchmark())
    assert run("tabulate --benchmark tiny --cache") == 0
    assert Path(paths.cached_table("tiny")).read_bytes() == Path(paths.table("tiny")).read_bytes()
    assert run("plot --benchmark tiny --figure speedup --cache") == 0


def test_a_table_of_imported_methods_alone_has_numbers_and_reasons(whole, tmp_path, monkeypatch):
    shutil.copytree(whole, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    change(table=["public", "other"], ablations={}, speedup={"metric": "fd@clf", "baseline": "other"})
    wanted = [job for job in planning.jobs(benchmark()) if job.verb in ("tabulate", "plot")]
    assert [job.arguments.split()[-1] for job in wanted] == ["tiny", "samples"]
    for job in wanted:
        assert run(f"{job.verb} {job.arguments}") == 0
    table = pd.read_csv(paths.table("tiny"))
    assert table["reason"].str.contains("imported").all()
    assert "No speed-ups: Other is imported" in Path(paths.table("tiny")).with_suffix(".md").read_text()
