"""Files of weights from outside: what each kind of them says of itself, and how it becomes a network's weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

Said = Mapping[str, Mapping[str, Any]]  # of a benchmark, as plain values: `method`, `backbone` and `codec`
SHOWN = 6  # keys that a message repeats


class Foreign(ValueError):
    """A file is not of the kind that was looked for.

    Attributes:
        wanted: what a file of that kind is of, and by which tensor it is known.
    """

    def __init__(self, message: str, wanted: str) -> None:
        super().__init__(message)
        self.wanted = wanted


@dataclass(frozen=True)
class Published(ABC):
    """What a file holds.

    Attributes:
        layout: in words.
        weights: float32, under the names of the network.
        step: training step, where the file says it.
    """

    layout: str
    weights: "Mapping[str, Tensor]"
    step: int | None

    @property
    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """Sizes of the network, as far as the weights show them."""

    @property
    @abstractmethod
    def details(self) -> str:
        """What there is to say of the network beside its name."""

    @property
    @abstractmethod
    def left_out(self) -> list[str]:
        """What of the file is left out, in words."""

    @abstractmethod
    def told(self) -> dict[str, Any]:
        """Settings of the method that imports it, as far as the file shows them; None where it does not."""

    def needs(self) -> dict[str, dict[str, Any]]:
        """Settings of a benchmark's sections that the file asks for, beside those of the method."""
        return {}

    @abstractmethod
    def contradicts(self, said: Said) -> str | None:
        """What the file says otherwise than a benchmark, if anything; of a section that is absent nothing is said."""

    @abstractmethod
    def for_network(self, network: "nn.Module", method: Mapping[str, Any]) -> "dict[str, Tensor]":
        """The weights of a network, in our form and time.

        Args:
            network: the one that is to have them; its values are not looked at.
            method: settings by which the file is read.

        Raises:
            ValueError: the file has other weights, or some that are not finite.
        """

    def record(self, method: Mapping[str, Any]) -> dict[str, Any]:
        """What a receipt says of how the file was read."""
        return {}


def check_fit(weights: "Mapping[str, Tensor]", network: "nn.Module") -> None:
    """Make sure that weights are those of a network.

    Raises:
        ValueError: it has others, or some are not finite; the message says which one in one line.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    faults = [f"'{n}' is {given[n]}, expected {own[n]}" for n in own if n in given and own[n] != given[n]]
    faults += [f"'{n}' is absent, expected {own[n]}" for n in own if n not in given]
    faults += [f"'{n}' {given[n]} is not expected: the backbone has none" for n in given if n not in own]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}; the backbone of the benchmark must be the file's")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise ValueError(f"'{name}' has values that are not finite")


def some(names: Mapping[Any, Any]) -> str:
    """The first names of a dict, for a message."""
    shown = ", ".join(f"'{name}'" for name in list(names)[:SHOWN])
    more = len(names) - SHOWN
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")
