"""Sequence recovery per chain: the mean or median over chains, each of the same weight."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import STATISTICS, Designs, SequenceMetric, Statistic


class ChainRecovery(SequenceMetric):
    """Sequence recovery of each chain, over all its samples; then the mean or median over chains."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Sequence recovery"
    uses: Literal["chain-recovery"] = "chain-recovery"

    statistic: Statistic = "mean"
    """Over chains."""

    @property
    def under(self) -> str:
        """Which sequence, and `median`."""
        return super().under if self.statistic == "mean" else f"{super().under}-{self.statistic}"

    @property
    def through(self) -> str:
        """The statistic and which sequence, in words."""
        return f"{self.statistic} over chains, {super().through}"

    def value(self, designs: Designs) -> float:
        """A share between 0 and 1."""
        each = np.array([(designed == native).mean() for designed, native in designs.counted(self.of)])
        chains = np.array([each[rows].mean() for rows in designs.by_chain()])
        return float(STATISTICS[self.statistic](chains))
