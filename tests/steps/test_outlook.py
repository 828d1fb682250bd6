"""What `reedbench plan` says of a benchmark before anything of it is there, and afterwards."""

import json
from pathlib import Path

import pytest
import tiny_vae

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.schema import runs, suite
from reedbench.schema.planning import jobs
from reedbench.steps import outlook, overview
from reedbench.steps.outlook import Amount
from reedbench.steps.overview import Pace

PACE = Pace.of("1", 0.5)  # TFLOP/s
ROWS = 1797 - 360


def told(edit=lambda text: text):
    """Rows of both tables by their names, and the lines below, of the tiny benchmark after an edit."""
    file = Path("config/benchmarks/tiny.yaml")
    file.write_text(edit(file.read_text()))
    suite.load.cache_clear()
    tiny = runs.benchmark(suite.load(), "tiny")
    steps, disk, notes = overview.overview(tiny, jobs(tiny), PACE)
    return (*({row[0]: dict(zip(table[0], row, strict=True)) for row in table} for table in (steps, disk)), list(notes))


def operations():
    return outlook.Outlook(runs.benchmark(suite.load(), "tiny")).operations()


def on_gpus(text: str) -> str:
    return text + "resources: {train: {gpus: 1}, sample: {gpus: 1}}\n"


def test_before_anything_is_there_all_that_shapes_tell_is_said(workspace):
    steps, disk, notes = told(on_gpus)
    tiny = runs.benchmark(suite.load(), "tiny")
    found = outlook.Outlook(tiny)
    operations = found.operations()
    trained = sum(operations[receipt].known for run in found.runs for receipt in run.receipts)
    assert float(steps["train"]["GPU-hours"]) == pytest.approx(trained / 5e11 / 3600, rel=1e-2)
    assert steps["train"]["GPU-hours"] == steps["train"]["to come"]
    assert (steps["train"]["jobs"], steps["train"]["there"]) == ("6", "0")
    cell = tiny.cells(["sit"])[0]
    assert operations[cell.samples].known == 64 * 2 * found._evaluation("sit").known
    assert steps["represent"]["FLOPs"] == steps["evaluate"]["FLOPs"] == "unknown"
    assert steps["prepare"]["FLOPs"] == ""
    assert disk["data set"]["in the end"] == overview.size_words(ROWS * (64 + 8))
    assert disk["representations: patches"]["in the end"] == overview.size_words(ROWS * 16 * 16 * 2)
    assert disk["samples"]["in the end"] == overview.size_words(6 * 64 * (64 + 8))
    assert any("50 % (--mfu) of 1 TFLOP/s" in line and "neither was measured" in line for line in notes)


def test_without_gpus_there_are_operations_and_no_gpu_hours(workspace):
    steps, _, _ = told()
    assert steps["train"]["FLOPs"] not in ("", "unknown")
    assert steps["train"]["GPU-hours"] == ""


def test_what_is_there_is_no_more_to_come_and_has_its_size(workspace):
    receipt = Path("results/runs/tiny/sit/seed0/segment-0.json")
    receipt.parent.mkdir(parents=True)
    receipt.write_text("{}")
    (folder := receipt.parent / "segment-0").mkdir()
    (folder / "weights").write_bytes(b"x" * 5000)
    (folder / "again").hardlink_to(folder / "weights")
    receipt.with_name("segment-0.json.prov.json").write_text(json.dumps({"device_seconds": 7200}))
    steps, disk, _ = told(on_gpus)
    assert float(steps["train"]["to come"]) < float(steps["train"]["GPU-hours"])
    assert steps["train"]["there"] == "1"
    assert disk["weights at save points"]["here now"].startswith("5.")


def test_a_target_of_unknown_width_is_taken_for_a_small_one_and_said(workspace, monkeypatch):
    from reedbench.encoders.caption_and_image import CaptionAndImage

    known, exact = told(on_gpus), operations()
    monkeypatch.setattr(CaptionAndImage, "shape", lambda *_: None)
    steps, disk, notes = told()
    for receipt in runs.benchmark(suite.load(), "tiny").run("reed", 0).receipts:
        found = operations()[receipt]
        assert not found.complete
        assert found.known == pytest.approx(exact[receipt].known, rel=0.02)
    assert steps["train"]["GPU-hours"].startswith("at least ")
    assert steps["all"]["to come"].startswith("at least ")
    assert disk["representations: caption"]["in the end"] == "unknown"
    assert disk["training states, the last of each run"]["in the end"].startswith("at least ")
    assert any(line.startswith("the width of caption is not known before its weights are there: 8 ") for line in notes)
    assert not any("the width of" in line for line in known[2])


def test_what_measures_an_encoder_or_compresses_is_counted_by_shapes(workspace):
    tiny_vae.save(workspace / "made" / "tiny")
    vit = "  vit: {uses: vit, weights: made/vit.pth, grid: 2, width: 32, depth: 2, heads: 2, sample: 50}\n"
    vae = "{uses: sd-vae, weights: made/tiny, channels: 2, factor: 2}"
    steps, *_ = told(
        lambda text: (
            on_gpus(text)
            .replace("{uses: pixels}", vae)
            .replace("encoders:\n", f"encoders:\n{vit}", 1)
            .replace("encoder: patches", "encoder: vit")
        )
    )
    spec, found = runs.benchmark(suite.load(), "tiny").spec, operations()
    each = spec.codec.compressing_flops({"shapes": {"images": [1, 8, 8]}})
    assert found[paths.index(paths.latents("digits", "tiny"))] == Amount(each * ROWS)
    assert float(steps["compress"]["FLOPs"]) == pytest.approx(each * ROWS, rel=0.05)
    vit_file = paths.weights(paths.encoder("digits", "vit"))
    assert found[vit_file] == Amount(100 * spec.encoders["vit"].flops({}))
    assert not found[paths.weights(paths.encoder("digits", "clf"))].complete


