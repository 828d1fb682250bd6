"""Golden numbers of reinforcement learning with a reward."""

import pytest
import torch
from methods_vectors import GOLDEN, OLD_POLICY, ONLINE, Toy, agrees, drawn, gradient_norm
from reference_vectors import wave

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.flow import FlowMatching
from reedbench.nn.interpolants import LINEAR, expand
from reedbench.nn.reward import RewardLearner
from reedbench.nn.rewards import even_spread
from reedbench.nn.rollouts import advantages, clipped, log_density, transition

FLOW = FlowMatching("linear", "uniform", 0.1, null_label=3)
REWARDS = torch.tensor([0.2, 1.1, -0.4, 0.9, 2.0, -1.3], dtype=torch.float64)


def learner(clip: float) -> RewardLearner:
    return RewardLearner(TappedNetwork(Toy(ONLINE), ()), FLOW, 1.0, transitions=2, steps=11, clip=clip, classes=3)


def moved() -> dict[str, torch.Tensor]:
    """A transition of the old policy from x_t at 0.6 to 0.7, as the learner keeps one."""
    batch = drawn()
    x = FLOW.inputs(batch)[0]
    now, then = torch.full((6,), 0.6, dtype=torch.float64), torch.full((6,), 0.7, dtype=torch.float64)
    with torch.no_grad():
        mean, variance = transition(LINEAR, Toy(OLD_POLICY)(x, now, batch["y"])[0], x, now, then)
    after = mean + expand(variance.sqrt(), x) * wave((6, 4, 3), 1.7, 0.3)
    kept = {"x": x, "after": after, "now": now, "then": then, "advantage": advantages(REWARDS)}
    return {"x_1": batch["x_1"], "asked": batch["y"], **kept, "old": log_density(after, mean, variance)}


@pytest.mark.parametrize("clip", ["0.02", "1e-4"])
def test_the_clipped_loss_of_a_transition(clip):
    one, batch = learner(float(clip)), moved()
    one.begin(1)
    (term,) = one.terms(batch, one.network).values()
    loss = term.sum / term.weight
    new = one._log_density(one.network, batch).detach()
    ratio = (new - batch["old"]).exp()
    found = {"loss": loss.detach(), "grad_norm": gradient_norm(loss, one.network)}
    found |= {"log_prob_old": batch["old"], "log_prob_new": new, "ratio": ratio, "advantages": batch["advantage"]}
    agrees(found, f"rl_clip_{clip}")
    outside = (ratio - 1).abs() > float(clip)
    assert outside.tolist() == GOLDEN[f"rl_clip_{clip}"]["clipped"]


def test_a_sum_over_elements_leaves_the_range_of_clipping():
    batch = moved()
    x, now, then = batch["x"], batch["now"], batch["then"]
    velocities = [Toy(s)(x, now, batch["asked"])[0].detach() for s in (OLD_POLICY, ONLINE)]
    laws = [transition(LINEAR, velocity, x, now, then) for velocity in velocities]
    old, new = (log_density(batch["after"], *law) * x[0].numel() for law in laws)
    agrees({"log_prob_old": old, "ratio": (new - old).exp()}, "rl_sum_over_dimensions")


def test_the_reward_of_a_distribution():
    said = GOLDEN["rl_parity_reward"]
    assert float(even_spread(torch.tensor(said["counts"], dtype=torch.float64))) == pytest.approx(said["reward"])


def test_a_loss_is_the_larger_one_whatever_the_sign_of_the_advantage():
    values = clipped(torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([2.0, 0.5, 2.0, 0.5]), 0.1)
    assert values.tolist() == pytest.approx([-1.1, -0.5, 2.0, 0.9])
