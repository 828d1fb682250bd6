"""Golden losses of HASTE, REG and SADM, through their learners. Source: shared/specs/methods.md, section P."""

import pytest
import torch
from methods_vectors import GOLDEN, ONLINE, Toy, agrees, drawn, gradient_norm, loss_of, values
from reference_vectors import wave
from torch import Tensor, nn

from reedbench.nn.aligned import TimedTap
from reedbench.nn.alignment import AlignedNetwork
from reedbench.nn.attention_alignment import AttentionPair, AttentiveLearner, AttentiveNetwork
from reedbench.nn.entangled import EntangledLearner
from reedbench.nn.flow import FlowMatching
from reedbench.nn.joint import JointFlow
from reedbench.nn.schedules import Factor, factor
from reedbench.nn.structure import StructuralLearner, StructuralNetwork

FLOW = FlowMatching("linear", "uniform", 0.1, null_label=3)
STOP = GOLDEN["haste_stop"]["stop"]


class Attending(nn.Module):
    """A backbone whose attention is what it is given: logits (b, pairs, heads, n, n)."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x, t, y, taps=()):
        """Nothing, and the logits of the blocks 1, 2, ... that are tapped."""
        return torch.zeros_like(x), [self.logits[:, depth - 1] for _, depth in taps]


def haste() -> tuple[AttentiveLearner, dict[str, Tensor]]:
    """Its learner on the vector's logits, whose first axis are pairs and second the batch, and a batch."""
    student, teacher = (wave((2, 2, 3, 4, 4), *phase).transpose(0, 1) for phase in ((0.33, 0.5), (0.47, 1.9)))
    network = AttentiveNetwork(Attending(student), [], [], [1, 2])
    heads = (0, 1, 2)
    pairs = [AttentionPair("dino", i + 1, i, heads, heads) for i in range(2)]
    learner = AttentiveLearner(network, FLOW, Factor(), factor("stop", STOP, 0), pairs, 0.5)
    batch = {name: tensor[:2] for name, tensor in drawn().items()}
    return learner, {**batch, "target/dino": teacher}


def test_haste_attention():
    learner, batch = haste()
    loss = values(learner, batch)["attention"]
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}, "haste_attention")


def test_haste_stop():
    learner, batch = haste()
    for step, (_, attention) in GOLDEN["haste_stop"]["coefficient"].items():
        assert learner.coefficients(int(step)).get("attention", 0.0) == attention
    assert values(learner, batch, step=STOP - 1).keys() == {"denoise", "attention"}
    del batch["target/dino"]
    assert values(learner, batch, step=STOP).keys() == {"denoise"}
    assert learner.reads() == ()


class Predicting(nn.Module):
    """A backbone of flat states whose answer and hidden state are what they are given."""

    def __init__(self, *parts: Tensor, hidden: Tensor) -> None:
        super().__init__()
        self.parts = nn.ParameterList(parts)
        self.hidden = nn.Parameter(hidden)

    def forward(self, x, t, y, taps=()):
        """The answer, and the same hidden state for every tap."""
        return torch.cat([part.flatten(1) for part in self.parts], 1), [self.hidden] * len(taps)


def test_reg():
    said, batch = GOLDEN["reg"], drawn()
    backbone = Predicting(wave((6, 4, 3), 0.59, 0.8), wave((6, 4), 0.67, 1), hidden=wave((6, 5, 4), 0.43, 0.25))
    network = AlignedNetwork(backbone, [nn.Identity()], [TimedTap("align", "patches", 1, 0.5)])
    flow = JointFlow("linear", "uniform", 0.1, 3, {"token": (4,)})
    learner = EntangledLearner(network, flow, Factor(), Factor(), "cls", said["beta"])
    batch |= {"target/cls": wave((6, 4), 0.83, 0.6), "target/patches": wave((6, 4, 4), 0.71, 0.35)}
    batch |= {"noise/token": wave((6, 4), 1.21, 0.1)}
    found = values(learner, batch)
    agrees({"parts": torch.stack([found[name] for name in ("denoise", "token", "align")]).detach()}, "reg")
    loss = loss_of(learner, batch)
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, network)}, "reg")
    state, _, _ = flow.inputs(learner.completed(batch, lambda own: own))
    assert float(flow.layout(batch).split(state)[1].sum()) == pytest.approx(said["cls_t_sum"], rel=1e-9)


class Psi(nn.Module):
    """The vector's encoder, tanh(flat @ W)."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(0.4 * wave((12, 5), 0.31, 0.9))

    def forward(self, x):
        """(b, 4, 3) -> (b, 5)."""
        return torch.tanh(x.flatten(1) @ self.w)


def test_sadm():
    batch = drawn()
    network = StructuralNetwork(Toy(ONLINE), Psi())
    learner = StructuralLearner(network, FLOW, Factor(), Factor().times(0.1), 6, 0.0, 1.0)
    distance = values(learner, batch)["structure"]
    agrees({"distance": distance.detach(), "discriminator_loss": -distance.detach()}, "sadm")
    agrees({"total_with_lambda_0_1": loss_of(learner, batch).detach()}, "sadm")
    for part, player in ((network.backbone, "denoiser"), (network.projectors, "discriminator")):
        norm = gradient_norm(values(learner, batch)["structure"], part)
        agrees({f"grad_norm_{player}": norm}, "sadm")


def test_sadm_has_both_players_on_opposite_sides():
    """Of a step along the gradients of the one loss the denoiser's lowers the distance and Psi's raises it."""
    for part, side in (("backbone", -1), ("projectors", 1)):
        network = StructuralNetwork(Toy(ONLINE), Psi())
        learner = StructuralLearner(network, FLOW, Factor(), Factor(), 6, 0.0, 1.0)
        before = values(learner, drawn())["structure"]
        parameters = list(getattr(network, part).parameters())
        gradients = torch.autograd.grad(before, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(1e-4 * gradient)
        assert side * float((values(learner, drawn())["structure"] - before).detach()) > 0
