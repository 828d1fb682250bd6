"""ProteinMPNN as published, which writes a sequence residue by residue: to check weights, and to start from them.

Source: ProteinMPNN, https://doi.org/10.1126/science.add2187, protein_mpnn_utils.py @8907e66. Same state-dict keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reedbench.nn.backbone_features import gather_nodes
from reedbench.nn.backbones.mpnn import Encoded, ProteinMPNN, StructureEncoder
from reedbench.nn.backbones.mpnn_layers import DecoderLayer
from reedbench.nn.residues import ALPHABET
from reedbench.nn.row_dropout import RowDropout

EXTENDED = ("W_s.weight", "W_out.weight", "W_out.bias")  # one row more in the denoiser, for the mask token


class StockMPNN(StructureEncoder):
    """Log-probabilities of the 21 letters for structures, from the structure alone or from part of the sequence.

    `encode` is that of the published network. Padded proteins are not what they are alone if they have fewer residues
    than neighbours: give such ones one by one.
    """

    def __init__(
        self, *, width: int = 128, encoder_layers: int = 3, decoder_layers: int = 3, neighbours: int = 48
    ) -> None:
        super().__init__(width, encoder_layers, neighbours, 0.0, 0.0)
        self.W_s = nn.Embedding(len(ALPHABET), width)
        self.decoder_layers = nn.ModuleList(
            DecoderLayer(width, encoder_layers + i, edge_update=False) for i in range(decoder_layers)
        )
        self.W_out = nn.Linear(width, len(ALPHABET))

    def unconditional(self, coordinates: Tensor, mask: Tensor, residue_index: Tensor, chain: Tensor) -> Tensor:
        """Log-probabilities (b, L, 21) given the structure only; arguments as of `encode`."""
        encoded = self.encode(coordinates, mask, residue_index, chain)
        known = torch.zeros_like(encoded.neighbours, dtype=torch.bool)
        return self._decode(encoded, torch.zeros_like(chain), known)

    def conditional(
        self,
        coordinates: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        chain: Tensor,
        sequence: Tensor,
        order: Tensor,
    ) -> Tensor:
        """Log-probabilities (b, L, 21) of each residue given the structure and all residues written before it.

        Args:
            coordinates: as of `encode`.
            mask: as of `encode`.
            residue_index: as of `encode`.
            chain: as of `encode`.
            sequence: (b, L) int64 tokens 0..20, the sequence that is scored.
            order: (b, L) int64, the positions in the order of writing.
        """
        encoded = self.encode(coordinates, mask, residue_index, chain)
        rank = order.argsort(dim=-1)
        known = gather_nodes(rank, encoded.neighbours) < rank[..., None]
        return self._decode(encoded, sequence, known)

    def _decode(self, encoded: Encoded, sequence: Tensor, known: Tensor) -> Tensor:
        """Neighbours that are `known` (b, L, K) send their letter and their node, others what the encoder made."""
        nodes, neighbours, drop = encoded.nodes, encoded.neighbours, RowDropout(0.0, None)
        letters = gather_nodes(self.W_s(sequence), neighbours).masked_fill(~known[..., None], 0.0)
        edges = torch.cat([encoded.edges, letters], dim=-1)
        for layer in self.decoder_layers:
            current, structure = (layer.senders(x, neighbours) for x in (nodes, encoded.nodes))
            senders = torch.where(known[..., None], current, structure)
            nodes, _ = layer(nodes, edges, senders, encoded.mask, None, drop)
        return self.W_out(nodes).log_softmax(-1)


@dataclass(frozen=True)
class Transfer:
    """Names of the denoiser's tensors by where their values are from.

    Attributes:
        equal: the published network.
        extended: the published network, but for the row of the mask token.
        new: the denoiser; these have no counterpart.
    """

    equal: tuple[str, ...]
    extended: tuple[str, ...]
    new: tuple[str, ...]


@torch.no_grad()
def load_stock(network: ProteinMPNN, state: Mapping[str, Tensor]) -> Transfer:
    """Copy the weights of a published ProteinMPNN (its `model_state_dict`) into a denoiser.

    Features and encoder are then the published ones; the decoder is another function of the same weights.

    Raises:
        ValueError: a tensor is missing, superfluous or of another shape; nothing is copied then.
    """
    own = network.state_dict()
    new = tuple(name for name in own if name == "node_embeds" or ".W_edge." in name or ".norm_edge." in name)
    expected = {name: tensor for name, tensor in own.items() if name not in new}
    if wrong := sorted(expected.keys() ^ state.keys()):
        side = "lacks" if wrong[0] in expected else "has no place for"
        raise ValueError(f"weights of ProteinMPNN: this network {side} '{wrong[0]}' ({len(wrong)} such names in all)")
    for name, tensor in expected.items():
        shape = (len(tensor) - 1, *tensor.shape[1:]) if name in EXTENDED else tuple(tensor.shape)
        if tuple(state[name].shape) != shape:
            raise ValueError(f"weights of ProteinMPNN: '{name}' has shape {tuple(state[name].shape)}, not {shape}")
    for name, tensor in expected.items():
        tensor[: len(state[name])] = state[name]
    return Transfer(tuple(name for name in expected if name not in EXTENDED), EXTENDED, new)
