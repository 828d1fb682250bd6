"""Counts the floating-point operations of torch: two per multiply-add of products, convolutions and attention."""

import inspect
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode


def counter() -> "FlopCounterMode":
    """Counts what is computed inside it; torch itself knows attention on GPUs alone.

    A backward pass of attention counts 2.5 times its forward pass, as the fused kernels of CPU and GPU make the scores
    anew.
    """
    # It brings the compiler of GPU kernels along, and most jobs count nothing.
    from torch.utils import flop_counter
    from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

    if mode := getattr(flop_counter, "_FlopCounterMode", None):
        _leave_compiler_out(mode.__torch_dispatch__)
    aten = torch.ops.aten
    attention = {
        aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: int(sdpa_flop_count(q, k, v)),
        aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda gradient, q, k, v, *_, **__: int(
            sdpa_backward_flop_count(gradient, q, k, v)
        ),
    }
    return flop_counter.FlopCounterMode(display=False, custom_mapping=attention)


def _leave_compiler_out(wrapped: object) -> None:
    """Keep a function that torch hides from its compiler from loading it, which takes longer than what is counted.

    Before its first call torch asks the compiler for a hidden copy, and keeps it under this name; a torch that uses
    another one loads the compiler, as if this had not been.
    """
    plain = inspect.unwrap(wrapped)  # type: ignore[arg-type]
    plain.__dict__.setdefault("__dynamo_disable", plain)
