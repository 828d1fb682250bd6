"""Diversity: how much the samples of one chain differ from each other."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.core.errors import MetricError
from reedbench.metrics import _votes
from reedbench.metrics._designs import Designs, SequenceMetric
from reedbench.metrics._votes import Votes
from reedbench.nn.residues import VOCABULARY


class Diversity(SequenceMetric):
    """1 - identity of two samples of a chain: the mean over all pairs, then over chains."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Diversity of designs"
    uncited: ClassVar[str] = "a mean over pairs of samples, defined here"
    uses: Literal["diversity"] = "diversity"

    def least_n(self) -> int:
        """One pair."""
        return 2

    def misfit(self, sampling: Any, samplers: Mapping[str, Any]) -> str | None:
        """One sample of each chain."""
        return None if sampling.streams > 1 else "needs several samples of a chain: set sampling.streams to 2 or more"

    def votes(self, designs: Designs) -> Votes:
        """A share between 0 and 1.

        Raises:
            MetricError: a chain has a single sample.
        """
        samples = [designed for designed, _ in designs.counted(self.of)]
        chains, clusters = designs.by_chain(), designs.clusters()
        values = np.array([self._of_chain([samples[i] for i in rows]) for rows in chains])
        places = np.array([clusters[rows[0]] for rows in chains])
        return _votes.of_units(values, places, "mean", per_cluster=False)

    def _of_chain(self, samples: list[np.ndarray]) -> float:
        if (k := len(samples)) < 2:
            raise MetricError(
                f"{self.family}: needs at least two samples of every chain; set sampling.streams to 2 or more"
            )
        here = np.stack(samples)[:, :, None] == np.arange(VOCABULARY)
        counts = here.sum(axis=0)  # (m, letters): how many samples have each letter
        return 1 - float((counts * (counts - 1)).sum() / (k * (k - 1) * len(counts)))
