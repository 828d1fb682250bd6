"""Alignment: projector, cosine loss, and weights over time."""

import numpy as np
import pytest
import torch

from reedbench.core import seeds
from reedbench.nn.alignment import (
    TIME_WEIGHTS,
    Projector,
    cosine_alignment,
    cutoff,
    pool_tokens,
    sample_weights,
)


def seeded(name: str) -> np.random.Generator:
    return seeds.stream(name)


def test_the_projector_has_the_keys_of_the_reference():
    shapes = {key: tuple(value.shape) for key, value in Projector(6, 8, 5).state_dict().items()}
    assert shapes == {
        "0.weight": (8, 6),
        "0.bias": (8,),
        "2.weight": (8, 8),
        "2.bias": (8,),
        "4.weight": (5, 8),
        "4.bias": (5,),
    }


def test_projector_weights_depend_on_their_generators_alone():
    first, second = Projector(6, 8, 5), Projector(6, 8, 5).double()
    for projector in (first, second):
        projector.initialise(seeded)
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, second.get_parameter(name).float()), name
        assert name.endswith("weight") or not parameter.any(), name


def test_a_projector_of_semla_has_weights_of_xavier_and_biases_of_torch():
    made = {law: Projector(6, 400, 5, law=law) for law in ("xavier", "torch", "semla")}
    for one in made.values():
        one.initialise(lambda name: seeds.stream("init", name))
    for name, parameter in made["semla"].named_parameters():
        same = made["xavier" if name.endswith("weight") else "torch"].get_parameter(name)
        assert torch.equal(parameter, same)
    assert made["semla"][0].weight.abs().max().item() == pytest.approx((6 / 406) ** 0.5, rel=0.01)


def test_alignment_is_minus_one_for_parallel_vectors_of_any_length():
    h = torch.randn(3, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(cosine_alignment(7 * h, h), -torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(cosine_alignment(-h[:, 0], h[:, 0]), torch.ones(3, dtype=torch.float64))


def test_alignment_is_the_mean_over_tokens():
    prediction, target = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    tokens = torch.stack([cosine_alignment(prediction[:, i], target[:, i]) for i in range(5)])
    torch.testing.assert_close(cosine_alignment(prediction, target), tokens.mean(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_alignment_of_half_precision_features_is_computed_in_float32(dtype):
    prediction, target = 300 * torch.randn(3, 5, 8), torch.randn(3, 5, 8).to(dtype)
    loss = cosine_alignment(prediction.to(dtype), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, cosine_alignment(prediction.to(dtype).float(), target.float()))


def test_a_zero_vector_aligns_with_nothing_and_has_finite_gradients():
    h = torch.zeros(2, 4, requires_grad=True)
    loss = cosine_alignment(h, torch.randn(2, 4))
    loss.sum().backward()
    assert loss.tolist() == [0.0, 0.0]
    assert h.grad is not None
    assert h.grad.isfinite().all()


def test_pooling_averages_tokens():
    h = torch.arange(12.0).reshape(2, 3, 2)
    assert pool_tokens(h).tolist() == [[2.0, 3.0], [8.0, 9.0]]
    assert pool_tokens(h, "sum").tolist() == (h.shape[1] * pool_tokens(h)).tolist()


@pytest.mark.parametrize("name", TIME_WEIGHTS)
def test_time_weights_grow_towards_data_where_they_are_one(name):
    weights = TIME_WEIGHTS[name](torch.linspace(0, 1, 11, dtype=torch.float64))
    assert (weights.diff() >= 0).all()
    assert weights[-1].item() == pytest.approx(1.0, abs=0.01)
    assert weights.min() >= 0


def test_the_cutoff_includes_both_ends():
    assert cutoff(torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9]), 0.25, 0.75).tolist() == [0, 1, 1, 1, 0]


def test_per_sample_weighting_is_a_product():
    loss, weight = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])
    assert (loss * sample_weights(weight)).tolist() == [0.0, 2.0]


def test_reference_weighting_uses_the_mean_weight_of_the_batch():
    loss, weight = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])
    assert (loss * sample_weights(weight, "reference")).tolist() == [0.5, 1.0]
