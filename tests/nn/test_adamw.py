"""Our AdamW and our learning rates are torch's to the last bit, and load less."""

import subprocess
import sys

import pytest
import torch

from reedbench.encoders._descent import FIRST, WARM_UP, rates
from reedbench.nn.adamw import AdamW

SETTINGS = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}


def parameters() -> list[torch.Tensor]:
    shapes, generator = ((3, 4), (5,), (2, 2)), torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("fused", [True, None])
def test_parameters_and_state_are_those_of_torch(fused):
    ours, theirs = parameters(), parameters()
    one, other = AdamW(ours, fused=fused, **SETTINGS), torch.optim.AdamW(theirs, fused=fused, **SETTINGS)
    for step in range(5):
        for parameter, same in zip(ours[: 2 + step % 2], theirs, strict=False):  # the last one has no gradient at first
            parameter.grad = parameter.detach().square() + step
            same.grad = same.detach().square() + step
        one.step(), one.zero_grad()
        other.step(), other.zero_grad()
    for parameter, same in zip(ours, theirs, strict=True):
        assert torch.equal(parameter, same)
        assert one.state[parameter].keys() == other.state[same].keys()
        assert all(torch.equal(tensor, other.state[same][name]) for name, tensor in one.state[parameter].items())
    assert one.state[ours[2]]["step"] == 2


@pytest.mark.parametrize("steps", [1, 15, 60])
def test_learning_rates_are_those_of_torch(steps):
    optimiser = torch.optim.AdamW(parameters(), lr=0.003)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimiser, FIRST, total_iters=WARM_UP)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    theirs = []
    for _ in range(steps):
        theirs.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        cosine.step()
        warm_up.step()
    assert list(rates(0.003, steps)) == theirs


def test_a_step_loads_no_compiler():
    program = """
import sys, torch
from reedbench.nn.adamw import AdamW
weight = torch.ones(3, requires_grad=True)
weight.grad = torch.ones(3)
AdamW([weight], lr=0.1, weight_decay=0.0, fused=True).step()
print(sorted({"torch._dynamo", "triton", "sympy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
