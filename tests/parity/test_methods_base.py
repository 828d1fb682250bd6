"""The toy network and the plain velocity loss of the methods' golden numbers."""

import pytest
from methods_vectors import AVERAGE, GOLDEN, ONLINE, TEACHER, Toy, agrees, drawn, gradient_norm, loss_of

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.schedules import Factor

FLOW = FlowMatching("linear", "uniform", 0.1, null_label=3)


def test_inputs_and_networks_are_those_of_the_script():
    x_t, t, y = FLOW.inputs(drawn())
    said = GOLDEN["inputs"]
    assert float(x_t.sum()) == pytest.approx(said["x_t_sum"], rel=1e-9)
    assert float(FLOW.target(drawn()).sum()) == pytest.approx(said["v_sum"], rel=1e-9)
    for name, s in (("theta", ONLINE), ("ema", AVERAGE), ("teacher", TEACHER)):
        assert float(Toy(s)(x_t, t, y)[0].sum()) == pytest.approx(said[f"toy_{name}_v_sum"], rel=1e-9)


def test_the_velocity_loss():
    learner = FlowLearner(TappedNetwork(Toy(ONLINE), ()), FLOW, Factor())
    loss = loss_of(learner, drawn())
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}, "sit")
