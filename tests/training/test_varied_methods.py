"""Methods for data of their own: the same gradient however a batch is cut, and what a step of each costs."""

from typing import Any

import numpy as np
import pytest
import torch
from first_update import gradient
from forked import on_ranks
from test_phases import closed_form
from tiny_runs import BATCH, CLASSES, DEPTH, NO_CLIP, SIDE, WIDTH
from torch import Tensor

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.backbones.clustered import SCORES
from reedbench.nn.clustered import DROPPED
from reedbench.nn.overlap import CHANCE, ELSEWHERE, OTHER, OVERLAP, another
from reedbench.objectives import Schedule
from reedbench.objectives.clustered import Clustered
from reedbench.objectives.grouped import GroupedByTime
from reedbench.objectives.overlap import Overlap

DIFFROP = Overlap(label="DiffROP", margin=5.0, label_dropout=0.4, others="empirical")
WHOLE = {"batch": 16, "clip": NO_CLIP, "shaken": True, "double": True}


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
    """`closed_form` of SiT with fewer blocks: three times the forward pass, but attention."""
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


# SGDF

STAGE = 2
SGDF = Clustered(label="SGDF", clusters=4, stage=STAGE, group=4, label_dropout=0.3)


def started(trainer: Any, steps: int) -> Any:
    for step in range(steps):
        trainer.update(step)
    return trainer


@pytest.mark.parametrize(("world", "accumulation"), [(1, 4), (2, 1), (4, 1)])
def test_clusters_have_the_same_gradient_and_histogram_however_the_batch_is_cut(make, world, accumulation):
    def of(ranks: Any = None, accumulation: int = 1) -> tuple[Tensor, Tensor]:
        trainer = started(make(SGDF, ranks=ranks, accumulation=accumulation, **WHOLE), STAGE)
        before = [p.detach().clone() for p in trainer.parameters.values()]
        trainer.update(STAGE)
        moved = [(p - b).flatten() for p, b in zip(trainer.parameters.values(), before, strict=True)]
        return torch.cat(moved).detach(), trainer.network.backbone.histogram

    whole, seen = of()
    assert float(seen.sum()) == 16
    for moved, histogram in on_ranks(world, lambda ranks: of(ranks, accumulation)):
        assert float((moved - whole).norm() / whole.norm()) < 1e-8
        assert torch.equal(histogram, seen)


def test_a_run_that_is_resumed_where_a_term_does_not_count_yet_has_the_same_histogram(make):
    late = SGDF.model_copy(update={"denoise": Schedule(shape="linear-ramp", start=5, length=4)})
    whole, first, again = make(late), started(make(late), 3), make(late)
    again.restore({name: tensor.detach().clone() for name, tensor in first.state().items()})
    for step in range(3, 5):
        again.update(step)  # what is idle is found by passing through the phase once more
    started(whole, 5)
    assert float(whole.network.backbone.histogram.sum()) > 0
    assert torch.equal(again.network.backbone.histogram, whole.network.backbone.histogram)
    assert all(torch.equal(tensor, whole.state()[name]) for name, tensor in again.state().items())


def test_all_rows_of_a_batch_share_codes_unless_groups_are_asked_for(make):
    together = Clustered(label="SGDF", clusters=4, stage=STAGE)
    with pytest.raises(ConfigError, match="compares all rows of a batch"):
        make(together, accumulation=2)
    with pytest.raises(ConfigError, match="4 clusters cannot be shared by a batch of 2 rows"):
        make(together, batch=2)
    with pytest.raises(ValueError, match="cannot be shared by a group of 3 rows"):
        Clustered(label="SGDF", clusters=4, stage=STAGE, group=3)


