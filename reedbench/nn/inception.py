"""The Inception network of the ADM evaluator, as torch-fidelity ports it: all that its metrics ask for in one forward.

The graph is that of 2015-12-05 (`classify_image_graph_def.pb`), with TensorFlow 1's bilinear resize inside. The ADM
evaluator reads three of its nodes (guided-diffusion, evaluations/evaluator.py): `pool_3`, of `mixed_6/conv` the first
7 channels, and the logits without their bias. torch-fidelity's converter maps `mixed_6/conv` to `Mixed_6d.branch1x1`
(utils/util_convert_inception_weights.py), whose output has been through batch norm and ReLU, as the node's has.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

POOL, LOGITS = 2048, 1008
CHANNELS = 7  # of the spatial features
OUTPUTS = ("2048", "logits_unbiased")  # torch-fidelity's names of pool features and logits


class Seen(NamedTuple):
    """One forward: pool (n, 2048), spatial (n, rows * columns * 7), logits without bias (n, 1008); float32."""

    pool: Tensor
    spatial: Tensor
    logits: Tensor


def build(state: Mapping[str, Any], size: int, device: str = "cpu") -> nn.Module:
    """The network with published weights, in eval mode; it brings images to `size` pixels of a side.

    Raises:
        ValueError: they are those of another network.
    """
    # torch-fidelity unpickles whatever is in the file that it is given: it gets a copy of what was read safely.
    copy = io.BytesIO()
    torch.save(dict(state), copy)
    copy.seek(0)
    try:
        network = FeatureExtractorInceptionV3("inception", list(OUTPUTS), feature_extractor_weights_path=copy)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error
    network.INPUT_IMAGE_SIZE = size
    return network.to(device)


@torch.no_grad()
def seen(network: nn.Module, images: Tensor) -> Seen:
    """What the network sees in images (n, 3, height, width) uint8, on the network's device."""
    tapped: list[Tensor] = []
    layer: nn.Module = network.Mixed_6d.branch1x1  # type: ignore[assignment]
    hook = layer.register_forward_hook(lambda _layer, _given, out: tapped.append(out))
    try:
        pool, logits = network(images.to(next(network.buffers()).device))
    finally:
        hook.remove()
    # TensorFlow has channels last, and published moments are in that order.
    spatial = tapped[0][:, :CHANNELS].permute(0, 2, 3, 1).flatten(1)
    return Seen(pool, spatial, logits)
