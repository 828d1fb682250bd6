"""Training on latents that were encoded once: what a run reads, and of what its key speaks."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_vae

from reedbench import steps
from reedbench.codecs.sd_vae import MOST
from reedbench.core import io, paths, provenance, shards
from reedbench.core.errors import ConfigError
from reedbench.domains import image, rows
from reedbench.nn import flops
from reedbench.schema import runs, suite

CODEC = "{uses: sd-vae, weights: made/tiny, channels: 2, factor: 2}"
LATENTS = paths.latents("digits", "tiny")
CELL = ["--benchmark", "tiny", "--method", "sit", "--seed", "0"]
COMPRESS = ["compress", "--dataset", "digits", "--codec", "tiny"]


def run(*argv: str) -> int:
    suite.load.cache_clear()
    return steps.main(list(argv))


def edit(old, new, name="tiny"):
    file = Path(f"config/benchmarks/{name}.yaml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    suite.load.cache_clear()


@pytest.fixture(scope="module")
def compressed(make_workspace, tmp_path_factory):
    folder = make_workspace(tmp_path_factory.mktemp("latents") / "work")
    tiny_vae.save(folder / "made" / "tiny")
    with contextlib.chdir(folder):
        edit("{uses: pixels}", CODEC)
        assert run("prepare", "--dataset", "digits") == 0
        assert run(*COMPRESS) == 0
    return folder


@pytest.fixture
def there(compressed, tmp_path, monkeypatch):
    shutil.copytree(compressed, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    suite.load.cache_clear()


def test_latents_are_those_of_the_training_rows_in_their_order_with_labels(there):
    spec = suite.load().benchmark("tiny")
    train = rows.read(paths.data("digits"), rows.TRAIN)
    store = shards.Shards(paths.shards(LATENTS))
    assert (len(store), store.names) == (len(train), ["labels", "moments"])
    some = [0, 3, len(train) - 1]
    wanted = spec.codec.compressed(train.take(some).arrays)
    np.testing.assert_array_equal(store.read("moments", some), wanted["moments"])
    np.testing.assert_array_equal(store.read("labels", some), train.take(some).arrays["labels"])
    record = provenance.read(paths.index(LATENTS))
    assert any("made/tiny" in file for file in record["inputs"])
    assert provenance.cost(paths.index(LATENTS))["flops"] == len(train) * flops_of_a_row(spec.codec, train)


def flops_of_a_row(codec, train):
    """Operations of as many rows as a network call on the CPU has, for one of them."""
    with flops.counter() as counter:
        codec.compressed(train.take(range(MOST)).arrays)
    return counter.get_total_flops() / MOST


def test_a_run_trains_on_latents_and_its_samples_are_images(there):
    assert run("train", *CELL, "--segment", "0") == 0
    mark = provenance.read(paths.receipt("tiny", "sit", 0, 0))
    assert paths.index(LATENTS) in mark["inputs"]
    assert run("sample", *CELL, "--step", "10", "--sampler", "ode") == 0
    images, _ = image.read_samples(Path(paths.samples("tiny", "sit", 0, 10, "ode")) / "samples.npz")
    assert images.shape == (64, 1, 8, 8)
    assert run("pretrain", "--dataset", "digits", "--encoder", "clf") == 0
    for extractor in ("clf", "pixels"):
        assert run("represent", "--dataset", "digits", "--extractor", extractor) == 0
    assert run("evaluate", *CELL, "--step", "10", "--sampler", "ode") == 0
    assert run("evaluate", "--benchmark", "tiny", "--floor") == 0
    what = {record["what"] for record in io.read_json(paths.floor("tiny"))["records"]}
    assert "real test data through the codec" in what


def test_without_test_data_training_data_show_what_the_codec_costs(there, monkeypatch):
    assert run("pretrain", "--dataset", "digits", "--encoder", "clf") == 0
    for extractor in ("clf", "pixels"):
        assert run("represent", "--dataset", "digits", "--extractor", extractor) == 0
    read = rows.read

    def without_test(folder, split):
        found = read(folder, split)
        return found if split == rows.TRAIN else found.chosen(np.zeros(0, np.int64))

    monkeypatch.setattr(rows, "read", without_test)
    assert run("evaluate", "--benchmark", "tiny", "--floor") == 0
    found = {
        r["what"]: r["value"] for r in io.read_json(paths.floor("tiny"))["records"] if r["metric"][:8] == "fd@pixel"
    }
    assert found["real training data through the codec"] > found["real training data"]


def test_without_latents_a_run_says_what_makes_them(there, capfd):
    shutil.rmtree(LATENTS)
    assert run("train", *CELL, "--segment", "0") == 3
    assert paths.index(LATENTS) in capfd.readouterr().err


def test_latents_of_other_settings_are_refused(there, capfd):
    edit("made/tiny", "made/other")
    tiny_vae.save(Path("made/other"), seed=1)
    shutil.move(LATENTS, paths.latents("digits", "other"))
    assert run("train", *CELL, "--segment", "0") == 3
    assert "latents/digits/other" in capfd.readouterr().err


def test_latents_of_other_rows_are_refused(there, capfd):
    file = Path(paths.index(LATENTS))
    io.write_json(file, {**io.read_json(file), "train_ids": "others"})
    mark = provenance.sidecar(file)
    io.write_json(mark, {**io.read_json(mark), "sha256": io.sha256(file)})
    assert run("train", *CELL, "--segment", "0") == 3
    assert f"{LATENTS}: was made of other rows than results/data/digits holds" in capfd.readouterr().err


def test_a_lost_shard_of_latents_is_said(there, capfd):
    shards.write(
        paths.shards(LATENTS), {"moments": np.zeros((3, 4, 4, 4), np.float16), "labels": np.zeros(3, np.int64)}
    )
    assert run("train", *CELL, "--segment", "0") == 3
    assert f"{LATENTS}: was made of other rows than" in capfd.readouterr().err


def keys():
    suite.load.cache_clear()
    benchmark = runs.benchmark(suite.load(), "tiny")
    return benchmark.run("sit", 0).key, benchmark.latents_key, benchmark.cell("sit", 0, 10, "ode").sampling_key


def test_a_decoder_concerns_samples_alone_and_a_scale_training_but_not_latents(there):
    train, latents, sampling = keys()
    edit("factor: 2}", "factor: 2, decoder: made/other}")
    assert keys()[:2] == (train, latents)
    assert keys()[2] != sampling
    edit("factor: 2, ", "factor: 2, scale: 0.5, ")
    assert keys()[0] != train
    assert keys()[1] == latents


def test_pinned_weights_count_by_their_digests_where_they_are_read(there):
    pins = "weights:\n" + "".join(
        f"  {name}:\n    path: made/tiny\n    files: {{config.json: '{digit * 64}'}}\n    size_mb: 1\n"
        f"    licence: MIT\n    citation: none\n    purpose: test\n"
        for name, digit in (("one", "0"), ("two", "1"))
    )
    Path("config/weights.yaml").write_text(pins)
    edit("made/tiny, channels: 2", "one, decoder: two, channels: 2")
    train, latents, sampling = keys()
    Path("config/weights.yaml").write_text(pins.replace("1" * 64, "2" * 64))
    assert keys()[:2] == (train, latents)
    assert keys()[2] != sampling
    Path("config/weights.yaml").write_text(pins.replace("0" * 64, "3" * 64))
    assert keys()[0] != train
    assert keys()[1] != latents


def test_benchmarks_that_share_latents_must_mean_the_same(there):
    shutil.copy("config/benchmarks/tiny.yaml", "config/benchmarks/twin.yaml")
    edit("factor: 2}", "factor: 2, decoder: made/other, scale: 2.0}", "twin")
    suite.load()
    Path("elsewhere").mkdir()
    shutil.copytree("made/tiny", "elsewhere/tiny")
    edit("made/tiny", "elsewhere/tiny", "twin")
    with pytest.raises(
        ConfigError, match=r"codec: differs from .* benchmark 'tiny'; give the folder of its weights another name"
    ):
        suite.load()


def test_only_a_codec_that_compresses_can_be_asked_to(workspace, capfd):
    assert run("compress", "--dataset", "digits", "--codec", "pixels") == 2
    assert "unknown codec 'pixels'" in capfd.readouterr().err
