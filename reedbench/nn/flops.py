"""Counts the floating-point operations of torch: two per multiply-add of products, convolutions and attention."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_CPU_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def _forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]


def counter() -> FlopCounterMode:
    """Counts what is computed inside it; torch itself knows attention on GPUs alone.

    A backward pass of attention counts 2.5 times its forward pass, as the fused kernels of CPU and GPU make the scores
    anew.
    """
    return FlopCounterMode(display=False, custom_mapping={_CPU: _forward, _CPU_BACKWARD: _backward})
