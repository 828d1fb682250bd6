"""Published checkpoints as runs: every layout gives the numbers of the reference, and a row that says what it is."""

import contextlib
import io as streams
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from reference_vectors import GOLDEN, fill, filled_trio, wave
from tiny_steps import benchmark, change, run
from torch import Tensor

from reedbench import cli
from reedbench.core import io, paths, provenance, stores
from reedbench.datasets.digits import Digits
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.nn.backbones.sit import SiT
from reedbench.schema import planning, retraining, suite
from reedbench.steps.sample import network_of

State = dict[str, Tensor]
TRAIN = "train --benchmark tiny --method public --seed 0 --segment 0"
REFERENCE = {"uses": "sit", "patch": 2, "width": 48, "depth": 4, "heads": 4}  # of vectors P3 and P4
STEP = 7


def method(**settings: Any) -> dict[str, Any]:
    given = {"label": "Public", "weights": "./public.pt", "step": STEP, "time": "sit"}
    return {"uses": "imported", **given, **settings}


def import_as(found: Any, **settings: Any) -> int:
    """Write a file, and train the method that imports it."""
    torch.save(found, "public.pt")
    change(methods={"sit": {"uses": "aligned", "label": "SiT"}, "public": method(**settings)},
         table=["sit", "public"], ablations={}, encoders={}, captioners={})  # fmt: skip
    return run(TRAIN)


# Layouts


def of_repa() -> State:
    """The weights of vector P3: four channels, and two projectors."""
    return {name: tensor.float() for name, tensor in filled_trio().reference_state().items()}


def of_sit() -> State:
    """The weights of vector P4: a head with variances."""
    state = SiT(size=8, channels=4, patch=2, width=48, depth=4, heads=4, classes=10).state_dict()
    state |= {"final_layer.linear.weight": torch.empty(32, 48), "final_layer.linear.bias": torch.empty(32)}
    fill(state)
    return state


def training(state: State, **more: Any) -> dict[str, Any]:
    """A checkpoint of training, whose live weights are others."""
    other = {name: tensor + 1 for name, tensor in state.items()}
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    return {"model": other, "ema": state, "opt": optimiser, **more}


def in_parallel(state: State) -> State:
    return {f"module.{name}": tensor for name, tensor in state.items()}


def legacy(state: State) -> State:
    """As early files of REPA called the blocks behind the tap of depth 2."""
    names = {f"blocks.{2 + i}.": f"decoder_blocks.{i}." for i in range(2)}
    return {names.get(name[:9], name[:9]) + name[9:]: tensor for name, tensor in state.items()}


def drifted(state: State) -> State:
    """Positions as averaging leaves them: not quite the formula (quirk Q24)."""
    return {**state, "pos_embed": state["pos_embed"] * (1 + 1e-6)}


REPA_ARGS = Namespace(model="SiT-B/2", path_type="linear", prediction="v", enc_type="dinov2-vit-b", cfg_prob=0.1)
SIT_ARGS = Namespace(model="SiT-XL/2", path_type="Linear", prediction="velocity", loss_weight=None)
LAYOUTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "bare, of SiT": ("sit", of_sit),
    "training, of SiT": ("sit", lambda: training(of_sit(), args=SIT_ARGS)),
    "training of several processes, of SiT": ("sit", lambda: training(in_parallel(of_sit()), args=SIT_ARGS)),
    "bare, of REPA": ("repa", of_repa),
    "bare, without projectors": ("repa", lambda: {n: t for n, t in of_repa().items() if "projectors" not in n}),
    "training, of REPA": ("repa", lambda: training(of_repa(), args=REPA_ARGS, steps=STEP)),
    "early training of several processes, of REPA": (
        "repa",
        lambda: training(in_parallel(legacy(of_repa())), args=REPA_ARGS, steps=STEP),
    ),
    "bare, with positions that drifted": ("repa", lambda: drifted(of_repa())),
}


@pytest.fixture(scope="module")
def four_channels(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with images of the shape of the reference's tiny networks, prepared."""
    folder = make_workspace(tmp_path_factory.mktemp("imported") / "work")
    every = Digits.rows

    def wide(self: Digits) -> Rows:
        found = every(self)
        return Rows(found.ids, found.split, {**found.arrays, "images": found.arrays["images"].repeat(4, axis=1)})

    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Digits, "rows", wide)
        change(backbone=REFERENCE)
        assert run("prepare --dataset digits") == 0
    return folder


