"""Steps of classes and coupling of noise as in REED's code for molecules: specs/molecule.md, sections 9.4 and 9.6."""

import pytest
import torch

from reedbench.nn.coupling import assignment, coupled
from reedbench.nn.parts import Uniform

P = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.4, 0.1]], dtype=torch.float64)
CURRENT = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("t", "after", "eta", "expected"),
    [
        (0.5, 0.51, 1.0, [[0.925, 0.017, 0.025, 0.033], [0.024, 0.024, 0.94, 0.012]]),
        (0.5, 0.51, 0.0, [[0.982, 0.004, 0.006, 0.008], [0.005, 0.005, 0.988, 0.002]]),
        (
            0.0,
            0.05,
            1.0,
            [[0.93999685, 0.0150007, 0.02000105, 0.0250014], [0.03250088, 0.03250088, 0.9099979, 0.02500035]],
        ),
        (0.98, 0.99, 1.0, [[0, 0.689, 1, 1], [0.864, 0.864, 0, 0.348]]),
        (0.99, 1.0, 1.0, [[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.4, 0.1]]),
    ],
)
def test_chances_of_a_uniform_step(t, after, eta, expected):
    found = Uniform(4).odds(CURRENT, P, t, after, eta)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-8, rtol=0)


def test_coupling():
    n, m, c = torch.arange(5.0)[:, None], torch.arange(7.0)[:, None], torch.arange(3.0)
    to = torch.sin(1.3 * (n + 1) + 0.9 * c)
    to = to - to.mean(0)
    noise = torch.cos(0.7 * (m + 1) * (c + 1))[:5]
    order = assignment(noise.double().numpy(), to.double().numpy())
    assert order.tolist() == [0, 1, 3, 2, 4]
    assert (noise[order] - to).square().sum().item() == pytest.approx(8.1310606, rel=1e-6)
    assert (noise - to).square().sum().item() == pytest.approx(9.568375, rel=1e-6)
    found = coupled(noise[None], to[None], torch.ones(1, 5))[0]
    expected = [(0.747308, 0.510509, -0.222830), (-1.043036, 0.785471, -0.232504), (-1.036106, 0.745779, -0.204338)]
    torch.testing.assert_close(found[[0, 2, 4]], torch.tensor(expected), atol=1e-6, rtol=0)
    assert (found - to).square().sum().item() == pytest.approx(7.247429, rel=1e-6)
