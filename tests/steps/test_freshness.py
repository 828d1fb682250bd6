"""Without Snakemake too, nothing is mixed: a step refuses what was made under other settings than the file says now."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reedbench import steps
from reedbench.core import io, paths, provenance
from reedbench.core.errors import ConfigError, MetricError, MissingArtefact
from reedbench.domains import rows
from reedbench.schema import planning, runs, suite
from reedbench.steps import gather, summary
from reedbench.steps.export import export

CELL = "--benchmark tiny --method reed --seed 0"
SCORED = f"{CELL} --step 10 --sampler ode"


def run(command: str) -> int:
    suite.load.cache_clear()
    return steps.main(command.split())


def edit(old: str, new: str) -> None:
    file = Path("config/benchmarks/tiny.yaml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    suite.load.cache_clear()


@pytest.fixture(scope="module")
def finished(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every job of a short benchmark has run, by the plan and without Snakemake."""
    folder = make_workspace(tmp_path_factory.mktemp("freshness") / "work")
    with contextlib.chdir(folder):
        edit("evaluate: [10, 20]", "evaluate: [10]")
        for job in planning.jobs(runs.benchmark(suite.load(), "tiny")):
            assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def test_the_plan_runs_nothing_twice(work):
    before = {file: file.stat().st_mtime_ns for file in work.rglob("results/**/*") if file.is_file()}
    for job in planning.jobs(runs.benchmark(suite.load(), "tiny")):
        assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    assert {file: file.stat().st_mtime_ns for file in work.rglob("results/**/*") if file.is_file()} == before


def test_after_an_edit_the_plan_runs_what_depends_on_it_and_the_rest_stays(work):
    edit("weight: 0.25", "weight: 0.5")
    table, other = Path(paths.table("tiny")), Path(paths.receipt("tiny", "repa", 0, 0))
    before = table.read_bytes(), other.stat().st_mtime_ns
    for job in planning.jobs(runs.benchmark(suite.load(), "tiny")):
        assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    assert table.read_bytes() != before[0]
    assert other.stat().st_mtime_ns == before[1]


STALE = {
    "data": ("dataset: {uses: digits}", "dataset: {uses: digits, test_rows: 300}", f"train {CELL} --segment 0"),
    "captions": ("captioner: measured, image: patches, dim: 4", "captioner: measured, image: patches, dim: 3",
                 "represent --dataset digits --encoder caption"),
    "a representation": ("dim: 16, steps: 2, batch: 32", "dim: 16, steps: 3, batch: 32", f"train {CELL} --segment 0"),
    "weights": ("weight: 0.25", "weight: 0.5", f"sample {SCORED}"),
    "samples": ("ode: {uses: euler, steps: 2}", "ode: {uses: euler, steps: 3}", f"evaluate {SCORED}"),
    "an extractor": ("dim: 8, steps: 5", "dim: 8, steps: 6", f"evaluate {SCORED}"),
    "metrics of another recipe": ("weight: 0.25", "weight: 0.5", "tabulate --benchmark tiny"),
    "metrics of another extractor": ("dim: 8, steps: 5", "dim: 8, steps: 6", "plot --benchmark tiny --figure samples"),
}  # fmt: skip


@pytest.mark.parametrize("what", STALE)
def test_a_step_refuses_what_was_made_under_other_settings(work, what, capfd):
    old, new, command = STALE[what]
    edit(old, new)
    assert run(command) == 3
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("reedbench step")]
    assert "other settings" in line or "belong to recipe" in line


def test_a_cache_is_not_exported_from_mixed_settings(work):
    edit("dim: 8, steps: 5", "dim: 8, steps: 6")
    with pytest.raises(Exception, match="other settings"):
        export(runs.benchmark(suite.load(), "tiny"))


def tiny():
    return runs.benchmark(suite.load(), "tiny")


def gone(method):
    for kind in ("metrics", "runs"):
        shutil.rmtree(f"results/{kind}/tiny/{method}")


