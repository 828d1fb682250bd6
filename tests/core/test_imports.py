"""The command and the ground floor start light: heavy packages are imported by the step that needs them."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "sklearn", "pandas", "pyarrow", "scipy", "matplotlib", "seaborn", "safetensors", "snakemake")
LIGHT = ("cli", *(f"core.{name}" for name in (
    "console", "constants", "errors", "faults", "frozen", "io", "paths", "plugins", "provenance", "seeds"
)))  # fmt: skip


def loaded(modules: tuple[str, ...], looked_for: tuple[str, ...]) -> str:
    program = f"import sys, {', '.join(f'reedbench.{m}' for m in modules)}; "
    program += f"print([name for name in {looked_for!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["cli", "core.plugins"])
def test_importing_it_loads_nothing_heavy(module):
    assert loaded((module,), (*HEAVY, "numpy")) == "[]"


def test_the_ground_floor_loads_neither_torch_nor_numpy():
    assert loaded(LIGHT, (*HEAVY, "numpy")) == "[]"


def test_shards_load_numpy_and_nothing_else_that_is_heavy():
    assert loaded(("core.shards",), (*HEAVY, "numpy")) == "['numpy']"
