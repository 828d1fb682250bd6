"""Rewards: rollouts are those of the old policy, iterations take turns, and any cut or stop gives the same."""

import pytest
import torch
from forked import on_ranks
from tiny_runs import BATCH, CLASSES, NO_CLIP

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.learner import DENOISE
from reedbench.nn.reward import POLICY
from reedbench.nn.rewards import of_class, parity, spread_of
from reedbench.objectives.reward import RewardObjective
from reedbench.training.trainer import Trainer

TRAINED = {"init": "teacher", "teacher": {"method": "sit", "step": 5}}
REWARD = RewardObjective(label="-", judge="text", **TRAINED, transitions=2, rollout=4, clip=0.1)
PERIOD = 3


@pytest.fixture
def rewarded(make):
    def made(method=REWARD, **settings) -> Trainer:
        return make(method, shaken=True, **settings)

    return made


def bits(tensors):
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def test_an_iteration_learns_from_transitions_then_from_data(rewarded):
    trainer = rewarded()
    found = [set(trainer.update(step)) - {"gradient_norm", "reward"} for step in range(2 * PERIOD)]
    assert found == [{POLICY}, {POLICY}, {DENOISE}] * 2


def test_the_curve_shows_the_mean_reward_of_the_rollouts(rewarded):
    trainer = rewarded()
    mean = trainer._share_of(0).batch["reward"].mean()
    first = [trainer.update(step) for step in range(PERIOD)]
    assert float(first[0]["reward"]) == pytest.approx(float(mean), abs=1e-6)
    assert first[0]["reward"] == first[1]["reward"]
    assert "reward" not in first[2]


def test_the_first_update_has_ratios_of_1_and_the_second_has_not(rewarded):
    trainer = rewarded()
    for step in range(2):
        share = trainer._share_of(step)
        with torch.no_grad():
            batch = trainer.learner.looked_up(share.batch, step, trainer.others)
            ratio = (trainer.learner._log_density(trainer.network, batch) - batch["old"]).exp()
        assert ((ratio - 1).abs().max() < 1e-6) == (step == 0)
        trainer.update(step)


def test_a_network_that_answers_in_two_ways_is_an_error(rewarded):
    trainer = rewarded()

    def twofold(module, given, out):
        return out[0] * (1 + 0.1 * out[0].requires_grad), out[1]

    trainer.network.register_forward_hook(twofold)
    with pytest.raises(ValueError, match=r"ratios up to .* from 1: old and new policy are one there"):
        trainer.update(0)


def test_advantages_are_those_of_the_global_batch_and_rewards_of_what_was_asked(rewarded):
    trainer = rewarded()
    batch = trainer._share_of(0).batch
    assert float(batch["advantage"].mean()) == pytest.approx(0, abs=1e-6)
    assert float(batch["advantage"].double().std(unbiased=False)) == pytest.approx(1, abs=1e-3)
    asked = seeds.rows(range(BATCH), "rollout-labels", "b", 0, 0).seeds() % CLASSES
    assert batch["asked"].tolist() == asked.tolist()
    assert (batch["reward"] < 0).all()


def test_steps_of_an_iteration_learn_from_different_transitions_of_one_set_of_rollouts(rewarded):
    trainer = rewarded()
    first, second = (trainer._share_of(step).batch for step in (0, 1))
    assert torch.equal(first["advantage"], second["advantage"])
    assert not torch.equal(first["now"], second["now"])


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_a_run_that_was_stopped_anywhere_ends_in_the_same_bytes(rewarded, stop):
    whole, first, again = rewarded(), rewarded(), rewarded()
    for step in range(2 * PERIOD):
        whole.update(step)
    for step in range(stop):
        first.update(step)
    again.restore({name: tensor.clone() for name, tensor in first.state().items()})
    for step in range(stop, 2 * PERIOD):
        again.update(step)
    assert bits(again.state()) == bits(whole.state())


def added(found):
    """Shares of ranks, step by step."""
    return [{name: sum(part[name] for part in parts) for name in parts[0]} for parts in zip(*found, strict=True)]


