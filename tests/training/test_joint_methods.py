"""HASTE, REG, SADM and ReDi on ranks and in micro-batches."""

import pytest
import torch
from forked import on_ranks
from joint_runs import HASTE, REDI, REG, SADM, gradients
from tiny_runs import NO_CLIP


@pytest.mark.parametrize("method", [HASTE, REG, SADM, REDI], ids=["haste", "reg", "sadm", "redi"])
@pytest.mark.parametrize(("world", "accumulation"), [(1, 2), (2, 1), (4, 1), (2, 2)])
def test_the_gradient_is_the_same_however_the_batch_is_cut(make, method, world, accumulation):
    settings = {"batch": 16, "clip": NO_CLIP, "shaken": True, "double": True}
    whole = torch.cat([g.flatten() for g in gradients(make(method, **settings)).values()])
    for found in on_ranks(
        world, lambda ranks: gradients(make(method, ranks=ranks, accumulation=accumulation, **settings))
    ):
        cut = torch.cat([g.flatten() for g in found.values()])
        assert float((cut - whole).norm() / whole.norm()) < 1e-10
