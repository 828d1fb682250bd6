"""Every step, run in this process on the tiny benchmark: what it writes, what it refuses, and with which exit code."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reedbench import steps
from reedbench.core import io, paths, provenance
from reedbench.domains import image, rows
from reedbench.samplers.dopri5 import Dopri5
from reedbench.samplers.euler import Euler
from reedbench.schema import runs, settings, suite
from reedbench.steps.features import read_features

ENCODERS = ("patches", "caption")
STEP = 10
CELL = "--benchmark tiny --method {m} --seed 0 --step 10 --sampler ode"
MADE_FROM_DATA = [
    "prepare --dataset digits",
    "caption --dataset digits --captioner measured",
    *(f"pretrain --dataset digits --encoder {name}" for name in (*ENCODERS, "clf")),
    *(f"represent --dataset digits --encoder {name}" for name in ENCODERS),
    *(f"represent --dataset digits --extractor {name}" for name in ("clf", "pixels")),
]


def run(command: str) -> int:
    return steps.main(command.split())


def sample(m: str = "sit") -> int:
    return run(f"sample {CELL.format(m=m)}")


def evaluate(m: str = "sit") -> int:
    return run(f"evaluate {CELL.format(m=m)}")


def samples(m: str = "sit") -> str:
    return paths.samples("tiny", m, 0, STEP, "ode")


def metrics(m: str = "sit") -> dict[str, Any]:
    body: dict[str, Any] = io.read_json(paths.metrics("tiny", m, 0, STEP, "ode"))
    return body


def edit(old: str, new: str) -> None:
    """Change the benchmark file, as its user would between two commands."""
    file = Path("config/benchmarks/tiny.yaml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    suite.load.cache_clear()


@pytest.fixture(scope="module")
def prepared(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after every step on the data, and two methods after their first segment."""
    folder = make_workspace(tmp_path_factory.mktemp("steps") / "work")
    with contextlib.chdir(folder):
        suite.load.cache_clear()
        for command in MADE_FROM_DATA:
            assert run(command) == 0
        for m in ("sit", "repa"):
            assert run(f"train --benchmark tiny --method {m} --seed 0 --segment 0") == 0
    return folder


