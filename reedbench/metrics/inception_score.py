"""Inception score: how sure a classifier is of each sample, and of how many classes they are together.

Salimans et al. 2016, arXiv:1606.03498. Splits are consecutive, as in guided-diffusion's evaluations/evaluator.py
(`compute_inception_score`); torch-fidelity shuffles the samples before it splits them, which gives another number
wherever samples are ordered by class.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.metrics import FeatureMetric, Features


class InceptionScore(FeatureMetric):
    """Inception score: mean over splits of exp(mean KL(p || mean p)) with p = softmax of the extractor's logits."""

    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    view: ClassVar[str] = "logits"
    compares: ClassVar[bool] = False
    title: ClassVar[str] = "Inception score"
    cites: ClassVar[tuple[str, ...]] = ("salimans2016improved",)
    uses: Literal["is"] = "is"

    split: int = Field(5000, ge=2)
    """Samples per split, one after the other; the last one has what is left. The score grows with it."""

    def value(self, generated: Features, reference: Features) -> float:
        """At least 1, at most the number of classes; the reference has no part in it."""
        logits = generated.features
        scores = [_score(np.asarray(logits[i : i + self.split])) for i in range(0, len(logits), self.split)]
        return float(np.mean(scores))


def _score(logits: np.ndarray) -> float:
    """Of one split: logits (n, classes)."""
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    p = np.exp(logs)
    # Where the mean is too small for float64, every p is 0 and the product with any finite logarithm too.
    together = np.log(np.maximum(p.mean(0), np.finfo(np.float64).tiny))
    return float(np.exp((p * (logs - together)).sum(1).mean()))