@pytest.fixture
def work(four_channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(four_channels, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_a_run_with_the_numbers_of_the_reference_in_our_time(layout, work):
    time, made = LAYOUTS[layout]
    assert import_as(made(), time=time) == 0
    cell = benchmark().cell("public", 0, STEP, "ode")
    network = network_of(cell, rows.index(benchmark().data), "cpu")
    x, t, y = wave((2, 4, 8, 8), 0.11, 0.0).float(), torch.tensor([0.25, 0.7]), torch.tensor([3, 10])
    with torch.no_grad():
        v = network(x, t, y)[0] if time == "sit" else -network(x, 1 - t, y)[0]
    golden = GOLDEN["G3e_sit_learnsigma" if time == "sit" else "G3_v"]
    assert v.double().sum().item() == pytest.approx(golden["sum"], rel=1e-5)
    assert v.double().norm().item() == pytest.approx(golden["l2"], rel=1e-5)
    assert v.flatten()[: len(golden["first"])].tolist() == pytest.approx(golden["first"], rel=1e-4)


def test_a_run_of_weights_from_outside_is_published_like_a_trained_one(work):
    assert import_as(training(of_repa(), args=REPA_ARGS, steps=STEP), time="repa") == 0
    one = benchmark().run("public", 0)
    receipt = stores.receipt(one.receipt(0))
    (name,) = receipt["weights"]
    assert (receipt["start"], receipt["stop"], name) == (0, STEP, f"{paths.step_name(STEP)}.safetensors")
    assert receipt["weights"][name] == io.sha256(f"{one.segment(0)}/{name}")
    assert receipt["imported"]["sha256"] == io.sha256("public.pt")
    assert receipt["imported"]["projectors_left_out"] == 2
    assert receipt["parameters"] == sum(
        t.numel() for n, t in of_repa().items() if n != "pos_embed" and "projectors" not in n
    )
    assert set(provenance.read(one.receipt(0))["inputs"]) == {one.recipe_file, paths.index(one.benchmark.data),
                                                              "public.pt"}  # fmt: skip
    assert list(provenance.verify(one.receipt(0)))
    assert planning.is_published(one, 0)
    assert run(f"{TRAIN} --unless-fresh {one.receipt(0)}") == 0


def test_its_recipe_is_the_file_and_how_it_is_read_and_no_seed(work):
    assert import_as(of_sit()) == 0
    one = benchmark().run("public", 0)
    assert one.key == benchmark().run("public", 5).key
    assert set(one.recipe) == {"step", "backbone", "objective"}
    trained = benchmark().run("sit", 0).key
    for changed in ({"step": 8, "batch": 8, "note": "n", "label": "L"}, {"time": "repa"}, {"path": "gvp"}):
        change(methods={"sit": {"uses": "aligned", "label": "SiT"}, "public": method(**changed)})
        assert (benchmark().run("public", 0).key == one.key) == ("step" in changed)
        assert benchmark().run("sit", 0).key == trained
        assert retraining.lines(retraining.retrained(benchmark())) == []


def test_of_several_processes_one_is_enough_and_it_takes_no_gpu(work):
    change(methods={"sit": {"uses": "aligned", "label": "SiT"}, "public": method()}, table=["sit", "public"],
         ablations={}, resources={"train": {"gpus": 4, "nodes": 2, "tasks_per_node": 4}})  # fmt: skip
    asked = [benchmark().run(m, 0).resources for m in ("public", "sit")]
    assert [(one.gpus, one.nodes, one.tasks_per_node) for one in asked] == [(0, 1, 1), (4, 2, 4)]


# What is refused


def without(name: str) -> State:
    return {key: tensor for key, tensor in of_repa().items() if key != name}


def spoilt(name: str, change: Callable[[Tensor], Tensor], state: Callable[[], State] = of_repa) -> State:
    found = state()
    return {**found, name: change(found[name])}


LABELS, QKV = "y_embedder.embedding_table.weight", "blocks.1.attn.qkv.weight"
WRONG: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "no checkpoint": (lambda: {"weights": [1, 2]}, {}, "neither a state dict nor a checkpoint of SiT, REPA or REED: it "
                      "has 'weights'; expected 'x_embedder.proj.weight'"),
    "no average": (lambda: {"model": of_sit(), "opt": {}}, {}, "a training checkpoint without 'ema' of SiT, REPA or "
                   "REED: it has 'model', 'opt'; expected"),
    "an average that is none": (lambda: {"ema": [1]}, {}, "'ema' is no state dict"),
    "another network": (lambda: {"conv.weight": torch.ones(2)}, {}, "'x_embedder.proj.weight' is absent: it has "
                        "'conv.weight'; expected the state dict of a SiT"),
    "a list": (lambda: [1], {}, "holds a list, and no dict of tensors"),
    "a missing key": (lambda: without(QKV), {"time": "repa"}, f"'{QKV}' is absent, expected (144, 48)"),
    "a further key": (lambda: {**of_repa(), "blocks.0.attn.q_norm.weight": torch.ones(12)}, {"time": "repa"},
                      "'blocks.0.attn.q_norm.weight' (12,) is not expected: the backbone has none"),
    "other classes": (lambda: spoilt(LABELS, lambda x: torch.cat([x, x])), {"time": "repa"},
                      f"'{LABELS}' is (22, 48), expected (11, 48)"),
    "a head of other channels": (lambda: spoilt("final_layer.linear.weight", lambda x: x[:12]), {"time": "repa"},
                                 "'final_layer.linear.weight' is (12, 48), expected 16 rows (4 channels, patch 2) or "
                                 "32 (with variances)"),
    "other axes": (lambda: spoilt("pos_embed", lambda x: x[0]), {}, "'pos_embed' is (16, 48), expected 3 axes"),
    "other positions": (lambda: spoilt("pos_embed", lambda x: -x), {}, "away from SiT's sines and cosines"),
    "not finite": (lambda: spoilt(QKV, lambda x: x / 0), {"time": "repa"}, f"'{QKV}' has values that are not finite"),
    "another step": (lambda: training(of_repa(), steps=9), {"time": "repa"}, "'steps' is 9, and the method says step: "
                     "7"),
    "REPA's time said to be SiT's": (of_repa, {}, "is in the time of repa (it has projectors or 'steps'), and the "
                                     "method says time: sit"),
    "SiT's time said to be REPA's": (of_sit, {"time": "repa"}, "is in the time of sit (variances"),
    "another path": (lambda: training(of_sit(), args=SIT_ARGS), {"path": "gvp"}, "'args' has path_type Linear, and the "
                     "method says path: gvp"),
    "a path that there is not": (lambda: training(of_sit(), args=Namespace(path_type="VP")), {}, "path_type VP"),
    "another prediction": (lambda: training(of_sit(), args=Namespace(prediction="noise")), {}, "prediction noise: "
                           "networks that predict a velocity"),
    "code": (lambda: training(of_sit(), args=Path("x")), {}, "refused, it asks for `pathlib"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_something_else_is_one_line_and_leaves_nothing(what, work, capsys):
    made, settings, words = WRONG[what]
    assert import_as(made(), **settings) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "reedbench step train: public.pt: " in said
    assert words in said
    one = benchmark().run("public", 0)
    assert not Path(one.segment(0)).exists()
    assert not Path(one.receipt(0)).exists()


def test_a_file_that_is_not_there_is_missing(work, capsys):
    assert import_as(of_sit(), weights="./other.pt") == 3
    assert "other.pt: no such file" in capsys.readouterr().err


def test_there_is_no_second_segment_and_no_other_step(work, capsys):
    assert import_as(of_sit()) == 0
    assert run(TRAIN.replace("--segment 0", "--segment 1")) == 2
    assert run(f"sample --benchmark tiny --method public --seed 0 --step {2 * STEP} --sampler ode") == 2
    assert f"step {2 * STEP} is off the grid: there are weights of step {STEP} alone" in capsys.readouterr().err


# The command


def command(*words: str) -> tuple[int, str]:
    """Exit code, and what goes to standard output."""
    suite.load.cache_clear()
    out = streams.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr("sys.argv", ["reedbench", "import-checkpoint", *words])
        code = cli.main()
    return code, out.getvalue()


def test_the_command_says_what_a_file_is_and_prints_the_method_that_imports_it(work, capsys):
    torch.save(training(of_repa(), args=REPA_ARGS, steps=STEP), "public.pt")
    code, entry = command("public.pt", "--benchmark", "tiny")
    said = capsys.readouterr().err
    assert code == 0
    assert "SiT-48x4/2, 4 channels of 8 x 8, 10 classes" in " ".join(said.split())
    assert "2 projector(s) to (12, 20)" in said
    assert "benchmark tiny: fits SiT-48x4/2" in said
    (found,) = yaml.safe_load(entry)["methods"].values()
    assert found == {"uses": "imported", "label": "SiT-48x4/2 (published)", "weights": "./public.pt", "step": STEP,
                     "time": "repa"}  # fmt: skip
    change(methods={"sit": {"uses": "aligned", "label": "SiT"}, "public": found}, table=["sit", "public"], ablations={})
    assert run(TRAIN) == 0


def test_what_a_bare_file_does_not_say_is_left_open_and_refused_until_it_is_filled_in(work, capsys):
    torch.save({n: t for n, t in of_repa().items() if "projectors" not in n}, "public.pt")
    code, entry = command("public.pt")
    assert code == 0
    (found,) = yaml.safe_load(entry)["methods"].values()
    assert (found["step"], found["time"]) == ("unknown", "unknown")
    change(methods={"sit": {"uses": "aligned", "label": "SiT"}, "public": found}, table=["sit", "public"], ablations={})
    assert run(TRAIN) == 2
    assert "methods.public.step: must be a whole number" in capsys.readouterr().err


def test_the_command_refuses_a_file_that_is_not_for_the_benchmark(work, capsys):
    torch.save(spoilt(LABELS, lambda x: torch.cat([x, x])), "public.pt")
    assert command("public.pt", "--benchmark", "tiny")[0] == 2
    assert f"'{LABELS}' is (22, 48), expected (11, 48)" in " ".join(capsys.readouterr().err.split())
