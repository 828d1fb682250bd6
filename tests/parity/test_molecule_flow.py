"""Losses and greedy generation of the tiny Semla as in REED's code: specs/molecule.md, sections 9.3 and 9.5.

Source: REED molecule/semlaflow/flowmodels/fm.py @0a4527e, run once on the CPU in float64; only numbers were kept.
"""

import pytest
import semla_vectors
import torch
from torch import Tensor

from reedbench.nn.alignment import cosine_alignment
from reedbench.nn.molecule_flow import squared_error
from reedbench.nn.molecule_state import Parts, generated, pairs
from reedbench.nn.parts import Continuous, Uniform, cross_entropy
from reedbench.nn.samplers import log_grid, ode_grid
from reedbench.objectives import Schedule
from reedbench.objectives.molecule_flow import MoleculeFlow

GEOM = 2.407038688659668  # Angstrom per unit
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
    method = MoleculeFlow(label="x", denoise=Schedule(shape="linear-ramp", length=30), self_conditioning=0.0)
    network, _ = semla_vectors.tiny_semla()
    network.tokens, network.bonds = semla_vectors.TOKENS, semla_vectors.BONDS
    found = method.build(network, {}, lambda name: torch.Generator()).coefficients(3)
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


@pytest.mark.parametrize(
    ("grid", "total", "first"),
    [
        (ode_grid, 22.8614917782, (-1.038403689, 0.664962476, -0.959733219)),
        (log_grid, 20.5243073234, (0.783891993, 0.839291472, -0.249611601)),
    ],
)
def test_greedy_generation(grid, total, first):
    network, _ = semla_vectors.tiny_semla()
    parts = Parts(Continuous(predicts="data"), Uniform(18, choose=greedy), Uniform(5, choose=greedy))
    begin = {
        "coordinates": COORDINATES,
        "types": TYPES.argmax(-1).masked_fill(MASK == 0, -1),
        "bonds": BONDS.argmax(-1).masked_fill(pairs(MASK) == 0, -1),
    }
    found = generated(network, parts, begin, MASK, grid(20), _silence)
    places = GEOM * found.coordinates
    assert places.abs().sum().item() == pytest.approx(total, rel=1e-9)
    assert places[0, 0].tolist() == pytest.approx(first, abs=1e-8)


def _silence(name: str):
    from reedbench.core import seeds

    return seeds.rows(range(2), name)
