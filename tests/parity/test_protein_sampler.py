"""The ancestral sampler against the reference's, with a network that always says the same and given uniform numbers.

Source: REED protein/fmif/fm_utils.py:89-143 @0a4527e, run once on the CPU; only numbers were kept.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from reedbench.nn.residues import MASK
from reedbench.nn.unmasking_samplers import ancestral

STEPS = 6
SAID = torch.from_numpy(np.random.RandomState(7).standard_normal((2, 12, 22)).astype(np.float32)).log_softmax(-1)
# What the first protein unmasks in each transition but the last, and both proteins at the end.
NEW_TOKENS = [{6: 9, 8: 19}, {0: 0, 5: 9, 10: 1}, {2: 3, 7: 8}, {4: 8, 9: 3}]
FINAL = [[0, 1, 3, 8, 8, 9, 9, 8, 19, 3, 1, 18], [0, 10, 8, 20, 9, 3, 2, 13, 2, 3, 16, 19]]
FINAL_HOT = [[3, 15, 13, 8, 8, 18, 7, 1, 11, 8, 2, 18], [7, 10, 8, 20, 9, 7, 14, 20, 12, 9, 11, 19]]
ARGMAX = [[0, 1, 3, 8, 8, 9, 9, 8, 19, 3, 1, 4], [0, 10, 8, 20, 9, 3, 2, 13, 2, 14, 16, 15]]


def uniforms():
    """The reference's uniform numbers, one draw per transition."""
    source = np.random.RandomState(11)
    return lambda i: torch.from_numpy(source.random_sample((2, 12, 22)).astype(np.float32))


def sample(temperature: float, *, lazy: bool):
    seen: list[list[Tensor]] = [[], []]

    def predict(noisy: Tensor, rows: Tensor) -> Tensor:
        for row, tokens in zip(rows.tolist(), noisy, strict=True):
            seen[row].append(tokens)
        return SAID[rows]

    weight = torch.ones(2, 12)
    found = ancestral(predict, weight, uniforms(), steps=STEPS, temperature=temperature, allow_unknown=True, lazy=lazy)
    return found, seen


@pytest.mark.parametrize("lazy", [True, False])
def test_the_states_are_those_of_the_reference(lazy):
    found, seen = sample(0.1, lazy=lazy)
    expected = [torch.full((12,), MASK)]
    for new in NEW_TOKENS:
        expected.append(expected[-1].clone())
        for place, token in new.items():
            expected[-1][place] = token
    assert torch.equal(torch.stack(seen[0]), torch.stack(expected))
    assert found.tokens.tolist() == FINAL
    assert found.argmax.tolist() == ARGMAX


@pytest.mark.parametrize("lazy", [True, False])
def test_at_temperature_one_tokens_are_those_of_the_reference(lazy):
    found, _ = sample(1.0, lazy=lazy)
    assert found.tokens.tolist() == FINAL_HOT
    assert found.argmax.tolist() == ARGMAX
