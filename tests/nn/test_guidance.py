"""Guidance: when it is on, what it computes, and what it costs."""

import pytest
import torch
from torch import Tensor

from reedbench.nn.guidance import evaluations, guided, is_active
from reedbench.nn.samplers import euler, heun, ode_grid

NULL = 10
X = torch.linspace(-1, 1, 24).reshape(2, 3, 4)
Y = torch.tensor([3, 7])


def velocity(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    return torch.sin(x) + (t + 0.1 * y)[:, None, None]


class Recorder:
    """The velocity, keeping the inputs of every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        self.calls.append((x, t, y))
        return velocity(x, t, y)


def sample(field, sampler=euler, steps: int = 10) -> Tensor:
    return sampler(lambda x, t, at: field(x, t, Y, at), X, steps)


@pytest.mark.parametrize("sampler", [euler, heun])
@pytest.mark.parametrize(("scale", "interval"), [(1.0, (0.0, 1.0)), (4.0, (1.1, 1.2)), (4.0, (0.51, 0.59))])
def test_guidance_that_is_never_on_is_bit_equal_to_none(sampler, scale, interval):
    unguided = sampler(lambda x, t, at: velocity(x, t, Y), X, 10)
    assert torch.equal(sample(guided(velocity, NULL, scale, interval), sampler), unguided)


def test_a_guided_step_extrapolates_from_the_null_label_on_all_channels():
    t = torch.full((2,), 0.5)
    v, null = velocity(X, t, Y), velocity(X, t, torch.full_like(Y, NULL))
    torch.testing.assert_close(guided(velocity, NULL, 2.5)(X, t, Y, 0.5), null + 2.5 * (v - null))


def test_a_guided_step_is_one_call_whose_halves_differ_in_the_label_only():
    recorder = Recorder()
    guided(recorder, NULL, 2.0)(X, torch.rand(2), Y, 0.5)
    ((x, t, y),) = recorder.calls
    assert torch.equal(x[:2], x[2:])
    assert torch.equal(t[:2], t[2:])
    assert y.tolist() == [3, 7, NULL, NULL]


def test_both_ends_of_the_interval_are_guided_in_spite_of_rounding():
    active = [is_active(at, 2.0, (0.3, 0.6)) for at in ode_grid(10)]
    assert active == [False] * 3 + [True] * 4 + [False] * 4
    assert ode_grid(10)[3] != 0.3 or ode_grid(10)[6] != 0.6


def test_heun_decides_once_per_step():
    recorder = Recorder()
    sample(guided(recorder, NULL, 2.0, (0.0, 0.5)), heun, steps=4)
    assert [len(x) for x, _, _ in recorder.calls] == [4, 4, 4, 4, 4, 4, 2]
    times = [t[0].item() for _, t, _ in recorder.calls]
    assert times == [0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


def test_a_scale_below_one_is_refused():
    with pytest.raises(ValueError, match=r"at least 1 .* got 0\.5"):
        guided(velocity, NULL, 0.5)


@pytest.mark.parametrize(
    ("sampler", "scale", "interval", "nfe"),
    [
        ("euler", 1.0, (0.0, 1.0), 10),
        ("heun", 1.0, (0.0, 1.0), 19),
        ("euler-maruyama", 1.0, (0.0, 1.0), 10),
        ("euler", 2.0, (0.0, 1.0), 20),
        ("heun", 2.0, (0.0, 1.0), 38),
        ("euler", 2.0, (0.3, 0.8), 16),
        ("heun", 2.0, (0.3, 1.0), 19 + 13),
        ("euler-maruyama", 2.0, (0.3, 1.0), 17),
    ],
)
def test_evaluations_count_guided_steps_twice(sampler, scale, interval, nfe):
    assert evaluations(sampler, 10, scale, interval) == nfe


@pytest.mark.parametrize(("name", "sampler"), [("euler", euler), ("heun", heun)])
def test_evaluations_are_those_that_the_network_sees(name, sampler):
    recorder = Recorder()
    sample(guided(recorder, NULL, 2.0, (0.2, 0.7)), sampler, steps=10)
    assert sum(len(x) for x, _, _ in recorder.calls) // len(X) == evaluations(name, 10, 2.0, (0.2, 0.7))
