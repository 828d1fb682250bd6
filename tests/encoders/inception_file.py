"""A file of random weights of the Inception network under the published names: it cannot be built any smaller."""

import atexit
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

import torch


def shapes() -> dict[str, torch.Size]:
    """Of all published weights, by name."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Network

    with torch.device("meta"), mock.patch("torch.load"), mock.patch.object(Network, "load_state_dict"):
        network = Network("inception", ["2048"], feature_extractor_weights_path="-")
    state = network.state_dict().items()
    return {name: tensor.shape for name, tensor in state if not name.endswith("num_batches_tracked")}


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights under which activations keep their scale."""
    generator, made = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes().items():
        if len(shape) > 1 or name.startswith("fc"):
            scale = (2 / shape[1:].numel()) ** 0.5 if len(shape) == 4 else 0.05
            made[name] = scale * torch.randn(shape, generator=generator)
        else:
            made[name] = torch.full(shape, float(name.endswith(("bn.weight", "running_var"))))
    return made


@cache
def made() -> Path:
    """The file; it goes with the process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    file = Path(folder.name) / "inception.pth"
    torch.save(state(), file)
    return file
