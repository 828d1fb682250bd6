"""Methods for data of their own: the same gradient however a batch is cut, and what a step of each costs."""

from typing import Any

import numpy as np
import pytest
import torch
from forked import on_ranks
from test_phases import closed_form
from tiny_runs import BATCH, CLASSES, DEPTH, NO_CLIP, SIDE, WIDTH
from torch import Tensor

from reedbench.core.errors import ConfigError
from reedbench.nn.overlap import CHANCE, ELSEWHERE, OTHER, OVERLAP, another
from reedbench.objectives.grouped import GroupedByTime
from reedbench.objectives.overlap import Overlap

DIFFROP = Overlap(label="DiffROP", margin=5.0, label_dropout=0.4, others="empirical")
WHOLE = {"batch": 16, "clip": NO_CLIP, "shaken": True, "double": True}


def gradient(trainer: Any, step: int = 0) -> Tensor:
    trainer.update(step)
    moments = [moment for name, moment in trainer.state().items() if name.startswith("optimiser/exp_avg/")]
    return torch.cat([moment.flatten() for moment in moments]) / (1 - trainer.settings.optimiser.betas[0])


def forward_flops(depth: int = DEPTH) -> float:
    """Of the first blocks of SiT on a batch, by hand; of all with the last layer."""
    tokens, values = (SIDE // 2) ** 2, 4
    products = depth * (tokens * (3 + 1 + 4 + 4) * WIDTH**2 + 6 * WIDTH**2) + WIDTH**2
    products += tokens * values * WIDTH + 256 * WIDTH
    if depth == DEPTH:
        products += tokens * values * WIDTH + 2 * WIDTH**2
    return 2.0 * BATCH * (products + depth * 2 * tokens**2 * WIDTH)


# DiffROP


@pytest.mark.parametrize(("world", "accumulation"), [(1, 4), (2, 1), (4, 2)])
def test_the_overlap_has_the_same_gradient_however_the_batch_is_cut(make, world, accumulation):
    whole = gradient(make(DIFFROP, **WHOLE))
    for found in on_ranks(
        world, lambda ranks: gradient(make(DIFFROP, ranks=ranks, accumulation=accumulation, **WHOLE))
    ):
        assert float((found - whole).norm() / whole.norm()) < 1e-12


def test_the_overlap_costs_one_more_forward_pass(make):
    trainer = make(DIFFROP)
    assert trainer.flops(0) == closed_form() + forward_flops()
    assert trainer.phases == (0,)


def test_the_overlap_is_a_mean_over_rows_with_a_label_and_is_not_felt_by_the_other_prediction(make):
    trainer = make(DIFFROP, shaken=True)
    share = trainer._share_of(0)
    labelled = share.batch["y"] != CLASSES
    assert 0 < int(labelled.sum()) < BATCH
    assert share.own == {"denoise": BATCH, OVERLAP: float(labelled.sum())}
    with torch.no_grad():
        batch = trainer.learner.looked_up(share.batch, 0, trainer.others)
    assert not batch[ELSEWHERE].requires_grad
    assert not (batch[OTHER] == batch["labels"]).any()
    x_t, t, _ = trainer.learner.flow.inputs(batch)
    assert torch.equal(trainer.network(x_t, t, batch[OTHER], wanted=[])[0], batch[ELSEWHERE])
    term = trainer.learner.terms(batch, trainer.network)[OVERLAP].sum.detach()
    velocity = trainer.network(*trainer.learner.flow.inputs(batch))[0].detach()
    distance = t.square() * (velocity - batch[ELSEWHERE]).square().flatten(1).mean(1)
    assert float(term) == pytest.approx(float((5.0 - distance)[labelled].sum()), rel=1e-5)


def test_the_other_class_comes_from_a_stream_of_its_own(make):
    """Time, noise and dropped labels are those of SiT, and rows of ranks those of one process."""
    alone = make(DIFFROP)._share_of(3).batch
    for rank, found in enumerate(on_ranks(2, lambda ranks: make(DIFFROP, ranks=ranks)._share_of(3).batch)):
        mine = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
        assert torch.equal(found[CHANCE], alone[CHANCE][mine])
        assert torch.equal(found[OTHER], alone[OTHER][mine])


def test_other_classes_follow_their_law():
    chance = (torch.arange(1000) + 0.5) / 1000
    own = torch.full((1000,), 1)
    drawn = another(own, chance, torch.tensor([6.0, 100.0, 3.0, 1.0]))
    assert drawn.bincount().tolist() == [600, 0, 300, 100]
    assert another(own, chance, torch.ones(3)).bincount().tolist() == [500, 0, 500]
    assert another(own, chance, torch.tensor([0.0, 5.0, 0.0])).bincount().tolist() == [500, 0, 500]
    assert another(torch.tensor([2]), torch.tensor([1.0]), torch.tensor([1.0, 1.0, 1.0])).tolist() == [1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": "gvp"}, "are those of the linear path"),
        ({"path": "gvp", "distance": "velocity", "time_weight": "kl"}, "are those of the linear path"),
        ({"weight": 0}, "greater than 0"),
    ],
)
def test_settings_of_the_overlap_that_mean_nothing_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Overlap(label="-", margin=1.0, **settings)