def test_methods_of_a_cache_that_were_not_run_here_stay_in_it_if_asked(work):
    export(tiny())
    before = [Path(file).read_bytes() for file in paths.cache_files("tiny")[:2]]
    of_sit = io.sha256(paths.metrics("tiny", "sit", 0, 10, "ode"))
    gone("sit")
    with pytest.raises(MissingArtefact, match="cells of the table are not evaluated"):
        export(tiny())
    export(tiny(), keep=True)
    assert [Path(file).read_bytes() for file in paths.cache_files("tiny")[:2]] == before
    assert of_sit in io.read_json(paths.cache_record("tiny"))["inputs"].values()
    assert run("tabulate --benchmark tiny --cache") == 0
    assert run("plot --benchmark tiny --figure samples --cache") == 0


def test_a_cache_is_not_exported_where_nothing_was_run(work):
    export(tiny())
    for method in ("sit", "repa", "reed"):
        gone(method)
    with pytest.raises(MissingArtefact, match="nothing of it has been run here"):
        export(tiny(), keep=True)


def test_what_stays_in_a_cache_must_be_what_the_file_says_now(work):
    export(tiny())
    gone("reed")
    edit("weight: 0.25", "weight: 0.5")
    with pytest.raises(
        MissingArtefact, match=r"reed, seed 0, step 10.* run their methods here, or export without --keep"
    ):
        export(tiny(), keep=True)


def test_what_stays_in_a_cache_was_measured_as_what_is_new(work):
    export(tiny())
    gone("sit")
    file = Path(paths.cache("tiny")) / "metrics.parquet"
    table = pd.read_parquet(file)
    table.loc[table["method"] == "sit", "protocol"] = '{"other": 1}'
    table.to_parquet(file, index=False)
    with pytest.raises(MetricError, match="the cache has it under another protocol"):
        export(tiny(), keep=True)


def test_a_cache_of_another_recipe_is_refused(work, capfd):
    export(runs.benchmark(suite.load(), "tiny"))
    assert run("tabulate --benchmark tiny --cache") == 0
    edit("weight: 0.25", "weight: 0.5")
    assert run("tabulate --benchmark tiny --cache") == 3
    assert "export its cache again" in capfd.readouterr().err


@pytest.mark.parametrize("cached", [True, False])
def test_samples_are_shown_beside_real_data_from_runs_and_from_the_cache(work, cached):
    export(runs.benchmark(suite.load(), "tiny"))
    assert run(f"plot --benchmark tiny --figure samples {'--cache' if cached else ''}") == 0
    figure = (paths.cached_figure if cached else paths.figure)("tiny", "samples", ".csv")
    real = pd.read_csv(figure).query("method == 'real'")
    assert real["asked"].tolist() == list(range(10))
    pictures = rows.first_of(paths.data("digits"), "train", range(10)).arrays["images"]
    assert [len(row.split()) for row in real["pixels"]] == [pictures[0].size] * 10
    assert [int(pixel) for pixel in real["pixels"].iloc[3].split()] == pictures[3].reshape(-1).tolist()


def test_samples_can_be_shown_where_the_data_are_no_more(work):
    shutil.rmtree(paths.data("digits"))
    assert run("plot --benchmark tiny --figure samples") == 0
    assert "real" not in set(pd.read_csv(paths.figure("tiny", "samples", ".csv"))["method"])


def test_an_ablation_has_its_figure(work):
    edit("methods: [repa, repa-deep]", "methods: [repa, reed]")
    export(runs.benchmark(suite.load(), "tiny"))
    for more, place in (("", paths.figure), (" --cache", paths.cached_figure)):
        assert run(f"plot --benchmark tiny --figure speedup --ablation depth{more}") == 0
        numbers = pd.read_csv(place("tiny", "speedup", ".csv", "depth"))
        assert set(numbers.query("kind == 'curve'")["method"]) == {"sit", "repa", "reed"}  # with the baseline


