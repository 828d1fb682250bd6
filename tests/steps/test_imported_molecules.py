"""Published checkpoints of SemlaFlow and EDM as runs: converted, sampled, tabulated beside what is trained here."""

import contextlib
import io as streams
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import published_molecules as published
import pytest
import torch
import yaml
from tiny_steps import benchmark, change, must, run

from reedbench import cli
from reedbench.core import io, paths, plugins, stores
from reedbench.schema import planning, suite
from reedbench.steps.imported import _needs

STEP = 100
TRAIN = "train --benchmark tiny --method public --seed 0 --segment 0"
OURS = {"uses": "molecule-flow", "label": "SemlaFlow"}
SIZES = {
    "width": 8, "layers": 2, "sets": 4, "heads": 2, "message": 4, "message_hidden": 128, "edge": 4,
    "size_embedding": 2, "max_atoms": 16,
}  # fmt: skip
EDM = {
    "backbone": {"uses": "egnn", "width": 8, "layers": 2},
    "codec": {"uses": "molecules", "elements": list("HCNOF")},
    "samplers": {"ancestral": {"uses": "molecule-ancestral", "steps": 4}},
}


def method(**settings: Any) -> dict[str, Any]:
    return {"uses": "imported-molecules", "label": "Public", "weights": "./public.ckpt", "step": STEP, **settings}


def semlaflow(**said: Any) -> dict[str, Any]:
    """A checkpoint of the tiny benchmark's backbone."""
    return published.lightning(published.semla(**SIZES), **{"coord_scale": 1.1, "coord_norm": "length", **said})


def import_as(found: Any, *, own: dict[str, Any] = OURS, file: str = "public.ckpt", **settings: Any) -> int:
    """Write a file, and train the method that imports it."""
    torch.save(found, file)
    change(methods={"own": own, "public": method(**settings)}, table=["own", "public"], encoders={}, evaluate=[5],
           speedup={"metric": "fd@shape", "baseline": "own"})  # fmt: skip
    return run(TRAIN)


