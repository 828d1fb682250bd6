"""Every setting of the samplers of sequences reaches the sampler, and scores count what they should."""

import functools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from reedbench.core import seeds
from reedbench.nn.residues import MASK, UNKNOWN, VOCABULARY
from reedbench.samplers._unmasking import UnmaskingSampler
from reedbench.samplers.ancestral import Ancestral
from reedbench.samplers.purity import Purity

EVERYTHING = 1e-9  # a time at which all residues are masked
both = pytest.mark.parametrize("sampler", [Ancestral, Purity])


class Says:
    """A network that always says the same, and remembers the sequences that it was shown."""

    def __init__(self, logits: Tensor) -> None:
        self.logits, self.shown = logits, []

    def encode(self, coordinates: Tensor, mask: Tensor, residue_index: Tensor, chain: Tensor) -> Any:
        return SimpleNamespace(take=lambda rows: None)

    def decode(self, encoded: Any, noisy: Tensor) -> tuple[Tensor, list[Tensor]]:
        self.shown.append(noisy)
        return self.logits.expand(*noisy.shape, VOCABULARY), []


def says(**favoured: float) -> Says:
    """Logits 0 but for these tokens, `t3=0.5`."""
    logits = torch.zeros(VOCABULARY)
    for name, logit in favoured.items():
        logits[int(name[1:])] = logit
    return Says(logits)


def drawn(
    sampler: UnmaskingSampler, network: Says, tokens: Sequence[Sequence[int]], mask: Sequence[Sequence[int]]
) -> dict[str, Tensor]:
    """Samples for chains with these native tokens; -1 is padding."""
    native = torch.tensor(tokens)
    condition = {
        "coordinates": torch.zeros(*native.shape, 4, 3),
        "tokens": native.clamp(min=0),
        "mask": torch.tensor(mask, dtype=torch.float32),
        "residue_index": torch.where(native < 0, -100, torch.arange(native.shape[1])),
        "chain": (native >= 0).long(),
    }
    return sampler.draw(network, condition, lambda name: seeds.rows(range(len(native)), name), None)


def designed(sampler: UnmaskingSampler, network: Says, length: int) -> dict[str, Tensor]:
    """Samples for two chains, all of whose residues are resolved."""
    return drawn(sampler, network, [[0] * length] * 2, [[1] * length] * 2)


@both
def test_scores_count_masked_residues_that_are_known_and_resolved(sampler):
    network = says(t4=1.0, t5=2.0, **{f"t{UNKNOWN}": 9.0})
    tokens, mask = [[4, 5, UNKNOWN, 5], [4, 4, 5, -1]], [[1, 1, 1, 0], [1, 1, 1, 0]]
    found = drawn(sampler(steps=2, scored_at=(EVERYTHING,)), network, tokens, mask)
    log_p = network.logits.double().log_softmax(-1)
    assert found["masked"].tolist() == [[2], [3]]
    expected = torch.stack([-log_p[4] - log_p[5], -2 * log_p[4] - log_p[5]])
    torch.testing.assert_close(found["nll"][:, 0].double(), expected, rtol=1e-5, atol=0)


@both
def test_every_time_is_scored_with_as_many_masked_residues_as_it_has(sampler):
    found = drawn(sampler(steps=2, scored_at=(0.2, 0.9)), says(), [[7] * 2000], [[1] * 2000])
    assert found["times"].tolist() == [[0.2, 0.9]]
    assert found["masked"][0].tolist() == pytest.approx([1600, 200], abs=80)


@both
@pytest.mark.parametrize(("temperature", "least", "most"), [(1e-3, 1.0, 1.0), (0.1, 0.8, 0.99), (100.0, 0.0, 0.3)])
def test_tokens_are_drawn_at_the_temperature(sampler, temperature, least, most):
    # At 0.1 the favourite has the odds e^5 to 19.
    found = designed(sampler(steps=4, temperature=temperature), says(t3=0.5), 200)
    assert least <= (found["tokens"] == 3).double().mean().item() <= most


@both
@pytest.mark.parametrize("allowed", [False, True])
def test_x_is_drawn_only_where_allowed(sampler, allowed):
    network = says(**{f"t{UNKNOWN}": 9.0})
    found = designed(sampler(steps=4, allow_unknown=allowed), network, 20)
    for name in ("tokens", "argmax"):
        assert ((found[name] == UNKNOWN) == allowed).all()


@pytest.mark.parametrize(("noise", "again"), [(0.0, False), (5.0, True)])
def test_residues_are_masked_again_only_with_noise(noise, again):
    found = designed(Purity(steps=60, noise=noise), says(), 5)
    assert ((found["evaluations"] > 6) == again).all()  # the first, and one for each residue


@pytest.mark.parametrize("noise", [0.5, 5.0])
def test_the_rates_are_those_of_noise_and_least_time(noise):
    network = says()
    designed(Purity(steps=3, noise=noise, least_time=0.8, scored_at=(EVERYTHING,)), network, 2000)
    (between,) = [shown != MASK for shown in network.shown if (shown != MASK).any()]
    # From 0.8 to 0.9 half of the residues, or 1 + 0.8 noise times as many, are shown, and 0.1 noise of them masked.
    expected = min(1, 0.5 * (1 + 0.8 * noise)) * (1 - 0.1 * noise)
    assert between.double().mean().item() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.parametrize("kind", [Ancestral, functools.partial(Purity, noise=0.0)])
def test_the_grid_has_its_number_of_steps(kind, steps):
    sampler = kind(steps=steps)
    assert designed(sampler, says(), 30)["evaluations"].tolist() == [sampler.nfe(None)] * 2 == [steps - 1] * 2


@both
def test_what_is_scored_does_not_change_what_is_designed(sampler):
    few, many = (designed(sampler(steps=4, scored_at=at), says(), 30) for at in ((0.5,), (0.1, 0.5, 0.9)))
    assert torch.equal(few["tokens"], many["tokens"])