def test_an_autoencoder_that_is_not_there_is_unknown(workspace):
    steps, *_ = told(lambda text: text.replace("{uses: pixels}", "{uses: sd-vae, weights: made/tiny, factor: 2}"))
    assert steps["compress"]["FLOPs"] == "unknown"


def test_proteins_are_unknown_until_training_counts_them(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    chains = runs.benchmark(suite.load(), "chains")
    steps, _, _ = overview.overview(chains, jobs(chains), PACE)
    assert {row[0]: row[3] for row in steps}["train"] == "unknown"


def test_a_sampler_that_chooses_its_steps_is_unknown_before_it_has_run(workspace):
    steps, _, _ = told(lambda text: on_gpus(text).replace("{uses: euler, steps: 2}", "{uses: dopri5}"))
    assert steps["sample"]["GPU-hours"] == "unknown"
    assert steps["train"]["GPU-hours"] not in ("", "unknown")


def test_weights_from_outside_cost_no_training_here_and_are_sampled(workspace):
    before, *_ = told(on_gpus)
    made = "  public: {uses: imported, label: Public, weights: own.safetensors, step: 7, time: sit}\n"
    steps, disk, _ = told(
        lambda text: text.replace("methods:\n", f"methods:\n{made}", 1).replace("table: [", "table: [public, ")
    )
    assert steps["train"]["GPU-hours"] == before["train"]["GPU-hours"]
    assert int(steps["train"]["jobs"]) == int(before["train"]["jobs"]) + 1
    assert float(steps["sample"]["FLOPs"]) == pytest.approx(7 / 6 * float(before["sample"]["FLOPs"]), rel=0.02)
    assert disk["samples"]["in the end"] == overview.size_words(7 * 64 * (64 + 8))


def test_fp32_on_a_gpu_is_said_to_be_slower_than_the_peak_holds_for(workspace):
    assert any("train.precision is fp32" in line for line in told(on_gpus)[2])


@pytest.mark.parametrize("peak", ["h300", "0", "nan", "inf", "-1"])
def test_a_peak_is_a_device_or_a_number(peak):
    with pytest.raises(ConfigError, match=r"--peak .*: give TFLOP/s, or one of .*h100"):
        Pace.of(peak, 0.4)
    assert Pace.of("H200", 0.5).hours(989e12 * 1800) == pytest.approx(1)


def test_unknown_parts_of_a_sum_are_said():
    assert (Amount(2.0) + outlook.UNKNOWN).said(str) == "at least 2.0"
    assert outlook.UNKNOWN.times(3).said(str) == "unknown"
    assert Amount(0.0).said(str) == "0.0"


def test_the_command_prints_it(workspace, monkeypatch, capsys):
    from reedbench import cli

    monkeypatch.setattr("sys.argv", ["reedbench", "plan", "tiny", "--peak", "h200", "--mfu", "0.5"])
    assert cli.main() == 0
    out = capsys.readouterr().out
    assert "50 % (--mfu) of 989 TFLOP/s (--peak: h200, dense bf16)" in out
    assert "weights at save points" in out


def test_a_loss_that_asks_a_teacher_is_counted_with_it(workspace):
    students = "  d: {uses: guided-distillation, label: D, teacher: {method: sit, step: 5}, steps: 5}\ntable: [sit, d]"
    told(lambda text: text.replace("table: [sit, repa, reed]", students))
    tiny = runs.benchmark(suite.load(), "tiny")
    found = outlook.Outlook(tiny)
    sit, d = (found.training(tiny.run(m, 0), 0, 5) for m in ("sit", "d"))
    assert d.complete
    # A third of the student's pass is one of the plain network, of which the teacher makes two.
    assert 5 / 3 < d.known / sit.known < 1.05 * 5 / 3
    assert [job.done for job in jobs(tiny) if job.verb == "train"][-2:] == [
        "results/runs/tiny/sit/seed0/segment-1.json",
        "results/runs/tiny/d/seed0/segment-0.json",
    ]
    assert found._evaluation("d").known > found._evaluation("sit").known


def test_a_pool_is_counted_with_the_training_that_it_is_for(workspace):
    spin = "{uses: self-play, label: SPIN, teacher: {method: sit, step: 10}, pool: {sampler: ode}, steps: 5}"
    told(lambda text: text.replace("table: [sit, repa, reed]", f"  spin: {spin}\ntable: [spin]").replace(
        "baseline: sit", "baseline: spin"))  # fmt: skip
    tiny = runs.benchmark(suite.load(), "tiny")
    found, pool = outlook.Outlook(tiny), tiny.run("spin", 0).pool
    sit, spin = found.training(tiny.run("sit", 0), 0, 5), found.training(tiny.run("spin", 0), 0, 5)
    assert spin.complete
    assert spin.known == 2 * sit.known + 2 * found._evaluation("sit").known * 8 * 5  # of 8 rows, 5 steps
    assert found.operations()[pool.samples] == found._evaluation("sit").times(2 * 64)
    done = [job.done for job in jobs(tiny) if job.verb in ("train", "sample")]
    assert done[:3] == ["results/runs/tiny/sit/seed0/segment-0.json", pool.samples, tiny.run("spin", 0).receipt(0)]
