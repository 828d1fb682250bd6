"""P5 and P12: losses, time weights, time laws and the curriculum against the reference implementation."""

import pytest
import torch
from reference_vectors import GOLDEN, wave
from torch import Tensor

from reedbench.nn.alignment import (
    TIME_WEIGHTS,
    ConvProjector,
    cosine_alignment,
    cutoff,
    sample_weights,
    standardised,
)
from reedbench.nn.interpolants import GVP, LINEAR, TIME_SAMPLERS, Interpolant, lognormal_times
from reedbench.nn.schedules import cosine_decay, linear_decay, linear_ramp

T_REFERENCE = torch.tensor([0.1, 0.6, 0.95])  # 0 = data, as the reference counts
T = 1 - T_REFERENCE


def denoising(path: Interpolant) -> Tensor:
    """Denoising loss (b,) of a fake network that is written in the time of the reference."""
    data, noise = wave((3, 4, 8, 8), 0.09, 0.2).float(), wave((3, 4, 8, 8), 0.05, 1.0).float()
    x_t = path.interpolate(noise, data, T)
    v = -(0.5 * x_t + T_REFERENCE[:, None, None, None])
    return (v - path.velocity(noise, data, T)).square().mean((1, 2, 3))


def alignments() -> tuple[Tensor, Tensor]:
    """Alignment losses (b,) of the fake image and text projections."""
    image = torch.sin(0.05 * torch.arange(3 * 16 * 12)).reshape(3, 16, 12) + T_REFERENCE[:, None, None]
    text = torch.cos(0.07 * torch.arange(3 * 20)).reshape(3, 20) + T_REFERENCE[:, None]
    return (
        cosine_alignment(image, wave((3, 16, 12), 0.13, 0.4).float()),
        cosine_alignment(text, wave((3, 20), 0.21, 0.1).float()),
    )


def time_weight(name: str) -> Tensor:
    # The reference's window [0.2, 0.8] is symmetric, hence the same in our time.
    return cutoff(T, 0.2, 0.8) if name == "cutoff_.2_.8" else TIME_WEIGHTS[name](T)


@pytest.mark.parametrize(("path", "key"), [(LINEAR, "G4_repa"), (GVP, "G4_repa_cosine")])
def test_denoising_loss_matches(path, key):
    assert denoising(path).tolist() == pytest.approx(GOLDEN[key]["denoising"], rel=1e-6)


def test_alignment_per_sample_matches():
    image, text = alignments()
    assert image.tolist() == pytest.approx(GOLDEN["G4_persample_cos"]["img"], abs=1e-6)
    assert text.tolist() == pytest.approx(GOLDEN["G4_persample_cos"]["txt"], abs=1e-6)
    assert image.mean().item() == pytest.approx(GOLDEN["G4_repa"]["proj"], abs=1e-7)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "sigmoid", "loglinear", "cutoff_.2_.8"])
def test_the_batch_mean_quirk_is_reproduced_on_request(name):
    image, text = (loss * sample_weights(time_weight(name), "reference") for loss in alignments())
    loss = (image + 0.5 * text).mean().item()
    assert loss == pytest.approx(GOLDEN[f"G4_reed_{name}"]["proj_loss"], abs=2e-7)


def test_time_weights_act_per_sample_by_default():
    image, text = (loss * sample_weights(time_weight("linear")) for loss in alignments())
    loss = (image + 0.5 * text).mean().item()
    assert loss == pytest.approx(GOLDEN["G4_linear_if_persample"], abs=2e-7)


def test_weight_zero_means_zero_unlike_the_reference():
    image, text = (loss * sample_weights(time_weight("constant")) for loss in alignments())
    loss = (image + 0.0 * text).mean().item()
    assert loss == pytest.approx(GOLDEN["G4_repa"]["proj"], abs=1e-7)
    assert abs(loss - GOLDEN["G4_reed_zero_text_weight"]["proj_loss"]) > 0.1


@pytest.mark.parametrize(
    ("share", "loss", "norm"),
    [(0.6, 0.007468748976102089, 0.8068568509007269), (1.0, 0.007199584143105138, 0.8083742623958136)],
)
def test_the_convolution_and_the_spatial_norm_of_irepa_match(share, loss, norm):
    """Numbers of an independent script that ran the released functions in float64."""
    h, features = wave((2, 9, 4), 0.53, 0.7).requires_grad_(), wave((2, 9, 6), 0.29, 1.1)
    projector = ConvProjector(4, 6).double()
    with torch.no_grad():
        projector[0].weight.copy_(0.3 * wave((6, 4, 3, 3), 0.41, 0.2))
        projector[0].bias.copy_(0.1 * wave((6,), 0.8, 0.3))
    target = standardised(features, torch.ones(2, 9, dtype=torch.float64), "spatial", share, lambda own: own)
    value = cosine_alignment(projector(h), target).mean()
    value.backward()
    gradients = [parameter.grad.norm() for parameter in (h, *projector.parameters())]
    assert value.item() == pytest.approx(loss, abs=1e-12)
    assert torch.stack(gradients).norm().item() == pytest.approx(norm, abs=1e-12)


@pytest.mark.parametrize("n", ["-1.5", "0.0", "0.7"])
def test_lognormal_times_match_with_time_reversed(n):
    draw = torch.tensor([float(n)], dtype=torch.float64)
    ours = [1 - lognormal_times(draw, path).item() for path in (LINEAR, GVP)]
    assert ours == pytest.approx(GOLDEN["G4_lognormal_t"][n], rel=1e-9)
    assert TIME_SAMPLERS["lognormal"](draw, GVP).item() == lognormal_times(draw, GVP).item()


@pytest.mark.parametrize(("step", "omega"), [(0, 0.0), (25_000, 0.5), (49_999, 0.99998), (50_000, 1.0)])
def test_the_warm_up_of_the_curriculum_matches(step, omega):
    assert linear_ramp(step, 0, 50_000) == pytest.approx(omega, rel=1e-12)


@pytest.mark.parametrize(
    ("step", "weight"),
    [(50_000, 1.0), (100_000, 0.950484434), (225_000, 0.5), (400_000, 0.0), (500_000, 0.0)],
)
def test_the_cosine_decay_is_the_intended_one(step, weight):
    assert cosine_decay(step, 50_000, 350_000) == pytest.approx(weight, abs=1e-9)


@pytest.mark.parametrize(("step", "weight"), [(0, 1.0), (100_000, 0.75), (400_000, 0.0), (600_000, 0.0)])
def test_the_linear_decay_of_the_alignment_matches(step, weight):
    assert linear_decay(step, 0, 400_000) == pytest.approx(weight, abs=1e-12)
