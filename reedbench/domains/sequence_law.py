"""A law of sequences on backbones under which the best possible predictions are known exactly.

A residue's environment e is a function of the coordinates alone: the shape of the chain around it (helix, strand, loop)
and whether it is buried. Given the environments, letters follow a Markov chain along the sequence. With letter a on
rank r_e(a) = 1, 2, ... of environment e's order of letters, and on rank q_b(a) of the order that goes with letter b,

    p(s_1 = a) ~ r_(e_1)(a)^-sharpness        p(s_i = a | s_(i-1) = b) ~ r_(e_i)(a)^-sharpness q_b(a)^-coupling

where all orders are drawn once, at random. So structure tells something of every residue, and its neighbours in the
sequence tell more. The posterior of any residue given any others follows by forward-backward (Baum et al. 1970,
https://doi.org/10.1214/aoms/1177697196), here with every letter either seen or not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

UNSEEN = -1  # in place of a letter

SHAPES = ("helix", "strand", "loop")
ENVIRONMENTS = tuple(f"{shape}, {place}" for shape in SHAPES for place in ("exposed", "buried"))

SPAN = 2  # the shape at residue i is told by the distance from CA i-2 to CA i+2: 6.2 in ideal helices, 13 in strands
HELIX_BELOW, STRAND_ABOVE = 7.5, 11.0  # Angstrom
CB_A, CB_B, CB_C = -0.58273431, 0.56802827, -0.54067466  # virtual CB of ProteinMPNN, protein_mpnn_utils.py @8907e66
BURIAL_RADIUS, BURIAL_WIDTH = 10.0, 1.0  # Angstrom
BURIAL_SEPARATION = 4  # residues nearer than this in the chain do not count as neighbours
BURIED_ABOVE = 5.0  # neighbours

DECIMALS = 6  # of the optimum, so that it does not depend on the order of a machine's sums


def environments(coordinates: np.ndarray) -> np.ndarray:
    """The environment of every residue, unchanged by rotation, translation and small noise.

    Args:
        coordinates: (length, 4, 3) N, CA, C, O in Angstrom, all resolved.

    Returns:
        (length,) int64 positions in `ENVIRONMENTS`.
    """
    return 2 * shapes(coordinates) + (burial(coordinates) > BURIED_ABOVE)


def shapes(coordinates: np.ndarray) -> np.ndarray:
    """(length, 4, 3) -> (length,) int64 positions in `SHAPES`; the first and last two residues are loop."""
    ca = coordinates[:, 1].astype(np.float64)
    across = np.full(len(ca), (HELIX_BELOW + STRAND_ABOVE) / 2)
    across[SPAN:-SPAN] = np.linalg.norm(ca[2 * SPAN :] - ca[: -2 * SPAN], axis=-1)
    return np.where(across < HELIX_BELOW, 0, np.where(across > STRAND_ABOVE, 1, 2))


def burial(coordinates: np.ndarray) -> np.ndarray:
    """(length, 4, 3) -> (length,) float64 number of other residues around the virtual CB, counted softly.

    A residue at distance d counts 1 / (1 + exp(d - 10)): a sharp count would change class at the least noise.
    """
    n, ca, c = (coordinates[:, atom].astype(np.float64) for atom in range(3))
    b_1, b_2 = ca - n, c - ca
    cb = CB_A * np.cross(b_1, b_2) + CB_B * b_1 + CB_C * b_2 + ca
    distance = np.linalg.norm(cb[:, None] - cb, axis=-1)
    number = np.arange(len(cb))
    counted = np.abs(number[:, None] - number) >= BURIAL_SEPARATION
    share = 0.5 * (1 - np.tanh((distance - BURIAL_RADIUS) / (2 * BURIAL_WIDTH)))  # the same, and cannot overflow
    return (counted * share).sum(axis=1)


@dataclass(frozen=True)
class Law:
    """The tables of the law.

    Attributes:
        first: (environments, letters) float64, probabilities of the first letter.
        following: (environments, letters, letters) float64, of a letter (last axis) after another one.
    """

    first: np.ndarray
    following: np.ndarray

    @classmethod
    def declared(
        cls, environments: int, letters: int, *, sharpness: float, coupling: float, rng: np.random.Generator
    ) -> "Law":
        """The law of the formula above; `rng` gives the orders of the environments, then those of the letters."""
        ranks = np.arange(1.0, letters + 1)
        alone = rng.permuted(np.tile(ranks, (environments, 1)), axis=1) ** -sharpness
        pair = rng.permuted(np.tile(ranks, (letters, 1)), axis=1) ** -coupling
        return cls(_scaled(alone), _scaled(alone[:, None, :] * pair))

    def sample(self, environment: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `number` sequences for one backbone's environments (length,); (number, length) uint8 letters."""
        drawn = np.empty((number, len(environment)), np.uint8)
        uniform = rng.random(drawn.shape)
        for i, e in enumerate(environment):
            law = self.following[e][drawn[:, i - 1]] if i else self.first[[e]]
            below = np.cumsum(law, axis=1)[:, :-1] < uniform[:, i, None]
            drawn[:, i] = below.sum(axis=1)
        return drawn

    def posterior(self, environment: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """What is known of every residue once some are seen: p(s_i = a | the seen letters, the structure).

        Args:
            environment: (length,) of the backbone.
            observed: (..., length) integer letters; whatever is none (such as -1 or the mask token) is unseen.

        Returns:
            (..., length, letters) float64; a seen residue has all its mass on what was seen.
        """
        letters = self.first.shape[1]
        observed = np.asarray(observed, np.int64)
        unseen = (observed < 0) | (observed >= letters)
        allowed = np.where(unseen[..., None], 1.0, observed[..., None] == np.arange(letters))
        forward, backward = np.empty(allowed.shape), np.ones(allowed.shape)
        # Every message is scaled to sum to one: products of probabilities along a chain would underflow.
        forward[..., 0, :] = _scaled(self.first[environment[0]] * allowed[..., 0, :])
        for i in range(1, len(environment)):
            forward[..., i, :] = _scaled(forward[..., i - 1, :] @ self.following[environment[i]] * allowed[..., i, :])
        for i in range(len(environment) - 1, 0, -1):
            message = (allowed[..., i, :] * backward[..., i, :]) @ self.following[environment[i]].T
            backward[..., i - 1, :] = _scaled(message)
        return _scaled(forward * backward)


@dataclass(frozen=True)
class Native:
    """A backbone's environments (length,) int64 and the sequence (length,) that the law drew for it."""

    environment: np.ndarray
    tokens: np.ndarray


def optimum(
    law: Law, natives: Sequence[Native], times: Sequence[float], *, draws: int, rng: np.random.Generator
) -> dict[str, Any]:
    """The best that any method can do on these backbones; all means are over residues.

    At time t a residue is masked with probability 1 - t, as in training (REED fmif/model_utils.py @0a4527e), and those
    that are masked are predicted from the others and the structure.

    Args:
        law: the law of the sequences.
        natives: backbones and their sequences.
        times: in [0, 1); the keys of the result are these as text.
        draws: sets of masks for each backbone, and of orders for `greedy_recovery`.
        rng: where masks and orders come from.

    Returns:
        `recovery`: expected share of right letters if every residue gets its likeliest letter given the structure
        alone; no sampler that sees only the structure can expect more. `sampled_recovery`: of a sequence drawn from
        the law. `greedy_recovery`: of residues unmasked one at a time in random order, each to its likeliest letter
        given those before (a perfect network at temperature 0). `structure_perplexity`: expected, from the structure
        alone. By time: `perplexity`, exp of the mean -log p of the masked native letters; `expected_perplexity`, its
        mean over what these letters might have been; `masked_recovery`, expected share of right likeliest letters of
        masked residues. `native_recovery`, `native_masked_recovery`: the share on the native sequences themselves.
    """
    alone, sampled, greedy = [], [], []
    masked: dict[str, list[np.ndarray]] = {str(time): [] for time in times}
    for native in natives:
        marginal = law.posterior(native.environment, np.full(len(native.tokens), UNSEEN))
        alone.append(_scores(marginal, native.tokens))
        sampled.append((marginal**2).sum(axis=-1))
        guessed = _one_by_one(law, native.environment, draws, rng)
        greedy.append(marginal[np.arange(len(marginal)), guessed].mean(axis=0))
        uniform = rng.random((draws, len(marginal)))
        for time in times:
            masked[str(time)].append(_masked_scores(law, native, uniform < 1 - time))
    whole, by_time = _means(alone), {time: _means(scores) for time, scores in masked.items()}
    return {
        "recovery": whole["recovery"],
        "native_recovery": whole["native_recovery"],
        "sampled_recovery": round(float(np.concatenate(sampled).mean()), DECIMALS),
        "greedy_recovery": round(float(np.concatenate(greedy).mean()), DECIMALS),
        "structure_perplexity": whole["expected_perplexity"],
        "perplexity": {time: means["perplexity"] for time, means in by_time.items()},
        "expected_perplexity": {time: means["expected_perplexity"] for time, means in by_time.items()},
        "masked_recovery": {time: means["recovery"] for time, means in by_time.items()},
        "native_masked_recovery": {time: means["native_recovery"] for time, means in by_time.items()},
    }


def _masked_scores(law: Law, native: Native, hidden: np.ndarray) -> np.ndarray:
    """Scores of the residues that are `hidden` (draws, length), predicted from all others."""
    tokens = np.broadcast_to(native.tokens.astype(np.int64), hidden.shape)
    posterior = law.posterior(native.environment, np.where(hidden, UNSEEN, tokens))
    return _scores(posterior[hidden], tokens[hidden])


def _one_by_one(law: Law, environment: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Unmask residues in random orders, each to its likeliest letter then; (draws, length) letters."""
    orders = rng.permuted(np.tile(np.arange(len(environment)), (draws, 1)), axis=1)
    state, rows = np.full(orders.shape, UNSEEN), np.arange(draws)
    for place in orders.T:
        state[rows, place] = law.posterior(environment, state)[rows, place].argmax(axis=-1)
    return state


def _scores(posterior: np.ndarray, native: np.ndarray) -> np.ndarray:
    """(n, letters), (n,) -> (n, 4): -log p of the native letter, its expectation, the largest p, is that one right."""
    surprise = -np.log(np.maximum(posterior, np.finfo(np.float64).tiny))
    found = surprise[np.arange(len(native)), native]
    right = posterior.argmax(axis=-1) == native
    return np.stack([found, (posterior * surprise).sum(axis=-1), posterior.max(axis=-1), right], axis=1)


def _means(scores: Sequence[np.ndarray]) -> dict[str, float]:
    """Means over all residues of what `_scores` gives."""
    found, expected, best, right = np.concatenate(scores).mean(axis=0).tolist()
    return {
        "perplexity": round(math.exp(found), DECIMALS),
        "expected_perplexity": round(math.exp(expected), DECIMALS),
        "recovery": round(best, DECIMALS),
        "native_recovery": round(right, DECIMALS),
    }


def _scaled(weights: np.ndarray) -> np.ndarray:
    """The same, with a sum of one along the last axis."""
    return weights / weights.sum(axis=-1, keepdims=True)
