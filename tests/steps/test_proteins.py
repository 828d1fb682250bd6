"""Inverse folding through every step on a tiny benchmark: what is written, and what stands for a missing number."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from reedbench import steps
from reedbench.codecs.residues import Residues
from reedbench.core import io, paths, provenance
from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import MissingArtefact
from reedbench.domains import rows
from reedbench.encoders.masked_residues import MaskedResidues
from reedbench.schema import suite

CELL = "--benchmark folding --method {m} --seed 0 --step {step} --sampler {s}"
LAST = "--benchmark folding --method reed --seed 0 --step 4 --sampler {s}"
TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
BENCHMARK: dict[str, Any] = {
    "title": "Tiny inverse folding",
    "dataset": {"uses": "backbones", "chains": 12, "test_chains": 3, "min_length": 20, "max_length": 26},
    "codec": {"uses": "residues"},
    "encoders": {
        name: {"uses": "masked-residues", "output": name, "dim": 8, "heads": 2, "layers": 1, "steps": 2, "batch": 4}
        for name in ("residues", "pairs")
    },
    "folders": {"esm": {"uses": "esmfold", "weights": "no/such/folder"}},
    "backbone": {"uses": "protein-mpnn", "width": 8, "encoder_layers": 1, "decoder_layers": 1, "neighbours": 6},
    "train": {"tokens": 80, "segment": 4, "save_every": 2, "ema_decay": 0.5},
    "bookkeeping": {"log_every": 2},
    "seeds": [0],
    "evaluate": [2, 4],
    "methods": {
        "discrete": {"uses": "masked-diffusion", "label": "Discrete"},
        "reed": {
            "uses": "masked-diffusion",
            "label": "REED",
            "alignments": [
                {"encoder": "residues", "site": "node"},
                {"encoder": "pairs", "site": "edge"},
                {"encoder": "residues", "site": "structure"},
            ],
            "denoise": {"shape": "linear-ramp", "length": 2},
        },
    },
    "table": ["discrete", "reed"],
    "samplers": {"ancestral": {"uses": "ancestral", "steps": 6}, "purity": {"uses": "purity", "steps": 4}},
    "sampling": {"count": 6, "streams": 2, "batch": 4},
    "metrics": [
        {"uses": "recovery", "of": "state"},
        {"uses": "recovery", "of": "argmax"},
        {"uses": "recovery", "vote": "cluster"},
        {"uses": "diversity"},
        {"uses": "elbo"},
        {"uses": "evaluations"},
        *({"uses": "masked-perplexity", "at": time} for time in TIMES),
        {"uses": "sc-rmsd", "folder": "esm"},
    ],
    "speedup": {"metric": "recovery@argmax", "baseline": "discrete"},
}


def run(command: str) -> int:
    return steps.main(command.split())


def write(benchmark: dict[str, Any]) -> None:
    Path("config/benchmarks/folding.yaml").write_text(yaml.safe_dump(benchmark))
    suite.load.cache_clear()


@pytest.fixture(scope="module")
def work(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which everything up to the table was run."""
    folder = make_workspace(tmp_path_factory.mktemp("proteins") / "work")
    with contextlib.chdir(folder):
        write(BENCHMARK)
        commands = ["prepare --dataset backbones"]
        commands += [
            f"{verb} --dataset backbones --encoder {n}"
            for n in ("residues", "pairs")
            for verb in ("pretrain", "represent")
        ]
        for m in ("discrete", "reed"):
            commands.append(f"train --benchmark folding --method {m} --seed 0 --segment 0")
            for step in (2, 4):
                for s in ("ancestral", "purity"):
                    cell = CELL.format(m=m, step=step, s=s)
                    commands += [f"sample {cell}", f"evaluate {cell}"]
        commands += ["evaluate --benchmark folding --floor", "tabulate --benchmark folding"]
        for command in commands:
            assert run(command) == 0, command
    return folder


