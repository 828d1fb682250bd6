"""Runs that set samples of their teacher against data: drawn first, read as data are, priced, and never mixed up."""

from pathlib import Path

import numpy as np
import pytest
import tiny_vae
import torch
from tiny_steps import FILE, benchmark, must, run

from reedbench.codecs.pixels import Pixels
from reedbench.core import io, provenance
from reedbench.domains import image
from reedbench.nn.learner import POOL
from reedbench.steps import gather, outlook, pooled
from reedbench.steps.train import build
from reedbench.training.ranks import Ranks

SPIN = """
  spin:
    rounds:
      times: 2
      of: {uses: self-play, label: SPIN, pool: {sampler: ode}, beta: 10, steps: 5}
      first: {method: sit, step: 10}
table: [sit, spin.2]
"""
SIT, FIRST, SECOND = (f"--benchmark tiny --method {m} --seed 0" for m in ("sit", "spin.1", "spin.2"))
SAMPLES = "results/samples/tiny/sit/seed0/step-0000010/ode"


def edit(old: str, new: str) -> None:
    text = FILE.read_text()
    assert old in text
    FILE.write_text(text.replace(old, new, 1))


@pytest.fixture
def taught(workspace):
    """The teacher is trained, and its pool is there."""
    edit("table: [sit, repa, reed]", SPIN)
    must("prepare --dataset digits")
    must(f"train {SIT} --segment 0")
    must(f"sample {SIT} --step 10 --sampler ode")
    return workspace


def refused(code: int, words: str, capfd) -> None:
    capfd.readouterr()
    assert run(f"train {FIRST} --segment 0") == code
    assert words in capfd.readouterr().err


def test_every_round_is_trained_on_samples_of_the_one_before_and_priced_with_them(taught, capfd):
    must(f"train {FIRST} --segment 0")
    assert run(f"train {SECOND} --segment 0") == 3
    assert "results/samples/tiny/spin.1/seed0/step-0000005/ode" in capfd.readouterr().err
    must(f"sample {FIRST} --step 5 --sampler ode")
    must(f"train {SECOND} --segment 0")
    inputs = provenance.read("results/runs/tiny/spin.2/seed0/segment-0.json")["inputs"]
    assert "results/samples/tiny/spin.1/seed0/step-0000005/ode" in inputs
    _check_start()
    _check_costs()


def _check_start() -> None:
    """The loss begins at log 2: reference, start and pool are of one network, that of the teacher's average."""
    one, _ = build(benchmark().run("spin.2", 0), Ranks.alone("cpu"))
    assert float(one.update(0)["self-play"]) == pytest.approx(np.log(2), rel=1e-5)
    drawn = provenance.read("results/samples/tiny/spin.1/seed0/step-0000005/ode")["inputs"]
    weights = "results/runs/tiny/spin.1/seed0/segment-0/step-0000005.safetensors"
    assert drawn[weights] == provenance.read("results/runs/tiny/spin.2/seed0/segment-0.json")["inputs"][weights]


def _check_costs() -> None:
    tiny = benchmark()
    first, second = (gather._one_off(tiny.run(m, 0)) for m in ("spin.1", "spin.2"))
    sit, spin = (gather._training(tiny.run(m, 0).teacher) for m in ("spin.1", "spin.2"))
    each = outlook.Outlook(tiny)._evaluation("sit").known
    drawing = 64 * 2 * each  # samples, each of two evaluations
    assert first["oneoff_flops"] == sit["flops"] + drawing
    assert second["oneoff_flops"] == sit["flops"] + spin["flops"] + 2 * drawing
    seconds = provenance.read(SAMPLES)["device_seconds"]
    assert first["oneoff_device_seconds"] == pytest.approx(sit["device_seconds"] + seconds)
    assert gather._base(tiny.run("spin.1", 0))["base_flops"] == sit["flops"]  # of training alone


def test_samples_are_seen_as_data_are(taught):
    trainer, _ = build(benchmark().run("spin.1", 0), Ranks.alone("cpu"))
    batch = trainer._share_of(0).batch
    images, labels = image.read_samples(Path(SAMPLES) / "samples.npz")
    known = {image.tobytes(): int(label) for image, label in zip(Pixels().encode(images), labels, strict=True)}
    assert [known[x.numpy().tobytes()] for x in batch[POOL]] == batch["labels"].tolist()
    levels = (batch[POOL] + 1) * (image.to_signed(np.array([1], np.uint8)) + 1).item() ** -1
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)  # whole numbers, as data's


def test_a_pool_of_other_settings_or_weights_is_not_taken(taught, capfd):
    edit("ode: {uses: euler, steps: 2}", "ode: {uses: euler, steps: 3}")
    refused(3, f"{SAMPLES}: was made under other settings", capfd)
    edit("ode: {uses: euler, steps: 3}", "ode: {uses: euler, steps: 2}")
    record = provenance.sidecar(SAMPLES)
    said = io.read_json(record)
    weights = benchmark().run("spin.1", 0).teacher.weights
    io.write_json(record, {**said, "inputs": {**said["inputs"], weights: "0" * 64}})
    refused(3, f"{SAMPLES}: drawn from other weights than {weights} are; sample again", capfd)
    io.write_json(record, {**said, "notes": {**said["notes"], "recipe": "0" * 12}})
    refused(3, f"{SAMPLES}: drawn from another recipe's weights", capfd)


def test_a_run_does_not_go_on_with_other_samples(taught, capfd):
    must(f"train {FIRST} --segment 0")
    file, record = Path(SAMPLES) / "samples.npz", provenance.sidecar(SAMPLES)
    images, labels = image.read_samples(file)
    image.write_samples(file, [255 - images], labels)
    io.write_json(record, {**io.read_json(record), "sha256": io.sha256(SAMPLES)})
    refused(2, "its pool has other content than when this run was trained", capfd)


def test_a_pool_without_some_class_is_refused_before_training(workspace, capfd):
    edit("table: [sit, repa, reed]", SPIN)
    edit("count: 64, batch: 64, streams: 4}", "count: 12, batch: 64, streams: 4, labels: random}")
    must("prepare --dataset digits")
    must(f"train {SIT} --segment 0")
    must(f"sample {SIT} --step 10 --sampler ode")
    refused(2, f"{SAMPLES} hold 12 samples, none of class", capfd)


def test_samples_are_compressed_and_drawn_as_training_rows_are(workspace):
    edit("table: [sit, repa, reed]", SPIN)
    edit("{uses: pixels}", "{uses: sd-vae, weights: made/vae, channels: 2, factor: 2}")
    tiny_vae.save(workspace / "made" / "vae")
    must("prepare --dataset digits")
    must("compress --dataset digits --codec vae")
    must(f"train {SIT} --segment 0")
    must(f"sample {SIT} --step 10 --sampler ode")
    found = benchmark().run("spin.1", 0)
    pool, read = pooled.prepared(found, "cpu")
    assert read == [SAMPLES]
    images, _ = image.read_samples(Path(SAMPLES) / "samples.npz")
    codec = found.benchmark.spec.codec
    assert np.array_equal(pool.samples.arrays["moments"], codec.compressed({"images": images})["moments"])
    trainer, _ = build(found, Ranks.alone("cpu"))
    one, other = (trainer._share_of(step).batch[POOL] for step in (0, 1))
    assert one.shape == other.shape == trainer._share_of(0).batch["x_1"].shape
