"""The learning rate rises linearly over the first steps, as a function of the step alone."""

import torch
from tiny_runs import SIT
from torch import Tensor

from reedbench.schema.benchmark import Optimiser, Training
from reedbench.training.trainer import Trainer


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainer.parameters.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_each_step_of_the_warm_up_takes_its_share_of_the_learning_rate(make):
    trainer = make(SIT, shaken=True, optimiser=Optimiser(lr=1e-3, warmup=4))
    rates = []
    for step in range(6):
        trainer.update(step)
        rates.append(trainer.optimiser.lr)
    assert rates == [0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3]


def test_the_first_step_moves_weights_as_one_at_its_share_of_the_learning_rate(make):
    warm = make(SIT, shaken=True, optimiser=Optimiser(lr=1e-3, warmup=4))
    low, high = (make(SIT, shaken=True, optimiser=Optimiser(lr=lr)) for lr in (0.25e-3, 1e-3))
    for trainer in (warm, low, high):
        trainer.update(0)
    assert same(weights(warm), weights(low))
    assert not same(weights(warm), weights(high))


def test_a_run_that_is_resumed_within_the_warm_up_goes_on_as_if_it_had_not_stopped(make):
    def warm() -> Trainer:
        return make(SIT, shaken=True, optimiser=Optimiser(lr=1e-3, warmup=5))

    whole, resumed, first = warm(), warm(), warm()
    for step in range(7):
        whole.update(step)
    for step in range(3):
        first.update(step)
    resumed.restore({name: tensor.detach().clone() for name, tensor in first.state().items()})
    for step in range(3, 7):
        resumed.update(step)
    assert same(weights(whole), weights(resumed))


def test_no_warm_up_is_no_part_of_a_recipe():
    plain = Training(segment=10, save_every=5, optimiser=Optimiser(lr=2e-3))
    assert "warmup" not in plain.identity()["optimiser"]
    warm = plain.model_copy(update={"optimiser": Optimiser(lr=2e-3, warmup=200)})
    assert warm.identity()["optimiser"] == {"lr": 2e-3, "warmup": 200}
