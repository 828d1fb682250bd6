"""Copying rate: share of samples that lie much closer to one training row than to any other.

A sample counts as copied if its nearest training row is at less than a third of the distance of the second nearest:
the test of Gu et al. 2023, arXiv:2310.02664, after Yoon et al. 2023.
"""

from typing import ClassVar, Literal

from reedbench.core.constants import MEMORISED_RATIO
from reedbench.metrics import FeatureMetric, Features, _blocks


class Copying(FeatureMetric):
    """Copying rate, by Euclidean distances; use it under an extractor that keeps detail, such as pixels."""

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Copying rate"
    on_gpu: ClassVar[bool] = True
    of_training: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("gu2023memorization",)
    uses: Literal["copying"] = "copying"

    def value(self, generated: Features, reference: Features) -> float:
        """A share between 0 and 1."""
        import torch

        if _blocks.few(generated, reference):
            found = [_blocks.distances(generated, reference).topk(2, dim=1, largest=False).values]
        else:
            found = list(_blocks.smallest(generated, reference, 2))
        nearest, second = torch.cat(found).unbind(1)
        return float((nearest < MEMORISED_RATIO * second).double().mean())
