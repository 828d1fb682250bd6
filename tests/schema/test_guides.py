"""Benchmarks that the guides print can be copied as they are."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reedbench.schema import planning, runs, suite

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```yaml\n# config/benchmarks/([a-z0-9-]+)\.yaml\n(.*?)```", re.DOTALL)
PRINTED = {name: text for guide in sorted(ROOT.glob("docs/*.md")) for name, text in BLOCK.findall(guide.read_text())}


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[suite.Suite]:
    """The shipped suite with them."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for name, text in PRINTED.items():
        (tmp_path / f"config/benchmarks/{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    suite.load.cache_clear()
    yield suite.load()
    suite.load.cache_clear()


def test_a_benchmark_that_is_printed_stands_beside_the_shipped_ones(printed):
    assert set(PRINTED) == {"imagenet-published"}
    assert set(PRINTED) < set(printed.benchmarks)


def test_published_checkpoints_alone_ask_for_a_small_folder_and_no_encoder_of_training(printed):
    benchmark = runs.benchmark(printed, "imagenet-published")
    verbs = [job.verb for job in planning.jobs(benchmark)]
    assert not {"caption", "compress", "pretrain"} & set(verbs)
    assert verbs.count("represent") == 1  # the reference's statistics
    assert benchmark.weights == ["inception-2015"]
    assert benchmark.dataset not in {b.dataset.id for name, b in printed.benchmarks.items() if name not in PRINTED}
    assert all(not run.trained for run in benchmark.runs(benchmark.shown()))
