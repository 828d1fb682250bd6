"""A codec that keeps encoded rows: one job makes them, before all training, and nothing else asks for them."""

import pytest
import tiny_vae

pytestmark = pytest.mark.xdist_group("workflow")

RECEIPT = "results/runs/tiny/sit/seed0/segment-0.json"


@pytest.fixture
def latent(fresh):
    """A workspace whose benchmark trains on latents of an autoencoder with random weights."""
    tiny_vae.save(fresh.folder / "made" / "tiny")
    fresh.edit("{uses: pixels}", "{uses: sd-vae, weights: made/tiny, channels: 2, factor: 2}")
    return fresh


def test_training_rows_are_encoded_once_and_a_decoder_reruns_samples_alone(latent):
    planned = latent.dry_run("all").jobs
    assert (planned["compress"], planned["train"]) == (1, 6)
    outcome = latent.snakemake("--", RECEIPT)
    assert outcome.code == 0, outcome.text
    assert outcome.run == {"prepare": 1, "compress": 1, "train": 1}
    assert latent.dry_run(RECEIPT).jobs == {}

    latent.edit("factor: 2}", "factor: 2, decoder: made/other}")
    assert latent.dry_run(RECEIPT).jobs == {}
    latent.edit("decoder: made/other}", "scale: 0.5}")
    assert latent.dry_run(RECEIPT).jobs == {"train": 1}
    latent.edit("made/tiny", "made/other")
    assert latent.dry_run(RECEIPT).jobs == {"compress": 1, "train": 1}
    assert latent.dry_run("results/latents/digits/other/index.json").jobs == {"compress": 1}