def test_the_summary_refuses_a_table_of_other_words(work):
    command = [sys.executable, "-m", "reedbench", "summary", "tiny"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    edit("    label: REPA\n", "    label: Repa\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert "other settings" in done.stderr


def test_a_run_that_is_cut_otherwise_is_not_fresh_though_its_recipe_is_the_same(work, capfd):
    edit("save_every: 5", "save_every: 10")
    (segment,) = (
        job
        for job in planning.jobs(runs.benchmark(suite.load(), "tiny"))
        if job.done == paths.receipt("tiny", "reed", 0, 0)
    )
    assert run(f"train {segment.arguments} --unless-fresh {segment.done}") == 0
    assert "collected from the store" in capfd.readouterr().err
    assert list(io.read_json(segment.done)["weights"]) == ["step-0000010.safetensors"]
    assert run(f"train {segment.arguments} --unless-fresh {segment.done}") == 0
    assert capfd.readouterr().err == ""


def test_a_plan_heals_what_was_lost(work):
    shutil.rmtree(paths.segment("tiny", "reed", 0, 0))
    Path(paths.preview("tiny", "repa", 0, 10, "ode")).unlink()
    for job in planning.jobs(runs.benchmark(suite.load(), "tiny")):
        assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    assert Path(paths.segment("tiny", "reed", 0, 0), "curve.csv").exists()


def test_a_metric_file_that_was_edited_is_refused(work, capfd):
    file = Path(paths.metrics("tiny", "reed", 0, 10, "ode"))
    file.write_text(file.read_text().replace('"value": 0.', '"value": 1.', 1))
    assert run("tabulate --benchmark tiny") == 3
    assert "is not the file that its step wrote" in capfd.readouterr().err


def test_samples_of_another_recipe_are_not_scored(work, capfd):
    edit("weight: 0.25", "weight: 0.5")
    assert run(f"evaluate {SCORED}") == 3
    assert "another recipe's weights; sample again" in capfd.readouterr().err


def test_what_is_not_known_does_not_cost_nothing(work, capfd):
    Path(paths.representation("digits", "patches"), "shards.prov.json").unlink()
    assert run("tabulate --benchmark tiny") == 3
    assert "has no provenance file" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "command", "words"),
    [
        ("patch: 2", "patch: 4", f"train {CELL} --segment 0", "16 tokens per datum, the backbone has 4"),
        ("patch: 2", "patch: 3", f"train {CELL} --segment 0", "does not fit digits: size 8 is not a multiple"),
        ("{uses: digits}", "{uses: digits, test_rows: 5000}", "prepare --dataset digits", "test_rows: must be at most"),
        ("seeds: [0]", "seeds: [0]\nresources: {train: {gpus: 1}}", f"train {CELL} --segment 0", "none is visible"),
        ("title: Tiny", "title: Tiny", f"sample {CELL} --step 7 --sampler ode", "step 7 is off the grid"),
        ("title: Tiny", "title: Tiny", "evaluate --benchmark tiny --floor --seed 0", "--floor takes no"),
    ],
)
def test_settings_that_do_not_fit_are_one_line_and_exit_code_2(work, capfd, monkeypatch, old, new, command, words):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    edit(old, new)
    assert run(command) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("reedbench step")]
    assert words in line


def test_one_off_costs_are_those_of_every_job_behind_a_method(work):
    """Representations, captions and the training of encoders, each marked with a power of ten."""
    marked = {
        paths.index(paths.representation("digits", "patches")): 1.0,
        paths.index(paths.representation("digits", "caption")): 10.0,
        paths.captions("digits", "measured"): 100.0,
        paths.weights(paths.encoder("digits", "patches")): 1000.0,
        paths.weights(paths.encoder("digits", "caption")): 10000.0,
    }
    for file, seconds in marked.items():
        holder = provenance.read(file).get("cost_of", file)
        record = provenance.read(holder)
        costs = {"device_seconds": seconds, "cpu_seconds": 2 * seconds, "flops": 3 * seconds}
        io.write_json(provenance.sidecar(holder), {**record, **costs})
    tiny = suite.load()
    source, _ = gather.load(runs.benchmark(tiny, "tiny"), ["sit", "repa", "reed"], cache=False)
    names = ["oneoff_device_seconds", "oneoff_cpu_seconds", "oneoff_flops"]
    once = source.curves.groupby("method")[names].first()
    assert once.loc["sit"].tolist() == [0.0, 0.0, 0.0]
    assert once.loc["repa"].tolist() == [1001.0, 2002.0, 3003.0]
    assert once.loc["reed"].tolist() == [11111.0, 22222.0, 33333.0]


