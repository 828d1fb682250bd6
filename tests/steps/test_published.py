"""A benchmark whose extractor names a published reference, and metrics that look at test data: from plan to record."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch_fidelity")

import inception_file
from tiny_steps import must, put

from reedbench import steps
from reedbench.core import io, paths, plugins
from reedbench.metrics import Features
from reedbench.metrics._frechet import distance
from reedbench.metrics.precision import Precision
from reedbench.nn.neighbours import cknna
from reedbench.schema import planning, runs, suite
from reedbench.steps import records
from reedbench.steps.features import read_features

STEP = 2
ROWS = 24  # of the reference
SPATIAL = 63  # numbers at 75 pixels
INCEPTION = {"uses": "inception", "weights": "./inception.pth", "size": 75, "reference": "./reference.npz"}
BENCHMARK: dict[str, Any] = {
    "title": "Digits as Inception sees them",
    "dataset": {"uses": "digits"},
    "codec": {"uses": "pixels", "rounding": "round"},
    "encoders": {},
    "extractors": {
        "inception": INCEPTION,
        "other": INCEPTION,
        "pixels": {"uses": "pixel-vector"},
        "witness": {"uses": "invariant-patches", "dim": 8, "steps": 0},
    },
    "backbone": {"uses": "sit", "patch": 2, "width": 8, "depth": 2, "heads": 2},
    "train": {"batch": 8, "segment": STEP, "save_every": STEP},
    "seeds": [0],
    "evaluate": [STEP],
    "methods": {"sit": {"uses": "aligned", "label": "SiT"}},
    "table": ["sit"],
    "samplers": {"ode": {"uses": "euler", "steps": 1}},
    "sampling": {"count": 10, "batch": 10},
    "metrics": [
        {"uses": "sfid", "extractor": "inception"},
        {"uses": "is", "extractor": "inception"},
        {"uses": "precision", "extractor": "inception"},
        {"uses": "recall", "extractor": "inception", "reference": 8},
        {"uses": "kd", "extractor": "inception", "subsets": 2},
        {"uses": "fd-ratio", "among": ["pixels"], "against": "test"},
        {"uses": "cknna", "extractor": "witness", "test_rows": 20, "neighbours": 5},
    ],
    "speedup": {"metric": "sfid@inception", "baseline": "sit"},
}


def write_reference(seed: int = 0) -> None:
    draws = np.random.default_rng(seed)
    spread = draws.standard_normal((SPATIAL, SPATIAL))
    images = draws.integers(0, 255, (ROWS, 16, 16, 3)).astype(np.uint8)
    np.savez("reference.npz", arr_0=images, mu_s=draws.standard_normal(SPATIAL), sigma_s=spread @ spread.T)


@pytest.fixture(scope="module")
def done(make_workspace, tmp_path_factory) -> Iterator[Path]:
    """Everything up to metrics and the floor."""
    folder = make_workspace(tmp_path_factory.mktemp("published") / "work")
    with contextlib.chdir(folder):
        Path("inception.pth").symlink_to(inception_file.made())
        write_reference()
        put(BENCHMARK)
        for job in planning.jobs(runs.benchmark(suite.load(), "tiny")):
            if job.verb not in ("tabulate", "plot"):
                must(f"{job.verb} {job.arguments}")
        yield folder
    suite.load.cache_clear()


@pytest.fixture
def here(done, monkeypatch) -> Path:
    monkeypatch.chdir(done)
    return done


def by_family(file: str) -> dict[str, dict[str, Any]]:
    return {one["family"]: one for one in io.read_json(file)["records"]}


def cell() -> dict[str, dict[str, Any]]:
    return by_family(paths.metrics("tiny", "sit", 0, STEP, "ode"))


def samples() -> Any:
    """Samples under Inception, anew."""
    from reedbench.steps.features import in_passes, seen_by

    benchmark = runs.benchmark(suite.load(), "tiny")
    rows = benchmark.spec.codec.read(benchmark.cell("sit", 0, STEP, "ode").samples)
    return in_passes(seen_by(benchmark.suite, "digits", "inception", rows)[0], rows)


def test_what_is_compared_with_the_file_has_its_digest_in_the_id_and_the_rest_in_the_protocol(here):
    digest = hashlib.sha256(Path("reference.npz").read_bytes()).hexdigest()
    short, found = digest[:8], cell()
    assert [one["metric"] for one in found.values()] == [
        f"sfid@inception.v1-n10-f{short}",
        "is@inception.v1-n10",
        f"precision@inception.v1-n10-f{short}",
        f"recall@inception+reference=8.v1-n10-r8-f{short}",
        f"kd@inception+subsets=2.v1-n10-f{short}",
        "fd-ratio@pixels+against=test.v1-n10",
        "cknna@witness+neighbours=5+test-rows=20.v1-n20",
    ]
    file = {"extractor": "inception", "name": "./reference.npz", "sha256": digest}
    assert found["sfid@inception"]["protocol"]["published"] == [{**file, "of": "moments"}]
    assert "n_reference" not in found["sfid@inception"]["protocol"]
    assert found["precision@inception"]["protocol"]["published"] == [{**file, "of": "rows"}]
    assert found["precision@inception"]["protocol"]["n_reference"] == ROWS
    assert not {"published", "n_reference"} & set(found["is@inception"]["protocol"])


def test_values_are_to_moments_and_images_of_the_file(here):
    found, ours, archive = cell(), samples(), np.load("reference.npz")
    reference = read_features(paths.statistics("digits", "inception"))
    spatial = ours.views["spatial"].features
    moments = spatial.mean(0), np.cov(spatial, rowvar=False)
    expected = distance(moments, (archive["mu_s"], archive["sigma_s"]))
    assert found["sfid@inception"]["value"] == pytest.approx(expected, rel=1e-6)
    assert (len(reference), reference.features.shape[1], reference.moments) == (ROWS, 2048, None)
    assert found["precision@inception"]["value"] == Precision(extractor="inception").checked(ours, reference)
    logits = ours.views["logits"].features
    p = np.exp(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    score = np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
    assert found["is@inception"]["value"] == pytest.approx(score, rel=1e-6)


def test_the_floor_is_half_of_the_file_against_the_other_half(here):
    floor = by_family(paths.floor("tiny"))
    digest = hashlib.sha256(Path("reference.npz").read_bytes()).hexdigest()
    half = floor["precision@inception"]
    assert half["metric"] == f"precision@inception.v1-n12-r12-f{digest[:8]}"
    assert half["what"] == "half against half of inception's file"
    assert floor["sfid@inception"]["protocol"]["published"][0]["of"] == "rows"
    assert floor["is@inception"]["metric"] == "is@inception.v1-n12"


def test_hidden_states_are_compared_with_a_witness_on_the_same_test_images(here):
    from reedbench.domains import rows
    from reedbench.steps import hidden
    from reedbench.steps.features import seen_by

    benchmark = runs.benchmark(suite.load(), "tiny")
    metric = benchmark.spec.metrics[-1]
    states, _ = hidden.of_checkpoint(benchmark.cell("sit", 0, STEP, "ode"), metric.tapped, "cpu")
    chosen = hidden._chosen(benchmark, rows.TEST, 20)
    witness = seen_by(benchmark.suite, "digits", "witness", chosen)[0](chosen)
    expected = cknna(states.test.features, witness.features, 5)
    found = cell()["cknna@witness+neighbours=5+test-rows=20"]
    assert found["value"] == pytest.approx(expected, rel=1e-9)
    assert found["protocol"]["extractor_settings"] == {"witness": benchmark.encoder_key("witness")}
    inputs = io.read_json(f"{paths.metrics('tiny', 'sit', 0, STEP, 'ode')}.prov.json")["inputs"]
    assert paths.weights(paths.encoder("digits", "witness")) in inputs
    untrained = by_family(paths.floor("tiny"))["cknna@witness+neighbours=5+test-rows=20"]
    assert (untrained["what"], abs(untrained["value"]) <= 1) == ("network before training", True)


def test_a_witness_sees_neither_samples_nor_the_training_split(here):
    benchmark = runs.benchmark(suite.load(), "tiny")
    assert (benchmark.scoring.extractors, benchmark.scoring.witnesses) == (
        ["inception", "pixels"],
        ["pixels", "witness"],
    )
    assert not Path(paths.statistics("digits", "witness")).exists()
    assert paths.weights(paths.encoder("digits", "witness")) in benchmark.scoring.reads
    assert "witness" in benchmark.scoring.settings["witnesses"]


def test_another_witness_or_reference_is_another_evaluation(here):
    key = runs.benchmark(suite.load(), "tiny").scoring.key
    for name, change in (("witness", {"dim": 16}), ("inception", {"reference": "train"})):
        changed = {**BENCHMARK["extractors"], name: {**BENCHMARK["extractors"][name], **change}}
        put({**BENCHMARK, "extractors": changed})
        assert runs.benchmark(suite.load(), "tiny").scoring.key != key
    put(BENCHMARK)


def test_two_protocols_never_share_an_id(here):
    """Of any metric, setting, extractor, reference, number of samples and of samples of each thing."""
    benchmark = runs.benchmark(suite.load(), "tiny")
    references = [Features(np.ones((ROWS, 2)), file=file) for file in ("", "0a" * 32, "0b" * 32)]
    both = [{"among": ("inception",)}, {"among": ("inception", "other")}, {"among": ("inception",), "against": "test"}]
    one = [{"extractor": "inception"}, {"extractor": "other"}]
    settings = {"fd": one, "sfid": one, "kd": [*one, one[0] | {"subsets": 5}], "precision": one, "fd-ratio": both}
    settings["recall"] = [*one, one[0] | {"neighbours": 5}, one[0] | {"reference": 8}]
    ids = []
    for name, several in settings.items():
        for chosen in several:
            metric = plugins.discover("metrics")[name](**chosen)
            for reference in references:
                protocol = records.protocol_of(benchmark, metric, dict.fromkeys(metric.extractors(), reference))
                ids += [records.named(metric.id(n, k), protocol) for n in (10, 20) for k in (1, 2)]
    assert len(ids) == len(set(ids)) == 4 * 3 * 16


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"uses": "sfid", "extractor": "pixels"}, "sfid needs an extractor that gives spatial, and pixels does not"),
        (
            {"uses": "fd-ratio", "among": ["pixels", "pixel"]},
            "metrics.1.among: unknown extractor 'pixel'; did",
        ),
        ({"uses": "cknna", "extractor": "dino"}, "metrics.1.extractor: unknown extractor 'dino'"),
    ],
)
def test_what_cannot_be_measured_is_told(workspace, capfd, metric, words):
    put({**BENCHMARK, "metrics": [BENCHMARK["metrics"][0], metric]})
    assert steps.main(["prepare", "--dataset", "digits"]) == 2
    assert words in capfd.readouterr().err
