"""What every objective must do in the training loop, of whatever domain, whoever wrote it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import tiny_molecules
import tiny_proteins
import tiny_runs
import torch
from tiny_plugins import each, make, under_test
from torch import Tensor

from reedbench.nn.learner import WHOLE, Learner
from reedbench.objectives import AbstractObjective
from reedbench.training.ahead import Ahead
from reedbench.training.trainer import AHEAD, Trainer

# Encoders that objectives may name here, and where they are.
FOR_IMAGES = {name: name for name in ("patches", "text", "token", "attention")}
FOR_CHAINS = {"residues": "one", "pairs": "two"}
FOR_MOLECULES = {"vector": "vector"}
DOMAINS = {
    "image": (tiny_runs, FOR_IMAGES),
    "protein": (tiny_proteins, FOR_CHAINS),
    "molecule": (tiny_molecules, FOR_MOLECULES),
}

# What objectives learn from that ask a teacher: by default a plain one.
TEACHERS = {"progressive-distillation": "guided-distillation"}

ELSEWHERE = [name for name, one in under_test("objectives").items() if not issubclass(one, AbstractObjective)]
each_trained = each("objectives", *ELSEWHERE, domain=None)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory) -> Callable[..., Trainer]:
    """A trainer of an objective on random data of its domain."""
    folders = {}
    for domain, (tiny, encoders) in DOMAINS.items():
        folders[domain] = tmp_path_factory.mktemp(domain)
        tiny.write_data(folders[domain])
        for name, folder in encoders.items():
            if name != folder:
                (folders[domain] / name).symlink_to(folders[domain] / folder)

    def made(name: str, **settings: Any) -> Trainer:
        method = make("objectives", name)
        (tiny, _), folder = DOMAINS[method.domain], folders[method.domain]
        if method.domain != "image":
            return tiny.trainer(folder, method, **settings)
        if method.asks_teacher:
            settings = {"teacher": taught_by(name, settings.get("double", False)), **settings}
        cut = max(1, getattr(method, "rows_per_group", lambda: 1)())
        return tiny.trainer(folder, method, **{"batch": 2 * cut if cut > 1 else 8, **settings})

    return made


def taught_by(name: str, double: bool) -> Any:
    """A teacher's network with weights of which none is zero."""
    one = make("objectives", TEACHERS[name]) if name in TEACHERS else tiny_runs.SIT
    return tiny_runs.teacher(one, double=double)


