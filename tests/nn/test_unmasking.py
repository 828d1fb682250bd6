"""Corruption of tokens, and the parts of the denoising loss."""

import math

import pytest
import torch

from reedbench.nn.residues import MASK, UNKNOWN
from reedbench.nn.unmasking import corrupted, cross_entropy, time_weight, times


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_times_are_uniform_between_the_least_and_one_minus_it():
    t = times(torch.rand(100_000, generator=generator(), dtype=torch.float64))
    assert t.min() == pytest.approx(0.01, abs=1e-4)
    assert t.max() == pytest.approx(0.99, abs=1e-4)
    assert t.mean().item() == pytest.approx(0.5, abs=0.98 * 5 / math.sqrt(12 * 100_000))
    assert times(torch.tensor([0.0, 1.0], dtype=torch.float64), 0.2).tolist() == pytest.approx([0.2, 0.8])


def test_a_residue_is_masked_with_probability_one_minus_t():
    tokens = torch.randint(20, (4, 50_000), generator=generator())
    t = torch.tensor([0.01, 0.25, 0.5, 0.99])
    noisy = corrupted(tokens, t, torch.rand(tokens.shape, generator=generator()), torch.ones(tokens.shape))
    share = (noisy == MASK).double().mean(1)
    spread = (t * (1 - t) / 50_000).sqrt()
    assert ((share - (1 - t)).abs() < 4 * spread).all()
    assert torch.equal(noisy[noisy != MASK], tokens[noisy != MASK])


def test_a_number_below_one_minus_t_masks_and_the_bound_itself_does_not():
    u = torch.tensor([[0.0, 0.49, 0.5, 0.51]])
    noisy = corrupted(torch.tensor([[3, 4, 5, 6]]), torch.tensor([0.5]), u, torch.ones(1, 4))
    assert noisy.tolist() == [[MASK, MASK, 5, 6]]


def test_unresolved_residues_and_padding_are_masked_at_any_time():
    u, weight = torch.full((1, 4), 0.999), torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    noisy = corrupted(torch.tensor([[3, 4, UNKNOWN, 0]]), torch.tensor([0.99]), u, weight)
    assert noisy.tolist() == [[3, MASK, UNKNOWN, MASK]]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothed_labels_are_onehot_plus_a_share_for_all_tokens_renormalised(smoothing):
    logits = torch.randn(2, 5, 22, generator=generator(), dtype=torch.float64)
    tokens = torch.randint(21, (2, 5), generator=generator())
    labels = torch.nn.functional.one_hot(tokens, 22).double() + smoothing / 22
    labels = labels / labels.sum(-1, keepdim=True)
    expected = -(labels * logits.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(cross_entropy(logits, tokens, smoothing), expected, rtol=1e-12, atol=0)


def test_equal_logits_cost_the_logarithm_of_the_number_of_tokens():
    loss = cross_entropy(torch.zeros(1, 3, 22), torch.tensor([[0, 7, 20]]))
    torch.testing.assert_close(loss, torch.full((1, 3), math.log(22)))


def test_the_loss_is_at_least_float32():
    logits = torch.randn(1, 4, 22, generator=generator()).to(torch.bfloat16)
    loss = cross_entropy(logits, torch.zeros(1, 4, dtype=torch.int64))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, cross_entropy(logits.float(), torch.zeros(1, 4, dtype=torch.int64)))


def test_the_time_weight_is_one_per_chain():
    t = torch.tensor([0.01, 0.5, 0.99], dtype=torch.float64)
    assert time_weight(t, "constant").tolist() == [1, 1, 1]
    expected = [1 / (0.99 * 4.605), 1 / (0.5 * 4.605), 1 / (0.01 * 4.605)]
    assert time_weight(t, "schedule").tolist() == pytest.approx(expected)
