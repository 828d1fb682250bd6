"""A tiny benchmark with methods that are guided by themselves: trained, drawn, scored, reported, and cached."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from tiny_steps import benchmark, change, run

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.schema import planning, reports, suite, targets
from reedbench.steps import summary
from reedbench.steps.export import export
from reedbench.steps.outlook import Outlook

METHODS = {
    "sit": {"uses": "aligned", "label": "SiT"},
    "mg": {"uses": "model-guidance", "label": "MG", "start": 4, "scale": 1.5, "samplers": ["guided"]},
    "gft": {"uses": "gft", "label": "GFT"},
    "sra": {"uses": "self-aligned", "label": "SRA", "student_depth": 1, "teacher_depth": 2, "samplers": ["ode"]},
}
SAMPLERS = {"ode": {"uses": "euler", "steps": 2}, "guided": {"uses": "euler", "steps": 2, "guidance": 1.5}}


@pytest.fixture(scope="module")
def there(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = make_workspace(tmp_path_factory.mktemp("own") / "work")
    with contextlib.chdir(folder):
        suite.load.cache_clear()
        change(methods=METHODS, table=list(METHODS), ablations={}, evaluate=[5, 10], samplers=SAMPLERS)
        for job in planning.jobs(benchmark()):
            assert run(f"{job.verb} {job.arguments}") == 0, job
        yield
        suite.load.cache_clear()


def test_the_table_has_every_method_where_it_was_drawn(there):
    table = pd.read_csv(paths.table("tiny"))
    last = table[table["step"] == 10]
    found = {(m, s): (g, by, nfe) for m, s, g, by, nfe in
             last[["method", "sampler", "guidance", "guided_by", "nfe"]].itertuples(index=False)}  # fmt: skip
    assert found == {
        ("sit", "ode"): (1.0, "pair", 2), ("sit", "guided"): (1.5, "pair", 4), ("mg", "guided"): (1.5, "built-in", 2),
        ("gft", "ode"): (1.0, "input", 2), ("gft", "guided"): (1.5, "input", 2), ("sra", "ode"): (1.0, "pair", 2),
    }  # fmt: skip
    text = Path(paths.table("tiny")).with_suffix(".md").read_text().replace("\\", "")
    assert "1.5 (built in)" in text
    assert "MG: not drawn by ode." in text
    assert "SRA: not drawn by guided." in text


def test_all_figures_are_there_and_the_summary_says_what_was_not_drawn(there):
    assert all(Path(paths.figure("tiny", name, ".pdf")).exists() for name in reports.figures(benchmark()))
    shown = pd.read_csv(paths.figure("tiny", "samples", ".csv"))
    assert {"sit", "mg", "gft", "sra"} <= set(shown["method"])
    lines = summary.paired(benchmark(), cache=False, ablation=None, against=None)
    assert {"ode:", "guided:"} <= set(lines)
    assert "MG: not drawn by ode" in lines
    assert "SRA: not drawn by guided" in lines
    assert len([line for line in lines if line.startswith("MG against SiT")]) == 3
    against = summary.paired(benchmark(), cache=False, ablation=None, against="sra")
    assert "MG against SRA: no sampler draws from both" in against
    assert len(summary.summary(benchmark(), cache=False)[0]) == 2


def test_it_comes_back_from_the_cache(there):
    export(benchmark())
    for command in ("tabulate --benchmark tiny --cache", "plot --benchmark tiny --figure samples --cache"):
        assert run(command) == 0
    assert Path(paths.cached_table("tiny")).read_bytes() == Path(paths.table("tiny")).read_bytes()


def test_what_is_not_drawn_is_no_target_and_sampling_costs_what_the_network_does(there):
    suite.load.cache_clear()
    every = [file for pattern in targets.patterns(suite.load()) for file in pattern.expanded()]
    assert paths.samples("tiny", "mg", 0, 10, "guided") in every
    assert paths.samples("tiny", "mg", 0, 10, "ode") not in every
    found = Outlook(benchmark())
    operations = found.operations()
    one = {(m, s): operations[paths.samples("tiny", m, 0, 10, s)].known for m, s in
           (("sit", "ode"), ("sit", "guided"), ("mg", "guided"), ("gft", "guided"))}  # fmt: skip
    assert one["sit", "guided"] == 2 * one["sit", "ode"]
    assert one["mg", "guided"] == one["sit", "ode"]
    embedding = 2.0 * (256 * 16 + 16 * 16)
    assert one["gft", "guided"] == one["sit", "ode"] + 64 * 2 * embedding
    receipt = benchmark().run("mg", 0).receipts[0]
    assert operations[receipt].known > operations[benchmark().run("sit", 0).receipts[0]].known


ON_TOP = {name: METHODS[name] for name in ("sit", "mg")}
ON_TOP["mg"] = {**ON_TOP["mg"], "samplers": ["ode", "guided"]}
NOBODY = {"sit": {**METHODS["sit"], "samplers": ["ode"]}}


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (
            ON_TOP,
            "cannot draw from method 'mg': its network has guidance 1.5 built in, and this sampler asks for 1: name",
        ),
        (NOBODY, "no method lets it draw: name it in the `samplers` of one, or take it out"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(there, methods, words):
    try:
        change(methods=methods, table=list(methods))
        with pytest.raises(ConfigError, match=words):
            benchmark()
    finally:
        change(methods=METHODS, table=list(METHODS))