def bits(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def shaken(one: Trainer) -> Trainer:
    """With weights of which none is zero, as after some training."""
    with torch.no_grad():
        for i, parameter in enumerate(one.parameters.values()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    return one


def terms_of(one: Trainer, step: int, network: Any = None) -> tuple[dict[str, Any], Any]:
    """The terms of the global batch of a step, as the loop asks for them, and the batch."""
    share = one._share_of(step)
    with torch.no_grad():
        share = replace(share, batch=one.learner.looked_up(share.batch, step, one.others))
    return one.learner.terms(share.batch, network or one.network), share


def backward(one: Trainer, step: int, terms: dict[str, Any]) -> None:
    coefficients = one.learner.coefficients(step)
    torch.stack([coefficients[key] * term.sum for key, term in terms.items()]).sum().backward()


@each_trained
def test_rows_drawn_ahead_by_a_thread_change_nothing(name, trainer):
    """Over the start, and over the first change of the terms that are computed, if it comes soon."""
    straight, ahead = trainer(name), trainer(name)
    ahead.ahead = Ahead(ahead._drawn, AHEAD, ahead._alike)
    for step in range(4):
        one, other = straight.update(step), ahead.update(step)
        assert {n: x.item() for n, x in one.items()} == {n: x.item() for n, x in other.items()}
    assert bits(straight.state()) == bits(ahead.state())


@each_trained
def test_a_learner_says_what_it_computes_when(name, trainer):
    learner = trainer(name).learner
    assert isinstance(learner, Learner)
    assert learner.phases()[0] == 0
    assert list(learner.phases()) == sorted(set(learner.phases()))
    assert learner.kinds.keys() <= learner.factors.keys()
    assert set(learner.kinds.values()) <= {"loss", "cosine"}
    for step in learner.phases():
        assert learner.coefficients(step).keys() <= learner.factors.keys()


@each_trained
def test_an_objective_announces_its_terms_and_trains_every_parameter_in_some_phase(name, trainer):
    one = trainer(name)
    idle = set(one.parameters)
    for step in one.phases:
        terms, share = terms_of(one, step)
        assert terms.keys() == share.own.keys() == one.learner.coefficients(step).keys()
        assert all(term.sum.isfinite() and term.weight == share.own[key] for key, term in terms.items())
        backward(one, step, terms)
        idle -= {key for key, parameter in one.parameters.items() if parameter.grad is not None}
    assert not idle, "these parameters never get a gradient; set requires_grad_(False)"


@each_trained
def test_what_is_published_holds_the_backbone(name, trainer):
    one = trainer(name)
    backbone = one.network.backbone.state_dict()
    assert backbone.keys() <= one.published().keys()
    assert 0 < one.learner.sampling_parameters() <= sum(p.numel() for p in one.network.parameters())


@each_trained
def test_the_terms_go_through_the_network_that_is_given_and_through_no_other(name, trainer):
    one = trainer(name)
    given = copy.deepcopy(one.network)
    terms, _ = terms_of(one, 0, given)
    backward(one, 0, terms)
    assert any(parameter.grad is not None for parameter in given.parameters())
    assert all(parameter.grad is None for parameter in one.network.parameters())


@each_trained
def test_terms_and_weights_of_a_batch_are_the_sums_of_those_of_its_parts(name, trainer):
    one = shaken(trainer(name))
    if one.learner.group == WHOLE:
        pytest.skip("says that its batches cannot be cut, and is then refused with micro-batches and ranks")
    with torch.no_grad():
        whole, share = terms_of(one, 0)
        cut = one.learner.group if one.learner.group > 1 else 3
        pieces = [{k: v[part] for k, v in share.batch.items()} for part in (slice(0, cut), slice(cut, None))]
        parts = [one.learner.terms(piece, one.network) for piece in pieces]
    for key, term in whole.items():
        found = sum(part[key].sum.item() for part in parts)
        assert found == pytest.approx(term.sum.item(), rel=1e-4, abs=1e-5), (
            f"{key} depends on other rows: compare them in groups (Learner.group) or in `completed`"
        )
        assert sum(part[key].weight for part in parts) == pytest.approx(term.weight)
        assert sum(one.learner.weights(piece)[key] for piece in pieces) == pytest.approx(share.own[key])


@each_trained
def test_micro_batches_change_the_gradient_by_rounding_only(name, trainer):
    if trainer(name).learner.group == WHOLE:
        pytest.skip("says that its batches cannot be cut, and is then refused with micro-batches and ranks")

    def gradient(accumulation: int) -> Tensor:
        one = trainer(name, accumulation=accumulation, double=True)
        with torch.no_grad():
            for parameter in one.parameters.values():
                parameter.add_(0.05 * torch.sin(torch.arange(parameter.numel()).double()).view_as(parameter))
        one.update(0)
        moments = [m for key, m in one.state().items() if key.startswith("optimiser/exp_avg/")]
        return torch.cat([moment.flatten() for moment in moments])

    whole, cut = gradient(1), gradient(2)
    assert float((cut - whole).norm() / whole.norm()) < 1e-10


@each_trained
@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_ends_in_the_bytes_of_one_that_was_left_alone(name, trainer, stop):
    whole, first, again = (trainer(name) for _ in range(3))
    for step in range(5):
        whole.update(step)
    for step in range(stop):
        first.update(step)
    again.flops(stop)
    again.restore({key: tensor.detach().clone() for key, tensor in first.state().items()})
    for step in range(stop, 5):
        again.update(step)
    assert bits(again.state()) == bits(whole.state()), "what it keeps from step to step belongs into buffers or `state`"
    assert bits(again.published()) == bits(whole.published())


@each_trained
def test_counting_operations_leaves_no_trace(name, trainer):
    counted, left = trainer(name), trainer(name)
    for one in (counted, left):
        one.update(0)
    random = torch.random.get_rng_state()
    assert all(counted.flops(step) > 0 for step in counted.phases)
    assert torch.equal(torch.random.get_rng_state(), random)
    for one in (counted, left):
        one.update(1)
    assert bits(counted.state()) == bits(left.state())
