"""Perplexity of masked native residues at one time, from all others and the structure.

At time t every residue was masked with probability 1 - t, once per sample, and the network asked for native letters.
Not comparable with the perplexity of autoregressive models, nor with numbers that average over random times.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core.errors import MetricError
from reedbench.metrics._designs import Designs, PooledMetric
from reedbench.metrics._scores import near, other_times


class MaskedPerplexity(PooledMetric):
    """exp of the mean -log p of native letters that were masked, over all of them at once."""

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Perplexity of masked residues"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "at"})
    uncited: ClassVar[str] = "a perplexity under masks, defined here"
    uses: Literal["masked-perplexity"] = "masked-perplexity"

    at: float = Field(gt=0, lt=1)
    """The time, one of those in the sampler's `scored_at`; 1 - at is the share that is masked."""

    @property
    def under(self) -> str:
        """The time."""
        return f"{self.at!r}"

    @property
    def through(self) -> str:
        """The time."""
        return f"time {self.at!r}"

    def misfit(self, sampling: Any, samplers: Mapping[str, Any]) -> str | None:
        """A sampler that does not score the native sequence at this time."""
        for name, sampler in samplers.items():
            if not near(getattr(sampler, "scored_at", ()), self.at).any():
                return f"sampler '{name}' does not score the native sequence at {self.at:g}: add it to its scored_at"
        return None

    def sums(self, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
        """Sum of -log p, and number of residues that were masked, of each sample.

        Raises:
            MetricError: the native sequences were not scored at this time, or nothing was masked.
        """
        times, nll, masked = (designs.samples.arrays[name] for name in ("times", "nll", "masked"))
        chosen = near(times, self.at)
        if not chosen.any(axis=1).all():
            raise other_times(self.family, times, "set its scored_at")
        if not masked[chosen].any():
            raise MetricError(f"{self.family}: no residue was masked at this time; take more chains or an earlier time")
        return (nll * chosen).sum(axis=1), (masked * chosen).sum(axis=1)

    def then(self, ratio: float) -> float:
        """At least 1; 20 for blind guesses."""
        return float(np.exp(ratio))
