"""P8: one optimizer step of REED on a tiny network in float64 against the reference implementation."""

import pytest
import torch
from reference_vectors import GOLDEN, Trio, filled_trio, wave
from torch import Tensor

from reedbench.nn.alignment import cosine_alignment, pool_tokens
from reedbench.nn.backbones.reference import ReversedTime
from reedbench.nn.interpolants import LINEAR
from reedbench.nn.schedules import linear_ramp

EMA = 0.9999
WATCHED = {
    "qkv0_sum": "sit.blocks.0.attn.qkv.weight",
    "proj1": "projectors.1.4.weight",
    "final": "sit.final_layer.linear.weight",
    "blk3": "sit.blocks.3.mlp.fc2.weight",
}


def losses(trio: Trio) -> tuple[Tensor, Tensor]:
    """Denoising loss per sample, and the alignment loss with weights (1, 0.5)."""
    data, noise = wave((2, 4, 8, 8), 0.09, 0.2), wave((2, 4, 8, 8), 0.05, 1.0)
    t = 1 - torch.tensor([0.25, 0.7], dtype=torch.float64)
    net = ReversedTime(trio.sit)
    v, (h_2, h_3) = net(LINEAR.interpolate(noise, data, t), t, torch.tensor([3, 10]), (2, 3))
    denoising = (v - LINEAR.velocity(noise, data, t)).square().mean((1, 2, 3))
    image = cosine_alignment(trio.projectors[0](h_2), wave((2, 16, 12), 0.13, 0.4))
    text = cosine_alignment(trio.projectors[1](pool_tokens(h_3)), wave((2, 20), 0.21, 0.1))
    return denoising, (image + 0.5 * text).mean()


@pytest.mark.parametrize("step", [0, 25_000, 60_000])
def test_one_training_step_matches(step):
    golden, trio = GOLDEN[f"G7_step{step}"], filled_trio()
    parameters = dict(trio.named_parameters())
    ema = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)

    denoising, alignment = losses(trio)
    total = linear_ramp(step, 0, 50_000) * denoising.mean() + 0.5 * alignment
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
    optimizer.step()
    with torch.no_grad():
        for name, average in ema.items():
            average.mul_(EMA).add_(parameters[name], alpha=1 - EMA)

    assert denoising.tolist() == pytest.approx(golden["denoise"], rel=1e-7)
    assert alignment.item() == pytest.approx(golden["proj"], rel=1e-6)
    assert total.item() == pytest.approx(golden["total"], rel=1e-6)
    assert norm.item() == pytest.approx(golden["grad_norm"], rel=1e-6)
    for key, name in WATCHED.items():
        assert parameters[name].sum().item() == pytest.approx(golden[key], rel=1e-6), name
    assert parameters["sit.blocks.0.attn.qkv.weight"][0, 5].item() == pytest.approx(golden["qkv0"], rel=1e-6)
    assert ema["sit.blocks.0.attn.qkv.weight"].sum().item() == pytest.approx(golden["ema_qkv0_sum"], rel=1e-8)


def test_the_constant_position_table_is_not_averaged():
    assert "sit.pos_embed" in filled_trio().state_dict()
    assert "sit.pos_embed" not in dict(filled_trio().named_parameters())
