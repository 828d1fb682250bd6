"""What a table says of families: how many the samples come from, and how far numbers move with them."""

import json
from collections.abc import Callable, Iterator

import pandas as pd

from reedbench.report.source import Source

KIND = "bootstrap95-of-clusters"


def lines(source: Source, label: Callable[[str], str]) -> Iterator[str]:
    """Clusters of homologous chains, and the bootstrap interval over them for the first metric that has one.

    Values are means over seeds at the last step. The interval over seeds holds the noise of training; this one says how
    the value would be on other families.

    Args:
        source: what the table is made from.
        label: of a method.
    """
    last = source.last
    spreads = [json.loads(text) for text in last["spread"]]
    own = last.assign(**{name: [spread.get(name) for spread in spreads] for name in ("kind", "low", "high")})
    own = own[own["kind"] == KIND]
    if own.empty:
        return
    first = own[own["family"] == own["family"].iloc[0]]
    (spread, *_) = (spread for spread in spreads if spread["kind"] == KIND)
    yield (
        f"Chains come from {spread['clusters']} clusters of homologues, {spread['effective_clusters']:.1f} in effect "
        "(inverse Simpson index)."
    )
    values = ", ".join(
        f"{label(str(method))} with {sampler} {_mean(cell, 'value')} [{_mean(cell, 'low')}, {_mean(cell, 'high')}]"
        for (method, sampler), cell in first.groupby(["method", "sampler"], sort=False)
    )
    yield f"95 % bootstrap over clusters (mean over seeds), {first['family'].iloc[0]}: {values}."


def _mean(cell: pd.DataFrame, column: str) -> str:
    return f"{cell[column].astype(float).mean():.3g}"
