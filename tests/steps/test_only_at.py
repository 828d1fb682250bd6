"""A sampler that draws at the last step alone: its cells, the table, the figures and the cache."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_steps import benchmark, change, run

from reedbench.core import paths
from reedbench.nn.backbones.sit import SiT
from reedbench.schema import planning, reports, suite
from reedbench.steps import summary
from reedbench.steps.export import export


@pytest.fixture(scope="module")
def there(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A whole benchmark of two steps, two samplers, and weights from outside at a step of their own."""
    folder = make_workspace(tmp_path_factory.mktemp("only") / "work")
    with contextlib.chdir(folder):
        state = SiT(size=8, channels=1, patch=2, width=16, depth=2, heads=2, classes=10).state_dict()
        torch.save(state, "public.pt")
        repa = [{"encoder": "patches", "depth": 1, "projector_width": 16}]
        methods = {
            "sit": {"uses": "aligned", "label": "SiT"},
            "repa": {"uses": "aligned", "label": "REPA", "alignments": repa},
            "public": {"uses": "imported", "label": "Public", "weights": "./public.pt", "step": 4000, "time": "sit"},
        }
        samplers = {"ode": {"uses": "euler", "steps": 2}, "steered": {"uses": "euler", "steps": 2, "guidance": 2.0}}
        change(methods=methods, table=list(methods), ablations={}, evaluate=[5, 10], samplers=samplers,
               only_at={"steered": [10]})  # fmt: skip
        for job in planning.jobs(benchmark()):
            assert run(f"{job.verb} {job.arguments}") == 0, job
        yield
        suite.load.cache_clear()


def test_it_draws_at_its_steps_and_from_weights_from_outside(there):
    cells = [(cell.run.method, cell.step, cell.sampler) for cell in benchmark().cells(["sit", "public"])]
    assert cells == [
        ("sit", 5, "ode"), ("sit", 10, "ode"), ("sit", 10, "steered"), ("public", 4000, "ode"),
        ("public", 4000, "steered"),
    ]  # fmt: skip
    assert not Path(paths.samples("tiny", "sit", 0, 5, "steered")).exists()
    table = pd.read_csv(paths.table("tiny"))
    rows = [(m, step) for m, step in table.loc[table["sampler"] == "steered", ["method", "step"]].values.tolist()]
    assert rows == [("sit", 10), ("repa", 10), ("public", 4000)]
    assert len(table) == 3 + 2 + 2 + 1


def test_it_has_differences_and_no_curve(there):
    gains = pd.read_csv(paths.figure("tiny", "speedup", ".csv"))
    assert set(gains.loc[gains["kind"].isin(["curve", "mark", "level"]), "sampler"]) == {"ode"}
    drawn = pd.read_csv(paths.figure("tiny", "differences", ".csv"))
    assert set(drawn["sampler"]) == {"ode", "steered"}
    assert set(drawn["step"]) == {10}
    assert all(Path(paths.figure("tiny", name, ".pdf")).exists() for name in reports.figures(benchmark()))


def test_it_is_summed_up_and_comes_back_from_the_cache(there):
    tables, lines = summary.summary(benchmark(), cache=False)
    assert len(tables) == 2
    assert any(line.startswith("Sampler steered: euler steps=2;") for line in lines)
    assert "steered:" in summary.paired(benchmark(), cache=False, ablation=None, against=None)
    export(benchmark())
    assert run("tabulate --benchmark tiny --cache") == 0
    assert Path(paths.cached_table("tiny")).read_bytes() == Path(paths.table("tiny")).read_bytes()


def test_other_steps_of_it_are_another_report_and_nothing_else(there, tmp_path, monkeypatch):
    before = benchmark()
    shutil.copytree("config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    change(only_at={})
    after = benchmark()
    assert reports.reporting(after) != reports.reporting(before)
    assert [run.key for run in after.runs(["sit"])] == [run.key for run in before.runs(["sit"])]
    assert (after.scoring.key, after.sampling("steered")) == (before.scoring.key, before.sampling("steered"))
    more = {cell.title for cell in after.cells(["sit"])} - {cell.title for cell in before.cells(["sit"])}
    assert more == {"tiny/sit/seed0/5/steered"}
