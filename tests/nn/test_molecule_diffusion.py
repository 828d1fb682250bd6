"""Diffusion of molecules: its levels, its loss, what padding changes, and its way back."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_molecules import ELEMENTS, SIZES, NoiseOracle, NoiseToy, batch, streams

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.learner import DENOISE
from reedbench.nn.molecule_classes import FIRST
from reedbench.nn.molecule_diffusion import (
    CLASS_SCALE,
    LEVELS,
    NUMBER_SCALE,
    DiffusionLearner,
    denoised,
    features,
    gammas,
    levels_of,
    log_constant,
    log_features,
    signal_and_noise,
    stepped,
)
from reedbench.objectives.molecule_diffusion import MoleculeDiffusion

DIM = 4
ALIGNED = ({"encoder": "global", "depth": 1},)


def learner(network: nn.Module | None = None, **settings: Any) -> DiffusionLearner:
    objective = MoleculeDiffusion(label="x", **settings)
    shapes = dict.fromkeys(objective.encoders(), (DIM,))
    return objective.build(network or NoiseToy(), shapes, lambda name: seeds.stream("init", name))


def value(one: DiffusionLearner, data: dict[str, Tensor], level: int | None = None) -> dict[str, float]:
    """Terms of a batch, at one level or those that are drawn."""
    drawn = one.draw(data, streams(len(data["mask"])))
    if level is not None:
        drawn["level"] = torch.full_like(drawn["level"], level)
    target = torch.randn(len(data["mask"]), DIM, generator=torch.Generator().manual_seed(0))
    ready = one.completed({**drawn, **{f"target/{n}": target for n in one.reads()}}, lambda own: own)
    with torch.no_grad():
        return {name: float(term.sum / term.weight) for name, term in one.terms(ready, one.network).items()}


# Levels


def test_levels_are_drawn_from_all_with_noise_that_is_centred():
    drawn = learner().draw(batch([3] * 4000), streams(4000))
    level = drawn["level"]
    assert (level.min() < 5, level.max() > LEVELS - 5) == (True, True)
    assert level.double().mean().item() == pytest.approx(LEVELS / 2, abs=15)
    assert drawn["noise/coordinates"].sum(1).abs().max() < 1e-5
    assert drawn["noise/coordinates"].std().item() == pytest.approx(math.sqrt(2 / 3), abs=0.02)
    assert drawn["noise/features"].std().item() == pytest.approx(1, abs=0.02)


def test_signal_falls_and_noise_grows_to_one():
    signal, noise = signal_and_noise(gammas())
    assert (signal.diff() < 0).all()
    torch.testing.assert_close(signal**2 + noise**2, torch.ones(LEVELS + 1, dtype=torch.float64))
    assert noise[-1] > 0.99999
    assert signal[0] > 0.99999


@pytest.mark.parametrize("steps", [1, 3, 7, 100, 999, 1000])
def test_steps_go_down_to_level_0_and_never_stay(steps):
    found = levels_of(steps)
    assert (found[0], found[-1], len(found)) == (LEVELS, 0, steps + 1)
    assert all(a > b for a, b in pairwise(found))


@pytest.mark.parametrize("steps", [0, LEVELS + 1])
def test_too_many_steps_are_refused(steps):
    with pytest.raises(ValueError, match="there are 1 to 1000 steps"):
        levels_of(steps)


@pytest.mark.parametrize(("now", "after"), [(1000, 900), (500, 499), (300, 0)])
def test_a_step_has_the_law_of_the_lower_level(now, after):
    """Of data that are known exactly, whatever the length of the step."""
    shape, generator = (1, 200_000, 1), torch.Generator().manual_seed(0)
    first, more = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    (signal, noise), (kept, left) = (signal_and_noise(gammas()[level]) for level in (now, after))
    found = stepped(signal * 2.0 + noise * first, first, now, after, more)
    assert found.mean().item() == pytest.approx(2 * float(kept), abs=0.01)
    assert found.std().item() == pytest.approx(float(left), rel=0.01)


def test_places_of_samples_have_the_noise_of_the_data_given_level_0():
    """p(x | z_0) is normal around what the network says: an oracle's samples lie beside the data by that noise."""
    data = batch([4] * 2000)
    found = denoised(NoiseOracle(data), data["mask"], 3, streams(2000))
    off = (found["coordinates"] - data["coordinates"]).double()
    signal, noise = (float(x) for x in signal_and_noise(gammas()[0]))
    assert float(off.std()) == pytest.approx(noise / signal * math.sqrt(3 / 4), rel=0.02)  # its mean is taken off
    assert off.mean(1).abs().max() < 1e-6
    assert torch.equal(found["types"], data["types"])


# Features and likelihood


def test_features_are_elements_and_atomic_numbers():
    data = batch()
    h = features(data, ELEMENTS + 1, atomic_numbers=True)
    assert torch.equal(h[..., :-1].argmax(-1)[0] + FIRST, data["types"][0, : max(SIZES)].clamp(min=FIRST))
    torch.testing.assert_close(h[..., -1] * NUMBER_SCALE, data["numbers"].float())
    assert h[..., :-1].max() == 1 / CLASS_SCALE
    assert not h[data["mask"] == 0].any()
    assert torch.equal(features(data, ELEMENTS, atomic_numbers=False), h[..., :-1])


