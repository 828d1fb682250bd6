"""A made-up run of `imagenet`: metrics files as `evaluate` writes them, of numbers that a test gives."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from reedbench.core import io, provenance
from reedbench.core.provenance import Made
from reedbench.report import published as papers
from reedbench.report import source as sources
from reedbench.report.paper import own, verdicts
from reedbench.report.paper.verdicts import Verdict
from reedbench.schema import paper as paper_file
from reedbench.schema import runs, suite
from reedbench.schema.paper import Paper
from reedbench.schema.published import select
from reedbench.schema.published_row import Published
from reedbench.schema.runs import Benchmark, Cell
from reedbench.schema.versions import VERSIONS
from reedbench.steps import records

REPOSITORY = Path(__file__).parents[3]
REFERENCE_FILE = [{"extractor": "inception", "name": "VIRTUAL_imagenet256_labeled.npz", "sha256": "0" * 64}]
FAMILY = {"fid": "fd@inception", "inception-score": "is@inception", "recovery": "recovery@argmax"}
Seeds = Mapping[int, float | None] | Sequence[float]


class Lab:
    """A working directory with some of the suite's benchmarks, in which runs can be made up."""

    def __init__(self, folder: Path) -> None:
        (folder / "config/benchmarks").mkdir(parents=True)
        shutil.copy(REPOSITORY / "config/weights.yaml", folder / "config/weights.yaml")
        (folder / "config/config.yaml").write_text("benchmarks: config/benchmarks\nlauncher: inline\n")
        self.rows = papers.load(REPOSITORY / "config/reference")
        self.whole: Paper = paper_file.read(REPOSITORY / "config/paper.yaml")
        self.names: list[str] = []

    def add(self, name: str, edits: Mapping[str, str] | None = None) -> None:
        """Take a benchmark of the suite with three seeds."""
        text = (REPOSITORY / f"config/benchmarks/{name}.yaml").read_text()
        text = text.replace("seeds: [0]\n", "seeds: [0, 1, 2]\n")
        for old, new in (edits or {}).items():
            assert old in text
            text = text.replace(old, new)
        Path(f"config/benchmarks/{name}.yaml").write_text(text)
        self.names += [name] * (name not in self.names)
        suite.load.cache_clear()

    @property
    def paper(self) -> Paper:
        """config/paper.yaml, as far as the benchmarks are here."""
        return self.whole.model_copy(
            update={"measured": {k: v for k, v in self.whole.measured.items() if k in self.names}}
        )

    def benchmark(self, name: str = "imagenet") -> Benchmark:
        return runs.benchmark(suite.load(), name)

    def measure(
        self,
        method: str,
        step: int,
        fid: Seeds,
        *,
        sampler: str = "sde",
        metric: str = "fid",
        name: str = "imagenet",
        protocol: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Write the metrics files of a cell under every seed that has a number; returns them."""
        benchmark = self.benchmark(name)
        numbers = fid if isinstance(fid, Mapping) else dict(enumerate(fid))
        cells = {seed: benchmark.cell(method, seed, step, sampler) for seed in numbers}
        for seed, value in numbers.items():
            self._write(cells[seed], metric, value, {"published": REFERENCE_FILE} if protocol is None else protocol)
        return [cell.metrics for cell in cells.values()]

    def _write(self, cell: Cell, metric: str, value: float | None, protocol: Mapping[str, Any]) -> None:
        io.write_json(cell.metrics, body(cell, metric, value, protocol))
        scoring = cell.run.benchmark.scoring
        recorder = provenance.Recorder("evaluate", VERSIONS["evaluate"], scoring.settings, ["reedbench"])
        recorder.record(Made([cell.metrics]))

    def found(self) -> own.Own:
        return own.read(self.paper, suite.load())

    def judge(self, rows: Sequence[Published]) -> list[Verdict]:
        return verdicts.judge(rows, self.found().cells, self.paper, among=self.rows)

    def row(self, method: str, steps: int | None, **where: Any) -> Published:
        """The one claim to a number on SiT-XL/2 at 256 pixels without guidance, unless told otherwise."""
        usual = {"data": "imagenet-256", "backbone": "SiT-XL/2", "guidance": "none", "metric": "fid", "kind": "claim"}
        asked = {**usual, "setting": "", **where}
        found = select(self.rows, method=method, steps=steps, **asked)
        assert len({row.value for row in found}) == 1, found
        return found[0]

    def verdict(self, row: Published) -> Verdict:
        (found,) = self.judge([row])
        return found


def body(cell: Cell, metric: str, value: float | None, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """A metrics file's content, as steps/evaluate.py has it."""
    run, benchmark = cell.run, cell.run.benchmark
    asked = next(one for one in benchmark.spec.metrics if one.family == FAMILY[metric])
    count = benchmark.spec.sampling.count
    made = records.record(
        asked, asked.id(count), value, count, {**asked.protocol(), **protocol}, {"kind": "none", "reason": "1 stream"}
    )
    if value is None:
        made["reason"] = "none of them is an image"
    return {
        "benchmark": benchmark.name, "method": run.method, "seed": run.seed, "step": cell.step,
        "sampler": cell.sampler, "weights": run.objective.weights_are(run.benchmark.spec.train), "nfe": 250,
        "guidance": cell.drawer.guidance,
        "recipe": run.key, "sampling": cell.sampling_key, "evaluation": benchmark.scoring.key, "records": [made],
        **benchmark.unusual,
    }  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """With `imagenet` alone."""
    monkeypatch.chdir(tmp_path)
    made = Lab(tmp_path)
    made.add("imagenet")
    return made


@pytest.fixture
def cache() -> Callable[[Benchmark, Sequence[Cell], Sequence[float]], None]:
    """Makes a committed cache of cells with such FIDs."""
    import pandas as pd

    def make(benchmark: Benchmark, cells: Sequence[Cell], numbers: Sequence[float], metric: str = "fid") -> None:
        bodies = [
            body(cell, metric, value, {"published": REFERENCE_FILE}) for cell, value in zip(cells, numbers, strict=True)
        ]
        whole = sources.Source(sources.records(bodies), pd.DataFrame({"step": [1]}), {})
        sources.write_cache(benchmark.name, whole, {"benchmark": benchmark.name, "inputs": {}})

    return make
