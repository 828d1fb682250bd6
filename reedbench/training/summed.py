"""A network shared by ranks: a backward pass leaves on each of them the gradients summed over all."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel


class Summed(DistributedDataParallel):
    """Torch's wrapper, which sends gradients while others are computed, with a sum where it takes a mean.

    A mean would have to be multiplied by the number of ranks again: every loss is already divided by its weight over
    the global batch.

    Attributes:
        called: whether a forward pass went through it; gradients of a pass around it are not summed.
    """

    def __init__(self, network: nn.Module) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer torch has another name for `broadcast_buffers`
            # Buffers are not sent: a learner that moves them in its forward pass does so from each rank's own rows.
            super().__init__(network, broadcast_buffers=False, gradient_as_bucket_view=True)
        self.register_comm_hook(None, _sum)
        self.called = False

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Of the network."""
        self.called = True
        return super().forward(*inputs, **named)


def held_back(network: nn.Module) -> AbstractContextManager[None]:
    """Inside, gradients stay on their rank, to be summed with those of the next pass outside."""
    return network.no_sync() if isinstance(network, Summed) else nullcontext()


def _sum(_: None, bucket: dist.GradBucket) -> Future[Tensor]:
    future = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return future.then(lambda summed: summed.value()[0])