def test_any_number_of_ranks_and_micro_batches_learns_the_same(rewarded):
    def values(ranks=None, **settings):
        trainer = rewarded(ranks=ranks, double=True, clip=NO_CLIP, **settings)
        return [{name: value.item() for name, value in trainer.update(step).items()} for step in range(PERIOD + 1)]

    whole = values()
    for found in (values(accumulation=2), added(on_ranks(2, values))):
        for one, other in zip(whole, found, strict=True):
            assert other == pytest.approx(one, rel=1e-6)


def test_rollouts_are_in_the_precision_and_the_micro_batches_of_training(rewarded):
    trainer = rewarded(precision="bf16", accumulation=2)
    found = set()
    trainer.network.register_forward_pre_hook(
        lambda _, given: found.add((len(given[0]), torch.is_autocast_enabled("cpu")))
    )
    for step in range(PERIOD):
        trainer.update(step)
    assert found == {(BATCH // 2, True)}


def test_noise_of_rollouts_is_drawn_where_they_are_made(rewarded, monkeypatch):
    trainer, again, names = rewarded(), rewarded(), []
    rows = seeds.rows
    monkeypatch.setattr(seeds, "rows", lambda index, *named: names.append(named) or rows(index, *named))
    for phase in trainer.phases:
        trainer.flops(phase)  # which makes rollouts of its own, to count them
    names.clear()
    for step in range(2 * PERIOD):
        trainer.update(step)
    assert [named[-1] for named in names if named[0] == "rollout-noise"] == [0, PERIOD]
    first = rewarded()
    first.update(0)
    again.restore({name: tensor.clone() for name, tensor in first.state().items()})
    names.clear()
    again.update(1)  # in the middle of an iteration
    assert [named[-1] for named in names if named[0] == "rollout-noise"] == [0]


def test_a_step_costs_what_its_place_in_the_iteration_costs(rewarded):
    """R rows and T steps: T F of rollouts, 3F + F of an update, 3F on data; the judge costs no products here."""
    trainer = rewarded()
    forward = trainer.flops(PERIOD - 1) / 3
    # A backward pass leaves out the gradients of the inputs: a little less than twice a forward pass.
    assert trainer.flops(1) == pytest.approx(4 * forward, rel=0.02)
    assert trainer.flops(0) - trainer.flops(1) == pytest.approx(REWARD.rollout * forward, rel=0.02)
    assert [trainer.flops(step) for step in range(3, 6)] == [trainer.flops(step) for step in range(3)]


def test_steps_are_counted_by_their_place(rewarded):
    learner = rewarded().learner
    for start, stop in ((0, 9), (1, 8), (4, 5), (5, 5)):
        phases = [learner.phase(step) for step in range(start, stop)]
        assert learner.steps_by_phase(start, stop) == {p: phases.count(p) for p in (0, 1, 2)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rollout": 3, "transitions": 3}, "transitions 3: a rollout of 3 steps has 2 with noise"),
        ({"init": "scratch", "teacher": None}, "starts from a trained model: say init: teacher"),
        ({"group": 8}, "group has no effect on reward: class"),
        ({"path": "gvp"}, "path: rewards are for the linear path"),
        ({"denoise": {"shape": "linear-ramp", "length": 3}}, "denoise has no effect on uses: reward: give on_data"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RewardObjective(label="-", judge="text", **{**TRAINED, **settings})


def test_rewards_are_what_they_say():
    predicted = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]).log()
    asked = torch.tensor([2, 1])
    assert of_class(predicted, asked).exp().tolist() == pytest.approx([0.1, 0.8])
    assert parity(predicted, asked).tolist() == pytest.approx([0.8, 0.8])
    assert spread_of(predicted.repeat(2, 1), 2).tolist() == pytest.approx([-(2 * (1 / 6) ** 2 + (1 / 3) ** 2)] * 4)


def test_samples_that_are_rewarded_together_stay_together(make):
    with pytest.raises(ConfigError, match="batch of 8 rows cannot be cut into whole groups of 16"):
        make(RewardObjective(label="-", judge="text", **TRAINED, transitions=2, rollout=4, reward="spread"))
    make(
        RewardObjective(label="-", judge="text", **TRAINED, transitions=2, rollout=4, reward="spread", group=4)
    ).update(0)


def test_nobody_rewards_samples_without_a_judge(make):
    trainer = make(REWARD)
    trainer.learner.reward = None
    with pytest.raises(ValueError, match="nobody gave it a reward"):
        trainer.update(0)
