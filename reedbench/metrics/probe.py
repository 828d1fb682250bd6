"""Linear probe of the network's own hidden state: how much of an image's class it sees in a noisy input.

Real images are noised, the network looks at them without being told their class, and a linear classifier is fitted to
the mean token of one block: on images of the training split, scored on images of the test split. It asks what alignment
has changed inside the network, where REPA's argument begins (arXiv:2410.06940, its linear probes); samples, and hence
samplers, have no part in it: the value is the same under every sampler of a checkpoint.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core.errors import MetricError
from reedbench.metrics import Evidence, Hidden, Tapped
from reedbench.metrics._inside import InsideMetric


class HiddenProbe(InsideMetric):
    """Accuracy of a ridge classifier of mean hidden states, noisy input and null label."""

    title: ClassVar[str] = "Linear probe of hidden states"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "tap"})
    cites: ClassVar[tuple[str, ...]] = ("yu2025repa",)
    uses: Literal["probe"] = "probe"

    train_rows: int = Field(2000, ge=10)
    """Images of the training split that the classifier is fitted to, chosen by a named stream."""
    test_rows: int = Field(1000, ge=2)
    """Images of the test split that it is scored on, likewise."""

    @property
    def under(self) -> str:
        """`tap`, or `block`."""
        return "tap" if self.tap == "first" else "block"

    @property
    def through(self) -> str:
        """Which block."""
        return "first aligned block" if self.tap == "first" else "one block"

    @property
    def tapped(self) -> Tapped:
        """What it asks the network for."""
        return Tapped(self.at, self.depth, self.tap == "first", self.train_rows, self.test_rows)

    def counted(self, n: int) -> int:
        """Test images."""
        return self.test_rows

    def id(self, n: int, repeats: int = 1, reference: int | None = None) -> str:
        """`probe@tap.v1-n1000`."""
        return super().id(self.test_rows)

    def measured(self, evidence: Evidence) -> float:
        """`value` of the network behind the samples."""
        return self.value(evidence.hidden(self.tapped))

    def value(self, hidden: Hidden) -> float:
        """Accuracy on the test images, between 0 and 1.

        Raises:
            MetricError: a hidden state is not finite.
        """
        from reedbench.nn.ridge import probe

        train, test = hidden.train, hidden.test
        if train.labels is None or test.labels is None:
            raise MetricError(f"{self.family}: the data have no classes")
        if not (np.isfinite(train.features).all() and np.isfinite(test.features).all()):
            raise MetricError(f"{self.family}: hidden states are not finite")
        return self.finite(probe(train.features, train.labels, test.features, test.labels))

    def spread(self, evidence: Evidence) -> dict[str, Any] | None:
        """The standard error of a share, and the block that was looked at."""
        share = self.measured(evidence)
        error = (share * (1 - share) / self.test_rows) ** 0.5
        return {"kind": "binomial", "standard_error": error, "block": evidence.hidden(self.tapped).block}