def test_the_average_is_the_network_until_stage_2_begins(make):
    trainer = make(SGDF, ema_decay=0.9)
    for step in range(STAGE):
        trainer.update(step)
        same = {name for name, p in trainer.parameters.items() if torch.equal(trainer.average[name], p)}
        assert trainer.parameters.keys() - same <= {"backbone.prototypes"}, "whose length comes after"
    before = {name: average.clone() for name, average in trainer.average.items()}
    trainer.update(STAGE)
    name = "backbone.x_embedder.proj.weight"
    expected = 0.9 * before[name] + 0.1 * trainer.parameters[name]
    torch.testing.assert_close(trainer.average[name], expected)
    assert not torch.equal(trainer.average[name], trainer.parameters[name])


def test_prototypes_have_unit_length_before_every_pass(make):
    trainer = make(SGDF)
    for step in range(STAGE + 2):
        torch.testing.assert_close(trainer.network.backbone.prototypes.norm(dim=1), torch.ones(4))
        trainer.update(step)


def test_rows_are_told_nothing_in_stage_1_and_their_cluster_in_stage_2(make):
    trainer = make(SGDF, shaken=True)
    network, learner = trainer.network.backbone, trainer.learner

    def told(step: int) -> dict[str, Tensor]:
        share = trainer._share_of(step)
        with torch.no_grad():
            return learner.looked_up(share.batch, step, trainer.others)

    assert told(STAGE - 1)["y"].tolist() == [network.unconditional] * BATCH
    found = told(STAGE)
    with torch.no_grad():
        for name, average in trainer.average.items():
            trainer.network.get_parameter(name).copy_(average)
        clean = 0.85 * found["x_1"] + 0.15 * found["x_0"]
        nothing = torch.full((BATCH,), network.unconditional)
        scores = network.eval()(clean, torch.full((BATCH,), 0.85), nothing, taps=[SCORES])[1][0]
    assert 0 < int(found[DROPPED].sum()) < BATCH
    assert torch.equal(found["y"], torch.where(found[DROPPED], network.clusters, scores.argmax(1)))


def test_rows_that_are_told_no_cluster_are_those_that_would_lose_their_label(make):
    labelled = make(Overlap(label="-", margin=1.0, label_dropout=0.3))._share_of(5).batch
    assert torch.equal(make(SGDF)._share_of(5).batch[DROPPED], labelled["y"] == CLASSES)


def test_stage_2_costs_half_a_forward_pass_more(make):
    """Of a class token and the patches up to the middle block, with the head, and the table of conditions."""
    trainer = make(SGDF)
    assert trainer.phases == (0, STAGE)
    tokens, values, middle = (SIDE // 2) ** 2, 4, DEPTH // 2
    products = middle * ((tokens + 1) * (3 + 1 + 4 + 4) * WIDTH**2 + 6 * WIDTH**2)
    products += tokens * values * WIDTH + 256 * WIDTH + WIDTH**2  # patches and time in
    products += WIDTH * (WIDTH // 2) * 2 + WIDTH * 4  # head, and prototypes
    once = 4 * WIDTH**2  # the table of conditions, for all rows
    forward = 2.0 * (BATCH * (products + middle * 2 * (tokens + 1) ** 2 * WIDTH) + once)
    assert trainer.flops(STAGE) - trainer.flops(STAGE - 1) == forward
    assert forward == pytest.approx(closed_form() / 6, rel=0.2)


def test_a_sample_draws_its_cluster_from_its_own_stream(make):
    network = started(make(SGDF), STAGE + 1).network.backbone.eval()
    network.histogram.copy_(torch.tensor([1.0, 2.0, 0.0, 5.0]))

    def asked(index: list[int]) -> list[int]:
        condition = {"x_0": torch.zeros(len(index)), "labels": torch.zeros(len(index), dtype=torch.long)}
        found = SGDF.conditioned(network, condition, lambda name: seeds.rows(index, "sample", "b", 0, name))
        return found["labels"].tolist()

    whole = asked(list(range(50)))
    assert set(whole) == {0, 1, 3}
    assert [*whole[7:9], whole[3]] == asked([7, 8, 3])
    network.histogram.zero_()
    assert asked([0, 1]) == [network.unconditional] * 2
