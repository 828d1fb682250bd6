"""SADM in training: a second player with a rate and a clip of its own, which nobody samples with."""

import pytest
import torch
from first_update import gradients
from joint_runs import SADM
from pydantic import ValidationError
from tiny_runs import BATCH, NO_CLIP, REPA, SIDE, SIT

from reedbench.core.errors import ConfigError
from reedbench.objectives import Schedule
from reedbench.objectives.structural import Structural


def test_psi_has_its_own_rate_and_its_own_clip(make):
    """The first update of Adam is as long as the learning rate, but for rounding; weight decay is 0 here."""
    slow = make(SADM.model_copy(update={"psi_rate": 0.25, "weight": 1e4}), shaken=True)
    before = {name: p.detach().clone() for name, p in slow.parameters.items()}
    slow.update(0)
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in slow.parameters.items()}
    of_psi = {n: x for n, x in moved.items() if n.startswith("projectors.")}
    assert max(of_psi.values()) == pytest.approx(0.25e-3, rel=1e-2)
    assert max(x for n, x in moved.items() if n not in of_psi) == pytest.approx(1e-3, rel=1e-2)


def test_each_group_is_clipped_by_itself(make):
    loud = SADM.model_copy(update={"weight": 1e4})
    whole, cut = (make(loud, shaken=True, clip=clip) for clip in (NO_CLIP, 1e-3))
    free, clipped = gradients(whole), gradients(cut)
    for psi in (True, False):
        names = [name for name in free if name.startswith("projectors.") == psi]
        norm, small = (torch.cat([g[n].flatten() for n in names]).norm() for g in (free, clipped))
        assert norm > 1e-3
        assert float(small) == pytest.approx(1e-3, rel=1e-3)


def test_others_have_one_group_and_no_other_rate(make):
    trainer = make(REPA)
    assert list(trainer.groups) == [""]
    assert trainer.optimiser.factors == {}


def test_psi_is_not_published_for_sampling_and_not_counted(make):
    trainer = make(SADM)
    psi = [name for name in trainer.published() if "projectors." in name]
    assert psi
    assert all(name.startswith("projectors.structure.") for name in psi)
    assert trainer.learner.sampling_parameters() == make(SIT).learner.sampling_parameters()


def test_a_frozen_psi_stays_and_still_bends_the_denoiser(make):
    frozen, plain = make(SADM.model_copy(update={"psi": "frozen"}), shaken=True), make(SIT, shaken=True)
    before = {name: p.clone() for name, p in frozen.network.projectors.named_parameters()}
    own, other = gradients(frozen), gradients(plain)
    assert all(torch.equal(p, before[name]) for name, p in frozen.network.projectors.named_parameters())
    assert not any(name.startswith("projectors.") for name in own)
    assert any(not torch.equal(own[name], other[name]) for name in other)


def test_rows_near_the_noise_do_not_count(make):
    late = make(SADM.model_copy(update={"after": 0.999}), shaken=True)
    assert float(late.update(0)["structure"]) == 0.0


def test_psi_is_computed_while_the_ramp_counts_alone(make):
    ramped = make(SADM.model_copy(update={"ramp": Schedule(shape="linear-ramp", start=2, length=2)}))
    assert ramped.flops(0) == make(SIT).flops(0)
    sides = [SIDE // 2, SIDE // 4, SIDE // 8]
    inside = [1, 64, 64]
    psi = sum(2.0 * s * s * 64 * 9 * i for s, i in zip(sides, inside, strict=True))
    cosines = 2.0 * 64 * SADM.group  # of a row with its group
    assert ramped.flops(2) - ramped.flops(0) == 3 * 2 * BATCH * (psi + cosines)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weight": 0.0}, "weight: 0 leaves the plain velocity loss: say uses: aligned"),
        ({"psi": "frozen", "psi_rate": 0.5}, "psi_rate has no effect on psi: frozen"),
    ],
)
def test_sadm_without_a_second_player_is_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        Structural(label="-", **settings)


def test_a_batch_that_would_cut_a_group_of_sadm_is_one_line(make):
    with pytest.raises(ConfigError, match="multiple of 4"):
        make(SADM, batch=6)
