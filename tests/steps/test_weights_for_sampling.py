"""Weights that are not those of the backbone are one line that says which tensor."""

import pytest
import torch
from torch import nn

from reedbench.core.errors import MissingArtefact
from reedbench.steps.sample import _fill

FILE = "results/runs/tiny/mine/seed0/segment-0/step-0000010.safetensors"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda w: w.update(centre=torch.zeros(3)), "the backbone has no 'centre'"),
        (lambda w: w.pop("bias"), "'bias' is absent"),
        (lambda w: w.update(weight=torch.zeros(3, 3)), "'weight' is (3, 3), in the backbone (2, 2)"),
    ],
)
def test_a_tensor_that_sampling_does_not_know_is_named(edit, words):
    backbone = nn.Linear(2, 2)
    weights = dict(backbone.state_dict())
    edit(weights)
    with pytest.raises(MissingArtefact) as refused:
        _fill(backbone, weights, FILE)
    assert refused.value.exit_code == 3
    assert str(refused.value).startswith(f"{FILE}: not the weights of this backbone: {words}; ")
    assert "must be called projectors.*" in str(refused.value)