def test_the_numerics_of_receipts_reach_the_curves_and_the_cache(work):
    receipt = paths.receipt("tiny", "reed", 0, 0)
    body = {**io.read_json(receipt), "numerics": {"torch": "1", "ranks": 2}}
    io.write_json(receipt, body)
    io.write_json(provenance.sidecar(receipt), {**provenance.read(receipt), "sha256": io.sha256(receipt)})
    for method in ("sit", "repa"):  # of the time before
        old = paths.receipt("tiny", method, 0, 0)
        io.write_json(old, {name: value for name, value in io.read_json(old).items() if name != "numerics"})
        io.write_json(provenance.sidecar(old), {**provenance.read(old), "sha256": io.sha256(old)})
    export(runs.benchmark(suite.load(), "tiny"))
    source, _ = gather.load(runs.benchmark(suite.load(), "tiny"), ["sit", "repa", "reed"], cache=True)
    found = source.curves.groupby("method")["numerics"].first()
    assert json.loads(found["reed"]) == [{"ranks": 2, "torch": "1"}]
    assert source.curves.loc[source.curves["method"] != "reed", "numerics"].isna().all()


def test_the_summary_names_the_pictures_that_there_are(work):
    def shown():
        lines = summary.summary(runs.benchmark(suite.load(), "tiny"), cache=False)[1]
        return [line.split()[1] for line in lines if line.startswith("figure")]

    there = sorted(map(str, Path("results/figures/tiny").glob("*.png")))
    assert there
    assert sorted(shown()) == there
    Path(there[0]).unlink()
    assert sorted(shown()) == there[1:]


def test_the_summary_says_what_it_was_made_from_and_takes_the_cache_where_there_are_no_runs(work):
    tiny = suite.load()
    lines = summary.summary(runs.benchmark(tiny, "tiny"), cache=False)[1]
    assert lines[-1].startswith("CPU-seconds of the jobs")
    export(runs.benchmark(tiny, "tiny"))
    assert run("tabulate --benchmark tiny --cache") == 0
    assert summary.summary(runs.benchmark(tiny, "tiny"), cache=False)[1] == lines  # runs come first
    from_cache = summary.summary(runs.benchmark(tiny, "tiny"), cache=True)
    assert from_cache[1][-1] == "From the committed cache (results/cache/tiny/), not from runs here."
    assert f"table    {paths.cached_table('tiny')} (.md, .tex)" in from_cache[1]
    Path(paths.table("tiny")).unlink()
    assert summary.summary(runs.benchmark(tiny, "tiny"), cache=False) == from_cache
    Path(paths.cached_table("tiny")).unlink()
    with pytest.raises(
        MissingArtefact, match=r"results/tables/tiny.csv does not exist: make it \(snakemake .*from-cache"
    ):
        summary.summary(runs.benchmark(tiny, "tiny"), cache=False)


def test_the_summary_puts_paired_differences_into_sentences(work):
    tiny = suite.load()
    lines = summary.paired(runs.benchmark(tiny, "tiny"), cache=False, ablation=None, against=None)
    assert [line.split(":")[0] for line in lines] == [
        f"{label} against SiT, {metric}"
        for metric in ("fd@clf", "fd@pixels", "accuracy@clf")
        for label in ("REPA", "REED")
    ]
    assert all(line.endswith("(one seed), no difference shown") for line in lines)
    turned = summary.paired(runs.benchmark(tiny, "tiny"), cache=False, ablation=None, against="reed")
    assert turned[0].startswith("SiT against REED, fd@clf: ")
    with pytest.raises(ConfigError, match=r"--against: unknown method 'ree'"):
        summary.paired(runs.benchmark(tiny, "tiny"), cache=False, ablation=None, against="ree")
