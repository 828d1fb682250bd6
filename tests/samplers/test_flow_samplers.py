"""Samplers of the continuous flow, as plugins: what their settings do."""

import sys

import pytest
import torch
from torch import Tensor

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.core.plugins import discover

X_0 = torch.randn(4, 4, 2, 2, generator=torch.Generator().manual_seed(0))
CONDITION = {"x_0": X_0, "labels": torch.arange(4)}


class Network:
    """Pulls towards the label; counts the rows of its calls."""

    null_label = 10

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor]:
        self.rows.append(len(x))
        return (torch.sin(3 * t)[:, None, None, None] * (y[:, None, None, None] / 5 - x),)


class Flow:
    """What samplers ask of an objective."""

    guided_by = "pair"
    joint = False

    def __init__(self, path: str = "linear") -> None:
        self.path = path

    def interpolant(self) -> str:
        return self.path


def drawn(uses: str, network: Network | None = None, path: str = "linear", **settings) -> dict[str, Tensor]:
    sampler = discover("samplers")[uses](**settings)
    return sampler.draw(network or Network(), CONDITION, lambda name: seeds.rows(range(4), name), Flow(path))


@pytest.mark.parametrize("uses", ["euler", "heun", "euler-maruyama", "dopri5"])
def test_a_fourth_channel_is_guided_only_if_all_are(uses):
    plain, everything, three = (
        drawn(uses, **settings)["x_1"]
        for settings in ({}, {"guidance": 2.0}, {"guidance": 2.0, "channels": "first-three"})
    )
    torch.testing.assert_close(three[:, :3], everything[:, :3], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(three[:, 3], plain[:, 3], rtol=1e-2, atol=1e-2)
    assert (everything[:, 3] - plain[:, 3]).abs().max() > 0.1


@pytest.mark.parametrize(
    ("uses", "path", "settings"),
    [
        ("heun", "linear", {"last": "heun"}),
        ("euler-maruyama", "linear", {"last": "euler"}),
        ("euler-maruyama", "linear", {"last": "tweedie"}),
        ("euler-maruyama", "linear", {"last": "none"}),
        ("euler-maruyama", "linear", {"diffusion": "constant"}),
        ("euler-maruyama", "gvp", {"diffusion": "sigma"}),
        ("euler-maruyama", "linear", {"diffusion": "decreasing"}),
        ("euler-maruyama", "linear", {"diffusion": "increasing-decreasing"}),
        ("euler-maruyama", "linear", {"diffusion_scale": 0.5}),
        ("euler-maruyama", "linear", {"corrector": "heun"}),
    ],
)
def test_every_setting_draws_other_samples_and_says_its_evaluations(uses, path, settings):
    network = Network()
    found = drawn(uses, network, path, steps=6, **settings)["x_1"]
    assert torch.isfinite(found).all()
    assert not torch.equal(found, drawn(uses, path=path, steps=6)["x_1"])
    assert discover("samplers")[uses](steps=6, **settings).nfe(Flow(path)) == len(network.rows)


def test_the_diffusion_of_sit_is_that_of_repa_on_the_linear_path():
    torch.testing.assert_close(
        drawn("euler-maruyama", steps=6, diffusion="sigma")["x_1"], drawn("euler-maruyama", steps=6)["x_1"]
    )


def test_under_the_norm_of_the_reference_all_samples_take_the_same_evaluations():
    pytest.importorskip("torchdiffeq")
    network = Network()
    made = drawn("dopri5", network, norm="reference", guidance=1.5)["evaluations"]
    assert made.tolist() == [2 * len(network.rows)] * 4
    assert set(network.rows) == {8}


def test_without_torchdiffeq_the_norm_of_the_reference_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    assert torch.isfinite(drawn("dopri5")["x_1"]).all()
    with pytest.raises(ConfigError, match=r"needs torchdiffeq: pip install 'reedbench\[image\]'"):
        drawn("dopri5", norm="reference")
