"""Adaptive steps: those of torchdiffeq for a sample alone, and the same for it in any company."""

import pytest
import torch
from torch import Tensor

from reedbench.core.errors import Diverged
from reedbench.nn.adaptive import SOLVERS, by_call, by_sample, followed
from reedbench.nn.interpolants import expand

ALLOWED = {"rtol": 1e-3, "atol": 1e-6}
X_0 = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def slope(x: Tensor, t: Tensor) -> Tensor:
    """Stiff and fast enough that steps are refused."""
    t = expand(t, x)
    return 0.3 * torch.sin(7 * t) * x**2 - 3 * x + torch.cos(20 * t)


def test_a_sample_takes_the_steps_that_torchdiffeq_takes_for_it_alone():
    odeint = pytest.importorskip("torchdiffeq").odeint
    calls = []

    def alone(t: Tensor, x: Tensor) -> Tensor:
        calls.append(t)
        return slope(x, t.expand(1))

    found, made = by_sample(slope, X_0, 0.0, 1.0, **ALLOWED)
    assert len(set(made.tolist())) > 1
    times = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for i in range(len(X_0)):
        calls.clear()
        lands = {"step_t": times[1:]}  # ours end at the end
        x = odeint(alone, X_0[i : i + 1], times, method="dopri5", options=lands, **ALLOWED)[-1]
        torch.testing.assert_close(found[i], x[0], rtol=1e-12, atol=1e-14)
        assert made[i] == len(calls)


def test_a_sample_has_the_same_bits_in_any_company():
    together, made = by_sample(slope, X_0, 0.0, 1.0, **ALLOWED)
    for chosen in ([2], [4, 0], [1, 3, 2]):
        apart, again = by_sample(slope, X_0[chosen], 0.0, 1.0, **ALLOWED)
        assert torch.equal(apart, together[chosen])
        assert torch.equal(again, made[chosen])


def test_under_the_norm_of_the_reference_it_has_not():
    pytest.importorskip("torchdiffeq")
    together, _ = by_call(slope, X_0, 0.0, 1.0, **ALLOWED)
    apart, _ = by_call(slope, X_0[:2], 0.0, 1.0, **ALLOWED)
    assert not torch.equal(apart, together[:2])
    torch.testing.assert_close(apart, together[:2], rtol=1e-2, atol=1e-3)


def test_no_sample_is_asked_for_beyond_the_end():
    times = []

    def watched(x: Tensor, t: Tensor) -> Tensor:
        times.append(t)
        return slope(x, t)

    by_sample(watched, X_0, 0.25, 0.5, **ALLOWED)
    assert torch.stack(times).min() == 0.25
    assert torch.stack(times).max() == 0.5


def test_less_error_is_bought_with_more_evaluations():
    exact, _ = by_sample(slope, X_0, 0.0, 1.0, rtol=1e-11, atol=1e-12)
    errors, counts = [], []
    for rtol in (1e-2, 1e-4, 1e-6):
        x, made = by_sample(slope, X_0, 0.0, 1.0, rtol=rtol, atol=rtol / 1000)
        errors.append((x - exact).abs().max().item())
        counts.append(made.sum().item())
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert counts == sorted(counts)


def test_a_field_of_nothing_is_crossed_in_few_steps():
    x, made = by_sample(lambda x, t: torch.zeros_like(x), X_0, 0.0, 1.0, **ALLOWED)
    assert torch.equal(x, X_0)
    assert made.max() < 60


@pytest.mark.parametrize("by", SOLVERS)
def test_a_velocity_that_is_not_finite_is_an_error_and_no_endless_loop(by):
    if by == "reference":
        pytest.importorskip("torchdiffeq")

    def broken(x: Tensor, t: Tensor, at: float) -> Tensor:
        return torch.where(expand(t, x) > 0.5, torch.nan, x)

    with pytest.raises(Diverged, match="sampling: "):
        followed(broken, X_0.float(), 1.0, (0.0, 1.0), by=by, **ALLOWED)


def test_the_network_sees_its_own_dtype_and_the_result_has_it():
    seen = set()

    def watched(x: Tensor, t: Tensor, at: float) -> Tensor:
        seen.add((x.dtype, t.dtype, tuple(t.shape)))
        return slope(x, t)

    x, _ = followed(watched, X_0.float(), 1.0, (0.0, 1.0), by="sample", **ALLOWED)
    assert seen == {(torch.float32, torch.float32, (5,))}
    assert x.dtype == torch.float32


def test_guidance_is_decided_once_per_stretch_of_time_and_counts_twice():
    asked = []

    def watched(x: Tensor, t: Tensor, at: float) -> Tensor:
        asked.append((at, t.min().item(), t.max().item()))
        return slope(x, t)

    _, made = followed(watched, X_0, 2.0, (0.3, 1.0), by="sample", **ALLOWED)
    assert {at for at, _, _ in asked} == {0.15, 0.65}
    assert all(low >= (0.0 if at == 0.15 else 0.3) and high <= (0.3 if at == 0.15 else 1.0) for at, low, high in asked)
    middle, off = by_sample(slope, X_0, 0.0, 0.3, **ALLOWED)
    _, on = by_sample(slope, middle, 0.3, 1.0, **ALLOWED)
    assert torch.equal(made, off + 2 * on)
