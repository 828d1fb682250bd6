"""Several networks, each for its own stretch of time: what is noisier, or cleaner, is left to a shallower one.

Source: TDC, arXiv:2312.13307 (a summary was read): of N networks the i-th has i/N + (N - i)/N k of the operations of
the whole one. That blocks are left out evenly is our choice; the paper lets a language model propose what to prune.
"""

import copy
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


class GroupedSiT(nn.Module):
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
        if len(edges) != len(shares) - 1 or sorted(set(edges)) != list(edges):
            raise ValueError(f"{len(shares)} groups have {len(shares) - 1} increasing times between them, not {edges}")
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
        own = self.group_of(t)
        order, outputs, nothing = [], [], []
        for number, group in enumerate(self.groups):
            (rows,) = torch.nonzero(own == number, as_tuple=True)
            if len(rows):
                order.append(rows)
                places = [self._place(number, tap) for tap in taps]
                velocity, hidden = group(x[rows], t[rows], y[rows], places, only_taps=only_taps)
                outputs.append((velocity, *hidden))
            elif torch.is_grad_enabled():
                # Its gradients are then 0 and not absent: optimisers count the step, and ranks wait for all.
                nothing += [p.flatten()[:0].sum() for p in group.parameters() if p.requires_grad]
        back = torch.cat(order).argsort()
        velocity, *hidden = (torch.cat(parts) if only_taps and not i else torch.cat(parts)[back]
                             for i, parts in enumerate(zip(*outputs, strict=True)))  # fmt: skip
        if nothing:
            silent = torch.stack(nothing).sum()
            velocity, hidden = velocity + silent, [h + silent for h in hidden]
        return velocity, tuple(hidden)

    def _place(self, number: int, tap: Tap) -> Tap:
        """The tap of a group that stands for one of the whole network."""
        depth = tap if isinstance(tap, int) else tap[1]
        own = sum(block < depth for block in self.kept[number])
        return own if isinstance(tap, int) else (tap[0], own)

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Give every group the weights of a whole network, by its names; of blocks those that it has.

        Raises:
            ValueError: they are not those of such a network.
        """
        wanted = {
            _of_whole(name, kept) for kept, g in zip(self.kept, self.groups, strict=True) for name in g.state_dict()
        }
        if leftover := sorted(state.keys() - wanted):
            raise ValueError(f"groups have no place for '{leftover[0]}'")
        for kept, group in zip(self.kept, self.groups, strict=True):
            own = {name: _of_whole(name, kept) for name in group.state_dict()}
            if absent := sorted({whole for whole in own.values() if whole not in state}):
                raise ValueError(f"groups cannot take weights that lack '{absent[0]}'")
            try:
                group.load_state_dict({name: state[whole] for name, whole in own.items()})
            except RuntimeError as error:  # another width
                raise ValueError(f"groups cannot take these weights: {str(error).splitlines()[-1].strip()}") from error

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Groups start as the whole network would, without the blocks that they lack."""
        for kept, group in zip(self.kept, self.groups, strict=True):
            group.initialise(lambda name, kept=kept: generator_for(_of_whole(name, kept)))

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


def _of_whole(name: str, kept: Sequence[int]) -> str:
    """The name in the whole network of a parameter of a group."""
    if not name.startswith("blocks."):
        return name
    _, number, rest = name.split(".", 2)
    return f"blocks.{kept[int(number)]}.{rest}"
