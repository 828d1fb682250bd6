"""Networks computed for shapes and counts alone: tensors that say what they would be, and take no memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._subclasses.fake_tensor import FakeTensorMode


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Inside, what is made has no values; what has some may be read.

    A process whose first backward pass comes after such tensors gets threads of autograd for devices that are not
    there, and torch refuses to fork it. So each computes one with a value before.
    """
    torch.zeros((), requires_grad=True).backward()  # type: ignore[no-untyped-call]
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield
