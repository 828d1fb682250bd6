"""What metrics look at in one cell, each thing read or computed once; see `metrics.Evidence`."""

from collections.abc import Callable
from typing import Any

from reedbench.domains.rows import Rows
from reedbench.metrics import Features, Hidden, Tapped


def _nothing(asked: Any) -> Any:
    raise TypeError(f"there is nothing behind these samples of which {asked} could be asked")


class CellEvidence:
    """The samples of a cell, or a part of them.

    Attributes:
        samples: as the codec reads them.
        asked: what each was asked to be.
        rows: which of the cell's samples these are.
    """

    def __init__(
        self,
        samples: Rows,
        asked: Rows,
        *,
        training: Callable[[], Rows],
        features: Callable[[str], tuple[Features, Features]] = _nothing,
        folds: Callable[[str], Any] = _nothing,
        hidden: Callable[[Tapped], Hidden] = _nothing,
        tested: Callable[[tuple[str, int | None]], Features] = _nothing,
    ) -> None:
        self.samples, self.asked, self.rows = samples, asked, slice(0, len(samples))
        self._training, self._features, self._folds, self._hidden = training, features, folds, hidden
        self._tested = tested
        self._whole: CellEvidence = self
        self._known: dict[tuple[str, Any], Any] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def training(self) -> Rows:
        """The training rows of the dataset, on disk."""
        return self._once("training", None, lambda _: self._training())

    def shared(self, make: Callable[..., Any], *settings: Any) -> Any:
        """`make(evidence, *settings)` on the evidence of the whole cell, once."""
        whole = self._whole
        return whole._once("shared", (make, settings), lambda _: make(whole, *settings))

    def features(self, extractor: str) -> tuple[Features, Features]:
        """Samples and reference data under an extractor."""
        return self._once("features", extractor, self._features)

    def folds(self, folder: str) -> Any:
        """What a folder predicts for the samples."""
        return self._once("folds", folder, self._folds)

    def hidden(self, tapped: Tapped) -> Hidden:
        """Hidden states of the network; they are of real data, hence the same for any part of the samples."""
        return self._once("hidden", tapped, self._hidden)

    def tested(self, extractor: str, count: int | None) -> Features:
        """Test data under an extractor, likewise."""
        return self._once("tested", (extractor, count), self._tested)

    def part(self, rows: slice) -> "CellEvidence":
        """The evidence of some of a cell's samples; what was computed for all of them is not computed again."""

        def features(extractor: str) -> tuple[Features, Features]:
            generated, reference = self.features(extractor)
            return generated.take(rows), reference

        found = CellEvidence(
            *(_some(data, rows) for data in (self.samples, self.asked)),
            training=self.training,
            features=features,
            folds=lambda folder: self.folds(folder).take(rows),
            hidden=self.hidden,
            tested=lambda asked: self.tested(*asked),
        )
        found.rows, found._whole = rows, self
        return found

    def _once(self, what: str, name: Any, make: Callable[[Any], Any]) -> Any:
        if (what, name) not in self._known:
            self._known[what, name] = make(name)
        return self._known[what, name]


def _some(data: Rows, rows: slice) -> Rows:
    """Consecutive rows; of arrays that are on disk a view."""
    return Rows(data.ids[rows], data.split[rows], {name: array[rows] for name, array in data.arrays.items()})
