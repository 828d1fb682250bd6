"""Two tiny networks of the reference: outputs, losses and samples from their stored weights."""

import re
from functools import cache

import pytest
import torch
from reference_vectors import tiny_models
from torch import Tensor

from reedbench.nn.alignment import (
    TIME_WEIGHTS,
    Projector,
    cosine_alignment,
    cutoff,
    pool_tokens,
    sample_weights,
)
from reedbench.nn.backbones.reference import ReversedTime, from_reference_state
from reedbench.nn.backbones.sit import SiT, position_table
from reedbench.nn.guidance import guided
from reedbench.nn.interpolants import GVP, LINEAR
from reedbench.nn.samplers import euler, euler_maruyama, heun

FIXTURE = tiny_models()
PATHS = {"linear": LINEAR, "cosine": GVP}
STEPS = 9
SAMPLERS = {"ode_euler": euler, "ode_heun": heun, "sde_euler_maruyama": euler_maruyama}
CASES = [
    (match[0], *match.groups())
    for key in FIXTURE
    if (match := re.fullmatch(r"sampler\.(\w+)\.(\w+)\.cfg([\d.]+)_([\d.]+)_([\d.]+)", key))
]


def state(tag: str) -> dict[str, Tensor]:
    prefix = f"{tag}.state_dict."
    return {key.removeprefix(prefix): value for key, value in FIXTURE.items() if key.startswith(prefix)}


@cache
def network(tag: str) -> SiT:
    net = SiT(size=8, channels=4, patch=2, width=48, depth=3, heads=4, classes=1000)
    net.load_state_dict(from_reference_state(state(tag)))
    return net.eval().requires_grad_(False)


@cache
def projector(tag: str, index: int) -> Projector:
    prefix = f"projectors.{index}."
    kept = {k.removeprefix(prefix): v for k, v in state(tag).items() if k.startswith(prefix)}
    head = Projector(48, 32, len(kept["4.bias"]))
    head.load_state_dict(kept)
    return head.requires_grad_(False)


def assert_near(ours: Tensor, golden: Tensor) -> None:
    torch.testing.assert_close(ours, golden.to(ours.dtype), rtol=1e-5, atol=1e-6)


def test_the_stored_position_table_is_the_formula():
    assert_near(state("reed")["pos_embed"][0], position_table(48, 4))


@pytest.mark.parametrize("tag", ["repa", "reed"])
def test_outputs_match(tag):
    v, (h_1, h_2) = network(tag)(FIXTURE["in.x"], FIXTURE["in.t"], FIXTURE["in.y"], taps=(1, 2))
    assert_near(v, FIXTURE[f"{tag}.out.v"])
    assert_near(projector(tag, 0)(h_1), FIXTURE["repa.out.z0" if tag == "repa" else "reed.out.z_image"])
    if tag == "reed":
        assert_near(projector(tag, 1)(pool_tokens(h_2)), FIXTURE["reed.out.z_text"])


def loss_terms(tag: str, path_name: str) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Our times, the denoising loss (b,) and the hidden states of depths 1 and 2."""
    path, t = PATHS[path_name], 1 - FIXTURE["loss.t"]
    data, noise = FIXTURE["loss.latent"], FIXTURE["loss.noise"]
    net = ReversedTime(network(tag))
    v, hidden = net(path.interpolate(noise, data, t), t, FIXTURE["in.y"], (1, 2))
    return t, (v - path.velocity(noise, data, t)).square().mean((1, 2, 3)), hidden


@pytest.mark.parametrize("path", PATHS)
def test_losses_of_repa_match(path):
    _, denoising, (h_1, _) = loss_terms("repa", path)
    alignment = cosine_alignment(projector("repa", 0)(h_1), FIXTURE["loss.target_image"])
    assert_near(denoising, FIXTURE[f"loss.repa.{path}.denoising"])
    assert_near(alignment.mean()[None], FIXTURE[f"loss.repa.{path}.proj"])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "sigmoid", "cutoff"])
@pytest.mark.parametrize("path", PATHS)
def test_losses_of_reed_match(path, schedule):
    t, denoising, (h_1, h_2) = loss_terms("reed", path)
    image = cosine_alignment(projector("reed", 0)(h_1), FIXTURE["loss.target_image"])
    text = cosine_alignment(projector("reed", 1)(pool_tokens(h_2)), FIXTURE["loss.target_text"])
    # The window that these numbers were made with is [0.2, 0.8], which is its own mirror image.
    weight = cutoff(t, 0.2, 0.8) if schedule == "cutoff" else TIME_WEIGHTS[schedule](t)
    alignment = ((image + 0.5 * text) * sample_weights(weight, "reference")).mean()
    assert_near(denoising, FIXTURE[f"loss.reed.{path}.{schedule}.denoising"])
    assert_near(alignment[None], FIXTURE[f"loss.reed.{path}.{schedule}.proj"])


@pytest.mark.parametrize(("key", "kind", "path", "scale", "low", "high"), CASES, ids=[case[0] for case in CASES])
def test_samples_of_reed_match(key, kind, path, scale, low, high):
    net, labels = ReversedTime(network("reed")), FIXTURE["sampler.y"]
    field = guided(lambda x, t, y: net(x, t, y)[0], 1000, float(scale), (1 - float(high), 1 - float(low)))
    noises = FIXTURE["sampler.sde_noises"]
    sde = {"path": PATHS[path], "noise": noises.__getitem__} if kind.startswith("sde") else {}
    sampler = SAMPLERS[kind]
    x = sampler(lambda x, t, at: field(x, t, labels, at), FIXTURE["sampler.latents"], STEPS, **sde)
    assert_near(x, FIXTURE[key])


def test_every_sampler_row_of_the_fixture_is_checked():
    assert len(CASES) == 18
