"""Designed sequences beside the chains that they were designed for, and the bases of metrics on them.

A residue counts where all of N, CA, C, O are there and the native one is known: elsewhere nothing was designed, or
nothing says what is right.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.core.errors import MetricError
from reedbench.domains import protein, superposition
from reedbench.domains.rows import Rows
from reedbench.domains.superposition import Folds
from reedbench.metrics import AbstractMetric, Evidence, _votes
from reedbench.metrics._votes import Statistic, Votes
from reedbench.nn.residues import UNKNOWN

ARRAYS = {"state": "tokens", "argmax": "argmax"}  # arrays of samples


@dataclass(frozen=True, eq=False)
class Designs:
    """Designs and what was asked for; row i of everything belongs together.

    Attributes:
        samples: as `domains.protein.write_samples` takes them.
        asked: the native chains, with the samples' ids.
        folds: structures that were predicted for the samples, where a metric needs them.

    Raises:
        MetricError: rows do not belong together, lengths differ, or a chain has no residue that counts.
    """

    samples: Rows
    asked: Rows
    folds: Folds | None = None

    def __post_init__(self) -> None:
        if list(self.samples.ids) != list(self.asked.ids):
            raise MetricError("the samples are not those that were asked for: their ids or their order differ")
        natives = self.asked.arrays["tokens"].lengths
        self._same_lengths("the design", self.samples.arrays["tokens"].lengths, natives)
        if self.folds is not None:
            self._same_lengths("the predicted structure", self.folds.coordinates.lengths, natives)
        for i, name in enumerate(self.asked.ids):
            if not self.weight(i).any():
                raise MetricError(f"{name}: no residue counts, each is X or lacks an atom; leave the chain out")

    def __len__(self) -> int:
        return len(self.samples)

    def weight(self, i: int) -> np.ndarray:
        """(length,) bool: the residues of sample i that count."""
        coordinates, tokens = (self.asked.arrays[name][i] for name in ("coordinates", "tokens"))
        return protein.resolved(coordinates) & (tokens != UNKNOWN)

    def counted(self, of: Literal["state", "argmax"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Designed and native tokens (m,) of each sample, at the residues that count."""
        for i, designed in enumerate(self.samples.arrays[ARRAYS[of]]):
            weight = self.weight(i)
            yield designed[weight], self.asked.arrays["tokens"][i][weight]

    def structures(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Native and predicted N, CA, C (m, 3, 3) of each sample, at the residues that count.

        Raises:
            MetricError: too few count for a superposition.
        """
        assert self.folds is not None, "metrics that need a folder ask for its structures first"
        for i, predicted in enumerate(self.folds.coordinates):
            weight = self.weight(i)
            if weight.sum() < superposition.LEAST:
                raise MetricError(
                    f"{self.asked.ids[i]}: a superposition needs {superposition.LEAST} residues, and {weight.sum()} "
                    "count (known, with all four atoms); raise the dataset's min_length or least_resolved until the "
                    "chain is left out, or take it out of the source"
                )
            yield self.asked.arrays["coordinates"][i][weight][:, :3], predicted[weight]

    def clusters(self) -> np.ndarray:
        """(n,) cluster of each sample's chain; a chain of its own where the data know of no clusters."""
        if "cluster" in self.asked.arrays:
            return np.asarray(self.asked.arrays["cluster"])
        places = np.empty(len(self), np.int64)
        for chain, rows in enumerate(self.by_chain()):
            places[rows] = chain
        return places

    def by_chain(self) -> list[np.ndarray]:
        """Rows of the samples of each chain; the id of a sample is `<chain>/<stream>`."""
        rows: dict[str, list[int]] = {}
        for i, name in enumerate(self.samples.ids):
            rows.setdefault(name.rpartition("/")[0] or name, []).append(i)
        return [np.array(found) for found in rows.values()]

    def _same_lengths(self, what: str, found: np.ndarray, natives: np.ndarray) -> None:
        for name, length, native in zip(self.asked.ids, found, natives, strict=True):
            if length != native:
                raise MetricError(f"{name}: {what} has {length} residues, and the native chain {native}")


class DesignMetric(AbstractMetric):
    """A number on designed sequences."""

    domain: ClassVar[str | None] = "protein"

    def least_n(self) -> int:
        """One chain has a value."""
        return 1

    @abstractmethod
    def votes(self, designs: Designs) -> Votes:
        """The number as a function of how often each cluster counts, float64."""

    def measured(self, evidence: Evidence) -> float:
        """The value on the samples of the evidence."""
        return self.finite(self.votes(self.designs(evidence)).value())

    def spread(self, evidence: Evidence) -> dict[str, Any]:
        """The bootstrap over clusters of chains."""
        return self.votes(self.designs(evidence)).spread()

    def in_words(self, name: str, value: Any) -> str:
        """A setting that is not the default, in plain words."""
        return f"one vote per {value}" if name == "vote" else super().in_words(name, value)

    def designs(self, evidence: Evidence) -> Designs:
        """What it looks at.

        Raises:
            MetricError: samples and chains do not belong together.
        """
        return Designs(evidence.samples, evidence.asked)


class PooledMetric(DesignMetric):
    """A ratio of sums over the samples: of residues, or one vote per cluster."""

    vote: Literal["residue", "cluster"] = "residue"
    """What has one vote: every residue, so that large families and long chains decide, or every cluster of homologous
    chains (the mean over clusters of each one's own value)."""

    @abstractmethod
    def sums(self, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
        """What is added up (n,), and over how much (n,), for each sample."""

    def then(self, ratio: float) -> float:
        """What becomes of the ratio of the sums."""
        return ratio

    def votes(self, designs: Designs) -> Votes:
        """The ratio of the sums, or its mean over clusters."""
        above, below = self.sums(designs)
        by_cluster = self.vote == "cluster"
        return _votes.of_sums(above, below, designs.clusters(), per_cluster=by_cluster, then=self.then)


class SequenceMetric(DesignMetric):
    """A number on the letters of the designs."""

    said: ClassVar[frozenset[str]] = frozenset({"uses", "of"})

    of: Literal["state", "argmax"] = "state"
    """Which sequence: the sampler's final state, or the argmax of its last prediction, as REED reports."""

    @property
    def under(self) -> str:
        """Which sequence."""
        return self.of

    @property
    def through(self) -> str:
        """Which sequence, in words."""
        return {"state": "sampled sequence", "argmax": "last argmax"}[self.of]


class FoldedMetric(DesignMetric):
    """A number on the structures that a folder predicts for the designs (the sampler's final states)."""

    said: ClassVar[frozenset[str]] = frozenset({"uses", "folder", "best"})

    lower_is_better: ClassVar[bool]  # of the numbers of samples, among which the best is chosen

    folder: str
    """Name of one of the benchmark's folders."""
    best: bool = False
    """Of several samples of a chain take only the best, as MultiFlow does; sampling.streams is then their number, the k
    of the metric's id."""
    vote: Literal["sample", "cluster"] = "sample"
    """What has one vote: every sample (with `best` every chain), or every cluster of homologous chains."""

    @property
    def under(self) -> str:
        """The folder, and `best`."""
        return f"{self.folder}-best" if self.best else self.folder

    @property
    def through(self) -> str:
        """The folder, and whether the best of a chain counts."""
        return f"{self.folder}, best of each chain" if self.best else self.folder

    def folders(self) -> tuple[str, ...]:
        """The folder."""
        return (self.folder,)

    def misfit(self, sampling: Any, samplers: Mapping[str, Any]) -> str | None:
        """The best of one."""
        if self.best and sampling.streams == 1:
            return "best has no effect on one sample of a chain: take it out, or set sampling.streams to 2 or more"
        return None

    def designs(self, evidence: Evidence) -> Designs:
        """With predicted structures.

        Raises:
            MetricError: a sample has several chains, which a folder would join to one.
        """
        designs = super().designs(evidence)
        for name, chain in zip(designs.asked.ids, designs.asked.arrays["chain"], strict=True):
            if (chain != chain[0]).any():
                raise MetricError(
                    f"{name}: has several chains, and folders predict single ones; leave {self.family} out"
                )
        return replace(designs, folds=evidence.folds(self.folder))

    @abstractmethod
    def each(self, designs: Designs) -> np.ndarray:
        """(n,) float64, one number per sample."""

    def counted(self, kept: np.ndarray) -> np.ndarray:
        """What is averaged of the numbers that are kept, such as whether they pass a limit."""
        return kept

    def votes(self, designs: Designs) -> Votes:
        """The mean over samples, or over the best of each chain."""
        return self.over("mean", designs)

    def over(self, statistic: Statistic, designs: Designs) -> Votes:
        """A statistic over samples, over the best of each chain, or over clusters of either."""
        values, clusters = self.each(designs), designs.clusters()
        if self.best:
            best = np.min if self.lower_is_better else np.max
            chains = designs.by_chain()
            values = np.array([best(values[rows]) for rows in chains])
            clusters = np.array([clusters[rows[0]] for rows in chains])
        return _votes.of_units(self.counted(values), clusters, statistic, per_cluster=self.vote == "cluster")


class SummarisedMetric(FoldedMetric):
    """One number per sample, and their mean or median."""

    said: ClassVar[frozenset[str]] = frozenset({"uses", "folder", "best", "statistic"})

    statistic: Statistic = "mean"
    """Over samples, or over chains with `best`, or over clusters with `vote: cluster`."""

    @property
    def under(self) -> str:
        """The folder, `best` and `median`."""
        return super().under if self.statistic == "mean" else f"{super().under}-{self.statistic}"

    @property
    def through(self) -> str:
        """The statistic, and what the folder is given."""
        return f"{self.statistic}, {super().through}"

    def votes(self, designs: Designs) -> Votes:
        """The statistic of the numbers that are kept."""
        return self.over(self.statistic, designs)


def backbone_rmsds(designs: Designs) -> np.ndarray:
    """(n,) RMSD in Angstrom over N, CA and C of the residues that count, after superposition.

    The atoms of Rosetta's `bb_rmsd`, which REED reports (protein/fmif/train_fmif.py @0a4527e).
    """
    pairs = designs.structures()
    return np.array([superposition.rmsd(native.reshape(-1, 3), other.reshape(-1, 3)) for native, other in pairs])


def confidences(designs: Designs) -> np.ndarray:
    """(n,) mean pLDDT of the predicted structures, 0 to 100, over all residues."""
    assert designs.folds is not None, "metrics that need a folder ask for its structures first"
    return designs.folds.plddt
