"""Paired differences: what a method's metric differs by from another's, seed by seed.

Methods share data, noise and times at equal seed, so that the difference within a seed varies less than the values
over seeds do. Mean and interval are those of any value over seeds (report/intervals.py): the t interval of a paired
t test for three or more common seeds, the range for two, which is no confidence interval and shows nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from reedbench.report.intervals import Interval, interval, plain
from reedbench.report.source import Source

NOT_SHOWN = "no difference shown"


@dataclass(frozen=True)
class Difference:
    """A method's metric minus another method's, at the same sampler, over the `seeds` that both have.

    The step is the method's; the other one's is the same, or its last one where one of them has a length of its own.
    """

    metric: str
    family: str
    direction: str  # lower | higher is better
    method: str
    against: str
    step: int
    sampler: str
    seeds: tuple[int, ...]
    over: Interval

    @property
    def shown(self) -> bool:
        """Whether the seeds show a difference at all: a confidence interval that excludes 0."""
        bounds = (self.over.low, self.over.high)
        return self.over.kind == "t95" and all(bound is not None for bound in bounds) and not _holds_zero(self.over)

    @property
    def better(self) -> bool:
        """Whether the mean difference is in the method's favour."""
        return self.over.mean < 0 if self.direction == "lower" else self.over.mean > 0

    @property
    def text(self) -> str:
        """`-0.093 [-0.182, -0.004]`; `–` where it was not measured or there is no common seed."""
        return plain(self.over, signed=True)

    def sentence(self, labels: Mapping[str, str]) -> str:
        """`REED against SiT, fd@digits-clf: -0.093 [-0.182, -0.004], better`, or `no difference shown`."""
        head = f"{labels.get(self.method, self.method)} against {labels.get(self.against, self.against)}, {self.family}"
        if self.text == "–":
            return f"{head}: not measured"
        verdict = ("better" if self.better else "worse") if self.shown else NOT_SHOWN
        few = {"range": " (two seeds: a range)", "none": " (one seed)"}.get(self.over.kind, "")
        return f"{head}: {self.text}{few}, {verdict}"


def difference(
    source: Source, metric: str, method: str, against: str, step: int, sampler: str, to: int | None = None
) -> Difference:
    """Of two methods in one metric (an id); a mean of NaN where there is no common seed or no value.

    `step` is the first one's, and the other one's too unless `to` is given.
    """
    rows = source.metrics
    own = rows[(rows["metric"] == metric) & (rows["sampler"] == sampler)]
    first = own.iloc[0] if len(own) else rows[rows["metric"] == metric].iloc[0]
    wanted = ((method, step), (against, step if to is None else to))
    ours, theirs = (own[(own["method"] == m) & (own["step"] == s)].set_index("seed")["value"] for m, s in wanted)
    both = sorted(set(ours.index) & set(theirs.index))
    over = interval((ours[both] - theirs[both]).tolist()) if both else Interval(float("nan"), None, None, "none")
    seeds = tuple(int(seed) for seed in both)
    return Difference(metric, first["family"], first["direction"], method, against, step, sampler, seeds, over)


def differences(
    source: Source, metrics: Sequence[str], methods: Sequence[str], baseline: str, ends: Collection[str] = ()
) -> list[Difference]:
    """Of every method but the baseline against it, per metric (an id), and sampler and step under which both were
    drawn.

    Methods of `ends` are trained for a length of their own, and compared at their last step with the baseline's last.
    """
    generated = source.metrics[source.metrics["step"] >= 0]
    cells: pd.DataFrame = generated[["method", "sampler", "step"]].drop_duplicates().sort_values(["sampler", "step"])
    theirs = cells[cells["method"] == baseline].groupby("sampler")["step"].agg(set)
    lasts = cells.groupby("method")["step"].max()
    found = []
    for metric in metrics:
        for method in methods:
            own = cells[cells["method"] == method] if method != baseline else cells[:0]
            apart = method in ends or baseline in ends
            for _, sampler, step in own.itertuples(index=False):
                against = theirs.get(sampler, set())
                if against and (step == lasts[method] if apart else step in against):
                    other = int(max(against)) if apart else None
                    found.append(difference(source, metric, method, baseline, int(step), str(sampler), other))
    return found


def _holds_zero(over: Interval) -> bool:
    low, high = over.band
    return low <= 0 <= high
