"""A pretrained network as a judge: classes by ridge regression on its features of the training split.

The network itself is another extractor, which this one names; it may serve distances beside.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.domains import image
from reedbench.encoders import Material, Pretrained
from reedbench.encoders._judges import ImageJudge


class LinearProbe(ImageJudge):
    """A linear classifier on the vector, or the mean token, that another extractor gives."""

    uncited: ClassVar[str] = "ridge regression on an extractor that is cited itself"
    uses: Literal["linear-probe"] = "linear-probe"

    extractor: str = Field(examples=["features"])
    """Name of the extractor whose features are classified."""

    def reads_encoders(self) -> tuple[str, ...]:
        """The extractor."""
        return (self.extractor,)

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Fit the classifier; the card says how accurate it is on the test split."""
        from reedbench.nn import ridge

        began = time.process_time()
        own = ridge.fitted(self._vectors(train), image.classes_of(train.rows))
        weights = {"weights": own.weights, "bias": own.bias, "classes": own.classes}
        correct = self.classify(weights, test) == image.classes_of(test.rows)
        card: dict[str, Any] = {
            "objective": f"ridge regression of classes on features of {self.extractor}, training split",
            "images_went_through": self.through,
            "test_accuracy": round(float(correct.mean()), 4),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, dim) float32: the features that are classified."""
        return self._vectors(material).astype(np.float32)

    def classify(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n,) int64 predicted classes."""
        from reedbench.nn.ridge import Linear

        return Linear(weights["weights"], weights["bias"], weights["classes"]).predicted(self._vectors(material))

    def _vectors(self, material: Material) -> np.ndarray:
        found: np.ndarray = material.representations[self.extractor]
        return found.mean(1) if found.ndim == 3 else found
