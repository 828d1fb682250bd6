"""ReDi in training and sampling: more channels, dropped by the step, left alone by guidance."""

from typing import Any

import pytest
import torch
from forked import on_ranks
from joint_runs import BARE, DIM, REDI, SAMPLERS, TOKENS, drawn, shaken
from test_phases import closed_form
from tiny_runs import BATCH, SIDE, WIDTH
from torch import Tensor

from reedbench.core.errors import ConfigError
from reedbench.nn.backbones.joint_sit import FeatureSiT
from reedbench.nn.joint_features import as_map
from reedbench.objectives.joint_features import JointFeatures


def test_redi_costs_its_channels(make):
    """Patches of the map in, to which no gradient goes back, and out."""
    channels = 2.0 * BATCH * TOKENS * 4 * DIM * WIDTH
    assert make(REDI).flops(0) == closed_form() + (2 + 3) * channels


def test_the_map_is_dropped_for_all_rows_of_a_step_or_for_none_on_any_number_of_ranks(make):
    def kept(ranks: Any = None) -> list[float]:
        trainer, found = make(REDI.model_copy(update={"drop": 0.5}), ranks=ranks), []
        for step in range(12):
            batch = trainer._share_of(step).batch
            (one,) = set(batch["features-kept"].tolist())
            assert bool(batch["clean/features"].any()) == bool(one)
            found.append(one)
            terms = trainer.learner.terms(batch, trainer.network)
            assert (float(terms["features"].sum.detach()) > 0) == bool(one)
            assert terms["features"].weight == len(batch["t"])
        return found

    alone = kept()
    assert 2 < sum(alone) < 10
    assert on_ranks(4, kept) == [alone] * 4


def test_a_map_lies_on_the_grid_of_the_latents():
    tokens = torch.arange(2 * 9 * 5.0).view(2, 9, 5)
    assert torch.equal(as_map(tokens, 3)[1, 4], tokens[1, :, 4].view(3, 3))
    assert as_map(tokens, 6).shape == (2, 5, 6, 6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_from_redi_and_throws_the_map_away(name):
    network = shaken(FeatureSiT(BARE, DIM))
    assert drawn(name, REDI, network, range(4), guidance=2.0, **SAMPLERS[name]).shape == (4, 1, SIDE, SIDE)


def test_guidance_leaves_the_map_alone():
    """Under a field whose map moves by the label alone, the guided map is that of the label."""
    ends = []

    def network(x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor]:
        ends.append(x)
        return (torch.ones_like(x) * y[:, None],)

    network.null_label = 3
    drawn("euler", REDI, network, range(3), guidance=2.0, steps=2)
    (first, second), labels = ends, torch.arange(3.0)
    moved = ((second - first)[:3] / 0.5).unflatten(1, (1 + DIM, SIDE**2)).mean(2)
    torch.testing.assert_close(moved[:, 0], 3 + 2 * (labels - 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[:, 1:], labels[:, None].expand(3, DIM), atol=1e-4, rtol=0)


def test_a_map_of_other_channels_is_one_line(make):
    with pytest.raises(ConfigError, match="encoder 'patches' has 6 dimensions, and the method says components: 8"):
        make(JointFeatures(label="-", features="patches"))
