"""The shipped ImageNet benchmark from raw images to table and figures, at a tiny size and with random weights."""

import os
from pathlib import Path

import pandas as pd
import pytest
import tiny_imagenet

from reedbench.core import io, paths, provenance

pytestmark = pytest.mark.xdist_group("imagenet")

IMAGES = Path(os.environ.get("REEDBENCH_DATA", "../shared/data")).resolve() / "imagenet-sample"
TARGETS = ("results/tables/imagenet.csv", *(f"results/figures/imagenet/{f}.pdf" for f in ("speedup", "samples")))


@pytest.mark.long
@pytest.mark.skipif(not IMAGES.is_dir(), reason="no imagenet-sample in $REEDBENCH_DATA (../shared/data)")
def test_from_images_to_the_table(workspace_at, tmp_path, monkeypatch):
    workspace = workspace_at(tmp_path)
    tiny_imagenet.write(workspace.folder, IMAGES)
    planned = workspace.dry_run(*TARGETS).jobs
    assert (planned["fetch_weights"], planned["compress"], planned["caption"], planned["train"]) == (2, 1, 1, 3)
    assert planned["represent"] == 1  # DINOv2 is asked in training
    outcome = workspace.snakemake("--", *TARGETS)
    logs = "".join(f"\n== {log}\n{log.read_text()}" for log in workspace.folder.rglob("logs/**/*.log"))
    assert outcome.code == 0, outcome.text + logs
    assert workspace.dry_run(*TARGETS).jobs == {}

    table = pd.read_csv(workspace.folder / TARGETS[0])
    real = table[table["weights"] == "data"]
    assert real["method"].tolist() == ["real test data", "real test data through the codec"]
    table = table.drop(real.index)
    assert table[["method", "step"]].values.tolist() == [[method, 20] for method in ("sit", "repa", "reed")]
    digest = io.sha256(workspace.folder / "made/reference.npz")[:8]
    metrics = [f"{name}@inception.v1-n24-f{digest}" for name in ("fd", "sfid", "precision", "recall")]
    assert {*metrics, "is@inception.v1-n24"} <= {name.replace("-r40", "") for name in table.columns}
    assert (table["device_seconds"] > 0).all()
    flops = table.set_index("method")["flops"]
    assert flops["repa"] > 1.001 * flops["sit"]  # the encoder in the step is counted

    samples = workspace.folder / paths.samples("imagenet", "reed", 0, 20, "sde") / "samples.npz"
    images = io.read_npz(samples, ["arr_0"])["arr_0"]
    assert (images.shape, images.dtype) == ((24, 256, 256, 3), "uint8")
    monkeypatch.chdir(workspace.folder)
    lines = provenance.verify(TARGETS[0])
    assert any(paths.latents("imagenet-256", "sd-vae-ft-mse") in line for line in lines)
