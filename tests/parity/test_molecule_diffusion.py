"""Schedule and likelihood of EDM: specs/molecule.md, sections 2.4 and 9.10.

Source: EDM equivariant_diffusion/en_diffusion.py @fce07d7, run once on the CPU; only numbers were kept.
"""

import semla_vectors
import torch

from reedbench.nn.molecule_classes import FIRST
from reedbench.nn.molecule_diffusion import features, gammas, kl_prior, log_constant
from reedbench.nn.parts import centred

COORDINATES, _, _, _, MASK = semla_vectors.inputs()
NUMBERS = torch.tensor([1, 6, 7, 8, 9])


def test_the_schedule():
    expected = [-11.512916, -11.330595, -3.896443, -0.251309, 3.284428, 11.176730, 11.512516]
    found = gammas()[[0, 1, 100, 500, 900, 999, 1000]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=2e-6, rtol=0)


def test_the_constants_of_the_likelihood():
    kinds = (2 * torch.arange(5) + torch.arange(2)[:, None]) % 5
    batch = {"types": kinds + FIRST, "numbers": NUMBERS[kinds], "mask": MASK}
    h = features(batch, 6, atomic_numbers=True).double()
    assert h[0, 1].tolist() == [0, 0, 0.25, 0, 0, float(torch.tensor(0.7))]
    prior = kl_prior(centred(COORDINATES, MASK), h, MASK)
    torch.testing.assert_close(prior, torch.tensor([5.0877195e-05, 2.2308937e-05]).double(), atol=1e-9, rtol=0)
    constant = torch.tensor([58.0502312691, 29.0251156346]).double()
    torch.testing.assert_close(log_constant(MASK), constant, atol=1e-5, rtol=0)
