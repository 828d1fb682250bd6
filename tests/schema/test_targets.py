"""What Snakemake can be asked for, and what a target that it cannot make was meant to be."""

import copy
import json
from pathlib import Path

import pytest

from reedbench.core.errors import ConfigError
from reedbench.schema import listing, suite, targets

RULES = {"all": False, "tables": False, "smoke": False, "train": True}


@pytest.fixture
def tiny(files) -> suite.Suite:
    """The tiny suite, with a second benchmark whose numbers are committed."""
    files.benchmarks["other"] = copy.deepcopy(files.benchmarks["tiny"])
    files.write()
    record = Path("results/cache/other/cache.prov.json")
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"ablations": ["text"]}))
    return suite.load()


def said_of(tiny: suite.Suite, target: str) -> str:
    """The first line of what is said of a target."""
    with pytest.raises(ConfigError) as refused:
        targets.check(tiny, [target], RULES)
    first, last = str(refused.value).splitlines()
    assert first.startswith(f"{target}: ")
    assert last == "What can be asked for: reedbench list targets"
    return first.removeprefix(f"{target}: ")


MEANT = [
    ("results/tables/tyni.csv", "results/tables/tiny.csv"),
    ("results/table/tiny.csv", "results/tables/tiny.csv"),
    ("result/tables/tiny.csv", "results/tables/tiny.csv"),
    ("results/tables/tiny.cvs", "results/tables/tiny.csv"),
    ("results/figures/tiny/spedup.pdf", "results/figures/tiny/speedup.pdf"),
    ("results/ablations/tiny/txet.csv", "results/ablations/tiny/text.csv"),
    ("results/samples/tiny/reed/seed0/step-20/ode", "results/samples/tiny/reed/seed0/step-0000020/ode"),
    ("results/metrics/tiny/reeed/sead0/step-20/ode.json", "results/metrics/tiny/reed/seed0/step-0000020/ode.json"),
    ("results/from-cache/other/other.cvs", "results/from-cache/other/other.csv"),
    ("results/from-cache/other/figures/spedup.png", "results/from-cache/other/figures/speedup.png"),
    ("results/runs/tiny/reed/seed0/segment-0.jsn", "results/runs/tiny/reed/seed0/segment-0.json"),
    ("./results/tables/tiny.csv", "results/tables/tiny.csv"),
    ("figures/tiny/speedup.pdf", "results/figures/tiny/speedup.pdf"),
    ("tiny", "results/tables/tiny.csv"),
    ("tiny.csv", "results/tables/tiny.csv"),
    ("tabels", "tables"),
]


def test_a_sampler_is_listed_at_its_own_steps_and_can_be_asked_for_at_others(files):
    files.set("samplers/sde", {"uses": "euler-maruyama", "steps": 2})
    files.set("only_at", {"sde": [20]})
    files.write()
    tiny = suite.load()
    listed = {file for pattern in targets.patterns(tiny) for file in pattern.expanded()}
    at = "results/metrics/tiny/sit/seed0/step-00000{}/{}.json".format
    assert {at(10, "ode"), at(20, "ode"), at(20, "sde")} <= listed
    assert at(10, "sde") not in listed
    targets.check(tiny, [at(10, "sde")], RULES)


@pytest.mark.parametrize(("target", "meant"), MEANT)
def test_a_misspelt_target_gets_our_guess(tiny, target, meant):
    assert said_of(tiny, target).endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("results/figures/tiny/levels.pdf", "benchmark tiny has no such figure (it has speedup.pdf, "),
        ("results/samples/tiny/reed/seed0/step-0000012/ode", "multiples of train.save_every (5), as in step-0000010"),
        ("results/samples/tiny/reed/seed0/step-0000000/ode", "no weights at 'step-0000000'"),
        ("results/from-cache/tiny/tiny.csv", "no committed numbers: `reedbench cache export tiny` writes them"),
        ("results/metrics/tiny/qqqqqq/seed0/step-0000020/ode.json", "there is no 'qqqqqq' here (there is "),
        ("result", "there is no 'result' here (there is results)"),
        ("results/tables", "is a folder of targets; ask for one of them (other.csv, "),
        ("results/tables/tiny.csv/x", "'tiny.csv' is no folder"),
        ("train", "is a rule that makes many files; ask for one of them"),
        ("qqqqqq", "no such target"),
    ],
)
def test_what_cannot_be_guessed_is_said_to_be_wrong(tiny, target, words):
    said = said_of(tiny, target)
    assert words in said
    assert "did you mean" not in said


def test_everything_that_is_listed_can_be_asked_for(tiny):
    listed = list(listing.targets(tiny))
    assert len(set(listed)) == len(listed) > 100
    targets.check(tiny, listed, {**RULES, "figures": False, "images": False, "fetch": False})


@pytest.mark.parametrize(
    "target",
    [
        "results/samples/tiny/reed/seed7/step-0000015/ode",
        "results/runs/tiny/reed/seed7/segment-9.json",
        "results/metrics/tiny/floor.json",
        "results/from-cache/other/ablations/text.tex",
    ],
)
def test_other_seeds_steps_on_the_grid_and_segments_can_be_asked_for(tiny, target):
    targets.check(tiny, [target], RULES)


def test_all_wrong_targets_are_said_at_once(tiny):
    with pytest.raises(ConfigError) as refused:
        targets.check(tiny, ["all", "results/tables/tyni.csv", "results/tables/tiny.csv", "tabels"], RULES)
    assert len(str(refused.value).splitlines()) == 3
