"""Counts the floating-point operations of torch: two per multiply-add of products, convolutions and attention."""

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
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    aten = torch.ops.aten
    attention = {
        aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: int(sdpa_flop_count(q, k, v)),
        aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda gradient, q, k, v, *_, **__: int(
            sdpa_backward_flop_count(gradient, q, k, v)
        ),
    }
    return FlopCounterMode(display=False, custom_mapping=attention)
