"""The denoiser of protein sequences: ProteinMPNN whose decoder sees the noisy sequence at all residues at once.

Source: REED, arXiv:2507.08980 (protein track, itself after DRAKES, arXiv:2410.13643); ProteinMPNN,
https://doi.org/10.1126/science.add2187. Same state-dict keys; the projectors of REED live with the alignments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from reedbench.nn.backbone_features import BackboneFeatures, gather_nodes, nearest, neighbour_distances
from reedbench.nn.backbones.mpnn_layers import DecoderLayer, EncoderLayer
from reedbench.nn.initialisation import GeneratorFor, fan_in_uniform, fill, xavier_uniform
from reedbench.nn.residues import VOCABULARY
from reedbench.nn.row_dropout import RowDropout

Padding = Literal["masked", "reference"]
# (site, depth): structure = nodes of the encoder (any depth); node, edge = of the decoder after layer 1, 2, ...
Tap = tuple[Literal["structure", "node", "edge"], int]


@dataclass(frozen=True)
class Encoded:
    """A structure after the encoder; the same for every sequence.

    Attributes:
        nodes: (b, L, H).
        edges: (b, L, K, H).
        neighbours: (b, L, K) int64.
        mask: (b, L), 1 for residues that take part.
    """

    nodes: Tensor
    edges: Tensor
    neighbours: Tensor
    mask: Tensor

    def take(self, rows: Tensor | slice) -> "Encoded":
        """Some rows of the batch, in the order given."""
        return Encoded(self.nodes[rows], self.edges[rows], self.neighbours[rows], self.mask[rows])


class StructureEncoder(nn.Module):
    """The half of ProteinMPNN that sees the structure alone; subclasses add a decoder.

    Args:
        width: H, of nodes and edges.
        layers: of the encoder.
        neighbours: K, the residue itself included.
        beyond: see `backbone_features.neighbour_distances`.
        dropout: probability.
    """

    def __init__(self, width: int, layers: int, neighbours: int, beyond: float, dropout: float) -> None:
        super().__init__()
        self.width, self.neighbours, self.dropout = width, neighbours, dropout
        self.features = BackboneFeatures(width, neighbours, beyond)
        self.W_e = nn.Linear(width, width)
        self.encoder_layers = nn.ModuleList(EncoderLayer(width, i) for i in range(layers))

    def graph(self, coordinates: Tensor, mask: Tensor) -> Tensor:
        """The nearest neighbours of every residue.

        Args:
            coordinates: N, CA, C, O (b, L, 4, 3) in Angstrom, 0 where unresolved.
            mask: (b, L), 1 for resolved residues.

        Returns:
            (b, L, K) int64 with K = min(neighbours, L), nearest first, which is the residue itself where resolved.
        """
        return nearest(neighbour_distances(coordinates[:, :, 1], mask, self.features.beyond), self.neighbours)

    def encode(
        self,
        coordinates: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        chain: Tensor,
        *,
        neighbours: Tensor | None = None,
        dropout: Tensor | None = None,
    ) -> Encoded:
        """Nodes and edges of structures.

        Args:
            coordinates: N, CA, C, O (b, L, 4, 3) in Angstrom, 0 where unresolved; noise is the caller's.
            mask: (b, L), 1 for resolved residues.
            residue_index: (b, L) int64.
            chain: (b, L) int64, 0 on padding.
            neighbours: (b, L, K) int64 from `graph`; None: those of these coordinates.
            dropout: (b,) int64 seeds, one per row; None: no dropout, whatever the mode.
        """
        drop = RowDropout(self.dropout, dropout)
        edges, neighbours = self.features(coordinates, mask, residue_index, chain, neighbours)
        edges = self.W_e(edges)
        nodes = self.first_nodes(edges).expand(*mask.shape, -1)
        for layer in self.encoder_layers:
            nodes, edges = layer(nodes, edges, neighbours, mask, drop)
        return Encoded(nodes, edges, neighbours, mask)

    def first_nodes(self, edges: Tensor) -> Tensor:
        """(H,): every node before the first layer."""
        return edges.new_zeros(self.width)

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name, so that methods start with equal backbones.

        Matrices are Xavier-uniform and biases U(-1 / sqrt(inputs), 1 / sqrt(inputs)), as torch leaves them in the
        reference; layer norms are the identity and the learnt first node 0.
        """
        for name, parameter in self.named_parameters():
            owner = self.get_submodule(name.rpartition(".")[0])
            if parameter.ndim > 1:
                xavier_uniform(parameter, generator_for(name))
            elif isinstance(owner, nn.Linear):
                fan_in_uniform(parameter, owner.in_features, generator_for(name))
            else:
                fill(parameter, 1.0 if name.endswith("weight") else 0.0)


