"""Precision and recall come from one computation, shared here. Kynkaanniemi et al. 2019, arXiv:1904.06991."""

from functools import lru_cache

from reedbench.metrics import Features


@lru_cache(maxsize=8)
def precision_recall(generated: Features, reference: Features, neighbours: int) -> tuple[float, float]:
    """Share of samples inside the reference manifold, and of the reference inside the samples' manifold."""
    import torch
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    tensors = [torch.from_numpy(data.features) for data in (generated, reference)]  # generated first: its convention
    result = prc_features_to_metric(*tensors, prc_neighborhood=neighbours, verbose=False)
    return float(result[KEY_METRIC_PRECISION]), float(result[KEY_METRIC_RECALL])
