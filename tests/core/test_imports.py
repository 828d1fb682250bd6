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


def said_by(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_reading_a_table_loads_no_pandas(tmp_path):
    from pyarrow import parquet, table

    parquet.write_table(table({"id": ["a"]}), tmp_path / "x")
    read = f"import sys; from reedbench.core import io; io.read_table({str(tmp_path / 'x')!r}, ['id'])"
    assert said_by(f"{read}; print('pandas' in sys.modules)") == "False"


def test_a_command_looks_for_garbage_seldom_and_not_at_its_end():
    run = "import gc, sys; sys.argv = ['reedbench', '--version']; from reedbench.__main__ import main; main()"
    assert said_by(f"{run}; print(gc.get_threshold()[0] > 10_000, gc.get_freeze_count() > 0)").endswith("True True")
