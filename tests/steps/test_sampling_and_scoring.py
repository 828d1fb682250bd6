"""Samples of the tiny benchmark and their scores: what is drawn, what is measured, and what stands in the way."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_steps import edit, run

from reedbench.core import io, paths, provenance
from reedbench.domains import image
from reedbench.samplers.dopri5 import Dopri5
from reedbench.samplers.euler import Euler
from reedbench.schema import runs, settings, suite

STEP = 10
CELL = "--benchmark tiny --method {m} --seed 0 --step 10 --sampler ode"


def sample(m: str = "sit") -> int:
    return run(f"sample {CELL.format(m=m)}")


def evaluate(m: str = "sit") -> int:
    return run(f"evaluate {CELL.format(m=m)}")


def samples(m: str = "sit") -> str:
    return paths.samples("tiny", m, 0, STEP, "ode")


def metrics(m: str = "sit") -> dict[str, Any]:
    body: dict[str, Any] = io.read_json(paths.metrics("tiny", m, 0, STEP, "ode"))
    return body


def test_samples_are_one_file_of_balanced_classes(work):
    assert sample() == 0
    images, labels = image.read_samples(f"{samples()}/samples.npz")
    assert (images.shape, images.dtype) == ((64, 1, 8, 8), np.uint8)
    assert labels.tolist() == [i % 10 for i in range(64)]
    key = runs.of(suite.load(), "tiny", "sit", 0).key
    assert provenance.read(samples())["notes"] == {"nfe": 2, "recipe": key, "precision": "fp32"}
    assert len(np.unique(images, axis=0)) == 64


def test_classes_that_are_drawn_are_those_of_the_seed_and_are_said(work):
    edit("streams: 4", "streams: 4, labels: random")
    assert sample("sit") == sample("repa") == evaluate() == 0
    labels = [image.read_samples(f"{samples(m)}/samples.npz")[1].tolist() for m in ("sit", "repa")]
    assert labels[0] == labels[1] != [i % 10 for i in range(64)]
    assert set(labels[0]) <= set(range(10))
    assert metrics()["labels"] == "random"


def test_adaptive_samples_do_not_depend_on_the_batch_and_their_evaluations_are_counted(work):
    edit("uses: euler, steps: 2", "uses: dopri5, guidance: 1.5")
    read, notes = [], []
    for batch in ("batch: 64,", "batch: 24,"):
        edit("batch: 64,", batch)
        shutil.rmtree(samples(), ignore_errors=True)
        assert sample() == 0
        read.append(Path(samples(), "samples.npz").read_bytes())
        notes.append(provenance.read(samples())["notes"]["nfe"])
    assert read[0] == read[1]
    assert notes[0] == notes[1] > 2 * 8
    assert evaluate() == 0
    assert metrics()["nfe"] == notes[0]


def test_a_last_batch_is_not_filled_up_where_samples_are_coupled(work, monkeypatch):
    rows_of_calls, run_alone = [], Dopri5.draw

    def spy(self, network, condition, streams, objective):
        rows_of_calls.append(len(condition["x_0"]))
        return run_alone(self, network, condition, streams, objective)

    monkeypatch.setattr(Dopri5, "draw", spy)
    edit("batch: 64, streams", "batch: 61, streams")
    for before, after in (("euler, steps: 2", "dopri5"), ("dopri5", "dopri5, norm: reference")):
        edit(f"uses: {before}", f"uses: {after}")
        assert sample() == 0
    assert rows_of_calls == [61, 8, 61, 3]


def test_methods_start_their_samples_from_the_same_noise(work, monkeypatch):
    starts = []

    def spy(self, velocity, x_0, *, path, noise):
        starts.append(x_0.clone())
        return x_0

    monkeypatch.setattr(Euler, "run", spy)
    assert sample("sit") == sample("repa") == 0
    assert torch.equal(starts[0], starts[1])
    assert starts[0].std() == pytest.approx(1, abs=0.1)


def test_sampling_without_weights_names_the_segment_to_train(work, capfd):
    weights = Path(paths.segment("tiny", "sit", 0, 0), f"{paths.step_name(STEP)}.safetensors")
    weights.unlink()
    assert sample() == 3
    message = capfd.readouterr().err
    assert f"{weights}: no such file" in message
    assert f"snakemake -f {paths.receipt('tiny', 'sit', 0, 0)}" in message
    assert not Path(samples()).exists()


def test_sampling_from_damaged_weights_names_the_segment_to_train(work, capfd):
    weights = Path(paths.segment("tiny", "sit", 0, 0), f"{paths.step_name(STEP)}.safetensors")
    content = weights.read_bytes()
    weights.unlink()  # a published file is a hard link: writing into it would reach the store
    weights.write_bytes(content[:100])
    assert sample() == 3
    assert f"snakemake -f {paths.receipt('tiny', 'sit', 0, 0)}" in capfd.readouterr().err


def test_sampling_from_weights_that_the_receipt_does_not_name_is_refused(work, capfd):
    weights = Path(paths.segment("tiny", "sit", 0, 0), "step-0000010.safetensors")
    other = Path(paths.segment("tiny", "sit", 0, 0), "step-0000005.safetensors")
    weights.unlink()
    shutil.copy(other, weights)  # whole, and of the same run
    assert sample() == 3
    said = capfd.readouterr().err
    assert "not the weights that its receipt names" in said
    assert "snakemake -f results/runs/tiny/sit/seed0/segment-0.json" in said


SHAPES = ["[]", '"text"', "{}", '{"key": null, "start": 0, "stop": 10, "parameters": 1, "weights": []}']


@pytest.mark.parametrize("content", SHAPES)
def test_a_receipt_of_another_shape_is_one_line_that_names_it(work, capfd, content):
    receipt = Path(paths.receipt("tiny", "sit", 0, 0))
    receipt.write_text(content)
    assert sample() == 3
    (line,) = (line for line in capfd.readouterr().err.splitlines() if str(receipt) in line)
    assert f"publish its segment again: snakemake -f {receipt}" in line


def test_evaluation_without_samples_is_a_missing_artefact(work, capfd):
    assert evaluate() == 3
    assert f"{samples()}: no such file" in capfd.readouterr().err


def test_a_metric_file_says_what_was_measured_and_how(work):
    assert sample() == 0
    assert evaluate() == 0
    body = metrics()
    tiny = suite.load()
    assert {name: value for name, value in body.items() if name != "records"} == {
        "benchmark": "tiny", "method": "sit", "seed": 0, "step": 10, "sampler": "ode", "weights": "ema", "nfe": 2,
        "guidance": 1.0, "recipe": runs.of(tiny, "tiny", "sit", 0).key,
        "sampling": settings.key(runs.benchmark(tiny, "tiny").sampling("ode")),
        "evaluation": runs.benchmark(tiny, "tiny").scoring.key,
    }  # fmt: skip
    records = {record["family"]: record for record in body["records"]}
    assert set(records) == {"fd@clf", "fd@pixels", "accuracy@clf"}
    for family, record in records.items():
        assert record["metric"] == f"{family}.v{record['version']}-n64"
        assert np.isfinite(record["value"])
        assert record["n"] == 64
        assert record["protocol"]["n_reference"] == 1437
        assert record["protocol"]["uses"] == family.split("@")[0]
    assert (records["fd@clf"]["direction"], records["accuracy@clf"]["direction"]) == ("lower", "higher")


def test_the_spread_is_that_of_disjoint_streams(work):
    assert sample() == 0
    assert evaluate() == 0
    (accuracy,) = (record for record in metrics()["records"] if record["family"] == "accuracy@clf")
    spread = accuracy["spread"]
    assert (spread["kind"], spread["streams"], spread["n"], len(spread["values"])) == ("std-of-streams", 4, 16, 4)
    assert np.mean(spread["values"]) == pytest.approx(accuracy["value"])  # a mean over equal parts
    assert spread["std"] == pytest.approx(np.std(spread["values"], ddof=1))


def test_fewer_than_three_streams_have_no_spread_but_a_reason(work):
    edit("streams: 4", "streams: 2")
    assert sample() == 0
    assert evaluate() == 0
    spreads = [record["spread"] for record in metrics()["records"]]
    assert spreads == [{"kind": "none", "reason": "2 sampling stream(s); a spread needs 3"}] * 3


def test_metrics_compute_with_the_same_threads_whatever_the_job_was_given(work, monkeypatch):
    from threadpoolctl import threadpool_info, threadpool_limits

    from reedbench.metrics.fd import FrechetDistance

    found, value = [], FrechetDistance.value

    def spy(self, generated, reference):
        found.append({torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())})
        return value(self, generated, reference)

    monkeypatch.setattr(FrechetDistance, "value", spy)
    assert sample() == 0
    written, before = [], torch.get_num_threads()
    for cpus in (1, 2):
        with threadpool_limits(cpus):
            torch.set_num_threads(cpus)
            assert evaluate() == run("evaluate --benchmark tiny --floor") == 0
            assert torch.get_num_threads() == cpus
        written.append([Path(paths.metrics("tiny", "sit", 0, STEP, "ode")).read_bytes(),
                        Path(paths.floor("tiny")).read_bytes()])  # fmt: skip
    torch.set_num_threads(before)
    assert found == [{1}] * len(found)
    assert written[0] == written[1]


def test_an_extractor_computes_with_the_threads_of_its_settings(work, monkeypatch):
    from reedbench.encoders.small_classifier import SmallClassifier

    found, represent = [], SmallClassifier.represent

    def spy(self, weights, material):
        found.append(torch.get_num_threads())
        return represent(self, weights, material)

    monkeypatch.setattr(SmallClassifier, "represent", spy)
    assert sample() == 0
    torch.set_num_threads(2)
    assert evaluate() == run("represent --dataset digits --extractor clf") == 0
    torch.set_num_threads(1)
    assert found == [1, 1, 1, 1]  # both look at one row first


def test_the_floor_is_one_half_of_the_training_rows_against_the_other(work):
    assert run("evaluate --benchmark tiny --floor") == 0
    body = io.read_json(paths.floor("tiny"))
    records = {record["family"]: record for record in body["records"]}
    assert body["method"] == "floor"
    assert set(records) == {"fd@clf", "fd@pixels", "accuracy@clf"}
    for record in records.values():
        assert (record["n"], record["protocol"]["n_reference"]) == (718, 719)
        assert record["metric"].endswith("-n718-r719")
        assert record["value"] > 0


def test_real_data_score_better_than_a_model_that_hardly_trained(work):
    assert sample() == 0
    assert evaluate() == 0
    assert run("evaluate --benchmark tiny --floor") == 0
    floor = {record["family"]: record["value"] for record in io.read_json(paths.floor("tiny"))["records"]}
    model = {record["family"]: record["value"] for record in metrics()["records"]}
    assert all(floor[family] < model[family] for family in ("fd@clf", "fd@pixels"))
