"""A method author adds one file to a folder of their own: it is listed, checked and run like a built-in one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from reedbench.core import plugins

ENCODER = '''
"""Mean and spread of the ink of each half, as a vector."""
from typing import ClassVar, Literal
import numpy as np
from reedbench.encoders import AbstractEncoder, Pretrained

class Halves(AbstractEncoder):
    """Ink of the upper and the lower half."""
    domain: ClassVar[str] = "image"
    kind: ClassVar[str] = "vector"
    uses: Literal["toy-halves"] = "toy-halves"
    power: float = 1.0
    """Applied to the ink."""

    def pretrain(self, train, test, stream):
        """Remembers the mean over the training split."""
        return Pretrained({"mean": self._ink(train).mean(0)}, {"objective": "none", "rows": len(train.rows)})

    def represent(self, weights, material):
        """(n, 2) float32."""
        return (self._ink(material) - weights["mean"]).astype(np.float32)

    def _ink(self, material):
        images = (material.rows.arrays["images"][:, 0] / 255.0) ** self.power
        return np.stack([images[:, :4].mean((1, 2)), images[:, 4:].mean((1, 2))], 1).astype(np.float32)
'''
OBJECTIVE = '''
"""The absolute error of the velocity, with a probe of the last block towards a vector."""
from typing import Literal
from reedbench.objectives import FlowObjective

class Absolute(FlowObjective):
    """The velocity loss in the L1 norm."""
    uses: Literal["toy-absolute"] = "toy-absolute"
    target: str
    """Encoder whose vector the network is asked for, too."""
    block: int = 1
    """Block that is asked."""

    def encoders(self):
        """The target."""
        return (self.target,)

    def depths(self):
        """The block."""
        return (self.block,)

    def build(self, backbone, targets, generator):
        """A learner in this file."""
        import torch
        from torch import nn
        from reedbench.nn.learner import Learner, LossTerm
        from reedbench.nn.schedules import Factor

        backbone.initialise(generator)
        probe = nn.Linear(backbone.width, *targets[self.target])
        nn.init.zeros_(probe.weight), nn.init.zeros_(probe.bias)
        flow, objective = self.flow(backbone), self

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.backbone, self.probe = backbone, probe

            def forward(self, x, t, y):
                velocity, (hidden,) = self.backbone(x, t, y, taps=[objective.block])
                return velocity, self.probe(hidden.mean(1))

        class Absolutes(Learner):
            network = Network()
            factors = {"absolute": Factor(), "probe": Factor().times(0.1)}

            def draw(self, batch, streams):
                return flow.draw(batch, streams)

            def weights(self, batch):
                return dict.fromkeys(("absolute", "probe"), float(len(batch["x_1"])))

            def terms(self, batch, network):
                velocity, guessed = network(*flow.inputs(batch))
                error = (velocity - (batch["x_1"] - batch["x_0"])).abs().flatten(1).mean(1)
                guess = (guessed - batch[f"target/{objective.target}"]).square().mean(1)
                n = float(len(velocity))
                return {"absolute": LossTerm(error.sum(), n), "probe": LossTerm(guess.sum(), n)}

            def published(self, average):
                own = {n.removeprefix("backbone."): w for n, w in average.items() if n.startswith("backbone.")}
                return {**backbone.state_dict(), **own}

        return Absolutes()
'''
METRIC = '''
"""How far the mean of the features is off."""
from typing import ClassVar, Literal
import numpy as np
from reedbench.metrics import FeatureMetric

class MeanGap(FeatureMetric):
    """Euclidean distance of the means."""
    direction: ClassVar[str] = "lower"
    version: ClassVar[int] = 3
    uses: Literal["toy-mean-gap"] = "toy-mean-gap"

    def value(self, generated, reference):
        """The distance."""
        return float(np.linalg.norm(generated.features.mean(0) - reference.features.mean(0)))
'''
BENCHMARK = {
    "title": "Toys",
    "dataset": {"uses": "digits"},
    "codec": {"uses": "pixels"},
    "encoders": {"halves": {"uses": "toy-halves", "power": 2.0}},
    "extractors": {"pixels": {"uses": "pixel-vector"}},
    "backbone": {"uses": "sit", "patch": 4, "width": 8, "depth": 1, "heads": 2},
    "train": {"batch": 8, "segment": 4, "save_every": 2, "optimiser": {"lr": 1.0e-3}, "ema_decay": 0.5},
    "bookkeeping": {"log_every": 2},
    "seeds": [0],
    "evaluate": [4],
    "methods": {"toy": {"uses": "toy-absolute", "label": "Toy", "target": "halves"}},
    "table": ["toy"],
    "samplers": {"ode": {"uses": "euler", "steps": 2}},
    "sampling": {"count": 20, "batch": 20},
    "metrics": [{"uses": "toy-mean-gap", "extractor": "pixels"}],
    "speedup": {"metric": "toy-mean-gap@pixels", "baseline": "toy"},
}
CELL = "--benchmark toys --method toy --seed 0"
STEPS = [
    "prepare --dataset digits",
    "pretrain --dataset digits --encoder halves",
    "represent --dataset digits --encoder halves",
    "represent --dataset digits --extractor pixels",
    f"train {CELL} --segment 0",
    f"sample {CELL} --step 4 --sampler ode",
    f"evaluate {CELL} --step 4 --sampler ode",
    "evaluate --benchmark toys --floor",
    "tabulate --benchmark toys",
]
Run = Callable[..., subprocess.CompletedProcess[str]]


def place(folder: Path, files: dict[str, str], benchmark: dict) -> Run:
    """Write plugins and a suite below `folder`; returns how to run the command, or Python code, there."""
    for name, text in files.items():
        file = folder / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (folder / "config/benchmarks").mkdir(parents=True)
    (folder / "config/config.yaml").write_text("benchmarks: config/benchmarks\n", encoding="utf-8")
    (folder / "config/benchmarks/toys.yaml").write_text(yaml.safe_dump(benchmark, sort_keys=False), encoding="utf-8")
    environment = {**os.environ, "REEDBENCH_PLUGINS": str(folder / "mine"), "OMP_NUM_THREADS": "1"}

    def run(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
        start = ["-m", "reedbench"] if code is None else ["-c", code]
        command = [sys.executable, *start, *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    return run


def objectives() -> list[str]:
    """Of the package."""
    return [name for name, objective in plugins.discover("objectives").items() if objective.code is None]


TOYS = {"encoders/halves.py": ENCODER, "objectives/absolute.py": OBJECTIVE, "metrics/mean_gap.py": METRIC}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("toys")


@pytest.fixture(scope="module")
def run(folder) -> Run:
    return place(folder, TOYS, BENCHMARK)


@pytest.fixture(scope="module")
def worked(run, folder) -> Path:
    """The folder in which every step of the toy benchmark has run, in one process."""
    code = (
        "import sys; from reedbench import steps; [sys.exit(c) for a in sys.argv[1:] if (c := steps.main(a.split()))]"
    )
    done = run(*STEPS, code=code)
    assert done.returncode == 0, done.stderr
    return folder / "results"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("encoders", "toy-halves\tInk of the upper and the lower half."),
        ("objectives", "toy-absolute\tThe velocity loss in the L1 norm."),
        ("metrics", "toy-mean-gap\tEuclidean distance of the means."),
    ],
)
def test_a_dropped_in_plugin_is_listed_with_the_built_in_ones(run, kind, line):
    done = run("list", kind)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert line in lines
    assert len(lines) > 1
    assert lines == sorted(lines, key=lambda text: text.split("\t")[0])


def test_a_benchmark_may_use_dropped_in_plugins(run):
    done = run("check")
    assert (done.returncode, done.stderr) == (0, "toys: ok (1 methods, 1 seeds)\n")


def test_the_json_schema_knows_dropped_in_plugins(run):
    schema = json.loads(run("schema").stdout)
    assert {"Halves", "Absolute", "MeanGap"} <= set(schema["$defs"])
    assert schema["$defs"]["Halves"]["properties"]["power"]["description"] == "Applied to the ink."


def test_a_dropped_in_encoder_is_pretrained_and_represents_the_training_split(worked):
    card = json.loads((worked / "encoders/digits/halves/card.json").read_text())
    assert (card["encoder"], card["rows"], card["settings"]["power"]) == ("halves", 1437, 2.0)
    index = json.loads((worked / "representations/digits/halves/index.json").read_text())
    assert (index["kind"], index["rows"], index["shape"]) == ("vector", 1437, [2])


def test_a_dropped_in_objective_trains_a_segment_under_its_own_recipe(worked):
    run_folder = worked / "runs/toys/toy/seed0"
    recipe = json.loads((run_folder / "config.json").read_text())
    assert recipe["objective"]["uses"] == "toy-absolute"
    assert list(recipe["encoders"]) == ["halves"]
    receipt = json.loads((run_folder / "segment-0.json").read_text())
    assert (receipt["start"], receipt["stop"]) == (0, 4)
    assert {"absolute", "probe"} <= set((run_folder / "segment-0/curve.csv").read_text().splitlines()[0].split(","))


def test_a_dropped_in_metric_scores_samples_and_the_floor_and_has_its_column(worked):
    cell = json.loads((worked / "metrics/toys/toy/seed0/step-0000004/ode.json").read_text())
    floor = json.loads((worked / "metrics/toys/floor.json").read_text())
    (score,), (least,) = cell["records"], floor["records"]
    assert score["metric"] == "toy-mean-gap@pixels.v3-n20"
    assert score["value"] > least["value"] > 0
    assert "toy-mean-gap@pixels.v3-n20" in (worked / "tables/toys.csv").read_text().splitlines()[0].split(",")


def refused(folder: Path, files: dict[str, str], **changes: object) -> str:
    """What `reedbench check` says, in one line with exit code 2, to a suite with these plugins."""
    done = place(folder, files, {**BENCHMARK, **changes})("check")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        pytest.param(
            "metrics/again.py",
            METRIC.replace("toy-mean-gap", "fd"),
            "metrics plugin 'fd' is already defined in",
            id="name of a built-in plugin",
        ),
        pytest.param(
            "metrics/second.py",
            METRIC,
            "metrics plugin 'toy-mean-gap' is already defined in",
            id="name of another file",
        ),
        pytest.param(
            "encoders/nothing.py", '"""Empty."""\n', "exactly one class with a `uses` name, not 0", id="no class"
        ),
        pytest.param("metrics/two.py", METRIC + METRIC.replace("MeanGap", "Other"), "not 2", id="two classes"),
        pytest.param("metrics/typo.py", "import no_such_module\n", "ModuleNotFoundError", id="import that fails"),
        pytest.param("metrics/broken.py", "class Broken(:\n", "SyntaxError", id="not Python"),
    ],
)
def test_a_faulty_plugin_file_is_named_in_one_line(tmp_path, file, text, words):
    line = refused(tmp_path, {**TOYS, file: text})
    assert str(tmp_path / "mine" / file) in line
    assert words in line


def test_a_plugin_folder_that_does_not_exist_is_named(tmp_path):
    assert f"REEDBENCH_PLUGINS: no such folder: {tmp_path / 'mine'}" in refused(tmp_path, {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "halfs"}, ["unknown encoder 'halfs'", "did you mean 'halves'?"]),
        ({"target": "pixels"}, ["'pixels' is an extractor"]),
        ({"block": 2}, ["2 is beyond the backbone, which has 1 blocks"]),
        ({"blok": 1}, ["unknown key 'blok'", "did you mean 'block'?"]),
        (
            {"uses": "toy-absolut"},
            ["did you mean 'toy-absolute'?", f"(allowed: {', '.join(sorted([*objectives(), 'toy-absolute']))})"],
        ),
    ],
)
def test_settings_of_a_dropped_in_objective_are_checked_like_those_of_a_built_in_one(tmp_path, change, words):
    method = {**BENCHMARK["methods"]["toy"], **change}
    line = refused(tmp_path, TOYS, methods={"toy": method})
    assert "config/benchmarks/toys.yaml:" in line
    assert "methods.toy" in line
    assert [word for word in words if word not in line] == []
