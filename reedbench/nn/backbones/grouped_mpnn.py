"""Several networks of proteins, each for its own share of residues that are shown, of which some are shallower.

Source: TDC, arXiv:2312.13307, see `nn.backbones.grouped`. The network of proteins has no time: how many residues are
masked says it. So a chain belongs to the group of the share of its residues that it shows, in training and for whatever
sampler asks; that share is, on average, the time.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reedbench.nn.backbones.grouped import Groups, check_edges, kept_blocks
from reedbench.nn.backbones.mpnn import Encoded, ProteinMPNN, Tap
from reedbench.nn.residues import MASK


@dataclass(frozen=True)
class EncodedByGroups:
    """Structures after the encoder of every group: a chain that is designed passes all of them.

    Attributes:
        groups: of each.
    """

    groups: tuple[Encoded, ...]

    @property
    def mask(self) -> Tensor:
        """(b, L), 1 for residues that take part."""
        return self.groups[0].mask

    def take(self, rows: Tensor | slice) -> "EncodedByGroups":
        """Some rows of the batch, in the order given."""
        return EncodedByGroups(tuple(encoded.take(rows) for encoded in self.groups))


class GroupedMPNN(Groups):
    """Denoisers of which each sees the chains of its own share of shown residues; called as one of them is.

    Args:
        mpnn: the whole network; the groups are copies of it with fewer layers of encoder and decoder, and it is not to
            be used any more.
        shares: of operations, by group, see `grouped.shares_of`.
        edges: the shares of shown residues between groups, increasing; an edge belongs to the group behind it.

    Attributes:
        kept: by group, the numbers of the layers of encoder and decoder that it has in the whole network, from 0.

    Raises:
        ValueError: the network is another, or counts padding among residues; or the edges do not fit.
    """

    def __init__(self, mpnn: nn.Module, shares: Sequence[float], edges: Sequence[float]) -> None:
        super().__init__()
        if not isinstance(mpnn, ProteinMPNN):
            kind = type(mpnn).__name__
            raise ValueError(f"groups are made of networks of backbone protein-mpnn alone, not of {kind}")
        if mpnn.padding != "masked":
            raise ValueError(
                f"with padding: {mpnn.padding} padded residues would decide a chain's group; take padding: masked"
            )
        check_edges(shares, edges)
        self.width, self.layers, self.neighbours, self.dropout = mpnn.width, mpnn.layers, mpnn.neighbours, mpnn.dropout
        stacks = (len(mpnn.encoder_layers), len(mpnn.decoder_layers))
        self.kept = [tuple(kept_blocks(depth, share) for depth in stacks) for share in shares]
        self.groups = nn.ModuleList(_pruned(mpnn, *kept) for kept in self.kept)
        self.edges = tuple(edges)

    def group_of(self, noisy: Tensor, mask: Tensor) -> Tensor:
        """Number of the group, from 0, of noisy sequences (b, L) whose residues take part by a mask (b, L)."""
        # Whole numbers, then one division: neither padding nor the batch changes a digit.
        there = (mask > 0).sum(1)
        shown = ((mask > 0) & (noisy != MASK)).sum(1).double() / there.clamp(min=1)
        return torch.bucketize(shown, torch.tensor(self.edges, dtype=torch.float64, device=noisy.device), right=True)

    def graph(self, coordinates: Tensor, mask: Tensor) -> Tensor:
        """The nearest neighbours of every residue, see `StructureEncoder.graph`; of all groups the same."""
        return self._first.graph(coordinates, mask)

    def taking_part(self, mask: Tensor, chain: Tensor) -> Tensor:
        """(b, L): the mask."""
        return self._first.taking_part(mask, chain)

    def encode(
        self,
        coordinates: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        chain: Tensor,
        *,
        neighbours: Tensor | None = None,
        dropout: Tensor | None = None,
    ) -> EncodedByGroups:
        """As `ProteinMPNN.encode`, by every group."""
        given = (coordinates, mask, residue_index, chain)
        return EncodedByGroups(
            tuple(group.encode(*given, neighbours=neighbours, dropout=dropout) for group in self.groups)
        )

    def decode(
        self,
        encoded: EncodedByGroups,
        noisy: Tensor,
        *,
        taps: Sequence[Tap] = (),
        dropout: Tensor | None = None,
        only_taps: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """As `ProteinMPNN.decode`; every chain by the group of the residues that it shows."""

        def call(number: int, rows: Tensor) -> tuple[Tensor, ...]:
            logits, hidden = self.groups[number].decode(
                encoded.groups[number].take(rows), noisy[rows], taps=self._places(number, taps),
                dropout=_of(dropout, rows), only_taps=only_taps,
            )  # fmt: skip
            return logits, *hidden

        logits, *hidden = self.divided(self.group_of(noisy, encoded.mask), call)
        return logits, hidden

    def forward(
        self,
        coordinates: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        chain: Tensor,
        noisy: Tensor,
        *,
        taps: Sequence[Tap] = (),
        neighbours: Tensor | None = None,
        dropout: Tensor | None = None,
        only_taps: bool = False,
        own: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """As `ProteinMPNN.forward`: every chain is encoded by its own group alone.

        Its depths of taps are those of the whole network: what stands there is the state behind those layers that a
        group has of the first ones. `own` (b,) are the groups of the chains, where these are not to be told by the
        residues that they show.
        """
        given = (coordinates, mask, residue_index, chain, noisy)

        def call(number: int, rows: Tensor) -> tuple[Tensor, ...]:
            logits, hidden = self.groups[number](
                *(tensor[rows] for tensor in given), taps=self._places(number, taps),
                neighbours=_of(neighbours, rows), dropout=_of(dropout, rows), only_taps=only_taps,
            )  # fmt: skip
            return logits, *hidden

        logits, *hidden = self.divided(self.group_of(noisy, mask) if own is None else own, call)
        return logits, hidden

    def tapped(self, taps: Sequence[Tap]) -> None:
        """As `ProteinMPNN.tapped`, of every group."""
        for number, group in enumerate(self.groups):
            group.tapped(self._places(number, taps))

    def in_whole(self, number: int) -> Mapping[str, Sequence[int]]:
        """Of its layers."""
        return dict(zip(("encoder_layers", "decoder_layers"), self.kept[number], strict=True))

    @property
    def _first(self) -> ProteinMPNN:
        first = self.groups[0]
        assert isinstance(first, ProteinMPNN)
        return first

    def _places(self, number: int, taps: Sequence[Tap]) -> list[Tap]:
        """Taps of a group that stand for those of the whole network."""
        _, decoder = self.kept[number]
        own = {depth: sum(layer < depth for layer in decoder) for _, depth in taps}
        return [(site, depth if site == "structure" else own[depth]) for site, depth in taps]


def _of(tensor: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if tensor is None else tensor[rows]


def _pruned(mpnn: ProteinMPNN, encoder: Sequence[int], decoder: Sequence[int]) -> ProteinMPNN:
    """A copy with some layers."""
    whole = mpnn.encoder_layers, mpnn.decoder_layers
    mpnn.encoder_layers = nn.ModuleList(whole[0][number] for number in encoder)
    mpnn.decoder_layers = nn.ModuleList(whole[1][number] for number in decoder)
    own = copy.deepcopy(mpnn)
    mpnn.encoder_layers, mpnn.decoder_layers = whole
    own.layers = len(decoder)
    return own
