"""`snakemake fetch` takes what a benchmark needs from outside; after it no step asks for more."""

import shutil

import pytest
import torch
import yaml

from reedbench.core import io
from reedbench.nn import timm_models

pytestmark = pytest.mark.xdist_group("workflow")

MODEL, TARGET, CARD = (
    "test_efficientnet",
    "results/representations/digits/lite/index.json",
    "results/weights/own/card.json",
)
ENCODER = f"  lite: {{uses: timm, model: {MODEL}, weights: own, output: vector, size: 32, every: 20}}\n"


@pytest.fixture
def pinned(fresh):
    """A workspace whose benchmark names weights that lie in a folder outside."""
    outside = fresh.folder.parent / "outside"
    outside.mkdir()
    torch.save(timm_models.build(MODEL, classes=3, seed=5).state_dict(), outside / "own.pth")
    pin(fresh, io.sha256(outside / "own.pth"))
    fresh.edit("extractors:\n", f"{ENCODER}extractors:\n")
    return fresh


def pin(workspace, sha256: str) -> None:
    words = {"size_mb": 1, "licence": "MIT", "citation": "nobody", "purpose": "tests"}
    entry = {"path": str(workspace.folder.parent / "outside"), "files": {"own.pth": sha256}, **words}
    (workspace.folder / "config/weights.yaml").write_text(yaml.safe_dump({"weights": {"own": entry}}))


def test_what_was_fetched_serves_heavy_steps_where_nothing_outside_can_be_reached(pinned):
    planned = pinned.dry_run(TARGET).jobs
    assert (planned["fetch_weights"], planned["represent"]) == (1, 1)
    outcome = pinned.snakemake("--", "fetch")
    assert outcome.code == 0, outcome.text
    assert (pinned.folder / CARD).exists()
    shutil.rmtree(pinned.folder.parent / "outside")
    outcome = pinned.snakemake("--", TARGET)
    assert outcome.code == 0, outcome.text
    assert (outcome.run["fetch_weights"], outcome.run["represent"]) == (0, 1)
    assert pinned.dry_run(TARGET, "fetch").jobs == {}


def test_another_digest_is_fetched_anew_and_refused_where_the_file_is_another_one(pinned):
    assert pinned.snakemake("--", "fetch").code == 0
    pin(pinned, "0" * 64)
    assert pinned.dry_run("fetch").jobs["fetch_weights"] == 1
    outcome = pinned.snakemake("--", "fetch")
    assert outcome.code == 1
    log = (pinned.folder / "logs/fetch/own.log").read_text()
    assert "own.pth" in log
    assert "sha256" in log
