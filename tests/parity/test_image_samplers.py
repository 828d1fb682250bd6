"""P6 and P7: samplers, guidance and path coefficients against the reference implementations."""

import pytest
import torch
from reference_vectors import GOLDEN, wave
from torch import Tensor

from reedbench.nn.adaptive import followed
from reedbench.nn.guidance import guided
from reedbench.nn.interpolants import (
    GVP,
    LINEAR,
    data_from_velocity,
    expand,
    noise_from_velocity,
    score_from_velocity,
    velocity_from_score,
)
from reedbench.nn.samplers import diffusion_of, euler, euler_maruyama, heun, sde_grid

NULL = 1000
LATENTS = wave((2, 4, 4, 4), 0.3, 0.5).float()
LABELS = torch.tensor([100, 700])


def reference_field(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """The closed-form field of the golden numbers, as a function of the reference's time."""
    t, y = expand(t, x), expand(y, x)
    return torch.sin(x) * (1 - t) + 0.3 * x * t + 0.2 * (y / 1000) * (1 + t)


def our_field(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    return -reference_field(x, 1 - t, y)


def steered(scale: float, low: float = 0.0, high: float = 1.0):
    """The field under guidance between `low` and `high` of the reference's time."""
    field = guided(our_field, NULL, scale, (1 - high, 1 - low))
    return lambda x, t, at: field(x, t, LABELS, at)


def assert_stats(x: Tensor, golden: dict) -> None:
    x = x.double()
    assert list(x.shape) == golden["shape"]
    assert x.sum().item() == pytest.approx(golden["sum"], rel=1e-6, abs=1e-6)
    assert x.norm().item() == pytest.approx(golden["l2"], rel=1e-6)
    assert x.flatten()[:4].tolist() == pytest.approx(golden["first"], rel=1e-6, abs=1e-6)
    assert x.flatten()[-1].item() == pytest.approx(golden["last"], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("sampler", "settings", "key"),
    [
        (euler, (1.0,), "euler_10_cfg1"),
        (euler, (2.0,), "euler_10_cfg2"),
        (euler, (2.0, 0.2, 0.7), "euler_10_cfg2_int.2-.7"),
        (heun, (1.0,), "heun_10_cfg1"),
        (heun, (2.0, 0.2, 0.7), "heun_10_cfg2_int.2-.7"),
    ],
)
def test_ode_samplers_match(sampler, settings, key):
    assert_stats(sampler(steered(*settings), LATENTS, 10), GOLDEN[f"G5_{key}"])


@pytest.mark.parametrize(
    ("settings", "noise", "path", "key"),
    [
        ((1.0,), 0.0, LINEAR, "cfg1_noise0"),
        ((1.0,), 0.3, LINEAR, "cfg1_noise.3"),
        ((2.0,), 0.3, LINEAR, "cfg2_noise.3"),
        ((2.0, 0.0, 0.7), 0.3, LINEAR, "cfg2_int.0-.7_noise.3"),
        ((1.0,), 0.3, GVP, "cosine_noise.3"),
    ],
)
def test_the_sde_sampler_matches(settings, noise, path, key):
    constant = torch.full(LATENTS.shape, noise, dtype=torch.float64)
    x = euler_maruyama(steered(*settings), LATENTS, 10, path=path, noise=lambda i: constant)
    assert_stats(x, GOLDEN[f"G5_em_10_{key}"])


def test_the_sde_grid_matches_with_time_reversed():
    grid = [1 - t for t in sde_grid(250)]
    assert len(grid) == 251
    assert grid[:3] + grid[-3:-1] == pytest.approx(GOLDEN["G5_em_grid_250"]["t"], abs=1e-12)
    assert grid[-1] == 0.0


def at(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize(("path", "key"), [(LINEAR, "G5_score_linear"), (GVP, "G5_score_cosine")])
def test_the_score_of_repa_matches_with_time_reversed(path, key):
    score = score_from_velocity(path, -at(0.3), at(0.8), 1 - at(0.35))
    assert score.item() == pytest.approx(GOLDEN[key], rel=1e-9)


@pytest.mark.parametrize(("path", "key"), [(LINEAR, "G6_path_Linear"), (GVP, "G6_path_GVP")])
def test_path_coefficients_and_conversions_match_sit(path, key):
    golden, t, x, v = GOLDEN[key], at(0.35), at(0.8), at(0.3)
    for name in ("alpha", "sigma", "d_alpha", "d_sigma"):
        assert getattr(path, name)(t).item() == pytest.approx(golden[name], rel=1e-9), name
    assert score_from_velocity(path, v, x, t).item() == pytest.approx(golden["score_from_v"], rel=1e-9)
    assert noise_from_velocity(path, v, x, t).item() == pytest.approx(golden["noise_from_v"], rel=1e-9)
    assert velocity_from_score(path, at(0.3), x, t).item() == pytest.approx(golden["v_from_score"], rel=1e-9)


@pytest.mark.parametrize(("path", "key"), [(LINEAR, "Linear"), (GVP, "GVP")])
def test_velocity_loss_of_sit_matches(path, key):
    data, noise = wave((3, 4, 8, 8), 0.09, 0.2).float(), wave((3, 4, 8, 8), 0.05, 1.0).float()
    t = torch.tensor([0.1, 0.6, 0.95])
    out = 0.5 * path.interpolate(noise, data, t) + t[:, None, None, None]
    loss = (out - path.velocity(noise, data, t)).square().mean((1, 2, 3))
    assert loss.tolist() == pytest.approx(GOLDEN[f"G6_loss_{key}_velocity_None"], rel=1e-6)


@pytest.mark.parametrize(("path", "key"), [(LINEAR, "Linear"), (GVP, "GVP")])
def test_noise_loss_of_sit_matches_through_the_conversion(path, key):
    data, noise = wave((3, 4, 8, 8), 0.09, 0.2).double(), wave((3, 4, 8, 8), 0.05, 1.0).double()
    t = torch.tensor([0.1, 0.6, 0.95], dtype=torch.float64)
    x = path.interpolate(noise, data, t)
    guess = 0.5 * x + expand(t, x)
    clean = (x - path.sigma(expand(t, x)) * guess) / path.alpha(expand(t, x))
    v = path.velocity(guess, clean, t)
    torch.testing.assert_close(data_from_velocity(path, v, x, t), clean)
    loss = (noise_from_velocity(path, v, x, t) - noise).square().mean((1, 2, 3))
    assert loss.tolist() == pytest.approx(GOLDEN[f"G6_loss_{key}_noise_None"], rel=1e-5)


def sit_field(x: Tensor, t: Tensor, at: float) -> Tensor:
    """The same closed form, read in SiT's time, which is ours."""
    return reference_field(x, t, LABELS)


def assert_near_sit(x: Tensor, key: str) -> None:
    """SiT keeps the state in float32."""
    x, golden = x.double(), GOLDEN[f"G6_{key}"]
    assert x.sum().item() == pytest.approx(golden["sum"], rel=1e-6)
    assert x.norm().item() == pytest.approx(golden["l2"], rel=1e-6)
    assert x.flatten()[:4].tolist() == pytest.approx(golden["first"], abs=1e-6)


def test_the_euler_sampler_of_sit_matches():
    assert_near_sit(euler(sit_field, LATENTS, 10), "ode_euler_11")


def test_heun_of_sit_corrects_the_last_step_too():
    assert_near_sit(heun(sit_field, LATENTS, 10, last="heun"), "ode_heun2_11")


def test_dopri5_of_sit_matches_in_value_and_in_evaluations():
    pytest.importorskip("torchdiffeq")
    x, made = followed(sit_field, LATENTS, 1.0, (0.0, 1.0), by="reference", rtol=1e-3, atol=1e-6)
    assert_near_sit(x, "ode_dopri5_50")
    assert made.tolist() == [GOLDEN["G6_ode_dopri5_50"]["nfe"]] * 2


def test_dopri5_with_a_norm_per_sample_is_as_near_as_its_tolerance():
    x, _ = followed(sit_field, LATENTS, 1.0, (0.0, 1.0), by="sample", rtol=1e-3, atol=1e-6)
    assert x.flatten()[:4].tolist() == pytest.approx(GOLDEN["G6_ode_dopri5_50"]["first"], rel=1e-3)


@pytest.mark.parametrize(
    ("key", "steps", "settings"),
    [
        ("sigma_10_Mean", 10, {"diffusion": "sigma"}),
        ("linear_10_Mean", 10, {}),
        ("decreasing_10_Mean", 10, {"diffusion": "decreasing"}),
        ("sigma_10_last_Mean", 10, {"diffusion": "sigma", "last": "mean"}),
        ("sigma_10_last_Euler", 10, {"diffusion": "sigma", "last": "euler"}),
        ("sigma_10_last_Tweedie", 10, {"diffusion": "sigma", "last": "tweedie"}),
        ("sigma_10_last_None", 9, {"diffusion": "sigma", "last": "none"}),
        ("sigma_10_heun", 10, {"diffusion": "sigma", "corrected": True}),
    ],
)
def test_the_sde_of_sit_matches(key, steps, settings):
    """R5: SiT's nine steps over ten grid points and its last one are our ten; without a last one they are nine."""
    constant = torch.full(LATENTS.shape, 0.3, dtype=torch.float64)
    x = euler_maruyama(sit_field, LATENTS, steps, path=LINEAR, noise=lambda i: constant, **settings)
    assert_near_sit(x, f"sde_{key}")


@pytest.mark.parametrize(("path", "key"), [(LINEAR, "G6_path_Linear"), (GVP, "G6_path_GVP")])
def test_diffusion_coefficients_of_sit_match(path, key):
    golden = GOLDEN[key]["diff"]
    spelt = {"increasing-decreasing": "inccreasing-decreasing"}
    for form in ("constant", "linear", "sigma", "decreasing", "increasing-decreasing"):
        assert diffusion_of(form, path, 0.35) == pytest.approx(golden[spelt.get(form, form)], rel=1e-9), form
