"""Every step on the tiny benchmark: what it leaves, what it refuses, and with which exit code."""

from pathlib import Path

import numpy as np
import pytest
from tiny_steps import edit, run

from reedbench import steps
from reedbench.core import io, paths, provenance
from reedbench.domains import rows
from reedbench.schema import runs, suite
from reedbench.steps.features import read_features

CELL = "--benchmark tiny --method {m} --seed 0 --step 10 --sampler ode"

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
    for name in ("patches", "caption"):
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