def test_the_overlap_needs_classes(make):
    from reedbench.nn.backbones.sit import SiT

    backbone = SiT(size=8, channels=1, patch=2, width=8, depth=1, heads=2, classes=0)
    with pytest.raises(ConfigError, match="fewer than two"):
        DIFFROP.build(backbone, {}, lambda name: np.random.default_rng(0))


# TDC

TDC = GroupedByTime(label="TDC", groups=2, least=0.1)  # one block of two, and both


@pytest.mark.parametrize(("world", "accumulation"), [(1, 4), (2, 1), (4, 4)])
def test_networks_by_time_have_the_same_gradient_however_the_batch_is_cut(make, world, accumulation):
    """Also where a part has no row of a network."""
    whole = gradient(make(TDC, **WHOLE))
    for found in on_ranks(world, lambda ranks: gradient(make(TDC, ranks=ranks, accumulation=accumulation, **WHOLE))):
        assert float((found - whole).norm() / whole.norm()) < 1e-12


def test_a_step_of_networks_by_time_costs_their_mean_whatever_its_times(make):
    trainer = make(TDC)
    block = (closed_form() - closed_form_of(DEPTH - 1)) / 2
    assert trainer.flops(0) == pytest.approx(closed_form() - block)
    t = trainer._share_of(0).batch["t"]
    assert int((t < 0.5).sum()) != BATCH // 2, "else nothing is shown"


def closed_form_of(depth: int) -> float:
    """`closed_form` of SiT with fewer blocks: three times the forward pass, but attention, and what needs no gradient."""
    tokens = (SIDE // 2) ** 2
    blocks = (DEPTH - depth) * (tokens * (3 + 1 + 4 + 4) * WIDTH**2 + 6 * WIDTH**2)
    return closed_form() - 2.0 * BATCH * (3 * blocks + 3.5 * (DEPTH - depth) * 2 * tokens**2 * WIDTH)


def test_networks_by_time_are_published_and_counted_together(make):
    trainer = make(TDC)
    names = trainer.published()
    assert {name.split(".")[1] for name in names} == {"0", "1"}
    assert trainer.learner.sampling_parameters() == sum(p.numel() for p in trainer.network.parameters())


def test_a_sampler_follows_the_network_of_each_step(make):
    from reedbench.samplers.euler import Euler

    trainer = make(TDC, shaken=True)
    network = trainer.network.backbone.eval()
    called: list[tuple[int, float]] = []
    for number, group in enumerate(network.groups):
        group.register_forward_pre_hook(lambda _, given, number=number: called.append((number, float(given[1][0]))))
    x_0, labels = torch.randn(3, 1, SIDE, SIDE), torch.arange(3)
    condition = {"x_0": x_0, "labels": labels}
    Euler(steps=4, guidance=1.5).draw(network, condition, lambda name: None, TDC)
    assert called == [(0, 0.0), (0, 0.25), (1, 0.5), (1, 0.75)]
    assert Euler(steps=4).nfe(TDC) == 4