@pytest.fixture
def work(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the prepared workspace as current directory."""
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder


DATA = paths.data("digits")
OUTPUTS = {
    "prepare": ([paths.shards(DATA), paths.manifest(DATA), paths.index(DATA)], []),
    "caption": ([paths.captions("digits", "measured")], [paths.index(DATA)]),
    "pretrain": (
        [paths.weights(paths.encoder("digits", "patches")), paths.card(paths.encoder("digits", "patches"))],
        [paths.index(DATA)],
    ),
    "represent": (
        [
            paths.shards(paths.representation("digits", "patches")),
            paths.index(paths.representation("digits", "patches")),
        ],
        [paths.index(DATA), paths.weights(paths.encoder("digits", "patches"))],
    ),
    "train": (
        [paths.receipt("tiny", "sit", 0, 0), paths.segment("tiny", "sit", 0, 0)],
        [paths.recipe("tiny", "sit", 0), paths.index(DATA)],
    ),
}


@pytest.mark.parametrize("verb", OUTPUTS)
def test_a_step_leaves_its_outputs_and_a_sidecar_for_each(work, verb):
    outputs, inputs = OUTPUTS[verb]
    for output in outputs:
        record = provenance.read(output)
        assert record["step"] == verb
        assert record["sha256"] == io.sha256(output)
        assert set(record["inputs"]) == set(inputs)
        assert list(provenance.verify(output))


def test_statistics_of_an_extractor_have_a_sidecar_that_names_its_weights(work):
    record = provenance.read(paths.statistics("digits", "clf"))
    assert set(record["inputs"]) == {paths.index(DATA), paths.weights(paths.encoder("digits", "clf"))}
    assert record["command"] == ["reedbench", "step", "represent", "--dataset", "digits", "--extractor", "clf"]


def test_captions_cover_both_splits(work):
    import pandas as pd

    captions = pd.read_parquet(paths.captions("digits", "measured"))
    assert sorted(captions["id"]) == [f"{i:04d}" for i in range(1797)]
    assert captions["text"].str.len().min() > 0


def test_an_encoder_comes_with_a_card_of_its_settings(work):
    card = io.read_json(paths.card(paths.encoder("digits", "patches")))
    assert (card["encoder"], card["settings"]["dim"]) == ("patches", 16)
    assert io.read_tensors(paths.weights(paths.encoder("digits", "patches")))


def test_representations_belong_to_the_training_rows_in_order(work):
    train = rows.read(DATA, rows.TRAIN)
    for name in ENCODERS:
        index = rows.index(paths.representation("digits", name))
        assert index["rows"] == len(train) == 1437
        assert index["train_ids"] == rows.ids_digest(train.ids)


def test_statistics_hold_the_training_features_and_the_classes_of_a_classifier(work):
    features = read_features(paths.statistics("digits", "pixels"))
    assert (len(features), features.features.dtype, features.labels, features.predicted) == (
        1437,
        np.float64,
        None,
        None,
    )
    seen = read_features(paths.statistics("digits", "clf"))
    np.testing.assert_array_equal(seen.labels, rows.read(DATA, rows.TRAIN).arrays["labels"])
    assert seen.predicted.shape == (1437,)


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
        "evaluation": runs.benchmark(tiny, "tiny").evaluation_key,
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


def test_a_cell_must_be_named_in_full(work, capfd):
    assert run("evaluate --benchmark tiny --method sit --seed 0") == 2
    assert "needs either --floor or all of --method, --seed, --step and --sampler" in capfd.readouterr().err


def expected(m: str) -> str:
    return runs.of(suite.load(), "tiny", m, 0).key


def test_a_job_planned_under_other_settings_does_not_run(work, capfd):
    assert run(f"evaluate {CELL.format(m='sit')} --expect 0123456789ab") == 2
    message = capfd.readouterr().err
    assert "the configuration changed since this job was planned" in message
    assert "planned 0123456789ab" in message


@pytest.mark.parametrize(
    ("verb", "planned", "said"),
    [
        ("sample", "--recipe 0123456789ab", "recipe"),
        ("evaluate", "--recipe 0123456789ab", "recipe"),
        ("evaluate", "--sampling 0123456789ab", "sampling"),
    ],
)
def test_a_cell_planned_for_another_recipe_or_other_samples_does_not_run(work, capfd, verb, planned, said):
    assert run(f"{verb} {CELL.format(m='sit')} {planned}") == 2
    message = capfd.readouterr().err
    assert f"the configuration changed since this job was planned ({said} " in message
    assert "planned 0123456789ab" in message


def test_a_job_planned_before_an_edit_of_its_method_does_not_run(work, capfd):
    planned = expected("repa")
    train = f"train --benchmark tiny --method repa --seed 0 --segment 0 --expect {planned}"
    assert run(train) == 0
    edit("projector_width: 16", "projector_width: 20")
    assert run(train) == 2
    assert "the configuration changed" in capfd.readouterr().err


def test_a_recipe_edited_by_hand_stops_a_planned_job(work, capfd):
    recipe = Path(paths.recipe("tiny", "sit", 0))
    recipe.write_text(recipe.read_text().replace('"batch": 8', '"batch": 9'))
    command = "train --benchmark tiny --method sit --seed 0 --segment 1"
    assert run(f"{command} --expect {expected('sit')}") == 2
    assert f"{recipe}: is not the recipe of this run" in capfd.readouterr().err
    assert '"batch": 9' in recipe.read_text()


def test_without_a_plan_a_step_puts_the_recipe_right(work, capfd):
    recipe = Path(paths.recipe("tiny", "sit", 0))
    right = recipe.read_text()
    recipe.write_text(right.replace('"batch": 8', '"batch": 9'))
    assert run("train --benchmark tiny --method sit --seed 0 --segment 1") == 0
    assert recipe.read_text() == right
    assert "new recipe" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("prepare --dataset digit", "unknown dataset 'digit'; did you mean 'digits'?"),
        ("pretrain --dataset digits --encoder patch", "unknown encoder 'patch'; did you mean 'patches'?"),
        ("sample --benchmark tiny --method sid --seed 0 --step 10 --sampler ode", "unknown method 'sid'"),
        ("sample --benchmark tiny --method sit --seed 0 --step 10 --sampler od", "unknown sampler 'od'"),
        ("evaluate --benchmark tiny --method sid --seed 0 --step 10 --sampler ode", "unknown method 'sid'"),
        ("evaluate --benchmark tiny --method sit --seed 0 --step 10 --sampler od", "unknown sampler 'od'"),
        ("evaluate --benchmark tin --floor", "unknown benchmark 'tin'; did you mean 'tiny'?"),
        ("train --benchmark tiny --method sit --seed -1 --segment 0", "argument --seed: "),
        ("trian --benchmark tiny", "invalid choice: 'trian'"),
        ("represent --dataset digits", "one of the arguments --encoder --extractor is required"),
    ],
)
def test_a_wrong_word_is_a_configuration_error_that_names_it(workspace, capfd, command, message):
    assert run(command) == 2
    assert message in capfd.readouterr().err
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("caption --dataset digits --captioner measured", paths.index(DATA)),
        ("represent --dataset digits --encoder patches", paths.index(DATA)),
        ("tabulate --benchmark tiny --cache", paths.cache_files("tiny")[0]),
        ("plot --benchmark tiny --figure speedup", paths.metrics("tiny", "sit", 0, 10, "ode")),
    ],
)
def test_a_step_before_its_inputs_names_the_first_that_is_missing(workspace, capfd, command, missing):
    assert run(command) == 3
    assert f"{missing}: no such file" in capfd.readouterr().err


def test_a_segment_that_was_planned_under_another_grid_is_refused(workspace, capfd):
    run = "train --benchmark tiny --method sit --seed 0 --segment 0"
    assert steps.main([*run.split(), "--grid", "0-10-3"]) == 2
    assert "train.segment or train.save_every changed since this job was planned" in capfd.readouterr().err
