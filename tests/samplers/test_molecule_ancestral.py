"""The sampler of EDM: known molecules come back, the last element too, whatever the batch."""

from typing import Any

import pytest
import torch
from toy_molecules import ELEMENTS, SIZES, NoiseOracle, NoiseToy, batch, streams

from reedbench.nn.molecule_classes import FIRST
from reedbench.nn.molecule_diffusion import LEVELS
from reedbench.objectives.molecule_diffusion import MoleculeDiffusion
from reedbench.objectives.molecule_flow import MoleculeFlow
from reedbench.samplers.joint_euler import JointEuler
from reedbench.samplers.molecule_ancestral import MoleculeAncestral


def drawn(network: Any, mask: torch.Tensor, rows: Any = None, steps: int = 20) -> dict[str, torch.Tensor]:
    names = streams(len(mask) if rows is None else rows)
    with torch.no_grad():
        return MoleculeAncestral(steps=steps).draw(network, {"mask": mask}, names, None)


@pytest.mark.parametrize("atomic_numbers", [True, False])
@pytest.mark.parametrize("steps", [1, 50, LEVELS])
def test_known_molecules_come_back(atomic_numbers, steps):
    """But for the noise of level 0. EDM never draws the last element where atomic numbers are no feature."""
    data = batch()
    data["types"][0, 0] = FIRST + ELEMENTS - 1
    found = drawn(NoiseOracle(data, atomic_numbers), data["mask"], steps=steps)
    torch.testing.assert_close(found["coordinates"], data["coordinates"], atol=0.02, rtol=0)
    assert torch.equal(found["types"], data["types"])


@pytest.mark.parametrize("steps", [1, 7])
def test_the_network_is_asked_once_per_step_and_once_more(steps):
    network, seen = NoiseToy(), []
    network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[2].tolist()))
    drawn(network, torch.ones(2, 3), steps=steps)
    assert len(seen) == MoleculeAncestral(steps=steps).nfe(None) == steps + 1
    assert seen[0] == [1.0, 1.0]
    assert seen[-1] == [0.0, 0.0]


def test_a_sample_is_the_same_in_any_batch():
    torch.manual_seed(0)
    network, mask = NoiseToy(), batch()["mask"]
    whole = drawn(network, mask)
    assert whole["coordinates"].sum(1).abs().max() < 1e-4
    assert not whole["coordinates"][mask == 0].any()
    for row, n in enumerate(SIZES):
        alone = drawn(network, torch.ones(1, n), [row])
        torch.testing.assert_close(alone["coordinates"][0], whole["coordinates"][row, :n], atol=1e-4, rtol=1e-4)
        assert torch.equal(alone["types"][0], whole["types"][row, :n])


def test_samplers_of_molecules_draw_from_what_they_follow_and_say_what_else_to_take():
    flow, diffusion = MoleculeFlow(label="x"), MoleculeDiffusion(label="x")
    assert JointEuler().unfit(flow) is None
    assert MoleculeAncestral().unfit(diffusion) is None
    said = JointEuler().unfit(diffusion), MoleculeAncestral().unfit(flow)
    assert said == (
        "molecule-diffusion trains no flow of molecules; take molecule-ancestral",
        "molecule-flow trains no diffusion of molecules; take joint-euler",
    )
