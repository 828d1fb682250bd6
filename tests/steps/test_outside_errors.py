"""An error of a plugin from outside the package keeps its file and line, in the last line that a step says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENCODER = '''
"""An encoder that cannot be trained."""
from typing import ClassVar, Literal
from reedbench.encoders import AbstractEncoder

def helper(rows):
    raise ValueError("no such thing")

class Broken(AbstractEncoder):
    """Never works."""
    domain: ClassVar[str] = "image"
    kind: ClassVar[str] = "vector"
    uses: Literal["toy-broken"] = "toy-broken"

    def pretrain(self, train, test, stream):
        """Fails."""
        return helper(train)

    def represent(self, weights, material):
        """Never."""
'''
DATASET = '''
"""Digits that cannot be read."""
from typing import ClassVar, Literal
from reedbench.datasets.digits import Digits as Package

class Broken(Package):
    """Never works."""
    domain: ClassVar[str] = "image"
    uses: Literal["toy-digits"] = "toy-digits"

    def rows(self):
        """Fails."""
        raise ValueError("no such thing")
'''


@pytest.fixture
def step(workspace):
    """Runs a step with plugins of this folder; gives the exit code and the last line."""

    def run(*arguments, **plugins):
        for name, text in plugins.items():
            file = workspace / "mine" / name / "broken.py"
            file.parent.mkdir(parents=True)
            file.write_text(text)
        environment = {**os.environ, "REEDBENCH_PLUGINS": str(workspace / "mine")}
        command = [sys.executable, "-m", "reedbench", "step", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.returncode, done.stderr.splitlines()

    return run


def edit(old, new):
    file = Path("config/benchmarks/tiny.yaml")
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_an_error_while_a_step_runs_names_file_and_line_after_its_traceback(step, workspace):
    edit("  patches: {", "  broken: {uses: toy-broken}\n  patches: {")
    assert step("prepare", "--dataset", "digits", encoders=ENCODER)[0] == 0
    code, said = step("pretrain", "--dataset", "digits", "--encoder", "broken")
    assert code == 1
    assert "Traceback (most recent call last):" in said
    file = workspace / "mine" / "encoders" / "broken.py"
    assert said[-1] == f"reedbench step pretrain: ValueError: no such thing ({file}, line 7)"


def test_a_value_error_that_becomes_a_configuration_error_keeps_them_too(step, workspace):
    edit("dataset: {uses: digits}", "dataset: {uses: toy-digits}")
    code, said = step("prepare", "--dataset", "toy-digits", datasets=DATASET)
    file = workspace / "mine" / "datasets" / "broken.py"
    assert code == 2
    assert said == [f"reedbench step prepare: dataset toy-digits: no such thing ({file}, line 13)"]
