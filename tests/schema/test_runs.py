"""A benchmark, a run and a cell are values: resolved once, refused where nothing is meant, equal where the same is."""

import pytest

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.schema import planning, runs, suite


@pytest.fixture
def tiny(files) -> suite.Suite:
    files.write()
    suite.load.cache_clear()
    return suite.load()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("tinny", "sit", 0, 10, "ode"), r"unknown benchmark 'tinny'; did you mean 'tiny'\?"),
        (("tiny", "ree", 0, 10, "ode"), r"unknown method 'ree'; did you mean 'reed'\?"),
        (("tiny", "sit", 0, 10, "oed"), r"unknown sampler 'oed'; did you mean 'ode'\?"),
    ],
)
def test_a_name_that_the_configuration_does_not_have_makes_no_cell(tiny, names, said):
    with pytest.raises(ConfigError, match=said):
        runs.cell(tiny, *names)


def test_a_cell_is_the_same_however_it_is_reached(tiny):
    benchmark = runs.benchmark(tiny, "tiny")
    cell = runs.cell(tiny, "tiny", "sit", 1, 20, "ode")
    assert cell in set(benchmark.cells(["sit"]))
    assert cell.run in set(benchmark.runs(["sit"]))
    assert cell != runs.cell(tiny, "tiny", "sit", 0, 20, "ode")


def test_a_run_and_its_cells_lie_where_the_rules_declare_them(tiny):
    cell = runs.cell(tiny, "tiny", "sit", 1, 20, "ode")
    assert cell.samples == paths.samples("tiny", "sit", 1, 20, "ode")
    assert cell.metrics == paths.metrics("tiny", "sit", 1, 20, "ode")
    assert cell.receipt == cell.run.receipts[1] == paths.receipt("tiny", "sit", 1, 1)
    assert cell.weights == f"{paths.segment('tiny', 'sit', 1, 1)}/step-0000020.safetensors"
    assert str(cell.run.store.folder) == paths.store("tiny", "sit", 1, cell.run.key)
    assert cell.run.course.total == 20


def test_a_judge_is_asked_and_not_represented(files, tiny):
    """Its weights are part of the recipe; the plan trains it, and represents targets alone."""
    target = {"uses": "invariant-patches", "dim": 8, "steps": 1, "per_seed": True}
    files.set("encoders/reward", {"uses": "small-classifier", "dim": 8, "steps": 5, "per_seed": True})
    files.set("encoders/mine", target)
    start = {"teacher": {"method": "sit", "step": 20}, "init": "teacher"}
    files.set("methods/rl", {"uses": "reward", "label": "RL", "judge": "reward", **start})
    files.set("methods/repa/alignments/0/encoder", "mine")
    files.set("table", ["sit", "repa", "rl"])
    files.write()
    suite.load.cache_clear()
    found = runs.benchmark(suite.load(), "tiny")
    rl, repa = found.run("rl", 1), found.run("repa", 1)
    assert (rl.cached, rl.online, rl.judges) == ({}, {}, {"reward": "reward.seed1"})
    assert (repa.cached, repa.online, repa.judges) == ({"mine": "mine.seed1"}, {}, {})
    assert set(rl.encoders) == set(rl.recipe["encoders"]) == {"reward"}
    jobs = [(job.verb, job.arguments.split()[-1]) for job in planning.jobs(found) if ".seed" in job.arguments]
    trained = [("pretrain", f"{name}.seed{k}") for name in ("mine", "reward") for k in (0, 1)]
    represented = [("represent", f"mine.seed{k}") for k in (0, 1)]
    assert jobs == trained + represented


def test_an_edit_gives_another_run_of_the_same_names(files, tiny):
    before = runs.of(tiny, "tiny", "sit", 0)
    files.set("train/batch", 16)
    files.write()
    suite.load.cache_clear()
    after = runs.of(suite.load(), "tiny", "sit", 0)
    assert (before.names, before.key == after.key, before == after) == (after.names, False, False)
