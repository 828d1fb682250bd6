"""Sequence recovery per chain: the mean or median over chains, each of the same weight."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import _votes
from reedbench.metrics._designs import Designs, SequenceMetric
from reedbench.metrics._votes import Statistic, Votes


class ChainRecovery(SequenceMetric):
    """Sequence recovery of each chain, over all its samples; then the mean or median over chains."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Sequence recovery"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "of", "statistic"})
    uncited: ClassVar[str] = "a mean or median of shares, defined here"
    uses: Literal["chain-recovery"] = "chain-recovery"

    statistic: Statistic = "mean"
    """Over chains, or over clusters with `vote: cluster`. The field quotes the median over chains."""
    vote: Literal["chain", "cluster"] = "chain"
    """What has one vote: every chain, or every cluster of homologous chains (with the mean over its chains)."""

    @property
    def under(self) -> str:
        """Which sequence, and `median`."""
        return super().under if self.statistic == "mean" else f"{super().under}-{self.statistic}"

    @property
    def through(self) -> str:
        """The statistic and which sequence, in words."""
        return f"{self.statistic} over {self.vote}s, {super().through}"

    def votes(self, designs: Designs) -> Votes:
        """A share between 0 and 1."""
        each = np.array([(designed == native).mean() for designed, native in designs.counted(self.of)])
        chains, clusters = designs.by_chain(), designs.clusters()
        values = np.array([each[rows].mean() for rows in chains])
        places = np.array([clusters[rows[0]] for rows in chains])
        return _votes.of_units(values, places, self.statistic, per_cluster=self.vote == "cluster")
