"""A stranger's plugins: two published losses as small files pass the contract and agree with their formulas."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from reference_vectors import wave
from torch import Tensor

from reedbench.core import plugins

HERE = Path(__file__).parent
OUTSIDE = HERE / "external"
FILES = sorted(OUTSIDE.rglob("*.py"))
EMPTY = {"x_1": torch.zeros(1, dtype=torch.float64)}
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
TIMES = torch.tensor([0.1, 0.2, 0.3, 0.55, 0.8, 0.95], dtype=torch.float64)


def contract(folder: Path) -> subprocess.CompletedProcess[str]:
    """The contract on the plugins of a folder, as its author runs it."""
    command = [sys.executable, "-m", "pytest", str(HERE), "--plugins", str(folder), "-rs", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=HERE.parents[1], env=environment, capture_output=True, text=True)


def loaded(file: str) -> Any:
    return plugins._plugin_of(plugins._import_file(OUTSIDE / "objectives" / file, "objectives"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_external_loss_takes_at_most_forty_lines(file):
    assert len(file.read_text().splitlines()) <= 40


def test_the_contract_runs_on_plugins_of_a_folder_and_on_no_others():
    done = contract(OUTSIDE)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed, \d+ deselected", done.stdout)  # and none skipped
    assert passed, done.stdout
    assert int(passed[1]) >= 17 * len(FILES)


def test_the_contract_finds_a_loss_that_compares_rows_and_does_not_say_so(tmp_path):
    file = tmp_path / "objectives/dispersive.py"
    file.parent.mkdir()
    text = (OUTSIDE / "objectives/dispersive.py").read_text()
    start, end = text.index("    def rows_per_group"), text.index("    def extra")
    file.write_text(
        (text[:start] + text[end:]).replace("(-1, self.group)", "(1, -1)").replace("self.group)", "len(z[0]))")
    )
    done = contract(tmp_path)
    assert done.returncode == 1
    assert "depends on other rows: compare them in groups (Learner.group)" in done.stdout


@pytest.mark.parametrize(
    ("group", "temperature", "loss", "norm"),
    [
        (6, 1.0, -0.28177378961460664, 0.1036489279707084),
        (6, 0.5, -0.47824414198723286, 0.15048341768597304),
        (3, 1.0, -0.08257779531640513, None),
    ],
)
def test_the_dispersive_loss_is_that_of_the_official_code(group, temperature, loss, norm):
    """Numbers of an independent script that ran the released loss in float64 (project's vectors of methods)."""
    z = wave((6, 4, 5), 0.61, 0.4).requires_grad_()
    method = loaded("dispersive.py")(label="-", group=group, temperature=temperature)
    value = method.extra([z], EMPTY)["dispersive"].mean()
    value.backward()
    assert value.item() == pytest.approx(loss, abs=1e-12)
    assert norm is None or z.grad.norm().item() == pytest.approx(norm, abs=1e-12)


def toy(s: float) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Parameters of the vectors' toy network, and the hidden states h1 and h3 of their batch."""
    shapes = {"A1": (0.9, (3, 5), 0.7, 0), "b1": (0.5, (5,), 0.9, 0.1), "E": (1.2, (4, 5), 1.1, 0.2)}
    shapes |= {"A2": (0.8, (5, 5), 2.3, 0.3), "A3": (0.8, (5, 5), 1.9, 0.4), "A4": (1.1, (5, 3), 1.7, 0.5)}
    w = {name: (scale * wave(shape, a, s + b)).requires_grad_() for name, (scale, shape, a, b) in shapes.items()}
    x_1, x_0, t = wave((6, 4, 3), 0.37, 0.2), wave((6, 4, 3), 0.91, 1.4), TIMES[:, None, None]
    h1 = torch.tanh(((1 - t) * x_0 + t * x_1) @ w["A1"] + t * w["b1"] + w["E"][LABELS][:, None])
    return w, [h1, torch.tanh(torch.tanh(h1 @ w["A2"]) @ w["A3"])]


def test_layersync_is_that_of_the_official_code_and_stops_the_gradient_of_the_deep_block():
    weights, hidden = toy(0.3)
    value = loaded("layersync.py")(label="-").extra(hidden, EMPTY)["layersync"].mean()
    value.backward()
    norms = [w.grad.norm() for w in weights.values() if w.grad is not None]
    assert value.item() == pytest.approx(-0.02497184982532812, abs=1e-12)
    assert torch.stack(norms).norm().item() == pytest.approx(0.1960526904907695, abs=1e-12)  # 0.902 without the stop
