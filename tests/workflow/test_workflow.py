"""The workflow from nothing to tables and figures, what an edit reruns, and what stays as it is."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from reedbench.schema import planning, runs
from reedbench.schema.suite import load

pytestmark = pytest.mark.xdist_group("workflow")


def test_the_table_has_a_row_per_method_and_step(finished):
    table = pd.read_csv(finished.folder / "results/tables/tiny.csv")
    assert list(zip(table["method"], table["step"], strict=True)) == [
        (method, step) for method in ("sit", "repa", "reed") for step in (10, 20)
    ]
    assert {"fd@clf.v1-n64", "fd@pixels.v1-n64", "accuracy@clf.v1-n64", "speedup_steps", "flops"} <= set(table.columns)
    assert (finished.folder / "results/tables/tiny.md").exists()
    assert (finished.folder / "results/tables/tiny.tex").exists()


@pytest.mark.parametrize("figure", ["speedup", "differences", "samples", "alignment"])
def test_every_figure_comes_in_four_files(finished, figure):
    for suffix in ("pdf", "svg", "png", "csv"):
        assert (finished.folder / f"results/figures/tiny/{figure}.{suffix}").stat().st_size > 200


def test_a_second_run_does_nothing(finished):
    assert finished.dry_run().jobs == {}


def test_every_artefact_has_provenance_that_verifies(finished):
    command = [sys.executable, "-m", "reedbench", "verify", "results/tables/tiny.csv"]
    done = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "results/data/digits/index.json" in done.stderr


EDITS = {
    "a comment": ("title: Tiny", "# a comment\ntitle: Tiny", {}),
    "resources": ("seeds: [0]", "resources: {train: {mem_mb: 999, runtime: 7}}\nseeds: [0]", {}),
    "bookkeeping": ("log_every: 2", "log_every: 5", {}),
    "a label": ("    label: REPA\n", "    label: Repa\n", {"tabulate": 1, "plot": 4}),
    "a new metric": (
        "  - {uses: accuracy, extractor: clf}",
        "  - {uses: accuracy, extractor: clf}\n  - {uses: copying, extractor: pixels}",
        {"evaluate": 6, "floor": 1, "tabulate": 1, "plot": 4},
    ),
    "a new sampler": (
        "  ode: {uses: euler, steps: 2}",
        "  ode: {uses: euler, steps: 2}\n  heun: {uses: heun, steps: 2}",
        {"sample": 6, "evaluate": 6, "tabulate": 1, "plot": 4},
    ),
    "a new sampler at the last step": (
        "samplers:\n  ode: {uses: euler, steps: 2}",
        "only_at: {heun: [20]}\nsamplers:\n  ode: {uses: euler, steps: 2}\n  heun: {uses: heun, steps: 2}",
        {"sample": 3, "evaluate": 3, "tabulate": 1, "plot": 4},
    ),
    "more steps": (
        "evaluate: [10, 20]",
        "evaluate: [10, 20, 25]",
        {"train": 3, "sample": 3, "evaluate": 3, "tabulate": 1, "plot": 4},
    ),
    "a step on the grid of a finished segment": (
        "evaluate: [10, 20]",
        "evaluate: [5, 10, 20]",
        {"sample": 3, "evaluate": 3, "tabulate": 1, "plot": 4},
    ),
    "one method's weight": (
        "weight: 0.25",
        "weight: 0.5",
        {"train": 2, "sample": 2, "evaluate": 2, "tabulate": 1, "plot": 4},
    ),
    "an encoder that one method reads": (
        "image: patches, dim: 4",
        "image: patches, dim: 5",
        {"pretrain": 1, "represent": 1, "train": 2, "sample": 2, "evaluate": 2, "tabulate": 1, "plot": 4},
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_exactly_what_depends_on_it(copy, edit):
    old, new, jobs = EDITS[edit]
    copy.edit(old, new)
    outcome = copy.dry_run()
    assert outcome.jobs == jobs, outcome.text
    methods = {wildcards.get("m") for rule, wildcards in outcome.planned if rule == "train"}
    if edit in ("one method's weight", "an encoder that one method reads"):
        assert methods == {"reed"}
    if edit == "more steps":
        assert {wildcards["i"] for rule, wildcards in outcome.planned if rule == "train"} == {"2"}


RECEIPTS = [f"results/runs/tiny/{m}/seed0/segment-{i}.json" for m in ("sit", "repa", "reed") for i in (0, 1)]


@pytest.mark.parametrize(
    ("old", "new", "receipts"),
    [
        pytest.param("segment: 10", "segment: 20", RECEIPTS[::2], id="longer segments"),
        pytest.param("save_every: 5", "save_every: 10", RECEIPTS, id="a coarser grid"),
    ],
)
def test_runs_that_are_cut_otherwise_are_published_anew_without_training(copy, old, new, receipts):
    before = {file.name: file.read_bytes() for file in copy.folder.glob("results/runs/tiny/reed/seed0/*/step-*")}
    copy.edit(old, new)
    assert copy.dry_run(*receipts).jobs == {"train": len(receipts)}
    outcome = copy.snakemake("--", *receipts)
    assert outcome.code == 0, outcome.text
    logs = [(copy.folder / file.replace("results/runs", "logs/train").replace(".json", ".log")) for file in receipts]
    assert all("collected from the store" in log.read_text() for log in logs)
    after = {file.name: file.read_bytes() for file in copy.folder.glob("results/runs/tiny/reed/seed0/segment-0/step-*")}
    assert after.items() <= before.items()
    assert copy.dry_run(*receipts).jobs == {}


def test_a_finer_grid_moves_no_key_and_trains_what_was_not_kept(copy):
    copy.edit("save_every: 5", "save_every: 2")
    target = "results/runs/tiny/sit/seed0/segment-0.json"
    old = (copy.folder / target).read_text()
    outcome = copy.snakemake("--", target)
    assert outcome.code == 0, outcome.text
    new = json.loads((copy.folder / target).read_text())
    assert new["key"] == json.loads(old)["key"]
    assert list(new["weights"]) == [f"step-{step:07d}.safetensors" for step in (2, 4, 6, 8, 10)]
    assert new["weights"]["step-0000010.safetensors"] == json.loads(old)["weights"]["step-0000010.safetensors"]


def test_before_an_edit_trains_anew_snakemake_says_why_and_what_that_had_cost(copy):
    copy.edit("weight: 0.25", "weight: 0.75")
    text = copy.dry_run().text
    said = "tiny: an edit trains 1 run anew: reed (seed 0): objective.alignments.1.weight: 0.25 -> 0.75; that had cost "
    assert text.count(said) == 1
    assert text.index(said) < text.index("rule train")


def test_of_a_run_that_another_benchmark_learns_from_it_says_so_under_every_seed(copy):
    far = copy.benchmark.read_text().replace("seeds: [0]", "seeds: [0, 1]").replace("title: Tiny", "title: Far")
    student = "{uses: aligned, label: Far, init: teacher, teacher: {benchmark: tiny, method: sit, step: 10}}"
    (copy.benchmark.parent / "far.yaml").write_text(far.replace("table:", f"  far: {student}\ntable:"))
    sit = copy.folder / "results/runs/tiny/sit"
    shutil.copytree(sit / "seed0", sit / "seed1")  # as if it had been trained
    copy.edit("sit: {uses: aligned,", "sit: {uses: aligned, label_dropout: 0.2,")
    receipts = [f"results/runs/far/far/seed{k}/segment-0.json" for k in (0, 1)]
    text = copy.dry_run(RECEIPTS[0], *receipts).text
    said = [f"tiny: an edit trains 1 run anew: sit (seed {k}): " for k in (0, 1)]
    assert [text.count(line) for line in said] == [1, 1], text


def test_a_touch_reruns_nothing(copy):
    for file in (copy.benchmark, copy.folder / "config/config.yaml"):
        os.utime(file)
    assert copy.dry_run().jobs == {}


def test_an_ablation_trains_only_what_is_missing(copy):
    outcome = copy.dry_run("results/ablations/tiny/depth.csv")
    assert outcome.jobs == {"train": 2, "sample": 2, "evaluate": 2, "ablation": 1}
    assert {wildcards["m"] for rule, wildcards in outcome.planned if rule == "train"} == {"repa-deep"}


CELL = "results/metrics/tiny/repa/seed0/step-0000010/ode.json"


@pytest.mark.parametrize(
    ("target", "rules"),
    [
        (CELL, {"prepare", "pretrain", "represent", "statistics", "train", "sample", "evaluate"}),
        ("results/runs/tiny/sit/seed0/segment-1.json", {"prepare", "train"}),
        ("results/representations/digits/caption/index.json", {"prepare", "caption", "pretrain", "represent"}),
        ("results/metrics/tiny/floor.json", {"prepare", "pretrain", "statistics", "floor"}),
        ("all", {"all", "prepare", "caption", "pretrain", "represent", "statistics", "train", "sample", "evaluate",
                 "floor", "tabulate", "plot"}),
    ],
)  # fmt: skip
def test_every_artefact_is_a_target_of_its_own(fresh, target, rules):
    outcome = fresh.dry_run(target)
    assert set(outcome.jobs) == rules
    if target == CELL:
        assert outcome.jobs["train"] == 1


def test_the_plan_without_snakemake_is_the_same_work(fresh, monkeypatch):
    outcome = fresh.snakemake("-n", "-p", "--", "all")
    monkeypatch.chdir(fresh.folder)
    ours = {job.command.removeprefix("reedbench ") for job in planning.jobs(runs.benchmark(load(), "tiny"))}
    theirs = {line.replace("--step 00000", "--step ") for line in outcome.shell_lines}
    assert ours == theirs


def test_the_script_for_a_box_without_snakemake_runs_a_cell(fresh):
    script = subprocess.run(
        [sys.executable, "-m", "reedbench", "plan", "tiny", "--script"],
        cwd=fresh.folder, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    first = [line for line in script.splitlines() if " step " in line][:2]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-e"], input="\n".join(first), cwd=fresh.folder, env=environment, text=True, check=True)
    assert (fresh.folder / "results/data/digits/index.json").exists()


def test_tables_and_figures_come_back_from_the_cache_alone(copy):
    command = [sys.executable, "-m", "reedbench", "cache", "export", "tiny"]
    subprocess.run(command, cwd=copy.folder, check=True, capture_output=True)
    original = (copy.folder / "results/tables/tiny.csv").read_bytes()
    figures = {name: (copy.folder / f"results/figures/tiny/{name}.svg").read_bytes() for name in ("speedup", "samples")}
    for folder in (copy.folder / "results").iterdir():
        if folder.name != "cache":
            shutil.rmtree(folder)
    shutil.rmtree(copy.folder / "work")
    planned = copy.dry_run("tables", "figures").jobs
    assert planned == {"tables": 1, "figures": 1, "tabulate_cached": 1, "plot_cached": 4}
    outcome = copy.snakemake("--", "tables", "figures")
    assert outcome.code == 0, outcome.text
    assert (copy.folder / "results/from-cache/tiny/tiny.csv").read_bytes() == original
    for name, picture in figures.items():
        assert (copy.folder / f"results/from-cache/tiny/figures/{name}.svg").read_bytes() == picture, name
    assert not (copy.folder / "results/runs").exists()


def test_a_step_refuses_settings_that_changed_after_it_was_planned(copy):
    target = "results/samples/tiny/sit/seed0/step-0000010/ode/samples.npz"
    command = [sys.executable, "-m", "reedbench", "step", "sample", "--benchmark", "tiny", "--method", "sit",
               "--seed", "0", "--step", "10", "--sampler", "ode", "--expect", "000000000000"]  # fmt: skip
    before = (copy.folder / target).read_bytes()
    done = subprocess.run(command, cwd=copy.folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert "changed since this job was planned" in done.stderr
    assert (copy.folder / target).read_bytes() == before


def test_the_recipe_in_the_words_of_a_cell_is_nothing_that_draws_or_scores_it_again(finished):
    """Else all samples that people have would have been drawn again when these words came."""
    files = (file for file in (finished.folder / ".snakemake/metadata").rglob("*") if file.is_file())
    records = [record for record in map(json.loads, map(Path.read_text, files)) if record["rule"] in SAMPLED]
    assert {record["rule"] for record in records} == set(SAMPLED)
    for record in records:
        recipe = re.search(r" --recipe (\w{12})", record["shellcmd"])[1]
        assert recipe not in str(record["params"])


SAMPLED = ("sample", "evaluate")
LAUNCH_LINE = (
    "reedbench launch --where {resources.launcher} --gpus {resources.gpus} --nodes {resources.nodes}"
    " --tasks-per-node {resources.tasks_per_node} --cpus {threads} --mem-mb {resources.mem_mb}"
    " --runtime {resources.runtime} --partition '{resources.slurm_partition}' --account '{resources.slurm_account}'"
    " --qos '{resources.qos}' --constraint '{resources.constraint}' --extra '{resources.slurm_extra}'"
)


def test_the_launch_line_is_frozen():
    common = Path(__file__).parents[2] / "workflow" / "rules" / "common.smk"
    text = "".join(part for part in common.read_text().split('"')).replace("\n", "")
    assert LAUNCH_LINE.replace(" ", "") in text.replace(" ", "")


def test_the_workflow_is_lint_clean(finished):
    assert finished.snakemake("--lint").code == 0


def test_only_encoders_that_can_use_a_gpu_ask_for_one(tmp_path):
    root = Path(__file__).parents[2]
    shutil.copytree(root / "config", tmp_path / "config")
    targets = [f"results/representations/pdb/{name}/index.json" for name in ("esm", "single")]
    command = [sys.executable, "-m", "snakemake", "-s", str(root / "Snakefile"), "-n", "-p", "--cores", "1", *targets]
    plan = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    asked = re.findall(r"--gpus (\d+) .* --key represent/pdb/(\S+)", plan)
    assert {name: gpus for gpus, name in asked} == {"esm": "1", "single": "0"}
