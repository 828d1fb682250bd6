"""Several networks, each for its own stretch of time: what is noisier, or cleaner, is left to a shallower one.

Source: TDC, arXiv:2312.13307 (a summary was read): of N networks the i-th has i/N + (N - i)/N k of the operations of
the whole one. That blocks are left out evenly is our choice; the paper lets a language model propose what to prune.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reedbench.nn.backbones.sit import SiT, Tap
from reedbench.nn.initialisation import GeneratorFor

Largest = Literal["data", "noise"]


def shares_of(groups: int, least: float, largest: Largest = "data") -> list[float]:
    """Operations of each network, as a share of those of the whole one; the first is that of the noisiest times."""
    found = [i / groups + (groups - i) / groups * least for i in range(1, groups + 1)]
    return found if largest == "data" else found[::-1]


def kept_blocks(depth: int, share: float) -> list[int]:
    """Numbers of the blocks, from 0, of a network pruned to a share: the first, the last, and others evenly between."""
    count = max(1, round(depth * share))
    if count == 1:
        return [0]
    # Rounded half up, in whole numbers: no two are equal as there are not more than blocks.
    return [(2 * i * (depth - 1) + count - 1) // (2 * (count - 1)) for i in range(count)]


def equal_shares(times: Callable[[Tensor], Tensor], groups: int) -> list[float]:
    """The times between groups of which each has an equal share of the training times.

    Args:
        times: quantiles of their law: shares (n,) -> times (n,), increasing.
        groups: how many.
    """
    # Numbers are needed where networks are built without memory, too.
    return times(torch.arange(1, groups, dtype=torch.float64, device="cpu") / groups).tolist()


def check_edges(shares: Sequence[float], edges: Sequence[float]) -> None:
    """Refuse times that do not lie between groups.

    Raises:
        ValueError: there are too many or too few, or they do not increase.
    """
    if len(edges) != len(shares) - 1 or sorted(set(edges)) != list(edges):
        raise ValueError(f"{len(shares)} groups have {len(shares) - 1} increasing times between them, not {edges}")


class Groups(nn.Module, ABC):
    """Networks of which each sees the rows of its own times, made of a whole one by leaving out some of its blocks.

    A subclass has them in `groups`, and says `in_whole` how blocks of a group are called in the whole network.
    """

    groups: nn.ModuleList

    @abstractmethod
    def in_whole(self, number: int) -> Mapping[str, Sequence[int]]:
        """Of a group, by the name of a list of blocks, the numbers that these have in the whole network, from 0."""

    def divided(self, own: Tensor, call: Callable[[int, Tensor], tuple[Tensor, ...]]) -> list[Tensor]:
        """What the groups make of rows, in the order of the rows; what is empty stays so.

        Args:
            own: number of the group of each row (b,).
            call: of a group's number and its rows (r,): tensors whose first axis are these rows.
        """
        order, outputs, nothing = [], [], []
        for number, group in enumerate(self.groups):
            (rows,) = torch.nonzero(own == number, as_tuple=True)
            if len(rows):
                order.append(rows)
                outputs.append(call(number, rows))
            elif torch.is_grad_enabled():
                # Its gradients are then 0 and not absent: optimisers count the step, and ranks wait for all.
                nothing += [p.flatten()[:0].sum() for p in group.parameters() if p.requires_grad]
        back = torch.cat(order).argsort()
        joined = [torch.cat(parts) for parts in zip(*outputs, strict=True)]
        found = [x[back] if len(x) == len(back) else x for x in joined]
        return [x + torch.stack(nothing).sum() for x in found] if nothing else found

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Give every group the weights of a whole network, by its names; of blocks those that it has.

        Raises:
            ValueError: they are not those of such a network.
        """
        places = [
            {name: _of_whole(name, self.in_whole(number)) for name in group.state_dict()}
            for number, group in enumerate(self.groups)
        ]
        if leftover := sorted(state.keys() - {whole for own in places for whole in own.values()}):
            raise ValueError(f"groups have no place for '{leftover[0]}'")
        for own, group in zip(places, self.groups, strict=True):
            if absent := sorted({whole for whole in own.values() if whole not in state}):
                raise ValueError(f"groups cannot take weights that lack '{absent[0]}'")
            try:
                group.load_state_dict({name: state[whole] for name, whole in own.items()})
            except RuntimeError as error:  # another width
                raise ValueError(f"groups cannot take these weights: {str(error).splitlines()[-1].strip()}") from error

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Groups start as the whole network would, without the blocks that they lack."""
        for number, group in enumerate(self.groups):
            kept = self.in_whole(number)
            group.initialise(lambda name, kept=kept: generator_for(_of_whole(name, kept)))


class GroupedSiT(Groups):
    """SiTs of which each sees the rows of its own times; called as one of them is.

    Args:
        sit: the whole network; the groups are copies of it with fewer blocks, and it is not to be used any more.
        shares: of operations, by group, see `shares_of`.
        edges: the times between groups, increasing; an edge belongs to the group behind it.

    Attributes:
        kept: by group, the numbers of the blocks that it has in the whole network, from 0.
    """

    def __init__(self, sit: nn.Module, shares: Sequence[float], edges: Sequence[float]) -> None:
        super().__init__()
        if not isinstance(sit, SiT):
            raise ValueError(f"groups are made of networks of backbone sit alone, not of {type(sit).__name__}")
        check_edges(shares, edges)
        self.width, self.null_label, self.tokens = sit.width, sit.null_label, sit.tokens
        self.kept = [kept_blocks(len(sit.blocks), share) for share in shares]
        self.groups = nn.ModuleList(_pruned(sit, kept) for kept in self.kept)
        self.edges = tuple(edges)

    def group_of(self, t: Tensor) -> Tensor:
        """Number of the group, from 0, of times (b,)."""
        # In float32, as training and samplers hand times over: else an edge could fall to either side.
        return torch.bucketize(t.float(), torch.tensor(self.edges, dtype=torch.float32, device=t.device), right=True)

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[Tap] = (), *, only_taps: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As `SiT.forward`; a tap is the state behind those blocks that a group has of the first ones."""

        def call(number: int, rows: Tensor) -> tuple[Tensor, ...]:
            places = [self._place(number, tap) for tap in taps]
            velocity, hidden = self.groups[number](x[rows], t[rows], y[rows], places, only_taps=only_taps)
            return velocity, *hidden

        velocity, *hidden = self.divided(self.group_of(t), call)
        return velocity, tuple(hidden)

    def in_whole(self, number: int) -> Mapping[str, Sequence[int]]:
        """Of its blocks."""
        return {"blocks": self.kept[number]}

    def _place(self, number: int, tap: Tap) -> Tap:
        """The tap of a group that stands for one of the whole network."""
        depth = tap if isinstance(tap, int) else tap[1]
        own = sum(block < depth for block in self.kept[number])
        return own if isinstance(tap, int) else (tap[0], own)

    def cut(self, block: int) -> Any:
        """Without what comes behind a block of the whole network, 1-based, in any group."""
        for number, group in enumerate(self.groups):
            group.cut(self._place(number, block))
        return self


def _pruned(sit: SiT, kept: Sequence[int]) -> SiT:
    blocks, sit.blocks = sit.blocks, nn.ModuleList(sit.blocks[number] for number in kept)
    own = copy.deepcopy(sit)
    sit.blocks = blocks
    return own


def _of_whole(name: str, kept: Mapping[str, Sequence[int]]) -> str:
    """The name in the whole network of a parameter of a group."""
    blocks, _, rest = name.partition(".")
    if blocks not in kept:
        return name
    number, _, rest = rest.partition(".")
    return f"{blocks}.{kept[blocks][int(number)]}.{rest}"
