"""REG in training and sampling: one more token, which the alignment reads and every sampler throws away."""

from typing import Any

import pytest
import torch
from joint_runs import BARE, DIM, REG, SAMPLERS, TOKENS, drawn, shaken
from pydantic import ValidationError
from tiny_runs import BATCH, DEPTH, REPA, SIDE, SIT, WIDTH
from torch import Tensor

from reedbench.core import plugins
from reedbench.core.errors import ConfigError
from reedbench.nn.backbones.joint_sit import JointSiT
from reedbench.objectives.entangled import Entangled


def with_one_more_token() -> float:
    """Of a step of REG: products over tokens have N + 1, attention (N + 1)^2; the token's own embedding and head."""
    n, values = TOKENS + 1, 4
    products = DEPTH * (n * 12 * WIDTH**2 + 6 * WIDTH**2) + n * (WIDTH * 16 + 16**2 + 16 * DIM)
    products += TOKENS * values * WIDTH + WIDTH * DIM + 2 * WIDTH**2 + WIDTH**2
    first = TOKENS * values * WIDTH + DIM * WIDTH + 256 * WIDTH
    return 2.0 * BATCH * (3 * products + 2 * first + 3.5 * DEPTH * 2 * n**2 * WIDTH)


def test_reg_costs_one_more_token(make):
    assert make(REG).flops(0) == with_one_more_token()
    assert make(REPA).flops(0) < make(REG).flops(0) < (1 + 2 / TOKENS) * make(REPA).flops(0)


def test_reg_starts_from_the_backbone_of_others(make):
    own, other = make(REG).network.backbone.sit.state_dict(), make(SIT).network.backbone.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in other.items())


def test_the_alignment_reads_the_token_before_the_patches(make):
    trainer = make(REG)
    batch = trainer._share_of(0).batch
    assert batch["aligned/patches@1"].shape == (BATCH, TOKENS + 1, DIM)
    assert torch.equal(batch["aligned/patches@1"][:, 0], batch["clean/token"])
    velocity, (projection,) = trainer.network(*trainer.learner.flow.inputs(batch))
    assert velocity.shape == (BATCH, SIDE**2 + DIM)
    assert projection.shape == (BATCH, TOKENS + 1, DIM)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (REG.model_copy(update={"dim": 5}), "encoder 'token' has 6 dimensions, and the method says dim: 5"),
        (REG.model_copy(update={"token": "text", "dim": 5}), "encoder 'patches' has 6 dimensions.*both need the same"),
    ],
)
def test_a_token_of_other_dimensions_is_one_line(make, method, words):
    with pytest.raises(ConfigError, match=words):
        make(method)


def test_a_convolution_over_token_and_patches_is_refused():
    with pytest.raises(ValidationError, match="projector: conv is for the patches of a grid"):
        Entangled(label="-", token="t", dim=6, alignments=({"encoder": "p", "depth": 1, "projector": "conv"},))


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_from_reg_and_throws_the_token_away(name, guidance):
    network = shaken(JointSiT(BARE, DIM))
    found = drawn(name, REG, network, range(6), guidance=guidance, **SAMPLERS[name])
    assert found.shape == (6, 1, SIDE, SIDE)
    assert found.isfinite().all()
    part = drawn(name, REG, network, range(2, 5), guidance=guidance, **SAMPLERS[name])
    torch.testing.assert_close(part, found[2:5], rtol=1e-2, atol=5e-3)  # each sample has its own streams


class Streaming:
    """A field in which the image and the token do not see each other, so that the image is that of a plain sampler."""

    null_label = 3

    def __init__(self, split: Any) -> None:
        self.split = split

    def __call__(self, x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor]:
        image, *others = self.split(x)
        parts = [torch.tanh(image + y[:, None, None, None]).flatten(1), *(torch.cos(o) for o in others)]
        return (torch.cat(parts, 1).unflatten(1, x.shape[1:]) if others else parts[0].unflatten(1, x.shape[1:]),)


@pytest.mark.parametrize("name", ["euler", "heun", "euler-maruyama"])
def test_the_image_has_the_noise_that_it_would_have_alone(name):
    joint = drawn(name, REG, Streaming(JointSiT(BARE, DIM).layout.split), range(4), guidance=1.5, **SAMPLERS[name])
    alone = drawn(name, SIT, Streaming(lambda x: [x]), range(4), guidance=1.5, **SAMPLERS[name])
    assert torch.equal(joint, alone)


def test_a_reg_network_without_its_token_is_one_line():
    network = shaken(JointSiT(BARE, DIM))
    with pytest.raises(ValueError, match=r"in rows of 70 numbers, and was given \(1, 8, 8\): draw from it") as error:
        drawn("euler", SIT, network, range(2), steps=2)
    assert "\n" not in str(error.value)


def test_channels_of_a_flat_state_are_not_guided():
    sampler = plugins.discover("samplers")["euler"](steps=2, guidance=2.0, channels="first-three")
    assert "take out channels" in sampler.unfit(REG)
    assert plugins.discover("samplers")["euler"](steps=2, guidance=2.0).unfit(REG) is None


def test_only_taps_leave_out_what_is_behind_them():
    network = shaken(JointSiT(BARE, DIM))
    inputs = torch.randn(2, SIDE**2 + DIM), torch.rand(2), torch.zeros(2, dtype=torch.long)
    nothing, (only,) = network(*inputs, taps=[1], only_taps=True)
    _, (found,) = network(*inputs, taps=[1])
    assert nothing.numel() == 0
    assert torch.equal(only, found)
