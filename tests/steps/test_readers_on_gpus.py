"""Encoders that compute with numpy on what another one makes: that one gets the GPU of their steps.

No GPU is needed: what is read is a fake that notes where it was told to compute, and computes on the CPU.
"""

from contextlib import contextmanager

import pytest
from tiny_steps import edit, must

from reedbench.core.constants import GPUS_VARIABLE
from reedbench.encoders.invariant_patches import InvariantPatches
from reedbench.schema import suite
from reedbench.steps import represent
from reedbench.steps.device import device_of_encoder, device_of_pretraining
from reedbench.training.ranks import Ranks

READERS = """
encoders:
  pca: {uses: pca, tokens: patches, components: 2}
  white: {uses: whitened, tokens: patches, dim: 2}
  mean: {uses: pooled, tokens: patches}
"""
PROBE = """
extractors:
  eye: {uses: invariant-patches, dim: 8, steps: 0}
  probe: {uses: linear-probe, extractor: eye}
"""
NAMES = ("pca", "white", "mean")


@pytest.fixture
def told(workspace, monkeypatch) -> list[str]:
    """Devices on which tokens were asked for, in a benchmark whose steps ask for GPUs; the tokens' encoder is ready."""
    edit("\nencoders:\n", READERS)
    edit("\nextractors:\n", PROBE)
    edit(
        "- {uses: accuracy, extractor: clf}\n",
        "- {uses: accuracy, extractor: clf}\n  - {uses: accuracy, extractor: probe}\n",
    )
    must("prepare --dataset digits")
    for name in ("patches", "eye"):
        must(f"pretrain --dataset digits --encoder {name}")
    edit("\nmetrics:\n", "\nresources: {pretrain: {gpus: 1}, represent: {gpus: 1}}\nmetrics:\n")
    devices: list[str] = []
    own = InvariantPatches.prepared

    def prepared(self, weights, material, device="cpu"):
        devices.append(device)
        return own(self, weights, material, "cpu")

    @contextmanager
    def company(device):
        yield Ranks.alone(device)

    monkeypatch.setattr(InvariantPatches, "on_gpu", True)
    monkeypatch.setattr(InvariantPatches, "prepared", prepared)
    monkeypatch.setattr(represent, "company", company)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.delenv(GPUS_VARIABLE, raising=False)
    return devices


@pytest.mark.parametrize("name", NAMES)
def test_tokens_are_made_on_the_gpu_when_it_is_measured_and_when_it_represents(told, name):
    must(f"pretrain --dataset digits --encoder {name}")
    assert set(told) == {"cuda"}
    told.clear()
    must(f"represent --dataset digits --encoder {name}")
    assert set(told) == {"cuda"}


def test_a_probe_of_an_extractor_is_fitted_where_that_one_computes(told):
    must("pretrain --dataset digits --encoder probe")
    must("represent --dataset digits --extractor probe")
    assert set(told) == {"cuda"}


def test_the_step_asks_for_the_device_of_what_is_read(told, monkeypatch):
    found = suite.load()
    for where in (device_of_pretraining, device_of_encoder):
        assert {where(found, "digits", name) for name in (*NAMES, "probe")} == {"cuda"}
        assert where(found, "digits", "clf") == "cpu"
    assert device_of_pretraining(found, "digits", "patches") == "cpu"  # is trained on the CPU, and represents elsewhere
    monkeypatch.setenv(GPUS_VARIABLE, "0")
    must("pretrain --dataset digits --encoder pca")
    assert set(told) == {"cpu"}
