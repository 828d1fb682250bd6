"""HASTE, REG, SADM and ReDi on ranks and in micro-batches."""

import pytest
from first_update import gradient
from forked import on_ranks
from joint_runs import HASTE, REDI, REG, SADM
from tiny_runs import NO_CLIP


@pytest.mark.parametrize("method", [HASTE, REG, SADM, REDI], ids=["haste", "reg", "sadm", "redi"])
@pytest.mark.parametrize(("world", "accumulation"), [(1, 2), (2, 1), (4, 1), (2, 2)])
def test_the_gradient_is_the_same_however_the_batch_is_cut(make, method, world, accumulation):
    settings = {"batch": 16, "clip": NO_CLIP, "shaken": True, "double": True}
    whole = gradient(make(method, **settings))
    for found in on_ranks(
        world, lambda ranks: gradient(make(method, ranks=ranks, accumulation=accumulation, **settings))
    ):
        assert float((found - whole).norm() / whole.norm()) < 1e-10
