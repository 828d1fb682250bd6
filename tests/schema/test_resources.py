"""What steps get of a machine: threads, defaults, and a GPU where something can use it."""

import pytest

from reedbench.core.errors import ConfigError
from reedbench.schema import gpus, runs


@pytest.mark.parametrize(
    ("threads", "given", "step", "cpus"),
    [
        (1, None, "train", 1),
        (4, None, "train", 4),
        (4, None, "sample", 4),
        (4, None, "evaluate", 1),
        (4, 2, "train", 4),
        (2, 6, "train", 6),
        (2, 6, "sample", 2),
    ],
)
def test_training_and_sampling_get_at_least_the_threads_of_the_recipe(files, threads, given, step, cpus):
    files.set("train/threads", threads)
    files.set("resources", {} if given is None else {"train": {"cpus": given}})
    assert runs.benchmark(files.loaded(), "tiny").resources(step).cpus == cpus


def test_resources_that_are_not_given_have_defaults(files):
    files.set("resources", {"train": {"mem_mb": 1234}})
    tiny = files.loaded()
    assert runs.benchmark(tiny, "tiny").resources("train").plain() == {
        "gpus": 0,
        "nodes": 1,
        "tasks_per_node": 1,
        "cpus": 1,
        "mem_mb": 1234,
        "runtime": 60,
    }
    assert runs.benchmark(tiny, "tiny").resources("represent").mem_mb == 2000


@pytest.mark.parametrize(("name", "many"), [("esm", 1), ("esm-pairs", 1), ("single", 0)])
def test_only_encoders_that_can_use_a_gpu_get_one(shipped, name, many):
    assert runs.benchmark(shipped, "pdb").resources("represent").gpus == 1
    assert gpus.of_represent(shipped, "pdb", name) == many


def test_only_encoders_that_are_measured_on_a_gpu_get_one_for_it(files):
    files.set("encoders/model", {"uses": "vit", "weights": "./dinov2.pth"})
    files.set("resources", {"pretrain": {"gpus": 1}})
    found = files.loaded()
    assert [gpus.of_pretrain(found, "digits", name) for name in ("patches", "clf", "model")] == [0, 0, 1]


READERS = {
    "pca": {"uses": "pca", "components": 2},
    "whitened": {"uses": "whitened", "dim": 2},
    "pooled": {"uses": "pooled", "per_seed": True},
}


@pytest.mark.parametrize(("tokens", "many"), [("model", [1, 8]), ("patches", [0, 0])])
def test_encoders_that_read_one_that_can_use_a_gpu_get_it_with_it(files, tokens, many):
    files.set("encoders/model", {"uses": "vit", "weights": "./dinov2.pth"})
    for name, reader in READERS.items():
        files.set(f"encoders/{name}", {**reader, "tokens": tokens})
    files.set("resources", {"pretrain": {"gpus": 1}, "represent": {"gpus": 8, "tasks_per_node": 8}})
    found = files.loaded()
    for name in ("pca", "whitened", "pooled.seed1"):
        assert [gpus.of_pretrain(found, "digits", name), gpus.of_represent(found, "digits", name)] == many


def test_a_gpu_is_asked_for_where_what_is_read_alone_computes_on_it(files, monkeypatch):
    from reedbench.encoders.invariant_patches import InvariantPatches

    files.set("resources", {"pretrain": {"gpus": 1}})
    del files.benchmarks["tiny"]["encoders"]["caption"], files.benchmarks["tiny"]["methods"]["reed"]
    del files.benchmarks["tiny"]["ablations"]
    files.set("table", ["sit", "repa"])
    monkeypatch.setattr(InvariantPatches, "on_gpu", True)
    with pytest.raises(ConfigError, match=r"resources.pretrain.gpus: of this benchmark's steps only represent"):
        files.loaded()
    files.set("encoders/pca", {"uses": "pca", "tokens": "patches"})
    found = files.loaded()
    assert [gpus.of_pretrain(found, "digits", name) for name in ("pca", "patches")] == [1, 0]


def test_only_captioners_that_can_use_a_gpu_get_one(files):
    files.set("captioners/model", {"uses": "qwen-vl", "weights": "./model"})
    files.set("resources", {"caption": {"gpus": 2}})
    found = files.loaded()
    assert [gpus.of_caption(found, "digits", name) for name in ("measured", "model")] == [0, 2]
