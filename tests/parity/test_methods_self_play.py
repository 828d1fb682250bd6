"""Golden losses of self-play, and what it is at its start."""

import copy
import math

import pytest
import torch
from methods_vectors import (
    CLASSES,
    GOLDEN,
    ONLINE,
    SPIN_REFERENCE,
    B,
    C,
    Looked,
    N,
    Toy,
    agrees,
    drawn,
    gradient_norm,
    loss_of,
)
from reference_vectors import wave

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.flow import FlowMatching
from reedbench.nn.learner import POOL
from reedbench.nn.self_play import GAP, SelfPlayLearner, preferred

FLOW = FlowMatching("linear", "uniform", 0.0, null_label=CLASSES)
VECTORS = ("spin_beta10", "spin_beta5000")


def pooled():
    return {**drawn(), POOL: wave((B, N, C), 0.57, 0.9)}


def made(vector, phase):
    return SelfPlayLearner(TappedNetwork(Toy(phase), ()), FLOW, GOLDEN[vector]["beta"])


@pytest.mark.parametrize("vector", VECTORS)
def test_the_loss_and_what_it_is_of(vector):
    learner, reference = made(vector, ONLINE), Looked(teacher=Toy(SPIN_REFERENCE))
    with torch.no_grad():
        own = learner.looked_up(pooled(), 0, Looked(teacher=learner.network.backbone))
        gaps = own[GAP] - learner.looked_up(pooled(), 0, reference)[GAP]
    agrees({"gaps": gaps}, vector)
    loss = loss_of(learner, pooled(), reference)
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}, vector)


@pytest.mark.parametrize("vector", VECTORS)
def test_it_starts_at_log_2_whatever_beta(vector):
    learner = made(vector, SPIN_REFERENCE)
    loss = loss_of(learner, pooled(), Looked(teacher=Toy(SPIN_REFERENCE)))
    assert GOLDEN[vector]["loss_at_reference"] == math.log(2)
    assert float(loss.detach()) == pytest.approx(math.log(2), rel=1e-15)


@pytest.mark.parametrize("vector", VECTORS)
def test_the_form_given_the_gaps(vector):
    """Which proteins have in common with images."""
    gaps = torch.tensor(GOLDEN[vector]["gaps"], dtype=torch.float64)
    agrees({"loss": preferred(gaps, GOLDEN[vector]["beta"]).mean()}, vector)


def test_data_and_samples_are_in_one_pass_of_each_network():
    calls = {"own": [], "reference": []}
    learner, reference = made("spin_beta10", ONLINE), Toy(SPIN_REFERENCE)
    for name, network in (("own", learner.network.backbone), ("reference", reference)):
        network.register_forward_hook(lambda _, inputs, __, name=name: calls[name].append(inputs))
    loss_of(learner, pooled(), Looked(teacher=reference))
    ((x, t, y),), ((x_r, t_r, y_r),) = calls["own"], calls["reference"]
    assert torch.equal(x, x_r)
    data, samples = x.chunk(2)
    assert torch.equal(data, FLOW.inputs(drawn())[0])
    assert torch.equal(samples, FLOW.inputs({**drawn(), "x_1": pooled()[POOL]})[0])
    for found in (t, t_r, y, y_r):
        assert torch.equal(*found.chunk(2))


def test_a_step_makes_data_likelier_and_samples_less_so():
    learner, reference = made("spin_beta10", SPIN_REFERENCE), Looked(teacher=Toy(SPIN_REFERENCE))
    before = copy.deepcopy(learner.network)
    loss_of(learner, pooled(), reference).backward()
    with torch.no_grad():
        for parameter in learner.network.parameters():
            parameter -= 1e-3 * parameter.grad
        one, other = (
            FLOW.error(net(*FLOW.inputs(drawn()), wanted=[])[0], drawn())
            - FLOW.error(
                net(*FLOW.inputs({**drawn(), "x_1": pooled()[POOL]}), wanted=[])[0],
                {**drawn(), "x_1": pooled()[POOL]},
            )
            for net in (before, learner.network)
        )
    assert float(other.mean()) < float(one.mean())
    assert float(loss_of(learner, pooled(), reference).detach()) < math.log(2)


def test_a_saturated_sigmoid_is_remarked_upon():
    learner = made("spin_beta10", ONLINE)
    assert learner.remark({"self-play": 0.5}) is None
    assert "saturated; lower beta" in learner.remark({"self-play": 1e-4})
