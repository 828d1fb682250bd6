"""Losses and greedy generation of the tiny Semla as in REED's code: specs/molecule.md, sections 9.3 and 9.5.

Source: REED molecule/semlaflow/flowmodels/fm.py @0a4527e, run once on the CPU in float64; only numbers were kept.
"""

from itertools import pairwise

import pytest
import semla_vectors
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from reedbench.core import seeds
from reedbench.nn.alignment import cosine_alignment
from reedbench.nn.molecule_flow import squared_error
from reedbench.nn.molecule_state import Parts, generated, pairs
from reedbench.nn.parts import Continuous, Uniform, cross_entropy
from reedbench.nn.samplers import log_grid, ode_grid
from reedbench.objectives import Schedule
from reedbench.objectives.molecule_flow import MoleculeFlow

COORDINATES, TYPES, BONDS, T, MASK = semla_vectors.inputs()


@pytest.fixture(scope="module")
def losses() -> dict[str, float]:
    network, _ = semla_vectors.tiny_semla()
    with torch.no_grad():
        found, _ = network(COORDINATES, TYPES, BONDS, T, MASK)
    atoms = TYPES.argmax(-1)
    each = {
        "coordinates": squared_error(found.coordinates, 0.7 * COORDINATES, MASK, "reference"),
        "types": cross_entropy(found.types, atoms, MASK),
        "bonds": cross_entropy(found.bonds, BONDS.argmax(-1), pairs(MASK)),
        "charges": cross_entropy(found.charges, (atoms + 1) % 7, MASK),
    }
    return {name: float(x.mean()) for name, x in each.items()}


def test_losses(losses):
    weighted = {**losses, "types": 0.2 * losses["types"]}
    expected = {"coordinates": 0.3233637129, "types": 0.5807834825, "bonds": 1.5966409113, "charges": 1.9560537052}
    assert weighted == pytest.approx(expected, rel=1e-8)


def test_the_curriculum_at_step_3_of_30():
    method = MoleculeFlow(label="x", denoise=Schedule(shape="linear-ramp", length=30))
    network, _ = semla_vectors.tiny_semla()
    found = method.build(network, {}, lambda name: seeds.stream("init", name)).coefficients(3)
    assert found == pytest.approx({"coordinates": 0.1, "types": 0.02, "bonds": 0.1, "charges": 0.1})


def test_alignment_with_the_sum_that_includes_padding():
    network, projector = semla_vectors.tiny_semla()
    target = torch.sin(torch.arange(48.0, dtype=torch.float64)).view(2, 24)
    with torch.no_grad():
        _, (hidden,) = network(COORDINATES, TYPES, BONDS, T, MASK, taps=[("reference", 2)])
        each = cosine_alignment(projector(hidden.sum(1)), target)
    assert each.tolist() == pytest.approx([0.0869344818, -0.0337298961], abs=1e-9)
    assert 0.2 * float(each.mean()) == pytest.approx(0.0053204586, abs=1e-9)


def greedy(weights: Tensor, u: Tensor) -> Tensor:
    """The likeliest class in place of a draw."""
    return weights.argmax(-1)


def plainly(network, times: list[float]) -> list[Tensor]:
    """Predicted coordinates at the beginning of every step, by the rule of section 3.6 written out."""
    x, types, bonds, previous, found = COORDINATES, TYPES.argmax(-1), BONDS.argmax(-1), None, []
    for now, after in pairwise(times):
        h, seen = after - now, (one_hot(types, 18).double(), one_hot(bonds, 5).double())
        said, _ = network(x, *seen, torch.full((2,), now, dtype=torch.float64), MASK, previous=previous)
        previous = (said.coordinates, said.types.softmax(-1), said.bonds.softmax(-1))
        x = x + h * (said.coordinates - x) / (1 - now)
        t = min(max(now, 1e-5), 1 - 1e-5)
        moved = []
        for current, p in ((types, previous[1]), (bonds, previous[2])):
            k = p.shape[-1]
            odds = (h * (1 + 2 * (k - 1) * t) / (1 - t) * p + h * p.gather(-1, current[..., None])).clamp(max=1)
            odds.scatter_(-1, current[..., None], 0.0)
            moved.append(odds.scatter(-1, current[..., None], (1 - odds.sum(-1, keepdim=True)).clamp(min=0)).argmax(-1))
        types, bonds = moved
        found.append(said.coordinates)
    return found


@torch.no_grad()
@pytest.mark.parametrize("grid", [ode_grid, log_grid])
@pytest.mark.parametrize("evaluations", [1, 2, 4])
def test_greedy_generation(grid, evaluations):
    """The first predictions of 20 steps, against the rule written out.

    The numbers of section 9.5, after all 20, are those of one run: under these weights a change of the first places by
    1e-15 becomes one of 1e-8 in the fourth prediction, of 0.1 in the ninth and of the whole in the last.
    """
    network, _ = semla_vectors.tiny_semla()
    parts = Parts(Continuous(predicts="data"), Uniform(18, choose=greedy), Uniform(5, choose=greedy))
    begin = {
        "coordinates": COORDINATES,
        "types": TYPES.argmax(-1).masked_fill(MASK == 0, -1),
        "bonds": BONDS.argmax(-1).masked_fill(pairs(MASK) == 0, -1),
    }
    times = grid(20)[: evaluations + 1]
    found = generated(network, parts, begin, MASK, times, lambda name: seeds.rows(range(2), name))
    torch.testing.assert_close(found.coordinates, plainly(network, times)[-1], atol=1e-6, rtol=0)
