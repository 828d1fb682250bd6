"""What each job depends on, and the order of jobs: plain functions of the configuration."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from reedbench.core.errors import ConfigError
from reedbench.schema import planning, reports, runs, settings

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "config/benchmarks/digits.yaml"


def recipe_key(files, method: str = "reed") -> str:
    """The key of the recipe of a method under seed 0."""
    return runs.of(files.loaded(), "tiny", method, 0).key


CHANGES_WEIGHTS = {
    "methods/reed/alignments/1/weight": 0.5,
    "methods/reed/alignments/1/depth": 1,
    "methods/reed/alignments/1/time_weight": "linear",
    "methods/reed/alignments/0/projector_width": 32,
    "methods/reed/denoise/length": 6,
    "methods/reed/label_dropout": 0.2,
    "backbone/width": 32,
    "backbone/qk_norm": True,
    "train/optimiser/lr": 2.0e-3,
    "train/batch": 16,
    "train/ema_decay": 0.5,
    "train/precision": "bf16",
    "dataset/test_rows": 300,
    "encoders/caption/dim": 5,
    "encoders/patches/steps": 3,
}
CHANGES_NO_WEIGHTS = {
    "title": "Another",
    "train/accumulation": 2,
    "train/segment": 20,
    "train/save_every": 10,
    "train/threads": 2,
    "codec": {"uses": "pixels", "rounding": "round"},
    "description": "More words",
    "methods/reed/label": "Ours",
    "methods/reed/note": "in bold",
    "methods/sit/label_dropout": 0.3,
    "methods/repa/alignments/0/weight": 0.9,
    "methods/plain": {"uses": "aligned", "label": "Plain"},
    "evaluate": [5, 10, 15],
    "seeds": [0, 7],
    "metrics/0": {"uses": "kd", "extractor": "clf"},
    "metrics/1": {"uses": "precision", "extractor": "pixels"},
    "samplers/ode/steps": 3,
    "samplers/sde": {"uses": "euler-maruyama"},
    "sampling/count": 128,
    "sampling/streams": 2,
    "sampling/batch": 32,
    "bookkeeping/log_every": 1,
    "bookkeeping/state_every": 1,
    "resources/train/cpus": 4,
    "resources/train/tasks_per_node": 4,
    "resources/sample": {"runtime": 5},
    "table": ["sit", "reed"],
    "ablations/text/title": "Why?",
    "encoders/unused/dim": 32,
    "extractors/clf/steps": 6,
    "speedup/metric": "fd@pixels",
    "columns": ["fd@pixels"],
}


@pytest.mark.parametrize("key", CHANGES_WEIGHTS)
def test_what_changes_weights_changes_the_recipe(files, key):
    before = recipe_key(files)
    files.set(key, CHANGES_WEIGHTS[key])
    assert recipe_key(files) != before


@pytest.mark.parametrize("key", CHANGES_NO_WEIGHTS)
def test_what_changes_no_weights_leaves_the_recipe(files, key):
    before = recipe_key(files)
    files.set(key, CHANGES_NO_WEIGHTS[key])
    if key == "metrics/0":  # the speed-up needs the metric that is exchanged
        files.set("speedup/metric", "kd@clf")
    assert recipe_key(files) == before


@pytest.mark.parametrize(
    ("key", "value", "changed"),
    [
        ("methods/sit/label_dropout", 0.3, {"sit"}),
        ("methods/repa/alignments/0/weight", 0.9, {"repa"}),
        ("encoders/patches/steps", 3, {"repa", "reed"}),
        ("encoders/caption/dim", 5, {"reed"}),
        ("methods/repa/align", {"shape": "stop", "start": 5}, {"repa", "reed"}),  # reed inherits it
        ("train/batch", 16, {"sit", "repa", "reed"}),
    ],
)
def test_an_edit_changes_the_recipes_of_exactly_the_methods_that_use_it(files, key, value, changed):
    before = {name: recipe_key(files, name) for name in ("sit", "repa", "reed")}
    files.set(key, value)
    assert {name for name in before if recipe_key(files, name) != before[name]} == changed


def test_recipes_of_two_seeds_differ(files):
    tiny = files.loaded()
    one, other = (runs.of(tiny, "tiny", "sit", k).recipe for k in (0, 1))
    assert {name for name in one if one[name] != other[name]} == {"seed"}


def test_a_copy_of_a_benchmark_has_the_same_recipes(files):
    files.benchmarks["copy"] = copy.deepcopy(files.benchmarks["tiny"])
    both = files.loaded()
    assert runs.of(both, "copy", "reed", 1).recipe == runs.of(both, "tiny", "reed", 1).recipe


def test_an_encoder_that_is_trained_per_seed_is_another_one_for_every_seed(files):
    common = runs.of(files.loaded(), "tiny", "repa", 0).recipe["encoders"]
    files.set("encoders/patches/per_seed", True)
    files.set("encoders/caption/per_seed", True)
    tiny = files.loaded()
    one, other = (runs.of(tiny, "tiny", "reed", k).encoders for k in (0, 1))
    assert one == {"patches": "patches.seed0", "caption": "caption.seed0"}
    assert settings.encoder(tiny, "digits", one["caption"])["reads"] == [
        settings.encoder(tiny, "digits", "patches.seed0")
    ]
    assert settings.encoder(tiny, "digits", one["patches"]) != settings.encoder(tiny, "digits", other["patches"])
    assert runs.of(tiny, "tiny", "repa", 0).recipe["encoders"] != common
    with pytest.raises(ConfigError, match=r"per_seed is true, its name is patches\.seed0 and so on"):
        settings.encoder(tiny, "digits", "patches")
    with pytest.raises(ConfigError, match="per_seed is false, its name is clf"):
        settings.encoder(tiny, "digits", "clf.seed0")


def test_a_recipe_is_plain_json(files):
    recipe = runs.of(files.loaded(), "tiny", "reed", 0).recipe
    assert json.loads(json.dumps(recipe, allow_nan=False)) == recipe


def test_defaults_written_out_are_the_same_recipe(files):
    before = recipe_key(files)
    files.set("train/accumulation", 1)
    files.set("methods/reed/reduce", "sum")
    files.set("methods/reed/alignments/0/weight", 0.5)
    assert recipe_key(files) == before


@pytest.mark.parametrize(
    ("key", "value", "step"),
    [
        ("metrics/0/extractor", "spare", "evaluation"),
        ("extractors/clf/steps", 6, "evaluation"),
        ("sampling/streams", 2, "evaluation"),
        ("sampling/count", 128, "sampling"),
        ("samplers/ode/guidance", 2.0, "sampling"),
        ("codec/rounding", "round", "sampling"),
        ("methods/reed/label", "Ours", "reporting"),
        ("title", "Another", "reporting"),
        ("columns", ["fd@pixels"], "reporting"),
    ],
)
def test_an_edit_changes_the_settings_of_its_own_step_only(files, key, value, step):
    def keys() -> dict[str, str]:
        tiny = files.loaded()
        return {
            "sampling": settings.key(runs.benchmark(tiny, "tiny").sampling("ode")),
            "evaluation": runs.benchmark(tiny, "tiny").scoring.key,
            "reporting": settings.key(reports.reporting(runs.benchmark(tiny, "tiny"))),
        }

    if key == "metrics/0/extractor":
        files.set("speedup/metric", "fd@pixels")
    before = keys()
    files.set(key, value)
    after = keys()
    changed = {name for name in before if after[name] != before[name]}
    assert changed - {"reporting"} == {step} - {"reporting"}
    assert step in changed


def test_an_extractor_that_no_metric_uses_is_no_part_of_the_evaluation(files):
    tiny = files.loaded()
    assert runs.benchmark(tiny, "tiny").scoring.extractors == ["clf", "pixels"]
    assert list(runs.benchmark(tiny, "tiny").scoring.settings["extractors"]) == ["clf", "pixels"]


@pytest.mark.parametrize(
    ("segment", "evaluate", "count"), [(10, [10, 20], 2), (10, [5], 1), (10, [15], 2), (20, [10, 20], 1), (5, [20], 4)]
)
def test_segments_reach_the_last_evaluation_step(files, segment, evaluate, count):
    files.set("train/segment", segment)
    files.set("evaluate", evaluate)
    tiny = files.loaded()
    assert runs.benchmark(tiny, "tiny").course.segments == count
    assert runs.benchmark(tiny, "tiny").course.span(count - 1)[1] >= evaluate[-1]


def test_each_step_belongs_to_the_one_segment_whose_span_holds_it(files):
    tiny = files.loaded()
    assert [runs.benchmark(tiny, "tiny").course.span(i) for i in range(3)] == [(0, 10), (10, 20), (20, 30)]
    assert [runs.benchmark(tiny, "tiny").course.segment_of(step) for step in (5, 10, 15, 20, 25)] == [0, 0, 1, 1, 2]
    for step in range(5, 31, 5):
        start, stop = runs.benchmark(tiny, "tiny").course.span(runs.benchmark(tiny, "tiny").course.segment_of(step))
        assert start < step <= stop


@pytest.mark.parametrize("step", [0, 1, 7, 11])
def test_a_step_off_the_save_grid_has_no_segment(files, step):
    with pytest.raises(ConfigError, match=f"step {step} is off the grid"):
        runs.benchmark(files.loaded(), "tiny").course.segment_of(step)


def test_a_base_is_merged_shallowly(files):
    files.set("methods/repa/denoise", {"shape": "linear-ramp", "start": 3, "length": 7})
    files.set("methods/repa/label_dropout", 0.25)
    files.set("methods/reed/denoise", {"shape": "linear-decay", "length": 9})
    reed = runs.of(files.loaded(), "tiny", "reed", 0).objective
    assert reed.label_dropout == 0.25  # not given: the base's
    # Given: replaced whole, `start: 3` included.
    assert (reed.denoise.shape, reed.denoise.start, reed.denoise.length) == ("linear-decay", 0, 9)
    assert [(a.encoder, a.weight) for a in reed.alignments] == [("patches", 0.5), ("caption", 0.25)]


def test_bases_chain_and_may_stand_after_their_heirs_and_the_order_stays(files):
    methods = files.benchmarks["tiny"]["methods"]
    heir = {"base": "reed", "label": "Heir", "align": {"shape": "stop", "start": 4}}
    files.benchmarks["tiny"]["methods"] = {"heir": heir, **dict(reversed(methods.items()))}
    tiny = files.loaded()
    benchmark = tiny.benchmark("tiny")
    assert list(benchmark.methods) == ["heir", "reed", "repa", "sit"]
    assert runs.benchmark(tiny, "tiny").methods == ("reed", "repa", "sit")  # nothing shows the heir
    assert benchmark.methods["heir"].alignments == benchmark.methods["reed"].alignments
    assert benchmark.methods["heir"].align.start == 4


def test_cells_go_by_method_seed_step_and_sampler(files):
    files.set("samplers/sde", {"uses": "euler-maruyama"})
    cells = runs.benchmark(files.loaded(), "tiny").cells(("reed", "sit"))
    assert [cell.place for cell in cells[:9]] == [
        ("reed", 0, 10, "ode"),
        ("reed", 0, 10, "sde"),
        ("reed", 0, 20, "ode"),
        ("reed", 0, 20, "sde"),
        ("reed", 1, 10, "ode"),
        ("reed", 1, 10, "sde"),
        ("reed", 1, 20, "ode"),
        ("reed", 1, 20, "sde"),
        ("sit", 0, 10, "ode"),
    ]


def test_report_inputs_hold_the_baseline_of_an_ablation_without_it(files):
    inputs = reports.inputs(runs.benchmark(files.loaded(), "tiny"), "text")
    for method in ("repa", "reed", "sit"):
        assert f"results/metrics/tiny/{method}/seed1/step-0000020/ode.json" in inputs
        assert f"results/runs/tiny/{method}/seed1/segment-1.json" in inputs
    assert len(inputs) == len(set(inputs)) == 3 * 2 * 2 + 3 * 2 * 2 + 1


PATCHES = "results/encoders/digits/patches.seed1/weights.safetensors"
RANDOM = "results/encoders/digits/random-patches.seed0/weights.safetensors"
JOINED = "results/encoders/digits/caption.seed1/weights.safetensors"
CAPTIONS = "results/captions/digits/measured/captions.parquet"


@pytest.mark.parametrize(
    ("name", "reads", "weights"),
    [
        ("patches.seed1", [], [PATCHES]),
        ("random-patches.seed0", [], [RANDOM]),
        ("caption.seed1", [CAPTIONS, PATCHES], [JOINED, CAPTIONS, PATCHES]),
        ("digits-clf", [], ["results/encoders/digits/digits-clf/weights.safetensors"]),
        ("pixels", [], []),
    ],
)
def test_an_encoder_of_digits_reads_captions_and_the_weights_of_the_encoders_below_it(shipped, name, reads, weights):
    assert settings.encoder_reads(shipped, "digits", name) == reads
    assert settings.encoder_weights(shipped, "digits", name) == weights


def test_a_plan_makes_everything_before_it_is_read(shipped):
    ready: set[str] = set()
    for job in planning.jobs(runs.benchmark(shipped, "digits")):
        words = dict(zip(job.arguments.split()[::2], job.arguments.split()[1::2], strict=False))
        name = words.get("--encoder", words.get("--extractor"))
        if name is not None:
            needed = settings.encoder_reads(shipped, "digits", name)
            own = settings.encoder_weights(shipped, "digits", name)
            assert ready.issuperset(needed if job.verb == "pretrain" else own), job.command
        ready.add(job.done)
    assert "results/tables/digits.csv" in ready


def test_reading_the_configuration_imports_nothing_heavy():
    heavy = ("torch", "sklearn", "pandas", "torch_fidelity", "seaborn", "matplotlib", "rdkit", "scipy")
    code = (
        "import sys; from reedbench.schema import reports, runs, suite; "
        "digits = runs.benchmark(suite.load(), 'digits'); digits.run('reed', 0).recipe; reports.inputs(digits); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
