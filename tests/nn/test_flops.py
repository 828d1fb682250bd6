"""Floating-point operations are counted without torch's compiler."""

import subprocess
import sys

import torch
from torch.nn.functional import scaled_dot_product_attention

from reedbench.nn import flops


def test_products_and_attention_count_forward_and_backward():
    weight, x = torch.ones(4, 3, requires_grad=True), torch.ones(2, 3)
    query = torch.ones(1, 2, 5, 8, requires_grad=True)  # one datum, two heads, five tokens, eight numbers
    with flops.counter() as counter:
        (x @ weight.T).sum().backward()
    assert counter.get_total_flops() == 2 * (2 * 2 * 3 * 4)  # the product, and the gradient of the weight
    with flops.counter() as counter:
        attended = scaled_dot_product_attention(query, query, query)
    once = counter.get_total_flops()
    assert once == 2 * (2 * 2 * 5 * 5 * 8)  # scores, and their product with values
    with flops.counter() as counter:
        attended.sum().backward()
    assert counter.get_total_flops() == 2.5 * once


def test_counting_loads_no_compiler():
    program = """
import sys, torch
from reedbench.nn import flops
with flops.counter():
    torch.nn.Linear(3, 4)(torch.ones(2, 3)).sum().backward()
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