@pytest.fixture
def here(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(work)
    suite.load.cache_clear()
    return work


def test_pairs_are_stored_per_chain_and_residues_too(here):
    lengths = rows.read(paths.data("backbones"), rows.TRAIN).arrays["tokens"].lengths
    for name, power, shape in (("residues", 1, [-1, 8]), ("pairs", 2, [-1, 2])):
        index = rows.index(paths.representation("backbones", name))
        assert (index["kind"], index["shape"], index["rows"]) == (name, shape, 12)
        from reedbench.core.shards import Shards

        store = Shards(paths.shards(paths.representation("backbones", name)))
        assert store.lengths("representation").tolist() == (lengths**power).tolist()


def test_representations_are_made_on_the_device_of_the_step(here, monkeypatch):
    told, prepared = [], MaskedResidues.prepared

    def on_the_cpu(self: Any, weights: Any, material: Any, device: str) -> Any:
        told.append(device)
        return prepared(self, weights, material)

    index = paths.index(paths.representation("backbones", "residues"))
    before = io.sha256(index)
    with monkeypatch.context() as there:
        there.setattr(MaskedResidues, "prepared", on_the_cpu)
        there.setattr("torch.cuda.is_available", lambda: True)
        there.setenv(GPUS_VARIABLE, "1")
        assert run("represent --dataset backbones --encoder residues") == 0
    assert (told, provenance.read(index)["device"]) == (["cuda"], "cuda")
    assert run("represent --dataset backbones --encoder residues") == 0
    assert (io.sha256(index), provenance.read(index)["device"]) == (before, "cpu")


def test_samples_are_fasta_and_parquet_with_every_chain_once_per_stream(here):
    folder = Path(paths.samples("folding", "reed", 0, 4, "ancestral"))
    assert sorted(file.name for file in folder.iterdir()) == ["preview.npz", "samples.fasta", "samples.parquet"]
    samples = Residues().read(folder)
    assert list(samples.ids) == [f"test-{i:04d}/{j}" for j in range(2) for i in range(3)]
    assert samples.arrays["tokens"].values.max() < 20
    evaluations = samples.arrays["evaluations"]
    assert ((evaluations >= 1) & (evaluations <= 5)).all()


@pytest.mark.parametrize("sampler", ["ancestral", "purity"])
def test_a_sample_is_the_same_whatever_the_batch(here, sampler):
    cell = CELL.format(m="reed", step=4, s=sampler)
    folder = paths.samples("folding", "reed", 0, 4, sampler)
    whole = Residues().read(folder)
    try:
        write({**BENCHMARK, "sampling": {**BENCHMARK["sampling"], "batch": 1}})
        assert run(f"sample {cell}") == 0
        alone = Residues().read(folder)
    finally:
        write(BENCHMARK)
        assert run(f"sample {cell}") == 0
    for name in ("tokens", "argmax"):
        np.testing.assert_array_equal(alone.arrays[name].values, whole.arrays[name].values)
    np.testing.assert_array_equal(alone.arrays["evaluations"], whole.arrays["evaluations"])
    np.testing.assert_allclose(alone.arrays["nll"], whole.arrays["nll"], rtol=1e-4)


def test_what_was_not_measured_has_its_reason_in_record_table_and_notes(here):
    body = io.read_json(paths.metrics("folding", "reed", 0, 4, "ancestral"))
    (record,) = [entry for entry in body["records"] if entry["family"] == "sc-rmsd@esm"]
    assert record["value"] is None
    assert "no/such/folder" in record["reason"]
    table = pd.read_csv(paths.table("folding"))
    assert len(table) == 8
    assert table["sc-rmsd@esm.v1-n6-k2"].isna().all()
    assert table["reason"].str.contains("sc-rmsd@esm.v1-n6-k2: ").all()
    assert table.filter(like="recovery@state").notna().to_numpy().any()
    assert "sc-rmsd@esm was not measured: " in Path(paths.table("folding")).with_suffix(".md").read_text()


def test_ids_say_how_many_samples_of_a_chain_there_are(here):
    records = io.read_json(paths.metrics("folding", "reed", 0, 4, "ancestral"))["records"]
    assert {record["metric"].rpartition("-n")[2] for record in records} == {"6-k2"}


def test_the_floor_holds_the_limits_of_the_data(here):
    body = io.read_json(paths.floor("folding"))
    limits = rows.index(paths.data("backbones"))["limits"]
    best = {entry["metric"]: entry["value"] for entry in limits if entry["what"] == "best possible"}
    found = {entry["family"]: entry["value"] for entry in body["records"] if entry["what"] == "best possible"}
    assert found == {  # not of one vote per cluster: that is another number
        "recovery@state": best["recovery"],
        "recovery@argmax": best["recovery"],
        **{f"masked-perplexity@{time}": best[f"masked-perplexity@{time}"] for time in TIMES},
    }


@pytest.mark.parametrize("figure", ["speedup", "differences", "samples", "alignment", "levels"])
def test_every_figure_can_be_drawn(here, figure):
    assert run(f"plot --benchmark folding --figure {figure}") == 0
    numbers = pd.read_csv(paths.figure("folding", figure, ".csv"))
    assert len(numbers)
    if figure == "levels":
        assert set(numbers["method"]) == {"discrete", "reed", "floor"}
        assert sorted(numbers["time"].unique()) == list(TIMES)
    if figure == "samples":
        assert {"designed", "native"} <= set(numbers.columns)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampling": {"count": 3, "streams": 1}}, "needs several samples of a chain"),
        ({"metrics": [{"uses": "masked-perplexity", "at": 0.4}]}, "does not score the native sequence at 0.4"),
        ({"samplers": {"a": {"uses": "ancestral", "scored_at": [0.2, 0.4]}}}, "set its scored_at to the midpoints"),
        ({"metrics": [{"uses": "elbo", "times": 4}]}, "midpoints of 4 equal parts, [0.125, 0.375, 0.625, 0.875]"),
        ({"samplers": {"a": {"uses": "euler"}}}, "euler is for domain 'image'"),
        ({"codec": {"uses": "pixels"}}, "train.tokens"),
        ({"metrics": [{"uses": "plddt", "folder": "omega"}]}, "unknown folder 'omega'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_runs(here, capfd, change, words):
    try:
        write({**BENCHMARK, **change})
        assert run("evaluate --benchmark folding --floor") == 2
    finally:
        write(BENCHMARK)
    assert words in capfd.readouterr().err


@pytest.mark.parametrize(
    "command", ["train --benchmark folding --method reed --seed 0 --segment 0", f"sample {LAST.format(s='ancestral')}"]
)
def test_more_chains_than_the_test_split_has_is_one_line_before_anything_is_trained(here, capfd, command):
    try:
        write({**BENCHMARK, "sampling": {"count": 8, "streams": 2}})
        assert run(command) == 2
    finally:
        write(BENCHMARK)
    assert "the test split has 3: lower it to 6" in capfd.readouterr().err


def test_other_chains_than_the_settings_say_are_neither_designed_nor_scored(here, capfd):
    index = Path(paths.index(paths.data("backbones")))
    sidecar = index.with_name(index.name + ".prov.json")
    kept = sidecar.read_text()
    record = json.loads(kept)
    try:
        sidecar.write_text(json.dumps({**record, "settings": "0" * 12}))
        assert run(f"sample {LAST.format(s='ancestral')}") == 3
        assert run(f"evaluate {LAST.format(s='ancestral')}") == 3
    finally:
        sidecar.write_text(kept)
    assert "results/data/backbones/index.json" in capfd.readouterr().err
    inputs = json.loads(Path(paths.samples("folding", "reed", 0, 4, "ancestral") + ".prov.json").read_text())["inputs"]
    assert str(index) in inputs


def test_the_recipe_does_not_mention_what_is_not_said(here):
    recipe = json.loads(Path(paths.recipe("folding", "reed", 0)).read_text())
    assert recipe["train"]["tokens"] == 80
    assert "tokens" not in suite.load().benchmark("tiny").train.identity()


def test_numbers_on_chains_have_an_interval_over_clusters_of_chains(here):
    cell = CELL.format(m="reed", step=4, s="ancestral")
    assert run(f"sample {cell}") == run(f"evaluate {cell}") == 0
    records = io.read_json(paths.metrics("folding", "reed", 0, 4, "ancestral"))["records"]
    spread = {record["family"]: record["spread"] for record in records}
    value = {record["family"]: record["value"] for record in records}
    for family in ("recovery@state", "diversity@state"):
        assert spread[family]["kind"] == "bootstrap95-of-clusters"
        assert spread[family]["low"] <= value[family] <= spread[family]["high"]
    assert spread["recovery@state"]["clusters"] == spread["recovery@state"]["effective_clusters"]  # made chains: alone


def test_a_file_from_outside_is_part_of_the_provenance(here, tmp_path):
    rng, file = np.random.default_rng(0), tmp_path / "results" / "mine.jsonl"  # no results of ours
    file.parent.mkdir()
    places = {atom: rng.normal(size=(5, 3)).tolist() for atom in ("N", "CA", "C", "O")}
    file.write_text("".join(json.dumps({"name": name, "seq": "ACDEF", "coords": places}) + "\n" for name in "abcdefgh"))
    dataset = {"uses": "chains-jsonl", "name": "mine", "file": str(file), "valid_share": 0.0, "test_share": 0.3,
               "cluster_key": "one-per-chain"}  # fmt: skip
    try:
        write({**BENCHMARK, "dataset": dataset})
        assert run("prepare --dataset mine") == 0
    finally:
        write(BENCHMARK)
    index = paths.index(paths.data("mine"))
    assert f"{file}: source" in list(provenance.verify(index))
    file.write_text(file.read_text() + "\n")
    with pytest.raises(MissingArtefact, match=rf"{file}: changed since {index} read it"):
        list(provenance.verify(index))
