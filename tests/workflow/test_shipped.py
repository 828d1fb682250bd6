"""What Snakemake would run for every shipped benchmark is what `reedbench plan` counts; and the rule says our words."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reedbench.core import paths, plugins
from reedbench.schema import planning, reports, runs, words
from reedbench.schema.suite import load

REPOSITORY = Path(__file__).parents[2]
BENCHMARKS = sorted(file.stem for file in (REPOSITORY / "config" / "benchmarks").glob("*.yaml"))

# Objectives that no shipped table has: weights that were trained elsewhere, which a user's own benchmark names.
FROM_OUTSIDE = {"imported", "imported-molecules"}
# Benchmarks of further methods, and the one whose backbone, training and encoders they have.
FURTHER = {
    "digits-methods": "digits",
    "digits-post": "digits",
    "digits-longtail": "digits",
    "digits-unlabelled": "digits",
    "backbones-methods": "backbones",
    "cifar10-methods": "cifar10-gpu",
    "cifar10-longtail": "cifar10-gpu",
    "imagenet-b-methods": "imagenet-b",
}
LOOKED_AT = {"digits", "backbones"}  # on whose seeds settings were chosen

pytestmark = pytest.mark.xdist_group("workflow")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A working directory with the shipped configuration, in which nothing has run."""
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    load.cache_clear()
    yield load()
    load.cache_clear()


def test_the_plans_name_the_jobs_that_snakemake_would_run(shipped):
    """All benchmarks in one plan: to start Snakemake takes longer than to plan one."""
    every = [runs.benchmark(shipped, name) for name in BENCHMARKS]
    targets = [paths.table(one.name) for one in every]
    targets += [paths.figure(one.name, figure) for one in every for figure in reports.figures(one)]
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "-n", "-p", "--cores", "1", "--"]
    done = subprocess.run([*command, *targets], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = re.findall(r"step \w+ --[^>\n]*?(?= --expect)", done.stdout)
    ours = {job.command.removeprefix("reedbench ") for one in every for job in planning.jobs(one)}  # some share data
    assert sorted(re.sub(r"--step 0*", "--step ", line) for line in theirs) == sorted(ours)


def test_a_judge_is_trained_before_the_run_that_it_rewards_and_not_represented(shipped):
    """Of digits-post: `pretrain` of the judge is an input of `train`, and no `represent`."""
    rl = runs.of(shipped, "digits-post", "rl", 3)
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "-n", "-p", "--cores", "1", "--"]
    done = subprocess.run([*command, rl.receipts[-1]], capture_output=True, text=True, check=True)
    assert [line for line in re.findall(r"step (\w+ --[^>\n]*?)(?= --expect)", done.stdout) if "reward" in line] == [
        "pretrain --dataset digits --encoder reward"
    ]
    inputs = re.findall(r"^    input: (.*)$", done.stdout, re.MULTILINE)
    (read,) = [line for line in inputs if rl.recipe_file in line]
    assert paths.weights(paths.encoder("digits", "reward")) in read.split(", ")


def test_the_rules_of_a_run_say_the_words_by_which_a_job_is_found_again(shipped):
    b = BENCHMARKS[0]
    spec = shipped.benchmark(b)
    m, k, s, step = spec.table[0], spec.seeds[0], next(iter(spec.samplers)), spec.evaluate[0]
    cell = runs.cell(shipped, b, m, k, step, s)
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "-n", "-p", "--cores", "1", "--"]
    done = subprocess.run([*command, cell.metrics], capture_output=True, text=True, check=True)
    benchmark, recipe = cell.run.benchmark, cell.run.key
    assert f" --key {words.train_key(b, m, k, 0)} --output " in done.stdout
    assert f" -- {words.train(b, m, k, 0, recipe, benchmark.course.grid(0))} > " in done.stdout
    named = words.cell(b, m, k, f"{step:07d}", s)
    assert f" -- {words.sample(named, cell.sampling_key, recipe)} > " in done.stdout
    assert f" -- {words.evaluate(named, benchmark.scoring.key, recipe, cell.sampling_key)} > " in done.stdout


def test_every_objective_is_a_row_of_a_shipped_benchmark(shipped):
    used = {method.uses for name in BENCHMARKS for method in shipped.benchmark(name).methods.values()}
    assert set(plugins.discover("objectives")) - used == FROM_OUTSIDE


@pytest.mark.parametrize(("further", "original"), FURTHER.items())
def test_further_methods_are_compared_as_the_first_ones_were(shipped, further, original):
    ours, theirs = shipped.benchmark(further), shipped.benchmark(original)
    cut = {"segment", "save_every"}  # changes no weights
    assert ours.backbone == theirs.backbone
    assert ours.train.model_dump(exclude=cut) == theirs.train.model_dump(exclude=cut)
    for name in ours.encoders.keys() & theirs.encoders.keys():
        assert ours.encoders[name] == theirs.encoders[name]
    assert ours.speedup.baseline in ours.table
    if original in LOOKED_AT:
        assert not set(ours.seeds) & set(theirs.seeds)


def test_distilled_networks_stand_beside_guidance_of_as_many_evaluations(shipped):
    spec = shipped.benchmark("digits-post")
    base = spec.methods["sit"]
    for few in (2, 4, 8, 16):
        student, steps = spec.methods[f"distil-{few}"], spec.samplers[f"guided-{few}"]
        beside = spec.samplers[f"guided-{few // 2}"]
        assert (student.few_steps(), student.samplers) == (few, (f"guided-{few}",))
        assert steps.nfe(student) == beside.nfe(base) == few
        assert steps.guidance == beside.guidance
