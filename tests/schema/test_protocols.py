"""Two protocols never share a row or a column: whatever a number was made under moves a key, and shows beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from reedbench.schema import reports, runs, settings, suite
from reedbench.schema.runs import Benchmark

VAE = {"uses": "sd-vae", "weights": "./mse"}


def loaded(files) -> Benchmark:
    files.write()
    suite.load.cache_clear()
    return runs.benchmark(suite.load(), "tiny")


def shown(benchmark: Benchmark) -> tuple[Any, ...]:
    """What a row of the table says of how its samples were drawn, and the columns that it has."""
    drawer, n = benchmark.spec.samplers["ode"], benchmark.spec.sampling.count
    return (
        reports.protocol(benchmark, "ode"),
        drawer.nfe(next(iter(benchmark.spec.methods.values()))),
        drawer.guidance,
        tuple(metric.id(n, benchmark.repeats) for metric in benchmark.spec.metrics),
    )


# Each changes one thing, of a benchmark with these: (what, key in its file, one value, another).
DRAWN: list[tuple[str, str, Any, Any]] = [
    ("sampler", "samplers/ode", {"uses": "euler", "steps": 4}, {"uses": "euler-maruyama", "steps": 4}),
    ("steps", "samplers/ode", {"uses": "euler", "steps": 4}, {"uses": "euler", "steps": 5}),
    ("guidance", "samplers/ode", {"uses": "euler", "guidance": 1.5}, {"uses": "euler", "guidance": 2.5}),
    (
        "interval of guidance",
        "samplers/ode",
        {"uses": "dopri5", "guidance": 1.5},
        {"uses": "dopri5", "guidance": 1.5, "interval": [0.3, 1.0]},
    ),
    (
        "guided channels",
        "samplers/ode",
        {"uses": "euler", "guidance": 1.5},
        {"uses": "euler", "guidance": 1.5, "channels": "first-three"},
    ),
    ("tolerance", "samplers/ode", {"uses": "dopri5"}, {"uses": "dopri5", "rtol": 1.0e-4}),
    ("norm", "samplers/ode", {"uses": "dopri5"}, {"uses": "dopri5", "norm": "reference"}),
    ("diffusion", "samplers/ode", {"uses": "euler-maruyama"}, {"uses": "euler-maruyama", "diffusion": "sigma"}),
    ("autoencoder", "codec", VAE, {**VAE, "weights": "./ema"}),
    ("decoder", "codec", VAE, {**VAE, "decoder": "./ema"}),
    ("rounding", "codec", VAE, {**VAE, "rounding": "round"}),
    ("label balance", "sampling/labels", "balanced", "random"),
    ("precision", "sampling/precision", "fp32", "bf16"),
    ("n", "sampling/count", 64, 128),
]


@pytest.mark.parametrize(("key", "one", "other"), [case[1:] for case in DRAWN], ids=[case[0] for case in DRAWN])
def test_samples_under_two_protocols_have_two_keys_and_are_told_apart_in_the_table(files, key, one, other):
    files.set(key, one)
    before = loaded(files)
    files.set(key, other)
    after = loaded(files)
    assert settings.key(before.sampling("ode")) != settings.key(after.sampling("ode"))
    assert shown(before) != shown(after)
    files.set(key, one)
    assert shown(loaded(files)) == shown(before)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extractors/clf/steps", 6),
        ("extractors/clf/dim", 9),
        ("metrics/0", {"uses": "fd", "extractor": "spare"}),
        ("metrics/0", {"uses": "kd", "extractor": "clf"}),
        ("sampling/streams", 2),
    ],
)
def test_scores_under_two_protocols_have_two_keys(files, key, value):
    files.set("speedup/metric", "fd@pixels")
    before = loaded(files).scoring.key
    files.set(key, value)
    assert loaded(files).scoring.key != before


HALVED = {"uses": "half-resolution"}
PROBE = {"uses": "probe", "depth": 1, "train_rows": 20, "test_rows": 10}
# Codec, further metric, key and value of an edit, and whether that moves the key of the floor.
OF_THE_FLOOR = [
    pytest.param(HALVED, None, "codec/rounding", "truncate", True, id="how what is decoded is rounded"),
    pytest.param(HALVED, None, "sampling/count", 32, True, id="how many pass through the codec"),
    pytest.param(HALVED, None, "backbone/width", 32, False, id="a backbone that nobody looks into"),
    pytest.param(HALVED, None, "seeds", [1], False, id="seeds of runs"),
    pytest.param({"uses": "pixels"}, None, "sampling/count", 32, False, id="a codec that loses nothing"),
    pytest.param({"uses": "pixels"}, PROBE, "sampling/count", 32, False, id="samples, of which a probe has none"),
    pytest.param({"uses": "pixels"}, PROBE, "backbone/width", 32, True, id="the untrained network"),
    pytest.param({"uses": "pixels"}, PROBE, "seeds", [1, 0], True, id="the seed of its weights"),
    pytest.param({"uses": "pixels"}, PROBE, "seeds", [0, 1], False, id="further seeds"),
    pytest.param({"uses": "pixels"}, PROBE, "methods/sit/path", "gvp", True, id="the path on which it is shown"),
    pytest.param({"uses": "pixels"}, PROBE, "methods/sit/label", "S", False, id="a label"),
    pytest.param(HALVED, PROBE, "codec/rounding", "truncate", True, id="both"),
]


@pytest.mark.parametrize(("codec", "metric", "key", "value", "moves"), OF_THE_FLOOR)
def test_the_floor_has_a_key_of_what_its_values_depend_on(files, codec, metric, key, value, moves):
    files.set("codec", dict(codec))
    if metric is not None:
        files.set("metrics/2", metric)
    before = loaded(files).scoring
    files.set(key, value)
    after = loaded(files).scoring
    assert after.key == before.key
    assert (after.floor_key != before.floor_key) == moves


def test_where_nothing_else_is_shown_the_floor_has_the_key_of_the_cells(files):
    scoring = loaded(files).scoring
    assert scoring.floor_key == scoring.key
    files.set("codec", HALVED)
    scoring = loaded(files).scoring
    assert scoring.floor_key != scoring.key


def test_a_codec_without_a_pin_is_waited_for_by_nobody_and_one_with_a_pin_where_it_is_needed(files):
    weights = {"path": "made", "files": {"config.json": "0" * 64}, "size_mb": 1, "licence": "MIT", "citation": "none",
               "purpose": "test"}  # fmt: skip
    Path("config").mkdir()
    Path("config/weights.yaml").write_text(yaml.safe_dump({"weights": {"vae": weights}}))
    files.set("codec", {"uses": "sd-vae", "weights": "vae", "channels": 2, "factor": 2})
    card = "results/weights/vae/card.json"
    scoring = loaded(files).scoring
    assert (scoring.codec_weights(), scoring.codec_weights(floor=True)) == ([], [card])
    files.set("metrics/2", PROBE)
    scoring = loaded(files).scoring
    assert (scoring.codec_weights(), scoring.codec_weights(floor=True)) == ([card], [card])
    files.set("codec", {"uses": "sd-vae", "weights": "made/vae", "channels": 2, "factor": 2})
    assert loaded(files).scoring.codec_weights(floor=True) == []


def batches(files, **sampler: Any) -> set[str]:
    keys = set()
    for batch in (32, 64):
        files.set("samplers/ode", sampler)
        files.set("sampling/batch", batch)
        keys.add(settings.key(loaded(files).sampling("ode")))
    return keys


def test_the_batch_is_part_of_the_key_where_it_couples_samples_and_nowhere_else(files):
    assert len(batches(files, uses="dopri5", norm="reference")) == 2
    assert len(batches(files, uses="dopri5")) == len(batches(files, uses="euler")) == 1


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda files: None, "euler steps=2; pixels; balanced labels; fp32"),
        (
            lambda files: files.set("samplers/ode", {"uses": "dopri5", "norm": "reference"}),
            "dopri5 norm=reference; batches of 64; pixels; balanced labels; fp32",
        ),
        (
            lambda files: files.set("codec", {**VAE, "decoder": "./ema"}),
            "euler steps=2; sd-vae weights=./mse decoder=./ema; balanced labels; fp32",
        ),
    ],
)
def test_a_protocol_is_said_in_the_words_of_its_file(files, edit: Callable[[Any], None], said):
    edit(files)
    assert reports.protocol(loaded(files), "ode") == said


def test_default_weights_are_named(files):
    files.set("codec", {"uses": "sd-vae"})
    files.config["weights"] = "weights.yaml"
    entry = {"path": "x", "files": {"x": "0" * 64}, "size_mb": 1, "licence": "-", "citation": "-", "purpose": "-"}
    Path("weights.yaml").write_text(yaml.safe_dump({"weights": {"sd-vae-ft-mse": entry}}))
    assert "sd-vae weights=sd-vae-ft-mse;" in reports.protocol(loaded(files), "ode")