@pytest.fixture(scope="module")
def prepared(make_workspace: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the data."""
    folder = make_workspace(tmp_path_factory.mktemp("imported") / "work", "tiny_molecules")
    with contextlib.chdir(folder):
        must("prepare --dataset smallmol")
        must("represent --dataset smallmol --extractor shape")
    return folder


@pytest.fixture
def work(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(prepared, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def published_weights() -> dict[str, torch.Tensor]:
    """Of the run, as tensors."""
    cell = benchmark().cell("public", 0, STEP, next(iter(benchmark().spec.samplers)))
    return {name: torch.from_numpy(array) for name, array in io.read_tensors(cell.weights).items()}


def same(weights: dict[str, torch.Tensor], network: torch.nn.Module) -> bool:
    own = network.state_dict()
    return weights.keys() == own.keys() and all(torch.equal(weights[name], own[name]) for name in own)


def tabulated() -> pd.DataFrame:
    """The table, after every job that it needs."""
    for job in planning.jobs(benchmark()):
        if job.verb != "plot" or job.arguments.endswith("samples"):
            must(f"{job.verb} {job.arguments}")
    return pd.read_csv(paths.table("tiny"))


def judged(table: pd.DataFrame) -> None:
    """Rows of what is imported have numbers, and reasons for what is not known."""
    public = table[table["method"] == "public"].iloc[0]
    assert table[["method", "step", "weights"]].values.tolist() == [["own", 5, "ema"], ["public", STEP, "imported"]]
    assert public["samples_seen"] == 64 * STEP
    assert pd.isna(public["device_seconds"])
    assert "imported: what its training took is not known" in public["reason"]
    metrics = [name for name in table.columns if name.endswith("-n16") and "stability" in name]
    assert table[metrics].notna().all(axis=None)
    text = Path(paths.table("tiny")).with_suffix(".md").read_text()
    assert "Public: imported, not trained here: ./public.ckpt (sha256" in text
    pictures = pd.read_csv(paths.figure("tiny", "samples", ".csv"))
    assert set(pictures[pictures["method"] == "public"]["step"]) == {STEP}


def test_a_checkpoint_of_semlaflow_is_a_row_beside_one_that_is_trained(work):
    assert import_as(semlaflow()) == 0
    assert same(published_weights(), published.semla(**SIZES))
    receipt = stores.receipt(benchmark().run("public", 0).receipt(0))
    assert receipt["imported"]["projectors_left_out"] == 1
    assert receipt["parameters"] == sum(p.numel() for p in published.semla(**SIZES).parameters())
    judged(tabulated())


def test_what_edm_publishes_is_a_row_too(work):
    change(**EDM)
    own = {"uses": "molecule-diffusion", "label": "EDM"}
    assert import_as(published.edm(published.egnn()), own=own, process="diffusion") == 0
    assert same(published_weights(), published.egnn())
    judged(tabulated())


def test_hidden_classes_are_sampled_as_such(work):
    change(codec={"uses": "molecules", "elements": list("HCNOF"), "scale": 1.1, "mask_bonds": True})
    own = {**OURS, "classes": "mask"}
    network = published.semla(**SIZES, bonds=6)
    found = published.lightning(network, **{"integration-type-strategy": "mask", "type_strategy": "mask"})
    assert import_as(found, own=own) == 2  # classes: uniform
    assert import_as(found, own=own, classes="mask") == 0
    must(f"sample --benchmark tiny --method public --seed 0 --step {STEP} --sampler euler")


def test_its_recipe_is_the_file_and_how_it_is_read(work):
    assert import_as(semlaflow()) == 0
    one = benchmark().run("public", 0)
    for changed in ({"batch": 8, "note": "n"}, {"classes": "dirichlet"}):
        change(methods={"own": OURS, "public": method(**changed)})
        assert (benchmark().run("public", 0).key == one.key) == ("batch" in changed)


# What is refused

WRONG: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "another network": (lambda: {"state_dict": {"net.weight": torch.ones(2)}}, {}, "is no checkpoint of SemlaFlow: it "
                        "has 'net.weight'; expected 'gen.size_emb.weight'"),
    "of EDM": (lambda: published.edm(published.egnn()), {}, "is no checkpoint of SemlaFlow: it has 'buffer'"),
    "another width": (lambda: published.lightning(published.semla(**{**SIZES, "width": 16})), {},
                      "'feat_proj.0.weight' is (16, 17), expected (8, 17)"),
    "another scale": (lambda: semlaflow(coord_scale=2.4), {}, "has coord_scale 2.4, and the codec says scale: 1.1"),
    "another step": (semlaflow, {"step": 7}, "'global_step' is 100, and the method says step: 7"),
    "another process": (semlaflow, {"process": "diffusion"}, "is of SemlaFlow, which is a flow"),
    "a list": (lambda: [1], {}, "holds a list, and no dict of tensors"),
    "a class": (lambda: {**semlaflow(), "callback": Path("x")}, {}, "refused, it asks for `pathlib"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_something_else_is_one_line_and_leaves_nothing(what, work, capsys):
    made, settings, words = WRONG[what]
    if settings.get("process") == "diffusion":  # a sampler of flows would be refused before the file is
        change(samplers=EDM["samplers"])
        settings = {**settings, "own": {"uses": "molecule-diffusion", "label": "EDM"}}
    assert import_as(made(), **settings) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "reedbench step train: public.ckpt: " in said
    assert words in said
    assert not Path(benchmark().run("public", 0).segment(0)).exists()


def test_types_that_are_not_plain_are_refused_with_the_way_to_the_weights_alone(work, capsys):
    assert import_as(semlaflow(transform=Path("x"))) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "only tensors and plain values are read; where you trust it" in said
    assert "torch.save(torch.load(FILE, weights_only=False)[KEY], NEW)" in said
    assert import_as(semlaflow()["state_dict"]) == 0  # as that would leave it
    assert import_as(semlaflow(args=Namespace(epochs=3))) == 0  # arguments are plain


def test_a_sampler_that_does_not_fit_the_process_is_refused_before_the_file_is_read(work, capsys):
    assert import_as(semlaflow(), process="diffusion") == 2
    assert "cannot draw from method 'public': imported-molecules trains no flow of molecules" in " ".join(
        capsys.readouterr().err.split()
    )


# The command


def command(*words: str) -> tuple[int, str, list[str]]:
    """Exit code, what goes to standard output, and the lines for people."""
    suite.load.cache_clear()
    out, lines = streams.StringIO(), list[str]()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr("sys.argv", ["reedbench", "import-checkpoint", *words])
        patch.setattr(cli.console, "say", lines.append)
        code = cli.main()
    return code, out.getvalue(), lines


def test_the_command_says_what_a_checkpoint_of_semlaflow_is(work):
    torch.save(semlaflow(), "public.ckpt")
    code, entry, lines = command("public.ckpt", "--benchmark", "tiny")
    assert code == 0
    assert lines[0] == "public.ckpt: checkpoint of Lightning, of which the average ('ema_gen') is taken"
    assert lines[1].startswith("network: Semla-8x2/4, 7 types of atoms (padding, mask and 5 elements; ")
    asked = dict(line.split(": ", 1) for line in lines[2:])
    sizes = {name: size for name, size in SIZES.items() if name != "message_hidden"}  # it has two layers
    assert yaml.safe_load(asked["backbone"]) == {"uses": "semla", **sizes}
    assert yaml.safe_load(asked["codec"]) == {"scale": 1.1}
    assert asked["left out"] == "1 projector(s) and the frozen encoder"
    assert asked["benchmark tiny"] == "fits Semla-8x2/4"
    (found,) = yaml.safe_load(entry)["methods"].values()
    assert found == {"uses": "imported-molecules", "label": "Semla-8x2/4 (published)", "weights": "./public.ckpt",
                     "step": STEP}  # fmt: skip
    speedup = {"metric": "fd@shape", "baseline": "own"}
    change(methods={"own": OURS, "public": found}, table=["own", "public"], speedup=speedup)
    must(TRAIN)


def test_the_command_says_what_a_file_of_edm_is_and_asks_for_its_step(work):
    torch.save(published.edm(published.egnn()), "generative_model_ema.npy")
    code, entry, lines = command("generative_model_ema.npy")
    assert code == 0
    assert lines[0] == "generative_model_ema.npy: bare state dict"
    assert lines[1].startswith("network: EGNN-8x2, 6 features of an atom")
    assert "backbone: {uses: egnn, width: 8, layers: 2}" in lines
    assert "step: the file does not say" in lines
    (found,) = yaml.safe_load(entry)["methods"].values()
    assert (found["process"], found["step"]) == ("diffusion", "unknown")


def test_a_file_that_no_backbone_knows_is_named_with_what_is_known(work):
    torch.save({"conv.weight": torch.ones(2)}, "public.ckpt")
    code, _, (said,) = command("public.ckpt")
    assert code == 2
    assert "public.ckpt: is no checkpoint that is known here: it has 'conv.weight'; expected one of EDM " in said
    for known in ("'dynamics.egnn.embedding.weight'", "'gen.size_emb.weight'", "'x_embedder.proj.weight'"):
        assert known in said


def test_sizes_that_no_network_has_are_one_line(work):
    state = published.semla(**{**SIZES, "heads": 1}).state_dict()
    state["dynamics.coord_proj.weight"] = torch.ones(7, 2)  # more sets than messages have room for
    torch.save(state, "public.ckpt")
    code, _, (said,) = command("public.ckpt")
    assert code == 2
    assert "public.ckpt: has sizes that no semla has: heads: Input should be greater than" in said


def test_the_command_refuses_a_file_of_another_backbone_than_the_benchmarks(work):
    torch.save(published.edm(published.egnn()), "public.ckpt")
    code, _, (said,) = command("public.ckpt", "--benchmark", "tiny")
    assert code == 2
    assert "is no checkpoint of SemlaFlow" in said


def test_a_network_of_the_published_size_needs_a_backbone_as_it_is():
    backbone = plugins.discover("backbones")["semla"]
    with torch.device("meta"):
        network = backbone().build((-1, 18, 5), {})
    assert _needs(backbone, backbone.published(dict(network.state_dict()))) == {"backbone": {"uses": "semla"}}
