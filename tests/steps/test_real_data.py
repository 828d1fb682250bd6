"""Real data in place of samples, numbers of single samples in records, and what has no value: with a benchmark that is
no more than these steps look at."""

from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from reedbench.core.errors import NoValue
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.metrics import AbstractMetric, Evidence
from reedbench.steps import records, references
from reedbench.steps.evidence import CellEvidence


class Largest(AbstractMetric):
    """The mean of positive numbers among the samples, over the largest one of the training rows."""

    domain: ClassVar[str | None] = None
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    of_real: ClassVar[bool] = True
    has_values: ClassVar[bool] = True
    uses: Literal["largest"] = "largest"

    @property
    def under(self) -> str:
        return "x"

    def least_n(self) -> int:
        return 1

    def values(self, evidence: Evidence) -> np.ndarray:
        x = np.asarray(evidence.samples.arrays["x"], np.float64)
        if (x <= 0).all():
            raise NoValue("no sample is positive")
        return np.where(x > 0, x, np.nan)

    def measured(self, evidence: Evidence) -> float:
        most = evidence.shared(lambda whole: whole.training().arrays["x"].max())
        return self.finite(float(np.nanmean(self.values(evidence)) / most))


class Other(Largest):
    """One that real data cannot be scored by."""

    of_real: ClassVar[bool] = False
    has_values: ClassVar[bool] = False
    uses: Literal["other"] = "other"

    def values(self, evidence: Evidence) -> None:
        return None

    def measured(self, evidence: Evidence) -> float:
        return 0.0


def of(*numbers: float, split: str = "sample") -> Rows:
    return Rows([f"{split}-{i}" for i in range(len(numbers))], [split] * len(numbers), {"x": np.array(numbers)})


@pytest.fixture
def benchmark(tmp_path) -> Any:
    """Four samples in two streams; training rows 1 to 4 and test rows 10 to 15."""
    train, test = of(1, 2, 3, 4, split="train"), of(*range(10, 16), split="test")
    both = Rows([*train.ids, *test.ids], [*train.split, *test.split], {"x": np.concatenate(
        [train.arrays["x"], test.arrays["x"]])})  # fmt: skip
    rows.write(tmp_path / "data", both, {})
    return SimpleNamespace(
        data=str(tmp_path / "data"),
        dataset="numbers",
        repeats=1,
        spec=SimpleNamespace(
            metrics=(Largest(), Other()),
            codec=SimpleNamespace(lossy=False),
            sampling=SimpleNamespace(count=4, streams=1),
            folders={},
        ),
    )


def scored(benchmark, *numbers: float, streams: int = 1) -> dict[str, Any]:
    """The record of the first metric."""
    benchmark.spec.sampling.streams = streams
    samples = of(*numbers)
    evidence = CellEvidence(samples, samples, training=lambda: rows.read(benchmark.data, rows.TRAIN))
    return records.of_cell(benchmark, evidence)[0]


def test_a_record_has_quantiles_of_the_samples_that_have_a_number(benchmark):
    found = scored(benchmark, 8, 1, -3, 2)
    assert found["value"] == pytest.approx(11 / 3 / 4)
    assert (found["values"]["n"], found["values"]["of"]) == (3, 4)
    quantiles = found["values"]["quantiles"]
    assert (quantiles[0], quantiles[50], quantiles[-1], len(quantiles)) == (1, 2, 8, 101)
    assert scored(benchmark, 1 / 3, 1 / 3, 1, 1)["values"]["quantiles"][0] == 0.333333


def test_what_has_no_value_has_a_reason_in_its_place(benchmark):
    found = scored(benchmark, -1, -2, 0, 0)
    assert (found["value"], found["reason"]) == (None, "no sample is positive")
    assert found["spread"] == {"kind": "none", "reason": "no sample is positive"}
    assert "values" not in found


def test_a_stream_without_a_value_leaves_the_value_and_takes_the_spread(benchmark):
    assert scored(benchmark, 4, 4, 8, 8, streams=4)["spread"]["kind"] == "std-of-streams"
    found = scored(benchmark, 4, 4, -1, 8, streams=4)
    assert found["value"] == pytest.approx(16 / 3 / 4)
    assert found["spread"] == {"kind": "none", "reason": "of one of 4 sampling streams: no sample is positive"}


def beside(benchmark) -> list[references.Beside]:
    return list(references.in_place_of_samples(benchmark, []))


def test_as_many_test_rows_as_samples_are_scored_by_the_metrics_that_can(benchmark):
    (found,) = beside(benchmark)
    assert (found.metric.uses, found.n, found.what) == ("largest", 4, "real test data")
    assert set(found.values) <= set(range(10, 16))
    assert found.value == pytest.approx(np.mean(found.values) / 4)
    assert found.values.tolist() == beside(benchmark)[0].values.tolist()


def test_without_test_rows_training_rows_are(benchmark, tmp_path):
    benchmark.data = str(tmp_path / "alone")
    rows.write(tmp_path / "alone", of(2, 4, 6, 8, 10, 12, split="train"), {})
    (found,) = beside(benchmark)
    assert (found.n, found.what) == (4, "real training data")


def test_real_data_without_a_value_have_the_reason(benchmark, tmp_path):
    benchmark.data = str(tmp_path / "alone")
    rows.write(tmp_path / "alone", of(-1, -1, split="train"), {})
    (found,) = beside(benchmark)
    assert (found.value, found.reason, found.n) == (None, "no sample is positive", 2)


def test_nothing_is_behind_real_data_but_training_rows(benchmark):
    real = of(1, 2)
    with pytest.raises(TypeError, match="there is nothing behind these samples of which clf could be asked"):
        CellEvidence(real, real, training=lambda: real).features("clf")