@pytest.mark.parametrize("atomic_numbers", [True, False])
def test_features_are_certain_where_nothing_is_noisy_and_unlikely_where_others_are(atomic_numbers):
    data = batch()
    h = features(data, ELEMENTS + atomic_numbers, atomic_numbers=atomic_numbers)
    sure = log_features(h, h, data["mask"], atomic_numbers=atomic_numbers)
    torch.testing.assert_close(sure, torch.zeros(len(SIZES)), atol=1e-4, rtol=0)
    others = log_features(h.roll(1, 1), h, data["mask"], atomic_numbers=atomic_numbers)
    assert (others[[0, 3]] < -20).all()


# The loss


@pytest.mark.parametrize("level", [1, 400, LEVELS])
def test_l2_is_half_the_mean_squared_error_of_the_noise(level):
    one, data = learner(NoiseToy()), batch([4] * 3)
    drawn = one.draw(data, streams(3))
    h = features(data, ELEMENTS + 1, atomic_numbers=True)
    signal, noise = (float(x) for x in signal_and_noise(gammas()[level]))
    noisy = [
        signal * x + noise * drawn[f"noise/{n}"] for n, x in (("coordinates", data["coordinates"]), ("features", h))
    ]
    with torch.no_grad():
        (x, f), _ = one.network(*noisy, torch.full((3,), level / LEVELS), data["mask"])
    error = torch.cat([x - drawn["noise/coordinates"], f - drawn["noise/features"]], -1)
    assert value(one, data, level)[DENOISE] == pytest.approx(0.5 * float(error.square().mean()), rel=1e-3)


@pytest.mark.parametrize("level", [0, 1, 700])
@pytest.mark.parametrize("loss", ["l2", "bound"])
def test_noise_that_is_found_costs_nothing_but_what_is_known(level, loss):
    data = batch()
    found = value(learner(NoiseOracle(data), loss=loss), data, level)[DENOISE]
    known = -float(log_constant(data["mask"]).mean()) if loss == "bound" else 0.0
    assert found == pytest.approx(known, abs=0.05)


def test_at_level_0_the_error_of_features_has_no_part():
    data = batch()
    one = learner(NoiseOracle(data))
    forward = one.network.backbone.forward
    one.network.backbone.forward = lambda *a, **k: ((forward(*a)[0][0], forward(*a)[0][1] + 9), [])
    assert value(one, data, 0)[DENOISE] == pytest.approx(0, abs=0.05)
    assert value(one, data, 1)[DENOISE] > 1


def test_l2_at_level_0_has_the_likelihood_of_features():
    """Of features between two classes, in units of what divides them; the error of the noise is none."""
    data = batch()
    one = learner(NoiseOracle(data))
    drawn = one.draw(data, streams(len(SIZES)))
    drawn = {**drawn, "level": torch.zeros_like(drawn["level"]), "noise/features": 40 * drawn["noise/features"]}
    signal, noise = (float(x) for x in signal_and_noise(gammas()[0]))
    h = features(data, ELEMENTS + 1, atomic_numbers=True)
    expected = -log_features(signal * h + noise * drawn["noise/features"], h, data["mask"], atomic_numbers=True)
    assert expected.mean() > 10
    with torch.no_grad():
        found = one.terms(one.completed(drawn, lambda own: own), one.network)[DENOISE]
    assert float(found.sum / found.weight) == pytest.approx(float(expected.mean()), rel=1e-3)


def test_the_bound_weighs_errors_by_what_a_level_adds():
    data, level = batch([4] * 3), 300
    one, other = (value(learner(loss=loss), data, level)[DENOISE] for loss in ("l2", "bound"))
    grows = float(torch.expm1(gammas()[level] - gammas()[level - 1]))
    dimensions = 4 * (3 + ELEMENTS + 1)
    constant = float(log_constant(data["mask"]).mean())
    assert other == pytest.approx((LEVELS + 1) * grows * one * dimensions - constant, rel=1e-3)


def test_padding_changes_nothing_but_the_mean_of_the_reference():
    for settings, same in (({"alignments": ALIGNED}, True), ({"mean": "reference"}, False)):
        one = learner(**settings)
        near, far = (value(one, batch(length=length), 500) for length in (7, 12))
        assert (near == pytest.approx(far, rel=1e-5)) == same


def test_the_factors_are_those_of_the_curriculum():
    one = learner(denoise={"shape": "linear-ramp", "length": 10}, alignments=ALIGNED)
    assert one.coefficients(5) == pytest.approx({DENOISE: 0.5, "global@1": 0.2})


# Misfits


def test_a_backbone_of_bonds_is_one_line():
    with pytest.raises(ConfigError, match="needs a backbone of features of atoms, such as egnn, and Linear is none"):
        learner(nn.Linear(1, 1))


@pytest.mark.parametrize(
    "settings", [{"loss": "bound", "mean": "reference"}, {"alignments": ({**ALIGNED[0], "pooling": "reference"},)}]
)
def test_settings_without_effect_are_refused(settings):
    with pytest.raises(ValueError, match="has no effect"):
        MoleculeDiffusion(label="x", **settings)
