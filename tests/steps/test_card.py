"""The page of a run: what there is, and why the rest is not there."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_steps import benchmark, change, edit, must, run

from reedbench import cli
from reedbench.core import io, paths, provenance
from reedbench.core.errors import ConfigError
from reedbench.schema import suite
from reedbench.steps.card import RunCard, named

SIT = "--benchmark tiny --method sit --seed 0"


def page(method: str = "sit") -> dict[str, str]:
    """Sections of the page of a run, under today's configuration."""
    text = "\n".join(RunCard(benchmark().run(method, 0)).lines())
    head, *sections = text.split("\n## ")
    return {"": head, **{part.split("\n")[0]: part.split("\n", 1)[1] for part in sections}}


def test_a_run_that_is_not_finished_says_what_is_not_there(work):
    course, found = benchmark().run("sit", 0).course, page()
    stop = course.span(0)[1]
    assert "parameters" in found["Settings"]
    assert f"| {stop} |" in found["Curve"]
    assert f"Trained up to step {stop} of {course.total}: results/runs/tiny/sit/seed0/segment-1.json" in found["Curve"]
    assert "not drawn: results/samples/tiny/sit/seed0/" in found["Samples"]
    assert "Not evaluated at" in found["Metrics"]
    assert f"| training | 1 of {course.segments} |" in found["Cost"]
    assert "| scoring | 0 of" in found["Cost"]
    assert "threads" in found["Numerics"]
    weights = io.read_json(paths.receipt("tiny", "sit", 0, 0))["weights"]
    assert weights[f"{paths.step_name(stop)}.safetensors"] in found["Provenance"]
    assert "@inproceedings{ma2024sit," in found["Papers"]


def test_a_run_that_was_never_started_has_a_page_too(work):
    found = page("reed")
    assert "None: not trained yet." in found["Curve"]
    assert "Nothing has been made" in found["Provenance"]
    assert "wang2025reed" in found["Papers"]
    assert "encoder `caption`" in found["Settings"]


def test_values_appear_once_there_are_some(work):
    for command in (f"sample {SIT} --step 10 --sampler ode", f"evaluate {SIT} --step 10 --sampler ode"):
        must(command)
    found, record = page(), io.read_json(paths.metrics("tiny", "sit", 0, 10, "ode"))["records"][0]
    assert f"{record['value']:.4g}" in found["Metrics"]
    assert record["metric"] in found["Metrics"]
    assert paths.samples("tiny", "sit", 0, 10, "ode") in found["Samples"]
    assert "not drawn at" in found["Samples"]
    assert "| scoring | 1 of" in found["Cost"]


def test_what_was_made_under_another_recipe_is_not_shown_as_this_runs(work):
    must(f"sample {SIT} --step 10 --sampler ode")
    edit("ema_decay: 0.9", "ema_decay: 0.8")
    found = page()
    assert "None: not trained yet." in found["Curve"]
    assert "was made under other settings" in found["Curve"]
    assert "drawn under other settings" in found["Samples"]
    assert "| training | 0 of" in found["Cost"]


def test_a_curve_that_is_damaged_is_a_reason(work):
    file = benchmark().run("sit", 0).curves[0]
    Path(file).write_text("step\n1\n")
    assert "not the whole curve" in page()["Curve"]


def test_the_step_writes_the_page_with_what_it_was_made_of(work):
    must(f"card {SIT}")
    file = paths.run_card("tiny", "sit", 0)
    record = provenance.read(file)
    assert paths.receipt("tiny", "sit", 0, 0) in record["inputs"]
    assert record["citations"]["method SiT"] == ["ma2024sit"]
    assert Path(file).read_text() == "\n".join(RunCard(benchmark().run("sit", 0)).lines()) + "\n"
    assert any(paths.receipt("tiny", "sit", 0, 0) in line for line in provenance.verify(file))


def test_the_command_prints_it_without_torch(work):
    code = (
        "import sys; sys.argv = ['reedbench', 'card', 'tiny/sit/seed0']; from reedbench import cli; "
        "code = cli.main(); assert 'torch' not in sys.modules, 'torch'; raise SystemExit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# SiT (tiny/sit/seed0)")


@pytest.mark.parametrize(
    "text",
    [
        "tiny/sit/seed0",
        "tiny/sit/0",
        "results/runs/tiny/sit/seed0",
        "./results/runs/tiny/sit/seed0/",
        "{cwd}/results/runs/tiny/sit/seed0/card.md",
    ],
)
def test_a_run_is_named_by_its_folder_or_its_place(workspace, text):
    assert named(suite.load(), text.format(cwd=Path.cwd())).title == "tiny/sit/seed0"


@pytest.mark.parametrize(
    ("text", "words"),
    [("tiny", "names no run: give benchmark/method/seed0"), ("tinny/sit/seed0", "did you mean 'tiny'"),
     ("tiny/siit/seed0", "did you mean 'sit'"), ("results/runs/tiny/sit", "names no run")],
)  # fmt: skip
def test_what_names_no_run_is_one_line(workspace, monkeypatch, capsys, text, words):
    with pytest.raises(ConfigError, match=words):
        named(suite.load(), text)
    monkeypatch.setattr(sys, "argv", ["reedbench", "card", text])
    assert cli.main() == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_stale_plan_is_refused(work):
    change(title="Another")
    assert run(f"card {SIT} --expect 000000000000") == 2
