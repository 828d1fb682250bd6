"""Tables say how many families the samples come from, and how far the first metric moves with them."""

import json

import pandas as pd

from reedbench.report import clusters
from reedbench.report.source import Source

NONE = {"kind": "none", "reason": "1 stream"}


def over(low: float, high: float) -> dict[str, object]:
    return {"kind": clusters.KIND, "low": low, "high": high, "clusters": 114, "effective_clusters": 103.7}


def source(*records: tuple[str, int, int, str, float, dict[str, object]]) -> Source:
    columns = ["method", "seed", "step", "family", "value"]
    table = pd.DataFrame([record[:-1] for record in records], columns=columns)
    return Source(table.assign(sampler="a", spread=[json.dumps(record[-1]) for record in records]), pd.DataFrame(), {})


def test_the_interval_over_clusters_is_the_mean_over_seeds_at_the_last_step():
    said = list(clusters.lines(source(
        ("sit", 0, 10, "evaluations@chain", 9.0, NONE),
        ("sit", 0, 5, "recovery@state", 0.9, over(0.1, 0.9)),
        ("sit", 0, 10, "recovery@state", 0.2, over(0.1, 0.3)), ("sit", 1, 10, "recovery@state", 0.3, over(0.2, 0.4)),
        ("reed", 0, 10, "recovery@state", 0.5, over(0.4, 0.6)),
        ("sit", 0, 10, "elbo@native", 2.0, over(1.0, 3.0)),
    ), str.upper))  # fmt: skip
    assert said == [
        "Chains come from 114 clusters of homologues, 103.7 in effect (inverse Simpson index).",
        "95 % bootstrap over clusters (mean over seeds), recovery@state: SIT with a 0.25 [0.15, 0.35], "
        "REED with a 0.5 [0.4, 0.6].",
    ]


def test_nothing_is_said_where_no_metric_knows_clusters():
    assert list(clusters.lines(source(("sit", 0, 10, "fd@clf", 2.0, NONE)), str)) == []
