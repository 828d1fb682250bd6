"""Sampling computes in the precision that is asked for, and in none that the device does not have."""

import pytest
import torch

from reedbench.core.errors import ConfigError
from reedbench.steps.precision import precise

KEY = "tiny: sampling.precision"


def flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture
def old_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old One")


def test_inside_bf16_products_are_bf16_and_afterwards_not():
    one = torch.ones(2, 2)
    with precise("bf16", "cpu", KEY):
        assert (one @ one).dtype == torch.bfloat16
    with precise("fp32", "cpu", KEY):
        assert (one @ one).dtype == torch.float32


def test_fp32_switches_off_what_torch_gives_convolutions_and_puts_it_back(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    before = flags()
    with precise("fp32", "cpu", KEY):
        assert flags() == (False, False)
    assert flags() == before


def test_tf32_on_the_cpu_is_refused():
    with pytest.raises(ConfigError, match=r"^tiny: sampling\.precision: tf32 is for GPUs.*use fp32 or bf16"):
        precise("tf32", "cpu", KEY).__enter__()


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_gpu_without_it_is_named(precision, old_gpu):
    with pytest.raises(ConfigError, match=rf"Old One \(compute capability 7\.5\) has no {precision}.*use fp32"):
        precise(precision, "cuda", KEY).__enter__()
