"""A run does not go on, on other data or weights than it was trained on, that lie under the same paths."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_vae

from reedbench import steps
from reedbench.core import io, paths, shards
from reedbench.schema import runs, suite

CELL = ["--benchmark", "tiny", "--method", "sit", "--seed", "0"]


def run(*argv: str) -> int:
    suite.load.cache_clear()
    return steps.main(list(argv))


@pytest.fixture
def trained(workspace):
    """A run on latents whose first segment is trained."""
    file = workspace / "config/benchmarks/tiny.yaml"
    codec = "{uses: sd-vae, weights: made/vae, channels: 2, factor: 2}"
    file.write_text(file.read_text().replace("{uses: pixels}", codec))
    tiny_vae.save(workspace / "made" / "vae")
    assert run("prepare", "--dataset", "digits") == 0
    assert run("compress", "--dataset", "digits", "--codec", "vae") == 0
    assert run("train", *CELL, "--segment", "0") == 0
    return runs.of(suite.load(), "tiny", "sit", 0)


def refused(run_of, what, capfd):
    assert run("train", *CELL, "--segment", "1") == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "reedbench step" in line]
    assert f"{what} has other content than when this run was trained" in line
    assert str(run_of.store.folder) in line


def test_on_the_same_it_goes_on(trained):
    assert run("prepare", "--dataset", "digits") == 0
    assert run("compress", "--dataset", "digits", "--codec", "vae") == 0
    assert run("train", *CELL, "--segment", "1") == 0


def test_on_other_weights_of_the_codec_it_does_not(trained, capfd):
    shutil.rmtree("made")
    tiny_vae.save(Path("made/vae"), seed=1)
    assert run("compress", "--dataset", "digits", "--codec", "vae") == 0
    refused(trained, "made/vae", capfd)
    shutil.rmtree(trained.store.folder)
    assert run("train", *CELL, "--segment", "0") == 0


def test_on_other_data_it_does_not(trained, capfd, monkeypatch):
    from reedbench.datasets.digits import Digits
    from reedbench.domains.rows import Rows

    made = Digits.rows

    def others(self):
        found = made(self)
        return Rows(found.ids, found.split, {**found.arrays, "images": 255 - found.arrays["images"]})

    monkeypatch.setattr(Digits, "rows", others)
    assert run("prepare", "--dataset", "digits") == 0
    assert run("compress", "--dataset", "digits", "--codec", "vae") == 0
    refused(trained, "dataset digits", capfd)
    assert np.isfinite(shards.Shards(paths.shards(paths.latents("digits", "vae"))).read("moments", [0])).all()
    assert io.read_json(trained.store.folder / "grounds.json")
