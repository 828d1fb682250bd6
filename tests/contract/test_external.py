"""A stranger's plugins: a loss as a small file passes the contract and agrees with its formula."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from reference_vectors import wave

from reedbench.core import plugins

HERE = Path(__file__).parent
OUTSIDE = HERE / "external"
FILES = sorted(OUTSIDE.rglob("*.py"))


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
    file = tmp_path / "objectives/token_norm.py"
    file.parent.mkdir()
    text = (OUTSIDE / "objectives/token_norm.py").read_text()
    start, end = text.index("    def rows_per_group"), text.index("    def extra")
    silent = text[:start] + text[end:]
    file.write_text(silent.replace("(-1, self.group)", "(1, -1)").replace("self.group)", "len(norm))"))
    done = contract(tmp_path)
    assert done.returncode == 1
    assert "depends on other rows: compare them in groups (Learner.group)" in done.stdout


def test_a_stranger_s_loss_is_its_formula():
    method = loaded("token_norm.py")(label="-", group=3)
    z = wave((6, 4, 5), 0.61, 0.4)
    found = method.extra([z], {})
    norms = [float((row**2).mean()) for row in z]
    assert found["norm"].tolist() == pytest.approx(norms)
    spread = [float(torch.tensor(norms[i : i + 3]).var(correction=0)) for i in (0, 3)]
    assert found["spread"].tolist() == pytest.approx([spread[0]] * 3 + [spread[1]] * 3, rel=1e-5)
