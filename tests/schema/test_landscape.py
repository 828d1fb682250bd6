"""Which benchmarks have the figure of all methods."""

import pytest

from reedbench.schema import reports, runs, suite


@pytest.mark.parametrize(("methods", "made"), [(3, False), (4, False), (5, True), (16, True)])
def test_it_is_made_where_many_methods_are_trained(files, methods, made):
    files.set("methods", {f"m{i}": {"uses": "aligned", "label": f"M{i}"} for i in range(methods)})
    files.set("table", [f"m{i}" for i in range(methods)])
    files.set("ablations", {})
    files.set("speedup/baseline", "m0")
    files.write()
    tiny = runs.benchmark(suite.load(), "tiny")
    assert ("landscape" in reports.figures(tiny)) is made


def test_no_shipped_benchmark_of_three_methods_has_it(monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(Path(__file__).parents[2])
    shipped = suite.load()
    few = [b for b, spec in shipped.benchmarks.items() if len(spec.table) < 5]
    assert not [b for b in few if "landscape" in reports.figures(runs.benchmark(shipped, b))]
