"""What an artefact stands on: exactly what was used, by settings, and in no key."""

from pathlib import Path

import pytest

from reedbench.captioners.qwen_vl import QwenVlCaptions
from reedbench.core import plugins
from reedbench.core.frozen import Frozen
from reedbench.datasets.geom_drugs import GeomDrugs
from reedbench.encoders.invariant_patches import InvariantPatches
from reedbench.encoders.molecule_descriptors import MoleculeDescriptors
from reedbench.encoders.qwen_vl import QwenVlStates
from reedbench.encoders.vit import Vit
from reedbench.metrics.atom_stability import AtomStability
from reedbench.objectives import AbstractMethod
from reedbench.samplers.euler import Euler
from reedbench.samplers.euler_maruyama import EulerMaruyama
from reedbench.samplers.heun import Heun
from reedbench.schema import citations, reports, runs, settings, suite

REPOSITORY = Path(__file__).parents[2]


def keys_of(benchmark: runs.Benchmark, ablation: str | None = None) -> set[str]:
    """Of a table, or of an ablation's."""
    return set(
        citations.by_key(citations.of_scores(benchmark, benchmark.runs(reports.with_baseline(benchmark, ablation))))
    )


@pytest.mark.parametrize(
    ("plugin", "keys"),
    [
        (Euler(), []),
        (Euler(guidance=1.5), ["ho2022guidance"]),
        (Euler(guidance=1.5, interval=(0.3, 1.0)), ["ho2022guidance", "kynkaanniemi2024interval"]),
        (EulerMaruyama(), ["ma2024sit"]),
        (Heun(), ["karras2022elucidating"]),
        (Heun(last="heun"), []),
        (InvariantPatches(), ["bardes2022vicreg"]),
        (InvariantPatches(steps=0), []),
        (MoleculeDescriptors(), ["rogers2010ecfp"]),
        (MoleculeDescriptors(of="rdkit"), []),
        (AtomStability(rule="edm"), ["hoogeboom2022edm"]),
        (AtomStability(rule="legacy"), ["hoogeboom2022edm", "vignac2023midi"]),
        (GeomDrugs(), ["axelrod2022geom", "vignac2023midi"]),
        (GeomDrugs(format="edm", bonds="rdkit"), ["axelrod2022geom", "hoogeboom2022edm"]),
        (Vit(weights="x/y"), ["oquab2023dinov2"]),
        (Vit(weights="x/y", model="dinov2reg-vit-b"), ["darcet2024registers", "oquab2023dinov2"]),
        (Vit(weights="x/y", model="clip-vit-l"), ["radford2021clip"]),
        (QwenVlCaptions(weights="w/Qwen2-VL-2B-Instruct"), ["wang2024qwen2vl"]),
        (QwenVlStates(weights="w/Qwen2.5-VL-7B", captioner="c"), ["wang2025reed", "bai2025qwen25vl"]),
    ],
)  # fmt: skip
def test_settings_decide_who_is_cited(plugin, keys):
    assert list(plugin.cited()) == keys


