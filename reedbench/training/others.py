"""The networks that a loss may look up: the weight average, the trained one itself under other conditions, and a frozen
teacher.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


class LookedUp:
    """See `nn.learner.Others`."""

    def __init__(self, network: nn.Module, averaged: Mapping[str, Tensor], frozen: nn.Module | None) -> None:
        self._network, self._averaged = network, averaged
        self._frozen = None if frozen is None else frozen.eval().requires_grad_(False)

    def average(self, *inputs: Any, **named: Any) -> Any:
        """The network with its averaged parameters."""
        with _evaluating(self._network):
            return functional_call(self._network, dict(self._averaged), inputs, named)

    def online(self, *inputs: Any, **named: Any) -> Any:
        """The network with the parameters of now."""
        with _evaluating(self._network):
            return self._network(*inputs, **named)

    def teacher(self, *inputs: Any, **named: Any) -> Any:
        """The frozen teacher."""
        if self._frozen is None:
            raise ValueError("the loss looks up a teacher, and the method declares none")
        return self._frozen(*inputs, **named)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; then every module is as it was, some of which may have been in evaluation mode."""
    trained = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in trained:
            module.training = True
