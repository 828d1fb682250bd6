"""Benchmarks on data with a long tail, and on data that hide their labels, from the rows to the metrics."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_steps import must, put

from reedbench.core import divided, io, paths
from reedbench.domains import image, rows
from reedbench.domains.rows import REFERENCE, SPARE, TRAIN
from reedbench.schema import suite
from reedbench.steps.features import read_features
from reedbench.training.loaders import TrainingData

STEP = 2
BENCHMARK: dict[str, Any] = {
    "title": "Varied digits",
    "codec": {"uses": "pixels"},
    "encoders": {"patches": {"uses": "invariant-patches", "dim": 8, "steps": 0}},
    "extractors": {"clf": {"uses": "small-classifier", "dim": 8, "steps": 5}},
    "backbone": {"uses": "sit", "patch": 2, "width": 8, "depth": 2, "heads": 2},
    "train": {"batch": 8, "segment": STEP, "save_every": STEP, "optimiser": {"lr": 1.0e-3}},
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
    "samplers": {"ode": {"uses": "euler", "steps": 1}},
    "sampling": {"count": 60, "batch": 60},
    "metrics": [{"uses": "fd", "extractor": "clf"}],
    "speedup": {"metric": "fd@clf", "baseline": "sit"},
}
TAIL = {"uses": "digits", "name": "digits-lt", "imbalance": 20}
BLIND = {"uses": "digits", "name": "digits-blind", "labelled": False}
SGDF = {"uses": "clustered", "label": "SGDF", "clusters": 4, "stage": 1}
OF_TAIL = [{"uses": "fd", "extractor": "clf", "classes": "tail"}, {"uses": "accuracy", "extractor": "clf"}]
CELL = "--benchmark tiny --method repa --seed 0"


@pytest.fixture(scope="module", params=["tail", "blind"])
def done(request, make_workspace, tmp_path_factory) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Which variant, the name of its data, and the metrics of REPA."""
    folder = make_workspace(tmp_path_factory.mktemp(request.param))
    data = TAIL if request.param == "tail" else BLIND
    with contextlib.chdir(folder):
        benchmark = {**BENCHMARK, "dataset": data}
        if request.param == "tail":
            benchmark["metrics"] = [*BENCHMARK["metrics"], *OF_TAIL]
        else:
            plain = {name: {**method, "samplers": ["ode"]} for name, method in BENCHMARK["methods"].items()}
            benchmark["methods"] = {**plain, "sgdf": SGDF}
            benchmark["samplers"] = {**BENCHMARK["samplers"], "cfg": {"uses": "euler", "steps": 1, "guidance": 1.4}}
        put(benchmark)
        name = str(data["name"])
        must(f"prepare --dataset {name}")
        for encoder in ("patches", "clf"):
            must(f"pretrain --dataset {name} --encoder {encoder}")
        must(f"represent --dataset {name} --encoder patches")
        must(f"represent --dataset {name} --extractor clf")
        must(f"train {CELL} --segment 0")
        must(f"sample {CELL} --step {STEP} --sampler ode")
        must(f"evaluate {CELL} --step {STEP} --sampler ode")
        must("evaluate --benchmark tiny --floor")
        if request.param == "blind":
            for verb in ("train {} --segment 0", f"sample {{}} --step {STEP} --sampler cfg"):
                must(verb.format(CELL.replace("repa", "sgdf")))
            must(f"evaluate {CELL.replace('repa', 'sgdf')} --step {STEP} --sampler cfg")
        yield request.param, name, io.read_object(Path(paths.metrics("tiny", "repa", 0, STEP, "ode")))
    suite.load.cache_clear()


def test_the_reference_is_the_balanced_training_split(done):
    _, name, found = done
    reference = read_features(paths.statistics(name, "clf"))
    whole = rows.read(paths.data(name), REFERENCE)
    assert len(reference) == len(whole) == 1437
    assert np.array_equal(reference.labels, image.classes_of(whole))
    assert all(one["protocol"]["n_reference"] <= 1437 for one in found["records"] if "fd" in one["metric"])


def test_methods_are_trained_on_their_own_rows(done):
    which, name, _ = done
    index = rows.index(paths.data(name))
    data = TrainingData(paths.data(name), {"patches": paths.representation(name, "patches")}, _codec())
    assert data.size == index["splits"][TRAIN] == 1437 - index["splits"].get(SPARE, 0)
    labels = data.codec.batch(data.rows.arrays)["labels"]
    assert set(labels.tolist()) == ({0} if which == "blind" else set(range(10)))


def test_metrics_say_what_they_are_about(done):
    which, _, found = done
    names = [one["family"] for one in found["records"]]
    assert names == ["fd@clf"] + (["fd@clf+classes=tail", "accuracy@clf"] if which == "tail" else [])
    if which == "tail":
        whole, tail = (one["protocol"]["n_reference"] for one in found["records"][:2])
        assert tail < whole / 3


def test_samples_are_asked_for_balanced_labels_or_none(done):
    which, _, _ = done
    labels = np.load(Path(paths.samples("tiny", "repa", 0, STEP, "ode")) / "samples.npz")["labels"]
    assert np.bincount(labels).tolist() == ([60] if which == "blind" else [6] * 10)


def test_a_method_with_conditions_of_its_own_is_guided_by_them(done):
    if done[0] == "tail":
        pytest.skip("of data without labels")
    found = io.read_object(Path(paths.metrics("tiny", "sgdf", 0, STEP, "cfg")))
    assert (found["nfe"], found["guidance"]) == (2, 1.4)
    weights = divided.read(f"{paths.segment('tiny', 'sgdf', 0, 0)}/step-{STEP:07d}.safetensors")
    assert weights["histogram"].sum() == 8


def _codec() -> Any:
    return suite.load().benchmark("tiny").codec
