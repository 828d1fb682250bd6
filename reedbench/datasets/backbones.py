"""Made backbones with sequences from a declared law, so that the best possible predictions are known; no download.

It tests the machinery and the effect of alignment, not biology: see the card that `facts` gives.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import seeds
from reedbench.core.ragged import Ragged
from reedbench.datasets import AbstractDataset
from reedbench.domains import made_backbones, sequence_law
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.nn import residues

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)  # at which the optimum of masked residues is told
DRAWS = 16  # sets of masks per test chain and time
BEST = "best possible"  # what reports call a limit of every method
CARD = (
    "These proteins do not exist. Backbones are assembled from ideal helices, strands and loops with peptide bonds of "
    "the right lengths and angles, kept compact and free of clashes by rejection; strands form no sheets, and nothing "
    "is fitted to real proteins.",
    "Sequences follow a declared law: every residue has one of six environments (helix, strand or loop, exposed or "
    "buried), a function of the coordinates alone, and given these the letters form a Markov chain along the sequence, "
    "with tables drawn at random once. The letters have their usual names and none of their chemistry.",
    "So the best possible recovery and the best possible perplexity at every masking level follow exactly, by "
    "forward-backward; they stand under `optimum` for the test chains, and no method can do better but by chance.",
    "The set tests the machinery and the effect of alignment on learning. It says nothing of biology, of folding, or "
    "of how a method ranks on real proteins.",
)


class Backbones(AbstractDataset):
    """Compact made backbones of 40 to 60 residues; their sequences follow a law whose optimum is known."""

    domain: ClassVar[str] = "protein"
    embedded: ClassVar[bool] = True
    uncited: ClassVar[str] = "made here by a declared law"
    uses: Literal["backbones"] = "backbones"

    chains: int = Field(512, ge=1)
    """Training chains; more of them begin with the same ones."""

    test_chains: int = Field(64, ge=1)
    """Test chains; more of them begin with the same ones."""

    min_length: int = Field(40, ge=10)
    """Residues of the shortest chain."""

    max_length: int = Field(60, le=100)
    """Residues of the longest chain; every length in between is equally likely."""

    noise: float = Field(6.0, ge=0, le=12)
    """Standard deviation of phi and psi in helices, in degrees; strands and loops spread twice as far."""

    sharpness: float = Field(1.4, ge=0, le=10)
    """How strongly a residue's environment decides its letter (power of the rank); 0 makes structure say nothing."""

    coupling: float = Field(1.0, ge=0, le=10)
    """How strongly a letter decides the next one (power of the rank); 0 makes neighbours say nothing."""

    @model_validator(mode="after")
    def _lengths_are_ordered(self) -> "Backbones":
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")
        return self

    def declared(self) -> dict[str, Any]:
        """Number of chains."""
        return {"splits": {TRAIN: self.chains, TEST: self.test_chains}}

    def rows(self) -> Rows:
        """Training chains, then test chains: `coordinates`, `tokens` and `chain` of `domains.protein`, and `cluster`.

        Raises:
            ConfigError: no backbone without clashes is found.
        """
        splits = [TRAIN] * self.chains + [TEST] * self.test_chains
        numbers = [*range(self.chains), *range(self.test_chains)]
        law = self.law()
        made = [self._chain(law, split, number) for split, number in zip(splits, numbers, strict=True)]
        arrays = {
            "coordinates": Ragged.of([coordinates for coordinates, _ in made]),
            "tokens": Ragged.of([tokens for _, tokens in made]),
            "chain": Ragged.of([np.ones(len(tokens), np.uint8) for _, tokens in made]),
            "cluster": np.arange(len(made)),
        }
        return Rows([f"{split}-{i:04d}" for split, i in zip(splits, numbers, strict=True)], splits, arrays)

    def law(self) -> sequence_law.Law:
        """The law of the sequences, the same for every variant with the same sharpness and coupling."""
        return sequence_law.Law.declared(
            len(sequence_law.ENVIRONMENTS),
            len(residues.AMINO_ACIDS),
            sharpness=self.sharpness,
            coupling=self.coupling,
            rng=seeds.stream("backbones-law"),
        )

    def facts(self) -> dict[str, Any]:
        """Source, card, the law's parameters, and the optimum on the test chains (see `sequence_law.optimum`)."""
        law = self.law()
        natives = []
        for i in range(self.test_chains):
            coordinates, tokens = self._chain(law, TEST, i)
            natives.append(sequence_law.Native(sequence_law.environments(coordinates), tokens))
        best = sequence_law.optimum(law, natives, TIMES, draws=DRAWS, rng=seeds.stream("backbones-optimum"))
        return {
            "source": "made by reedbench (no real protein)",
            "card": list(CARD),
            "optimum": best,
            "limits": _limits(best, len(natives)),
            "law": {
                "environments": list(sequence_law.ENVIRONMENTS),
                "letters": residues.AMINO_ACIDS,
                "sharpness": self.sharpness,
                "coupling": self.coupling,
            },
        }

    def _chain(self, law: sequence_law.Law, split: str, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (length, 4, 3) and tokens (length,) of one chain: a function of its split and number alone."""
        rng = seeds.stream("backbones-chain", split, number)
        length = int(rng.integers(self.min_length, self.max_length, endpoint=True))
        coordinates = made_backbones.make(length, self.noise, rng)
        letters = law.sample(
            sequence_law.environments(coordinates), 1, seeds.stream("backbones-letters", split, number)
        )
        return coordinates, letters[0]


def _limits(best: dict[str, Any], chains: int) -> list[dict[str, Any]]:
    """What no method can pass on the test chains, and what a perfect network reaches by sampling, by metric."""
    perplexities = [(f"masked-perplexity@{time}", value) for time, value in best["perplexity"].items()]
    limits = [(metric, BEST, value) for metric, value in (("recovery", best["recovery"]), *perplexities)]
    limits.append(("recovery", "exact law, unmasked one by one", best["greedy_recovery"]))
    return [{"metric": metric, "what": what, "value": value, "n": chains} for metric, what, value in limits]
