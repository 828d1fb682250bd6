"""The likelihood bound of masked diffusion: -log p of the native sequence is at most this, in nats per residue.

With masks of probability 1 - t the bound is the integral over t in [0, 1] of E[sum over masked residues of -log p]
/ (1 - t): Sahoo et al. 2024, arXiv:2406.07524; Shi et al. 2024, arXiv:2406.04329.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.metrics._designs import Designs, PooledMetric
from reedbench.metrics._scores import near, other_times


class Elbo(PooledMetric):
    """The negative evidence lower bound, estimated: midpoints in place of the integral, one mask at each and sample."""

    unit: ClassVar[str] = "nats per residue"
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Likelihood bound of the native sequence"
    cites: ClassVar[tuple[str, ...]] = ("sahoo2024mdlm", "shi2024md4")
    uses: Literal["elbo"] = "elbo"

    times: int = Field(5, ge=1)
    """Equal parts of [0, 1]; the sampler's `scored_at` must be their midpoints. Fewer are a coarser integral, and so
    another number."""

    @property
    def under(self) -> str:
        """It is the native sequence that is scored."""
        return "native"

    @property
    def through(self) -> str:
        """Nothing: the title says it."""
        return ""

    def misfit(self, sampling: Any, samplers: Mapping[str, Any]) -> str | None:
        """A sampler that scores the native sequence at other times."""
        others = [name for name, sampler in samplers.items() if not self._fits(getattr(sampler, "scored_at", ()))]
        return f"sampler '{others[0]}' scores the native sequence at other times: {self._advice}" if others else None

    def sums(self, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
        """The mean over times of the weighted sums, and residues that count, of each sample; log 20 for blind guesses.

        Raises:
            MetricError: the times are not the midpoints of so many equal parts.
        """
        times, nll = (designs.samples.arrays[name] for name in ("times", "nll"))
        if not all(map(self._fits, times)):
            raise other_times(self.family, times, self._advice)
        residues = np.array([designs.weight(i).sum() for i in range(len(designs))])
        return (nll / (1 - times)).mean(axis=1), residues

    def _fits(self, times: Sequence[float] | np.ndarray) -> bool:
        return len(times) == self.times and bool(near(np.sort(times), self._midpoints()).all())

    def _midpoints(self) -> np.ndarray:
        return (np.arange(self.times) + 0.5) / self.times

    @property
    def _advice(self) -> str:
        wanted = ", ".join(f"{time:.10g}" for time in self._midpoints())
        return f"set its scored_at to the midpoints of {self.times} equal parts, [{wanted}], or `times` to their number"