class ProteinMPNN(StructureEncoder):
    """Denoiser: a structure and a sequence with masked residues -> logits of all 22 tokens at every residue.

    There is no time: how many residues are masked says it. A plain constructor leaves the default values of torch;
    call `initialise` or load a state dict.

    Args:
        width: H, of nodes and edges.
        encoder_layers: layers that see the structure alone.
        decoder_layers: layers that see the noisy sequence too.
        neighbours: K, the residue itself included.
        edge_update: the decoder's edges change from layer to layer.
        learnable_node: nodes start as a learnt vector, not as 0.
        padding: `masked` gives every protein what it gets alone, up to rounding where products of few rows are rounded
            in another way: padded and unresolved neighbours send nothing.
            `reference` takes padding for residues at the origin (REED model_utils.py:21,125,144 @0a4527e), and lets
            unresolved neighbours send messages in the decoder.
        dropout: probability.

    Attributes:
        width: of hidden states; edges of the decoder have twice that.
        layers: of the decoder, the largest depth of a tap.
        neighbours: K.
    """

    def __init__(
        self,
        *,
        width: int = 128,
        encoder_layers: int = 3,
        decoder_layers: int = 3,
        neighbours: int = 30,
        edge_update: bool = True,
        learnable_node: bool = True,
        padding: Padding = "masked",
        dropout: float = 0.0,
    ) -> None:
        # In the reference unresolved residues tie with the farthest one, which may then lose its place to padding.
        super().__init__(width, encoder_layers, neighbours, 1.0 if padding == "masked" else 0.0, dropout)
        self.layers, self.edge_update, self.padding = decoder_layers, edge_update, padding
        self.node_embeds = nn.Parameter(torch.zeros(width), requires_grad=learnable_node)
        self.W_s = nn.Embedding(VOCABULARY, width)
        self.decoder_layers = nn.ModuleList(
            DecoderLayer(width, encoder_layers + i, edge_update=True) for i in range(decoder_layers)
        )
        self.W_out = nn.Linear(width, VOCABULARY)

    def first_nodes(self, edges: Tensor) -> Tensor:
        """(H,): the learnt vector."""
        return self.node_embeds

    def encode(
        self,
        coordinates: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        chain: Tensor,
        *,
        neighbours: Tensor | None = None,
        dropout: Tensor | None = None,
    ) -> Encoded:
        """As `StructureEncoder.encode`, of the residues that take part."""
        mask = self.taking_part(mask, chain)
        return super().encode(coordinates, mask, residue_index, chain, neighbours=neighbours, dropout=dropout)

    def taking_part(self, mask: Tensor, chain: Tensor) -> Tensor:
        """(b, L): the mask, which with reference padding counts padded residues in."""
        return torch.where(chain == 0, 1.0, mask) if self.padding == "reference" else mask

    def decode(
        self,
        encoded: Encoded,
        noisy: Tensor,
        *,
        taps: Sequence[Tap] = (),
        dropout: Tensor | None = None,
        only_taps: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of noisy sequences for encoded structures.

        Args:
            encoded: of `encode`.
            noisy: (b, L) int64 tokens, 21 where masked.
            taps: hidden states that are wanted, see `Tap`.
            dropout: (b,) int64 seeds, one per row; None: no dropout, whatever the mode.
            only_taps: leave out what comes behind the deepest tap; the logits are then empty.

        Returns:
            Logits (b, L, 22), and in the order of `taps` nodes (b, L, H) and edges (b, L, K, 2 H).

        Raises:
            ValueError: there is no such tap.
        """
        self._check(taps)
        drop = RowDropout(self.dropout, dropout)
        nodes, neighbours, mask = encoded.nodes, encoded.neighbours, encoded.mask
        seen = gather_nodes(mask, neighbours) if self.padding == "masked" else None
        edges = torch.cat([encoded.edges, gather_nodes(self.W_s(noisy), neighbours)], dim=-1)
        hidden_states: dict[tuple[str, int], Tensor] = {}
        last = max((depth for site, depth in taps if site != "structure"), default=0) if only_taps else self.layers
        for depth, layer in enumerate(self.decoder_layers[:last], start=1):
            nodes, hidden = layer(nodes, edges, layer.senders(nodes, neighbours), mask, seen, drop)
            hidden_states["node", depth] = nodes
            if self._updates_edges(depth, taps, last):
                updated = layer.update_edges(edges, hidden, drop)
                hidden_states["edge", depth] = updated
                edges = updated if self.edge_update else edges
        tapped = [encoded.nodes if site == "structure" else hidden_states[site, depth] for site, depth in taps]
        return (nodes.new_empty(0) if only_taps else self.W_out(nodes)), tapped

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
    ) -> tuple[Tensor, list[Tensor]]:
        """`encode`, then `decode`."""
        encoded = self.encode(coordinates, mask, residue_index, chain, neighbours=neighbours, dropout=dropout)
        return self.decode(encoded, noisy, taps=taps, dropout=dropout, only_taps=only_taps)

    def tapped(self, taps: Sequence[Tap]) -> None:
        """Freeze the parameters that neither logits nor these taps depend on, and unfreeze their like.

        These are edge updates of the decoder that nothing reads: data-parallel training waits in vain for their
        gradients. The tensors stay, for the keys of the reference.

        Raises:
            ValueError: there is no such tap.
        """
        self._check(taps)
        for depth, layer in enumerate(self.decoder_layers, start=1):
            for part in (layer.W_edge, layer.norm_edge):
                part.requires_grad_(self._updates_edges(depth, taps, self.layers))

    def _updates_edges(self, depth: int, taps: Sequence[Tap], last: int) -> bool:
        """Whether something reads the edges behind a layer, where there is none behind the last."""
        return (self.edge_update and depth < last) or ("edge", depth) in map(tuple, taps)

    def _check(self, taps: Iterable[Tap]) -> None:
        for site, depth in taps:
            if site != "structure" and (site not in ("node", "edge") or not 1 <= depth <= self.layers):
                raise ValueError(
                    f"tap {(site, depth)}: the site must be structure, node or edge, "
                    f"and the depth of node and edge between 1 and {self.layers}"
                )
