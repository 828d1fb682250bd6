"""Message passing between a residue and its neighbours: the layers of ProteinMPNN's encoder and of both decoders.

Source: ProteinMPNN, https://doi.org/10.1126/science.add2187, training/model_utils.py @8907e66; REED, arXiv:2507.08980
(update of the decoder's edges). State-dict keys as there.

The reference concatenates [receiver | edge | sender] for every edge before the first matrix and averages after the
last. Here the first matrix works on each part where it lives, and the last one on the sum: the same function, and in
the encoder half of the arithmetic.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.backbone_features import gather_nodes
from reedbench.nn.row_dropout import RowDropout

DIVISOR: Final = 30.0  # of the sum of messages, whatever the number of neighbours
SITES: Final = 3  # places with dropout in a layer


class FeedForward(nn.Module):
    """Two linear layers with the exact GELU in between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W_in = nn.Linear(width, 4 * width)
        self.W_out = nn.Linear(4 * width, width)

    def forward(self, nodes: Tensor) -> Tensor:
        """(b, L, H) -> (b, L, H)."""
        return self.W_out(F.gelu(self.W_in(nodes)))


def sent(first: nn.Linear, nodes: Tensor) -> Tensor:
    """The senders' share of `first` on [receiver | edge | sender], (b, L, H) -> (b, L, H), still to be gathered."""
    return F.linear(nodes, first.weight[:, -nodes.shape[-1] :])


def edge_hidden(first: nn.Linear, second: nn.Linear, nodes: Tensor, edges: Tensor, senders: Tensor) -> Tensor:
    """gelu(second(gelu(first([receiver | edge | sender])))).

    Args:
        first: from H + E + H to H.
        second: from H to H.
        nodes: receivers (b, L, H).
        edges: (b, L, K, E).
        senders: `sent`, gathered along the edges (b, L, K, H).

    Returns:
        (b, L, K, H).
    """
    width = nodes.shape[-1]
    own = F.linear(nodes, first.weight[:, :width], first.bias)
    x = F.linear(edges, first.weight[:, width : width + edges.shape[-1]]).add_(senders).add_(own[:, :, None])
    return F.gelu(second(F.gelu(x)))


class MessageLayer(nn.Module):
    """What encoder and decoder layers share: messages W3 gelu(W2 gelu(W1 [i | ij | j])) and the update of the nodes.

    Args:
        width: H, of the nodes.
        edge_width: E, of the edges.
        number: of the layer in the network; it tells apart the places with dropout.
    """

    def __init__(self, width: int, edge_width: int, number: int) -> None:
        super().__init__()
        self.site = SITES * number
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.W1 = nn.Linear(2 * width + edge_width, width)
        self.W2 = nn.Linear(width, width)
        self.W3 = nn.Linear(width, width)
        self.dense = FeedForward(width)

    def senders(self, nodes: Tensor, neighbours: Tensor) -> Tensor:
        """The senders' share of the messages' first matrix, (b, L, H) along neighbours (b, L, K) -> (b, L, K, H)."""
        return gather_nodes(sent(self.W1, nodes), neighbours)

    def update_nodes(
        self, nodes: Tensor, hidden: Tensor, mask: Tensor, seen: Tensor | None, drop: RowDropout
    ) -> Tensor:
        """Nodes (b, L, H) after messages, of which `hidden` (b, L, K, H) lacks W3; 0 where `mask` (b, L) is.

        `seen` (b, L, K) is 0 for neighbours whose messages do not count; None: all count.
        """
        if seen is None:
            total, count = hidden.sum(2), hidden.new_full((), hidden.shape[2])
        else:
            total, count = (hidden * seen[..., None].to(hidden.dtype)).sum(2), seen.sum(2)[..., None]
        messages = F.linear(total, self.W3.weight) + count * self.W3.bias
        nodes = self.norm1(nodes + drop(messages / DIVISOR, self.site))
        nodes = self.norm2(nodes + drop(self.dense(nodes), self.site + 1))
        return nodes * mask[..., None]


class EncoderLayer(MessageLayer):
    """Updates nodes, then edges, of the structure alone."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, width, number)
        self.norm3 = nn.LayerNorm(width)
        self.W11 = nn.Linear(3 * width, width)
        self.W12 = nn.Linear(width, width)
        self.W13 = nn.Linear(width, width)

    def forward(
        self, nodes: Tensor, edges: Tensor, neighbours: Tensor, mask: Tensor, drop: RowDropout
    ) -> tuple[Tensor, Tensor]:
        """Nodes (b, L, H) and edges (b, L, K, H) -> the same; masked neighbours send nothing."""
        hidden = edge_hidden(self.W1, self.W2, nodes, edges, self.senders(nodes, neighbours))
        nodes = self.update_nodes(nodes, hidden, mask, gather_nodes(mask, neighbours), drop)
        senders = gather_nodes(sent(self.W11, nodes), neighbours)
        change = self.W13(edge_hidden(self.W11, self.W12, nodes, edges, senders))
        return nodes, self.norm3(edges + drop(change, self.site + 2))


class DecoderLayer(MessageLayer):
    """Updates nodes from edges that carry structure and sequence (b, L, K, 2 H), and if asked these edges.

    Args:
        width: H.
        number: of the layer in the network, after those of the encoder.
        edge_update: it has the parameters that update edges.
    """

    def __init__(self, width: int, number: int, edge_update: bool) -> None:
        super().__init__(width, 2 * width, number)
        if edge_update:
            self.W_edge = nn.Sequential(
                nn.LayerNorm(3 * width), nn.Linear(3 * width, 3 * width), nn.GELU(), nn.Linear(3 * width, 2 * width)
            )
            self.norm_edge = nn.LayerNorm(2 * width)

    def forward(
        self, nodes: Tensor, edges: Tensor, senders: Tensor, mask: Tensor, seen: Tensor | None, drop: RowDropout
    ) -> tuple[Tensor, Tensor]:
        """Nodes (b, L, H) -> the same, and what `update_edges` needs of the messages.

        The reference sets edges and senders to 0 where the receiver is masked. What such a receiver computes is set
        to 0 at the end of the layer and its edges belong to it alone, so nothing that counts depends on it.
        """
        hidden = edge_hidden(self.W1, self.W2, nodes, edges, senders)
        return self.update_nodes(nodes, hidden, mask, seen, drop), hidden

    def update_edges(self, edges: Tensor, hidden: Tensor, drop: RowDropout) -> Tensor:
        """Edges (b, L, K, 2 H) after the messages of this layer."""
        change = self.W_edge(torch.cat([self.W3(hidden), edges], dim=-1))
        return self.norm_edge(edges + drop(change, self.site + 2))
