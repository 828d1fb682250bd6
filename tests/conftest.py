"""Fixtures that several packages' tests share: a tiny benchmark, and working directories that hold it."""

import contextlib
import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from reedbench.core import plugins, provenance
from reedbench.schema import suite

# One job is one thread here too: tests run side by side, and bytes depend on the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"

# What whoever runs the tests has set for their own runs and terminal.
KEPT = ("REEDBENCH_DATA", "REEDBENCH_WEIGHTS")
for name in [name for name in os.environ if name.startswith("REEDBENCH_") and name not in KEPT]:
    del os.environ[name]
for name in ("TERM", "FORCE_COLOR", "TTY_COMPATIBLE", "WORLD_SIZE"):
    os.environ.pop(name, None)

# What a shell starts in the background ignores Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/contract --plugins DIR` runs the contract on the plugins of a folder."""
    parser.addoption(
        "--plugins", dest="outside", metavar="DIR", help="run tests/contract on the plugins of DIR/<kind>/*.py"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module asks which plugins there are."""
    if folder := config.getoption("outside"):
        os.environ[plugins.VARIABLE] = str(Path(folder).resolve())


def _threads_of_autograd() -> int:
    found = 0
    for task in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # a thread that has ended since
            found += task.read_text().startswith("pt_autograd")
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Whoever starts such threads is told so: else every later test of this worker that forks would fail instead."""
    before = _threads_of_autograd()
    result = yield
    if _threads_of_autograd() > before:
        pytest.fail("its first backward pass had no values: torch refuses to fork such a process", pytrace=False)
    return result


REPOSITORY = Path(__file__).parents[1]
TESTS = REPOSITORY / "tests"


def _make_workspace(folder: Path, benchmark: str = "tiny") -> Path:
    benchmarks = folder / "config" / "benchmarks"
    benchmarks.mkdir(parents=True)
    (benchmarks / "tiny.yaml").write_text((TESTS / f"{benchmark}.yaml").read_text())
    (folder / "config" / "config.yaml").write_text("benchmarks: config/benchmarks\nlauncher: inline\n")
    return folder


@pytest.fixture(scope="session")
def make_workspace() -> Callable[..., Path]:
    """Makes a working directory with the benchmark `tiny` as its only one: tests/tiny.yaml, or tests/<name>.yaml."""
    return _make_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory with the tiny benchmark; it is the current directory."""
    _make_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    suite.load.cache_clear()
    yield tmp_path
    suite.load.cache_clear()


@pytest.fixture(autouse=True)
def _no_stale_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite is read once per process, which is right for a command and wrong between tests."""
    suite.load.cache_clear()
    # Sidecars ask git for the state of the sources: not in each of a thousand steps.
    monkeypatch.setattr(provenance, "_git_state", lambda: {"commit": None, "dirty": None})
