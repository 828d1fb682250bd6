"""A tiny valid suite in an empty working directory, as plain values that a test may edit before they are written."""

import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reedbench import cli
from reedbench.schema import suite

sys.path.insert(0, str(Path(__file__).parent))  # so that `mistakes` can be imported

ROOT = Path(__file__).parents[2]
BENCHMARK: dict[str, Any] = {
    "title": "Tiny",
    "dataset": {"uses": "digits"},
    "codec": {"uses": "pixels"},
    "captioners": {"measured": {"uses": "measured-digits"}},
    "encoders": {
        "patches": {"uses": "invariant-patches", "dim": 16, "steps": 2, "batch": 32},
        "unused": {"uses": "invariant-patches", "dim": 16, "steps": 0},
        "caption": {"uses": "caption-and-image", "captioner": "measured", "image": "patches", "dim": 4},
    },
    "extractors": {
        "clf": {"uses": "small-classifier", "dim": 8, "steps": 5},
        "pixels": {"uses": "pixel-vector"},
        "spare": {"uses": "pixel-vector"},
    },
    "backbone": {"uses": "sit", "patch": 2, "width": 16, "depth": 2, "heads": 2},
    "train": {"batch": 8, "optimiser": {"lr": 1.0e-3}, "ema_decay": 0.9, "segment": 10, "save_every": 5},
    "bookkeeping": {"log_every": 2, "state_every": 3},
    "seeds": [0, 1],
    "evaluate": [10, 20],
    "methods": {
        "sit": {"uses": "aligned", "label": "SiT"},
        "repa": {
            "uses": "aligned",
            "label": "REPA",
            "alignments": [{"encoder": "patches", "depth": 1, "projector_width": 16}],
        },
        "reed": {
            "base": "repa",
            "label": "REED",
            "alignments": [
                {"encoder": "patches", "depth": 1, "projector_width": 16},
                {"encoder": "caption", "depth": 2, "weight": 0.25, "projector_width": 16},
            ],
            "denoise": {"shape": "linear-ramp", "length": 5},
        },
    },
    "table": ["sit", "repa", "reed"],
    "ablations": {"text": {"title": "Text?", "methods": ["repa", "reed"]}},
    "samplers": {"ode": {"uses": "euler", "steps": 2}},
    "sampling": {"count": 64, "batch": 64, "streams": 4},
    "metrics": [
        {"uses": "fd", "extractor": "clf"},
        {"uses": "fd", "extractor": "pixels"},
        {"uses": "accuracy", "extractor": "clf"},
    ],
    "speedup": {"metric": "fd@clf", "baseline": "sit"},
    "resources": {"train": {"cpus": 2}},
}


class Files:
    """The files of a suite: mappings, which are dumped as YAML, or texts, which are written as they are."""

    def __init__(self) -> None:
        self.config: Any = {"benchmarks": "benchmarks"}
        self.benchmarks: dict[str, Any] = {"tiny": copy.deepcopy(BENCHMARK)}

    def set(self, key: str, value: Any, benchmark: str = "tiny") -> None:
        """Give the dotted key of a benchmark a value; `...` takes it away."""
        *parents, last = (int(part) if part.isdecimal() else part for part in key.split("/"))
        place = self.benchmarks[benchmark]
        for part in parents:
            place = place[part]
        if value is ...:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value

    def loaded(self) -> suite.Suite:
        """The suite of the files as they are now."""
        self.write()
        suite.load.cache_clear()
        return suite.load()

    def write(self) -> None:
        """Write everything below the working directory."""
        everything = {"config/config.yaml": self.config}
        everything |= {f"benchmarks/{name}.yaml": values for name, values in self.benchmarks.items()}
        Path("benchmarks").mkdir(exist_ok=True)
        for name, values in everything.items():
            if values is not None:
                Path(name).parent.mkdir(exist_ok=True)
                text = values if isinstance(values, str | bytes) else yaml.safe_dump(values, sort_keys=False)
                Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """The files of the tiny suite, not yet written; the working directory is where they go."""
    monkeypatch.chdir(tmp_path)
    suite.load.cache_clear()
    yield Files()
    suite.load.cache_clear()


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Iterator[suite.Suite]:
    """The suite that is shipped; its repository is the working directory."""
    monkeypatch.chdir(ROOT)
    suite.load.cache_clear()
    yield suite.load()
    suite.load.cache_clear()


@pytest.fixture
def reedbench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`reedbench("check")` runs the command in this process and returns its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["reedbench", *arguments])
        return cli.main()

    return run