def test_the_kind_of_a_folder_comes_before_its_name(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    assert QwenVlCaptions(weights=str(tmp_path)).cited() == ("bai2025qwen25vl",)


def test_a_table_stands_on_what_its_runs_and_scores_do_and_on_nothing_else(shipped):
    of = runs.benchmark(shipped, "digits")
    assert keys_of(of) == {
        "alpaydin1998digits", "peebles2023dit", "ma2024sit", "yu2025repa", "wang2025reed", "bardes2022vicreg",
        "heusel2017fid", "binkowski2018kid", "kynkaanniemi2019precision", "gu2023memorization",
    }  # fmt: skip
    used = citations.of_scores(of, of.runs(of.shown()))
    assert used["captioner measured"] == []  # said, and without a paper
    assert "encoder random-patches" not in used  # no row of the table is aligned to it


def test_an_ablation_adds_its_encoders_with_their_weights(shipped):
    of = runs.benchmark(shipped, "chains")
    more = keys_of(of, "encoder") - keys_of(of)
    assert more == set()  # the published ProteinMPNN has the backbone's paper
    used = citations.of_scores(of, of.runs(reports.with_baseline(of, "encoder")))
    assert used["weights proteinmpnn-v48-020"] == ["dauparas2022proteinmpnn"]
    assert "weights proteinmpnn-v48-020" not in citations.of_scores(of, of.runs(of.shown()))


def test_full_scale_names_data_codec_encoder_captioner_and_judge(shipped):
    keys = keys_of(runs.benchmark(shipped, "imagenet"))
    assert keys >= {
        "russakovsky2015imagenet", "rombach2022ldm", "oquab2023dinov2", "wang2024qwen2vl", "szegedy2016inception",
        "dhariwal2021adm", "nash2021sparse", "salimans2016improved", "ho2022guidance", "kynkaanniemi2024interval",
    }  # fmt: skip


def test_a_student_stands_on_what_its_teacher_does(shipped):
    of = runs.benchmark(shipped, "digits-post")
    student = next(run for run in of.runs(of.shown()) if run.pool is not None)
    used = citations.of_run(student)
    assert used[f"method {student.teacher.run.objective.label}"]
    assert f"sampler {student.pool.sampler}" in used


def test_a_run_does_not_stand_on_metrics_and_its_samples_on_one_sampler(shipped):
    run = runs.of(shipped, "imagenet", "sit", 0)
    assert not any(what.startswith(("metric", "sampler")) for what in citations.of_run(run))
    cell = run.cell(run.course.total, "sde")
    assert [what for what in citations.of_cell(cell) if what.startswith("sampler")] == ["sampler sde"]
    assert "ho2022guidance" not in citations.by_key(citations.of_cell(cell))


@pytest.mark.parametrize(
    "name", ["digits", "cifar10", "chains", "pdb", "qm9-edm", "geom-drugs", "imagenet", "smallmol"]
)
def test_plugins_cite_no_more_than_their_class_says(shipped, name):
    spec = shipped.benchmark(name)
    sections = (spec.captioners, spec.encoders, spec.extractors, spec.folders, spec.samplers)
    every = [spec.dataset, spec.codec, spec.backbone, *spec.metrics, *(p for s in sections for p in s.values())]
    for plugin in every:
        assert set(plugin.cited()) <= {*plugin.cites, *getattr(plugin, "papers", ())}, plugin.uses
        assert not isinstance(plugin, AbstractMethod)


def test_papers_are_in_no_key(shipped):
    of = runs.benchmark(shipped, "chains")
    dataset = of.spec.dataset
    other = dataset.model_copy(update={"papers": ("somebody2030",)})
    assert other.identity() == dataset.identity()
    assert "somebody2030" in other.cited()
    assert not any(name in settings.dataset(shipped, "protein-chains")["dataset"] for name in ("papers", "cites"))


def test_weights_without_keys_are_named_by_their_words(shipped):
    weight = shipped.weight("minilm-l6").model_copy(update={"cites": (), "citation": "Ada 2030"})
    mine = suite.Suite(shipped.benchmarks, {**shipped.weights, "minilm-l6": weight})
    assert citations.of_weights(mine, "minilm-l6") == {"weights minilm-l6 (Ada 2030)": []}
    assert citations.of_weights(shipped, "minilm-l6") == {"weights minilm-l6": ["reimers2019sbert", "wang2020minilm"]}
    assert mine.weight("minilm-l6").content == shipped.weight("minilm-l6").content  # what keys hold


def test_keys_come_sorted_and_once():
    found = citations.together([{"a": ["z2", "b1"]}, {"a": ["z2"], "c": ["b1"], "own": []}])
    assert found == {"a": ["z2", "b1"], "c": ["b1"], "own": []}
    assert citations.by_key(found) == {"b1": ["a", "c"], "z2": ["a"]}
    assert list(citations.by_key(found)) == ["b1", "z2"]


def test_what_a_plugin_cites_is_no_setting_of_it():
    for kind in plugins.KINDS:
        for plugin in plugins.discover(kind).values():
            assert issubclass(plugin, Frozen)
            assert not {"cites", "uncited"} & set(plugin.model_fields)


def test_a_pool_for_training_rows_stands_on_its_sampler(shipped):
    pool = runs.of(shipped, "backbones-methods", "spin.1", 3).pool
    assert pool is not None
    assert pool.sampler.endswith(".train")
    assert f"sampler {pool.sampler}" in citations.of_cell(pool)
