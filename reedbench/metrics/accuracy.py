"""Class consistency: share of samples that a classifier takes for the class they were asked to be."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import FeatureMetric, Features


class Accuracy(FeatureMetric):
    """Class consistency; compare it with the classifier's accuracy on real data, which stands in its card."""

    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    needs_classifier: ClassVar[bool] = True
    title: ClassVar[str] = "Class consistency"
    uncited: ClassVar[str] = "a share of samples, defined here"
    uses: Literal["accuracy"] = "accuracy"

    @property
    def through(self) -> str:
        """The classifier itself."""
        return f"classifier {self.extractor}"

    def value(self, generated: Features, reference: Features) -> float:
        """A share between 0 and 1."""
        return float(np.mean(generated.predicted == generated.labels))
