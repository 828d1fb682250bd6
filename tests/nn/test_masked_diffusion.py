"""Every setting of masking diffusion reaches the loss: from the objective's plugin through draws to terms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reedbench.backbones.protein_mpnn import ProteinMPNNBackbone
from reedbench.core import seeds
from reedbench.nn import draws
from reedbench.nn.learner import PARTNERS
from reedbench.nn.masked_diffusion import DENOISE, DesignLearner
from reedbench.nn.residues import MASK
from reedbench.objectives._schedule import Schedule
from reedbench.objectives.masked_diffusion import MaskedDiffusion, ResidueAlignment

WIDTH = 8
DIMS = {"one": (-1, 6), "two": (-1, -1, 3)}
NODE, EDGE = ResidueAlignment(encoder="one"), ResidueAlignment(encoder="two", site="edge")


def learner(*alignments: ResidueAlignment, backbone: dict[str, Any] | None = None, **settings: Any) -> DesignLearner:
    """Without dropout; on coordinates as they are unless told otherwise."""
    sizes = {"width": WIDTH, "encoder_layers": 1, "decoder_layers": 1, "neighbours": 4, "dropout": 0.0}
    network = ProteinMPNNBackbone(**(sizes | (backbone or {}))).build((-1,), {})
    method = MaskedDiffusion(label="-", alignments=alignments, **({"coordinate_noise": 0.0} | settings))
    return method.build(network, DIMS, stream)


def stream(name: str) -> np.random.Generator:
    return seeds.stream(name)


def rows(count: int) -> Callable[[str], seeds.RowStreams]:
    """One stream per row, by name."""
    return lambda name: seeds.rows(range(count), name)


def batch(lengths: list[int]) -> dict[str, Tensor]:
    """Chains in a line, and padding; the second residue of each is not resolved."""
    b, longest = len(lengths), max(lengths)
    there = torch.arange(longest) < torch.tensor(lengths)[:, None]
    mask = there.float()
    mask[:, 1] = 0
    along = 4.0 * torch.arange(1, longest + 1)[:, None, None] + draws.normal(stream("x"), b, longest, 4, 3)
    return {
        "coordinates": along * mask[..., None, None],
        "tokens": draws.integers(stream("tokens"), 20, b, longest) * there,
        "mask": mask,
        "residue_index": torch.where(there, torch.arange(longest), -100),
        "chain": there.long(),
    }


def completed(one: DesignLearner, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
    """With representations."""
    b, longest = drawn["mask"].shape
    k = min(one.network.backbone.neighbours, longest)
    targets = {
        "target/one": draws.normal(stream("one"), b, longest, 6),
        "target/two": draws.normal(stream("two"), b, longest, k, 3),
    }
    return one.completed(drawn | targets, lambda tensor: tensor)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_coordinates_of_resolved_residues_move_by_the_noise(noise):
    given = batch([40, 60])
    moved = learner(coordinate_noise=noise).draw(given, rows(2))["coordinates"] - given["coordinates"]
    there = given["mask"] > 0
    assert moved[there].square().mean().sqrt().item() == pytest.approx(noise, rel=0.1)
    assert (moved[~there] == 0).all()


@pytest.mark.parametrize("probe", [False, True])
def test_a_probe_learns_and_the_backbone_does_not_feel_it(probe):
    one = learner(NODE.model_copy(update={"probe": probe}))
    drawn = completed(one, one.draw(batch([6, 9]), rows(2)))
    one.terms(drawn, one.network)[NODE.term].sum.backward()
    felt = {name.split(".")[0] for name, p in one.network.named_parameters() if p.grad is not None and p.grad.any()}
    assert felt == {"projectors"} if probe else {"projectors", "backbone"}


@pytest.mark.parametrize("masked_only", [False, True])
@pytest.mark.parametrize("time_weight", ["constant", "schedule"])
@pytest.mark.parametrize("divisor", [None, 7.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_denoising_loss_has_its_smoothing_divisor_and_weights(smoothing, divisor, time_weight, masked_only):
    one = learner(smoothing=smoothing, divisor=divisor, time_weight=time_weight, masked_only=masked_only)
    drawn = completed(one, one.draw(batch([6, 9, 8]), rows(3)))
    names = ("coordinates", "mask", "residue_index", "chain", "noisy")
    logits, _ = one.network(*(drawn[name] for name in names), neighbours=drawn[PARTNERS])
    log_p = logits.log_softmax(-1)
    label = torch.nn.functional.one_hot(drawn["tokens"], 22) + smoothing / 22
    loss = -(log_p * label / (1 + smoothing)).sum(-1)
    counted = drawn["mask"] * (drawn["noisy"] == MASK) if masked_only else drawn["mask"]
    weight = 1.0 if time_weight == "constant" else 1 / (4.605 * (1 - drawn["t"][:, None]))
    expected = (loss * counted * weight).sum() / (divisor or counted.sum())
    found = one.terms(drawn, one.network)[DENOISE]
    assert 0 < counted.sum() < drawn["mask"].sum() or not masked_only
    torch.testing.assert_close(found.sum / found.weight, expected)


@pytest.mark.parametrize("masked_only", [False, True])
def test_an_alignment_counts_masked_residues_alone_if_asked(masked_only):
    one = learner(NODE.model_copy(update={"masked_only": masked_only}))
    drawn = one.draw(batch([6, 9, 8]), rows(3))
    counted = drawn["mask"] * (drawn["noisy"] == MASK) if masked_only else drawn["mask"]
    assert one.weights(drawn)[NODE.term] == counted.sum()


def test_both_schedules_and_the_weight_of_an_alignment_reach_the_coefficients():
    weighted = NODE.model_copy(update={"weight": 0.5})
    one = learner(weighted, denoise=Schedule(shape="linear-ramp", length=4), align=Schedule(shape="stop", start=2))
    assert one.coefficients(1) == {DENOISE: 0.25, NODE.term: 0.5}
    assert one.coefficients(3) == {DENOISE: 0.75}


@pytest.mark.parametrize("least", [0.01, 0.3])
def test_times_begin_and_end_at_the_least_time(least):
    t = learner(least_time=least).draw(batch([2] * 1000), rows(1000))["t"]
    assert t.min().item() == pytest.approx(least, abs=0.01)
    assert t.max().item() == pytest.approx(1 - least, abs=0.01)


@pytest.mark.parametrize(("asked", "width"), [(0, 12), (5, 5)])
def test_a_projector_is_as_wide_as_asked_or_twice_the_representation(asked, width):
    (projector,) = learner(NODE.model_copy(update={"projector_width": asked})).network.projectors
    assert [tuple(p.shape) for p in projector.parameters() if p.ndim == 2] == [(width, WIDTH), (6, width)]


@pytest.mark.parametrize("padding", ["masked", "reference"])
@pytest.mark.parametrize("aligned", [(), (NODE,), (EDGE,)])
def test_padding_is_a_neighbour_at_the_origin_in_reference_mode_alone(aligned, padding):
    one = learner(*aligned, backbone={"padding": padding})
    # The first residue of the second chain is about 7 A from the origin, and the third one 8 A from it.
    first, *others = completed(one, one.draw(batch([12, 3]), rows(2)))[PARTNERS][1, 0].tolist()
    assert first == 0
    assert min(others) >= 3 if padding == "reference" else others[0] == 2


@pytest.mark.parametrize("padding", ["masked", "reference"])
@pytest.mark.parametrize("masked_only", [False, True])
def test_the_weights_that_are_announced_are_those_that_the_terms_use(masked_only, padding):
    aligned = (NODE, EDGE.model_copy(update={"masked_only": masked_only}))
    one = learner(*aligned, backbone={"padding": padding}, masked_only=masked_only)
    drawn = one.draw(batch([12, 3, 5]), rows(3))
    announced = one.weights(drawn)
    used = {name: term.weight for name, term in one.terms(completed(one, drawn), one.network).items()}
    assert used == announced
    assert min(used.values()) >= 1
