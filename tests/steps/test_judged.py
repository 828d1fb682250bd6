"""A benchmark with a lossy codec, a judge that reads another extractor, and a metric that looks into the network."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_steps import must, put, run

from reedbench import steps
from reedbench.backbones import AbstractBackbone
from reedbench.core import io, paths, plugins, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.domains import image, rows
from reedbench.schema import planning, runs, suite
from reedbench.steps import gather

STEP = 5
BENCHMARK: dict[str, Any] = {
    "title": "Halved digits",
    "dataset": {"uses": "digits"},
    "codec": {"uses": "half-resolution"},
    "encoders": {"patches": {"uses": "invariant-patches", "dim": 8, "steps": 0}},
    "extractors": {
        "pixels": {"uses": "pixel-vector"},
        "judge": {"uses": "linear-probe", "extractor": "pixels", "through": "half-resolution"},
        "sharp-judge": {"uses": "linear-probe", "extractor": "pixels"},
        "features": {"uses": "invariant-patches", "dim": 8, "steps": 0},
    },
    "backbone": {"uses": "sit", "patch": 1, "width": 8, "depth": 3, "heads": 2},
    "train": {"batch": 8, "segment": STEP, "save_every": STEP, "optimiser": {"lr": 1.0e-3, "warmup": 3}},
    "seeds": [0],
    "evaluate": [STEP],
    "methods": {
        "sit": {"uses": "aligned", "label": "SiT"},
        "repa": {
            "uses": "aligned",
            "label": "REPA",
            "alignments": [{"encoder": "patches", "depth": 1, "projector_width": 8}],
        },
    },
    "table": ["sit", "repa"],
    "samplers": {"ode": {"uses": "euler", "steps": 1}, "guided": {"uses": "euler", "steps": 1, "guidance": 2.0}},
    "sampling": {"count": 60, "batch": 60},
    "metrics": [
        {"uses": "fd", "extractor": "pixels"},
        {"uses": "accuracy", "extractor": "judge"},
        {"uses": "accuracy", "extractor": "sharp-judge"},
        {"uses": "probe", "depth": 3, "train_rows": 200, "test_rows": 100},
    ],
    "speedup": {"metric": "fd@pixels", "baseline": "sit"},
}


@pytest.fixture(scope="module")
def done(make_workspace, tmp_path_factory) -> Iterator[Path]:
    """Everything up to the metrics of SiT, with both samplers, and the floor."""
    folder = make_workspace(tmp_path_factory.mktemp("judged") / "work")
    with contextlib.chdir(folder):
        put(BENCHMARK)
        benchmark = runs.benchmark(suite.load(), "tiny")
        for job in planning.jobs(benchmark):
            if job.verb not in ("tabulate", "plot") and "--method repa" not in job.arguments:
                must(f"{job.verb} {job.arguments}")
        yield folder
    suite.load.cache_clear()


@pytest.fixture
def here(done, monkeypatch) -> Path:
    monkeypatch.chdir(done)
    return done


class Seeing:
    """A network whose hidden state is its noisy input, an image as one token; it remembers what it was asked."""

    null_label = 10

    def __init__(self) -> None:
        self.blocks = [None] * 3
        self.asked: list[int] = []
        self.times: set[float] = set()
        self.labels: set[int] = set()

    def cut(self, block: int) -> "Seeing":
        self.blocks = self.blocks[:block]
        return self

    def __call__(self, x: Any, t: Any, y: Any, taps: list[int]) -> tuple[Any, tuple[Any]]:
        self.asked += taps
        self.times |= set(t.tolist())
        self.labels |= set(y.tolist())
        return x, (x.flatten(1)[:, None],)


def values(file: str) -> dict[tuple[str, str | None], float]:
    return {(one["metric"], one.get("what")): one["value"] for one in io.read_json(file)["records"]}


def cell(sampler: str) -> str:
    return paths.metrics("tiny", "sit", 0, STEP, sampler)


def test_what_a_judge_reads_is_made_before_it_and_what_no_metric_needs_is_not(here):
    order = [job.arguments for job in planning.jobs(runs.benchmark(suite.load(), "tiny")) if job.verb == "pretrain"]
    assert order == [f"--dataset digits --encoder {name}" for name in ("patches", "judge", "sharp-judge")]


def test_a_judge_is_trained_on_what_went_through_the_codec_and_its_card_says_so(here):
    cards = {n: io.read_json(paths.card(paths.encoder("digits", n))) for n in ("judge", "sharp-judge")}
    assert [card["images_went_through"] for card in cards.values()] == ["half-resolution", "nothing"]
    test = rows.read(paths.data("digits"), "test").take(range(360))
    vectors = {"judge": image.blurred(test.arrays["images"]), "sharp-judge": test.arrays["images"]}
    for name, images in vectors.items():
        weights = io.read_tensors(paths.weights(paths.encoder("digits", name)))
        scores = image.to_signed(images).reshape(360, -1) @ weights["weights"] + weights["bias"]
        accuracy = np.mean(weights["classes"][scores.argmax(1)] == test.arrays["labels"])
        assert accuracy == pytest.approx(cards[name]["test_accuracy"], abs=1e-4)
        assert accuracy > 0.75


def test_what_the_codec_costs_stands_beside_the_halves(here):
    floor = values(paths.floor("tiny"))
    real, through = "real test data", "real test data through the codec"
    assert ("fd@pixels.v1-n718-r719", "training half vs half") in floor
    assert floor["fd@pixels.v1-n60", through] > floor["fd@pixels.v1-n60", real]
    judge, sharp = "accuracy@judge.v1-n60", "accuracy@sharp-judge.v1-n60"
    assert floor[judge, through] > 0.7 > floor[sharp, through]  # one was trained for it, the other was not
    assert floor[sharp, real] > 0.8


def test_a_floor_that_stands_under_the_key_of_the_cells_is_no_floor(here, tmp_path, monkeypatch):
    shutil.copytree(here, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    benchmark, file = runs.benchmark(suite.load(), "tiny"), paths.floor("tiny")
    scoring, cells = benchmark.scoring, benchmark.cells(["sit"])
    assert io.read_json(file)["evaluation"] == scoring.floor_key != scoring.key
    gather.from_runs(benchmark, cells, previews=False)
    assert run(f"evaluate --benchmark tiny --floor --expect {scoring.key}") == 2
    io.write_json(file, {**io.read_json(file), "evaluation": scoring.key})  # as suites before wrote it
    mark = provenance.sidecar(file)
    io.write_json(mark, {**io.read_json(mark), "sha256": io.sha256(file)})
    with pytest.raises(MissingArtefact, match="tiny: floor was scored under other settings"):
        gather.from_runs(benchmark, cells, previews=False)
    io.write_json(mark, {**io.read_json(mark), "settings": scoring.key})
    with pytest.raises(MissingArtefact, match=r"floor.json: was made under other settings"):
        gather.from_runs(benchmark, cells, previews=False)


def test_the_probe_is_the_same_for_all_samplers_and_has_an_untrained_network_beside_it(here):
    name = ("probe@tap+depth=3+train-rows=200+test-rows=100.v1-n100", None)
    plain, guided = values(cell("ode")), values(cell("guided"))
    assert 0 <= plain[name] == guided[name] <= 1
    record = next(one for one in io.read_json(cell("ode"))["records"] if one["metric"].startswith("probe"))
    assert (record["n"], record["spread"]["block"]) == (100, 3)
    assert 0 <= values(paths.floor("tiny"))[name[0], "network before training"] <= 1


def test_a_probe_finds_classes_in_states_that_hold_them(here, monkeypatch):
    from reedbench.metrics.probe import HiddenProbe
    from reedbench.steps import hidden

    benchmark, found = runs.benchmark(suite.load(), "tiny"), []
    monkeypatch.setattr(hidden, "check_weights", lambda cell: None)
    monkeypatch.setattr(hidden, "network_of", lambda *_: Seeing())
    for at in (0.0, 0.8):
        metric = HiddenProbe(at=at, train_rows=600, test_rows=300)
        found.append(metric.value(hidden.of_checkpoint(benchmark.cell("sit", 0, STEP, "ode"), metric.tapped, "cpu")[0]))
    assert found[0] < 0.2  # pure noise
    assert found[1] > 0.6


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_networks_and_codec_that_are_looked_into_compute_on_the_device_of_the_step(here, monkeypatch, device):
    import torch

    from reedbench.codecs.half_resolution import HalfResolution
    from reedbench.metrics import Tapped
    from reedbench.steps import hidden

    benchmark, tapped = runs.benchmark(suite.load(), "tiny"), Tapped(0.75, 3, False, 20, 10)
    codecs, networks, tensors = set(), [], []
    monkeypatch.setattr(HalfResolution, "on", lambda codec, device: codecs.add(device) or codec)
    monkeypatch.setattr(torch.nn.Module, "to", lambda network, device: networks.append(device) or network)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensors.append(device) or tensor)
    hidden.of_nothing(benchmark, tapped, [], device)
    hidden.of_checkpoint(benchmark.cell("sit", 0, STEP, "ode"), tapped, device)
    assert codecs == {device}
    assert networks == [device] * 2
    moved = [where for where in tensors if isinstance(where, str)]  # others are types
    assert moved == [device] * 12  # inputs of the network, of two splits of both


def test_blocks_behind_the_one_that_is_looked_at_are_not_computed(here, monkeypatch):
    from reedbench.metrics import Tapped
    from reedbench.nn.backbones.sit import Block
    from reedbench.steps import hidden

    benchmark, computed, forward = runs.benchmark(suite.load(), "tiny"), [], Block.forward
    cell, all_blocks = benchmark.cell("sit", 0, STEP, "ode"), type(benchmark.spec.backbone)
    monkeypatch.setattr(Block, "forward", lambda block, *given: computed.append(1) or forward(block, *given))
    short, _ = hidden.of_checkpoint(cell, Tapped(0.75, 2, False, 20, 10), "cpu")
    assert len(computed) == 4
    monkeypatch.setattr(all_blocks, "cut", AbstractBackbone.cut)
    whole, _ = hidden.of_checkpoint(cell, Tapped(0.75, 2, False, 20, 10), "cpu")
    assert len(computed) == 4 + 6
    np.testing.assert_array_equal(short.train.features, whole.train.features)
    np.testing.assert_array_equal(short.test.features, whole.test.features)


def test_what_a_metric_looked_into_is_among_the_inputs_on_record(here):
    inputs = io.read_json(f"{cell('ode')}.prov.json")["inputs"]
    receipt = paths.receipt("tiny", "sit", 0, 0)
    assert {receipt, f"{paths.segment('tiny', 'sit', 0, 0)}/step-{STEP:07d}.safetensors"} <= set(inputs)
    assert paths.weights(paths.encoder("digits", "judge")) in inputs


def test_a_method_that_aligns_is_probed_at_its_first_block_unless_told_otherwise(here, monkeypatch):
    from reedbench.metrics import Tapped
    from reedbench.steps import hidden

    benchmark = runs.benchmark(suite.load(), "tiny")
    for m, first, block in (("sit", True, 3), ("repa", True, 1), ("repa", False, 3)):
        network = Seeing()
        monkeypatch.setattr(hidden, "check_weights", lambda cell: None)
        monkeypatch.setattr(hidden, "network_of", lambda *_, network=network: network)
        found, _ = hidden.of_checkpoint(benchmark.cell(m, 0, STEP, "ode"), Tapped(0.75, 3, first, 20, 10), "cpu")
        assert found.block == block
        assert network.asked == [block, block]
        assert network.times == {0.75}
        assert network.labels == {10}
        assert (len(found.train), len(found.test)) == (20, 10)


def test_fewer_images_than_a_probe_asks_for_are_an_error(here, capfd):
    from reedbench.core.errors import MetricError
    from reedbench.metrics import Tapped
    from reedbench.steps import hidden

    with pytest.raises(MetricError, match="asks for 400 images of the split 'test', which has 360: lower its test_r"):
        hidden.of_nothing(runs.benchmark(suite.load(), "tiny"), Tapped(0.8, 1, True, 20, 400), [], "cpu")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extractors": {"judge": {"extractor": "patches"}}}, "reads 'patches', which is an encoder: a metric"),
        ({"extractors": {"judge": {"extractor": "pixel"}}}, "unknown extractor 'pixel'; did you mean 'pixels'?"),
        ({"extractors": {"judge": {"extractor": "sharp-judge"}}}, "reads 'sharp-judge', which is itself or"),
        ({"metrics": [{"uses": "fd", "extractor": "pixels"}, {"uses": "probe", "depth": 4}]},
         "metrics.1.depth: 4 is beyond the backbone, which has 3 blocks"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_told(workspace, capfd, change, words):
    changed = {**BENCHMARK, **change}
    if "extractors" in change:
        judge = {**BENCHMARK["extractors"]["judge"], **change["extractors"]["judge"]}
        changed["extractors"] = {**BENCHMARK["extractors"], "judge": judge}
        changed["metrics"] = [{"uses": "fd", "extractor": "pixels"}]
    put(changed)
    assert steps.main(["prepare", "--dataset", "digits"]) == 2
    assert words in capfd.readouterr().err


def test_every_classifier_of_images_that_judges_can_go_through_the_codec():
    judges = [one for one in plugins.discover("encoders").values() if "through" in one.model_fields]
    assert {one.plugin_name() for one in judges} == {"conv-classifier", "linear-probe"}
    assert all(one.classifies for one in judges)
