"""Steps compute where the configuration says, or the launcher; an encoder that knows the CPU alone stays there."""

from pathlib import Path

import pytest
import yaml

from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import ConfigError
from reedbench.schema import runs, suite
from reedbench.steps.device import device_of, device_of_captioner, device_of_encoder, device_of_pretraining

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shipped(monkeypatch) -> suite.Suite:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv(GPUS_VARIABLE, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    suite.load.cache_clear()
    return suite.load()


def test_the_configuration_says_where(shipped):
    assert device_of(runs.benchmark(shipped, "pdb"), "train") == "cuda"
    assert device_of(runs.benchmark(shipped, "chains"), "train") == "cpu"


def test_the_launcher_has_the_last_word(shipped, monkeypatch):
    monkeypatch.setenv(GPUS_VARIABLE, "0")
    assert device_of(runs.benchmark(shipped, "pdb"), "train") == "cpu"
    monkeypatch.setenv(GPUS_VARIABLE, "1")
    assert device_of(runs.benchmark(shipped, "chains"), "train") == "cuda"
    assert device_of_encoder(shipped, "protein-chains", "residues") == "cuda"


def test_an_encoder_that_cannot_use_a_gpu_stays_on_the_cpu(shipped, monkeypatch):
    assert device_of_encoder(shipped, "pdb", "esm") == "cuda"
    assert device_of_encoder(shipped, "pdb", "single") == "cpu"
    monkeypatch.setenv(GPUS_VARIABLE, "1")
    assert device_of_encoder(shipped, "digits", "patches.seed0") == "cpu"


def test_a_captioner_computes_where_the_step_caption_does_if_it_can_use_a_gpu(workspace, monkeypatch):
    file = workspace / "config" / "benchmarks" / "tiny.yaml"
    tiny = yaml.safe_load(file.read_text())
    tiny["captioners"]["model"] = {"uses": "qwen-vl", "weights": "./model"}
    file.write_text(yaml.safe_dump({**tiny, "resources": {"caption": {"gpus": 1}}}))
    monkeypatch.delenv(GPUS_VARIABLE, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    found = suite.load()
    assert [device_of_captioner(found, "digits", name) for name in ("measured", "model")] == ["cpu", "cuda"]


def test_an_encoder_is_measured_where_the_step_pretrain_says_if_it_can_use_a_gpu(workspace, monkeypatch):
    file = workspace / "config" / "benchmarks" / "tiny.yaml"
    tiny = yaml.safe_load(file.read_text())
    tiny["encoders"]["model"] = {"uses": "vit", "weights": "./model.pth"}
    file.write_text(yaml.safe_dump({**tiny, "resources": {"pretrain": {"gpus": 1}}}))
    monkeypatch.delenv(GPUS_VARIABLE, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    found = suite.load()
    assert [device_of_pretraining(found, "digits", name) for name in ("patches", "clf", "model")] == [
        "cpu",
        "cpu",
        "cuda",
    ]


def test_a_gpu_that_is_not_there_is_said(shipped, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"pdb: resources\.represent asks for 1 GPU\(s\) and none is visible"):
        device_of_encoder(shipped, "pdb", "esm")
