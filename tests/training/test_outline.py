"""What is counted without data is what training counts with them."""

import subprocess
import sys

import pytest
from tiny_runs import BATCH, REED, REPA, SIDE, SIT

from reedbench.backbones.sit import SiTBackbone
from reedbench.objectives import Schedule
from reedbench.objectives.aligned import Aligned
from reedbench.schema.fitting import learner, network
from reedbench.training import outline

# DiT-XL/2 at 256 pixels, which SiT-XL/2 is; DiT (arXiv:2212.09748), table 1, in multiply-adds: one is two operations.
PUBLISHED = 118.64e9
STOPPED = REPA.model_copy(update={"align": Schedule(shape="stop", start=3)})
BACKBONE = SiTBackbone(width=16, depth=2, heads=2)
SHAPE, TARGETS = (1, SIDE, SIDE), {"patches": (16, 6), "text": (5,)}


def outlined(method: Aligned):
    targets = {name: TARGETS[name] for name in method.encoders()}
    return learner(method, network(BACKBONE, SHAPE, {"classes": 3}), targets), targets


def test_sit_xl_has_the_published_operations():
    backbone = SiTBackbone(size="XL", patch=2)
    counted = outline.evaluation(network(backbone, (4, 32, 32), {"classes": 1000}), (4, 32, 32))
    assert counted == pytest.approx(2 * PUBLISHED, rel=1e-3)


@pytest.mark.parametrize("method", [SIT, REPA, REED, STOPPED])
def test_a_step_of_every_phase_counts_what_the_trainer_counts(method, make):
    trainer, (bare, targets) = make(method), outlined(method)
    counted = outline.phases(bare, SHAPE, targets, trainer.settings)
    assert counted == {phase: trainer.flops(phase) for phase in trainer.phases}
    assert len(counted) == (2 if method is STOPPED else 1)


FIRST_WITHOUT_VALUES = """
import os, sys, torch
from reedbench.backbones.sit import SiTBackbone
from reedbench.objectives.aligned import Aligned
from reedbench.schema.benchmark import Training
from reedbench.schema.fitting import learner, network
from reedbench.training import outline

sit = network(SiTBackbone(width=16, depth=1, heads=2), (1, 8, 8), {"classes": 3})
outline.phases(learner(Aligned(label="SiT"), sit, {}), (1, 8, 8), {}, Training(batch=2, segment=1, save_every=1))
if os.fork() == 0:
    torch.ones(1, requires_grad=True).sum().backward()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_process_that_has_counted_a_step_first_of_all_may_still_be_forked():
    done = subprocess.run([sys.executable, "-c", FIRST_WITHOUT_VALUES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_larger_batch_costs_in_proportion(make):
    settings = make(SIT).settings
    one, other = (
        outline.phases(*(outlined(SIT)[0], SHAPE, {}, settings.model_copy(update={"batch": n})))[0]
        for n in (BATCH, 8 * BATCH)
    )
    assert other == 8 * one


@pytest.mark.parametrize("method", [SIT, REED])
def test_sizes_are_those_of_what_training_saves(method, make):
    trainer = make(method)
    trainer.update(0)
    state = {n: x for n, x in trainer.state().items() if not n.startswith("optimiser/step/")}  # numbers of steps
    expected = outline.Sizes(*(sum(t.nbytes for t in some.values()) for some in (state, trainer.published())))
    assert outline.sizes(outlined(method)[0]) == expected
