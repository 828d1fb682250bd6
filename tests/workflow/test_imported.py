"""A published checkpoint in the workflow: fetched, then converted by one job without a GPU and without latents."""

import sys
from pathlib import Path

import pytest
import torch
import yaml

from reedbench.core import io
from reedbench.nn.backbones.sit import SiT

sys.path.insert(0, str(Path(__file__).parents[1] / "codecs"))

import tiny_vae

pytestmark = pytest.mark.xdist_group("workflow")

RECEIPT = "results/runs/tiny/public/seed0/segment-0.json"
METRICS = "results/metrics/tiny/public/seed0/step-0000007/ode.json"
METHOD = "  public: {uses: imported, label: Public, weights: own, step: 7, time: sit}\n"


@pytest.fixture
def pinned(fresh):
    """A workspace whose benchmark has a method with weights from outside, and a codec that keeps latents."""
    outside = fresh.folder.parent / "outside"
    outside.mkdir()
    torch.manual_seed(0)
    state = SiT(size=4, channels=2, patch=2, width=16, depth=2, heads=2, classes=10).state_dict()
    torch.save(state, outside / "own.pt")
    words = {"size_mb": 1, "licence": "MIT", "citation": "nobody", "purpose": "tests"}
    entry = {"path": str(outside), "files": {"own.pt": io.sha256(outside / "own.pt")}, **words}
    (fresh.folder / "config/weights.yaml").write_text(yaml.safe_dump({"weights": {"own": entry}}))
    tiny_vae.save(fresh.folder / "made" / "tiny")
    fresh.edit("{uses: pixels}", "{uses: sd-vae, weights: made/tiny, channels: 2, factor: 2}")
    fresh.edit("methods:\n", f"methods:\n{METHOD}")
    fresh.edit("seeds: [0]\n", "seeds: [0]\nresources: {train: {gpus: 1, tasks_per_node: 1}}\n")
    return fresh


def test_one_job_converts_it_and_only_what_decides_its_weights_converts_it_again(pinned):
    planned = pinned.dry_run(METRICS).jobs
    assert {rule: planned[rule] for rule in ("fetch_weights", "train", "sample", "compress")} == {
        "fetch_weights": 1, "train": 1, "sample": 1, "compress": 0,
    }  # fmt: skip
    assert "--gpus 0 --nodes 1 --tasks-per-node 1" in pinned.snakemake("-n", "-p", "--", RECEIPT).text
    outcome = pinned.snakemake("--", RECEIPT)
    assert outcome.code == 0, outcome.text
    assert outcome.run == {"prepare": 1, "fetch_weights": 1, "train": 1}
    assert pinned.dry_run(RECEIPT).jobs == {}

    pinned.edit("label: Public,", "label: Other, batch: 8,")
    pinned.edit("batch: 8, optimiser", "batch: 16, optimiser")
    assert pinned.dry_run(RECEIPT).jobs == {}
    pinned.edit("time: sit}", "time: repa}")
    assert pinned.dry_run(RECEIPT).jobs == {"train": 1}


def test_it_has_one_step_and_one_segment(pinned):
    for target in (METRICS.replace("0000007", "0000014"), RECEIPT.replace("segment-0", "segment-1")):
        outcome = pinned.snakemake("-n", "--", target)
        assert outcome.code == 2
        assert "there is no 's" in outcome.text
