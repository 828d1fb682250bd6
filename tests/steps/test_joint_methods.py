"""HASTE, REG, ReDi and SADM from pretraining to numbers, and what a check says of metrics that look inside."""

import json
from pathlib import Path

import pytest

from reedbench import steps
from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.schema import runs, suite
from reedbench.steps.outlook import Outlook

METHODS = """
  haste:
    uses: haste
    label: HASTE
    alignments: [{encoder: patches, depth: 1, projector_width: 16}]
    attention: [{encoder: attention, depth: 2, layer: 1}]
    align: {shape: stop, start: 6}
  reg:
    uses: entangled
    label: REG
    token: mean
    dim: 16
    alignments: [{encoder: patches, depth: 1, projector_width: 16}]
  redi: {uses: redi, label: ReDi, features: components, components: 4}
  sadm: {uses: structural, label: SADM, group: 4, ramp: {shape: linear-ramp, length: 5}}
"""
ENCODERS = """
  attention: {uses: invariant-attention, dim: 16, depth: 1, heads: 2, steps: 2, batch: 32}
  mean: {uses: pooled, tokens: patches}
  components: {uses: pca, tokens: patches, components: 4}
"""
NEEDED = ("patches", "attention", "mean", "components")


def changed(folder: Path, *more: tuple[str, str]) -> None:
    file = folder / "config/benchmarks/tiny.yaml"
    text = file.read_text()
    for before, behind in (("\nmethods:", METHODS), ("\nencoders:", ENCODERS), *more):
        assert text.count(before + "\n") == 1
        text = text.replace(before + "\n", before + behind)
    file.write_text(text)
    suite.load.cache_clear()


def run(*argv: str) -> None:
    assert steps.main(list(argv)) == 0


def test_every_method_goes_from_its_encoders_to_numbers(workspace):
    changed(workspace)
    run("prepare", "--dataset", "digits")
    for encoder in NEEDED:
        run("pretrain", "--dataset", "digits", "--encoder", encoder)
    for encoder in NEEDED:
        run("represent", "--dataset", "digits", "--encoder", encoder)
    card = json.loads(Path(paths.card(paths.encoder("digits", "attention"))).read_text())
    assert 0 <= card["probe_accuracy"] <= 1
    assert len(card["focus"]) == 1
    for extractor in ("clf", "pixels"):
        if extractor == "clf":
            run("pretrain", "--dataset", "digits", "--encoder", extractor)
        run("represent", "--dataset", "digits", "--extractor", extractor)
    for method in ("haste", "reg", "redi", "sadm"):
        cell = ("--benchmark", "tiny", "--method", method, "--seed", "0")
        run("train", *cell, "--segment", "0")
        run("sample", *cell, "--step", "10", "--sampler", "ode")
        run("evaluate", *cell, "--step", "10", "--sampler", "ode")
        assert Path(paths.metrics("tiny", method, 0, 10, "ode")).exists()


def test_what_they_take_is_foreseen_from_shapes_alone(workspace):
    """Without data: the plan knows every encoder's shape, and counts the trainer's own step."""
    changed(workspace)
    file = workspace / "config/benchmarks/tiny.yaml"
    file.write_text(file.read_text().replace("table: [sit,", "table: [haste, reg, redi, sadm, sit,"))
    suite.load.cache_clear()
    outlook = Outlook(runs.benchmark(suite.load(), "tiny"))
    assert set(NEEDED) <= outlook.shapes.keys()
    found = outlook.operations()
    receipts = [paths.receipt("tiny", method, 0, 0) for method in ("haste", "reg", "redi", "sadm")]
    assert all(found[receipt].complete for receipt in receipts)
    plain, joint = (paths.samples("tiny", method, 0, 10, "ode") for method in ("sit", "reg"))
    assert 1 < found[joint].known / found[plain].known < 1 + 2 / 16
    haste, sit, reg, repa = (outlook._phases(outlook.benchmark.run(m, 0)) for m in ("haste", "sit", "reg", "repa"))
    assert haste[6] == sit[0] < haste[0]
    assert reg[0] > repa[0]


def test_a_metric_of_hidden_states_and_a_method_that_generates_more_do_not_go_together(workspace):
    changed(workspace, ("\nmetrics:", "\n  - {uses: probe, depth: 1}\n"))
    with pytest.raises(ConfigError, match=r"probe.* looks at noised images alone, and the network of method 'reg'"):
        suite.load()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("encoder: attention, depth: 2", "encoder: patches, depth: 2", "gives tokens, and this alignment takes att"),
        ("encoder: attention, depth: 2", "encoder: attention, depth: 3", "3 is beyond the backbone, which has 2"),
        ("token: mean", "token: patches", "gives tokens, and this alignment takes vector"),
        ("features: components", "features: mean", "gives vector, and this alignment takes tokens"),
    ],
)
def test_encoders_of_another_kind_and_blocks_that_are_not_there_are_named(workspace, old, new, words):
    changed(workspace)
    file = workspace / "config/benchmarks/tiny.yaml"
    assert file.read_text().count(old) == 1
    file.write_text(file.read_text().replace(old, new))
    suite.load.cache_clear()
    with pytest.raises(ConfigError, match=words):
        suite.load()
