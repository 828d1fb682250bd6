"""Own results are read from metrics files and caches of the benchmarks that measure papers' numbers, and no others."""

import shutil
from pathlib import Path

import pytest

from reedbench.core.errors import ConfigError
from reedbench.report.paper import own
from reedbench.report.paper.verdicts import NOT_COMPARABLE, REPRODUCED
from reedbench.schema import suite
from reedbench.schema.paper import Measured

REPOSITORY = Path(__file__).parents[3]
IMPORTED = "  public: {{uses: imported, label: Published, weights: {weights}, step: 400000, time: sit}}\n"


def test_nothing_is_found_where_nothing_was_run(lab):
    assert lab.found() == own.Own([], [])


def test_a_cell_has_its_values_by_seed_in_the_papers_words(lab):
    files = lab.measure("reed", 300_000, {0: 8.0, 2: 8.4})
    (cell,) = lab.found().cells
    assert (cell.data, cell.backbone, cell.method, cell.metric) == ("imagenet-256", "SiT-XL/2", "REED", "fid")
    assert (cell.values, cell.seeds, cell.steps, cell.baseline) == ({0: 8.0, 2: 8.4}, 3, 300_000, "SiT")
    assert (cell.origin, cell.imported, list(cell.files)) == ("runs", False, files)
    assert cell.over_seeds.kind == "range"


def test_shares_are_percent_where_papers_have_percent_and_epochs_are_steps(lab):
    lab.add("pdb")
    lab.measure("reed", 12_600, [0.412, 0.415, 0.418], sampler="ancestral", metric="recovery", name="pdb",
                protocol={})  # fmt: skip
    (cell,) = lab.found().cells
    assert [cell.values[seed] for seed in range(3)] == pytest.approx([41.2, 41.5, 41.8])
    row = lab.row("REED", None, epochs=70, data="pdb", backbone="ProteinMPNN", guidance=None, metric="recovery")
    said = lab.verdict(row)
    assert (said.verdict, said.own) == (REPRODUCED, cell)
    assert "steps of the sampler" in said.why


def test_embedded_benchmarks_are_never_compared(lab):
    lab.add("digits")
    shutil.copytree(REPOSITORY / "results/cache/digits", "results/cache/digits")
    assert lab.found() == own.Own([], [])
    facts = {"data": "imagenet-256", "backbone": "SiT-XL/2", "methods": {"sit": "SiT"}}
    digits = Measured(**facts, metrics={"fid": "fd@digits-clf"}, baseline="sit", epoch=5000)
    with pytest.raises(ConfigError, match=r"measured\.digits: has embedded data"):
        own.read(lab.paper.model_copy(update={"measured": {"digits": digits}}), suite.load())


def test_the_cache_counts_where_nothing_was_run_and_says_so(lab, cache):
    imagenet = lab.benchmark()
    places = [("sit", seed, step, "sde") for step in (300_000, 400_000) for seed in range(3)]
    cache(imagenet, [imagenet.cell(*place) for place in places], [20.0, 20.1, 20.2, 17.0, 17.1, 17.2])
    lab.measure("sit", 400_000, [17.9])
    found = {cell.steps: cell for cell in lab.found().cells}
    assert (found[300_000].origin, len(found[300_000].values)) == ("cache", 3)
    assert (found[400_000].origin, found[400_000].values) == ("runs", {0: 17.9})
    assert found[300_000].files == ("results/cache/imagenet/metrics.parquet",)
    Path(found[400_000].files[0]).unlink()
    assert "from the committed cache" in lab.verdict(lab.row("SiT", 400_000)).why


def test_what_was_made_under_other_settings_is_left_out_with_a_reason(lab, cache):
    imagenet = lab.benchmark()
    cache(imagenet, [imagenet.cell("repa", 0, 400_000, "sde")], [8.0])
    (file,) = lab.measure("sit", 400_000, [17.0])
    lab.add("imagenet", {"batch: 256\n": "batch: 128\n"})  # another recipe, the same evaluation
    found = lab.found()
    assert found.cells == []
    assert found.refused == [
        "results/cache/imagenet: repa, seed 0, step 400000, sampler sde: made under other settings than the "
        "configuration's",
        f"{file}: made under other settings than the configuration's: snakemake {file}",
    ]
    lab.add("imagenet", {"  - {uses: recall, extractor: inception}\n": "", ", recall@inception]": "]"})
    assert "made under other settings" in lab.found().refused[-1]  # another evaluation


def test_a_changed_file_is_left_out(lab):
    (file,) = lab.measure("sit", 400_000, [17.0])
    Path(file).write_text(Path(file).read_text().replace("17.0", "8.0"))
    found = lab.found()
    assert found.cells == []
    assert "is not the file that its step wrote" in found.refused[0]


def test_a_value_that_could_not_be_measured_is_left_out_with_its_reason(lab):
    lab.measure("sit", 400_000, {0: 17.0, 1: None})
    found = lab.found()
    assert found.cells[0].values == {0: 17.0}
    assert found.refused == ["imagenet/sit/seed1/400000/sde: fd@inception: none of them is an image"]


def test_an_imported_checkpoint_counts_as_run_and_says_so(lab, tmp_path):
    weights = tmp_path / "sit.safetensors"
    weights.write_bytes(b"stands for a file")
    lab.add(
        "imagenet",
        {"  # Ablations\n": IMPORTED.format(weights=weights), "table: [sit, repa, reed]": "table: [sit, repa, public]"},
    )
    methods = {"sit": "SiT", "public": "SiT"}  # of two that were run the first would count
    one = lab.whole.measured["imagenet"].model_copy(update={"methods": methods})
    lab.whole = lab.whole.model_copy(update={"measured": {"imagenet": one}})
    lab.measure("public", 400_000, [17.3])
    said = lab.verdict(lab.row("SiT", 400_000))
    assert (said.verdict, said.own.imported) == (REPRODUCED, True)
    assert "imported checkpoint" in said.why


def test_without_the_published_reference_the_evaluator_is_another(lab):
    lab.measure("sit", 400_000, [17.2], protocol={"n_reference": 1281167})
    said = lab.verdict(lab.row("SiT", 400_000))
    assert said.verdict == NOT_COMPARABLE
    assert said.why.startswith("evaluator: reference of the suite here, adm in the paper")


def test_a_metric_that_compares_with_nothing_needs_no_reference(lab):
    lab.measure("repa", 400_000, [122.6], metric="inception-score", protocol={})
    assert lab.found().cells[0].protocol.evaluator == "adm"


def test_of_two_benchmarks_that_measure_one_cell_the_first_counts(lab):
    for name in ("imagenet-b", "imagenet-b-methods"):
        lab.add(name)
    assert list(lab.paper.measured) == ["imagenet", "imagenet-b", "imagenet-b-methods"]
    row = lab.row("SiT", 400_000, backbone="SiT-B/2")
    lab.measure("sit", 400_000, [33.3], name="imagenet-b-methods", sampler="sde")
    assert lab.verdict(row).own.benchmark == "imagenet-b-methods"
    lab.measure("sit", 400_000, [33.4], name="imagenet-b", sampler="sde")
    assert lab.verdict(row).own.benchmark == "imagenet-b"
