"""In which precision networks compute: what the settings say, and nothing that the device cannot do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reedbench.core.errors import ConfigError

AMPERE = (8, 0)  # compute capability: the first GPUs with TF32 and bfloat16


@contextmanager
def precise(precision: str, device: str, key: str) -> Iterator[None]:
    """Networks that are called in the block compute in `fp32`, `tf32` (products alone) or `bf16` (autocast).

    `key` names the setting in the error.

    Raises:
        ConfigError: the device cannot do it.
    """
    with products(precision, device, key), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        yield


@contextmanager
def products(precision: str, device: str, key: str) -> Iterator[None]:
    """Whatever is left to float32 in the block is multiplied in it, or with factors in TF32 where that is asked for.

    `key` names the setting in the error. On a GPU `fp32` means it: convolutions too, to which torch gives TF32.

    Raises:
        ConfigError: the device cannot do it.
    """
    if precision == "tf32" and device == "cpu":
        raise ConfigError(f"{key}: tf32 is for GPUs, and this step computes on the CPU; use fp32 or bf16")
    if precision != "fp32" and device == "cuda" and (found := torch.cuda.get_device_capability()) < AMPERE:
        name, word = torch.cuda.get_device_name(), ".".join(map(str, found))
        raise ConfigError(f"{key}: {name} (compute capability {word}) has no {precision}, which 8.0 brought; use fp32")
    matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolutions.allow_tf32
    matmul.allow_tf32 = convolutions.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, convolutions.allow_tf32 = before
