"""Geometry of protein backbones as a nearest-neighbour graph: who is near, at what distances, how far along the chain.

Source: ProteinMPNN, Dauparas et al. 2022, https://doi.org/10.1126/science.add2187; training/model_utils.py @8907e66.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Position of the virtual CB in the frame of N, CA and C: factors of (CA - N) x (C - CA), CA - N and C - CA.
CB: Final = (-0.58273431, 0.56802827, -0.54067466)
SQUARE_FLOOR: Final = 1e-6  # Angstrom^2 under every root, so that the gradient at 0 is finite
NEAREST, FARTHEST, CENTRES, BREADTH = 2.0, 22.0, 16, 1.25  # Gaussians over distance: Angstrom, number, Angstrom
LARGEST_EXPONENT = 80.0  # e^-80 is about 2e-35, and the smallest normal float32 1e-38
# Ordered pairs (atom of i, atom of j), atoms numbered N 0, CA 1, C 2, O 3, CB 4; CA-CA is the graph's own distance.
PAIRS: Final = (
    (1, 1), (0, 0), (2, 2), (3, 3), (4, 4), (1, 0), (1, 2), (1, 3), (1, 4), (0, 2), (0, 3), (0, 4), (4, 2),
    (4, 3), (3, 2), (0, 1), (2, 1), (3, 1), (4, 1), (2, 0), (3, 0), (4, 0), (2, 4), (3, 4), (2, 3),
)  # fmt: skip
REACH: Final = 32  # residues along the chain that are told apart
OTHER_CHAIN: Final = 2 * REACH + 1
POSITION_WIDTH: Final = 16


def gather_nodes(nodes: Tensor, neighbours: Tensor) -> Tensor:
    """What each residue's neighbours hold: nodes (b, L, ...) at neighbours (b, L, K) -> (b, L, K, ...)."""
    b, length = neighbours.shape[:2]
    rows = neighbours + length * torch.arange(b, device=neighbours.device)[:, None, None]
    return nodes.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, tuple(neighbours.shape))


def with_virtual_cb(coordinates: Tensor) -> Tensor:
    """N, CA, C, O (..., 4, 3) -> the same and an ideal CB (..., 5, 3), in Angstrom."""
    n, ca, c, _ = coordinates.unbind(-2)
    b, a = ca - n, c - ca
    cb = CB[0] * torch.linalg.cross(b, a) + CB[1] * b + CB[2] * a + ca
    return torch.cat([coordinates, cb[..., None, :]], dim=-2)


def neighbour_distances(ca: Tensor, mask: Tensor, beyond: float = 0.0) -> Tensor:
    """Distances by which neighbours are chosen, in Angstrom.

    Args:
        ca: positions (b, L, 3).
        mask: (b, L), 1 for resolved residues.
        beyond: how much farther than the farthest resolved residue the unresolved ones lie. The reference has 0,
            where one of them can take the place of the farthest resolved residue.

    Returns:
        (b, L, L); the root of 1e-6 on the diagonal, so that a resolved residue is its own nearest neighbour.
    """
    both = mask[:, :, None] * mask[:, None, :]
    distance = both * ((ca[:, :, None] - ca[:, None]).square().sum(-1) + SQUARE_FLOOR).sqrt()
    return distance + (1 - both) * (distance.amax(-1, keepdim=True) + beyond)


def nearest(distances: Tensor, count: int) -> Tensor:
    """The min(count, L) nearest of each row of (b, L, L) -> (b, L, K) int64, nearest first.

    Ties go to the lower index: helices have many, and a top-k would break them differently on every device and length.
    """
    return distances.sort(dim=-1, stable=True).indices[..., :count]


def distance_features(distances: Tensor) -> Tensor:
    """Distances (...) in Angstrom -> 16 Gaussians of each (..., 16), centred at 2 to 22 Angstrom.

    Gaussians below e^-80 are 0: further out they would be subnormal numbers, with which a CPU multiplies many times
    more slowly.
    """
    centres = torch.linspace(NEAREST, FARTHEST, CENTRES, dtype=distances.dtype, device=distances.device)
    exponents = ((distances[..., None] - centres) / BREADTH).square()
    return exponents.clamp(max=LARGEST_EXPONENT).neg().exp() * (exponents < LARGEST_EXPONENT)


def positional_classes(residue_index: Tensor, chain: Tensor, neighbours: Tensor) -> Tensor:
    """Offsets i - j along the chain, -32..32, as classes 0..64; 65 if j is in another chain.

    Args:
        residue_index: (b, L) int64.
        chain: (b, L) int64.
        neighbours: (b, L, K) int64.

    Returns:
        (b, L, K) int64.
    """
    offsets = residue_index[:, :, None] - gather_nodes(residue_index, neighbours)
    same = chain[:, :, None] == gather_nodes(chain, neighbours)
    return torch.where(same, (offsets + REACH).clamp(0, 2 * REACH), OTHER_CHAIN)


class PositionalCode(nn.Module):
    """A learnt vector per positional class."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(OTHER_CHAIN + 1, POSITION_WIDTH)

    def forward(self, classes: Tensor) -> Tensor:
        """(...) int64 -> (..., 16): the column of the class and the bias, as one-hot vectors would give."""
        return F.embedding(classes, self.linear.weight.t()) + self.linear.bias


class BackboneFeatures(nn.Module):
    """Features of the edges between a residue and its nearest neighbours; they do not change under rigid motion.

    Args:
        width: of the features.
        neighbours: K, the residue itself included.
        beyond: see `neighbour_distances`.
    """

    def __init__(self, width: int, neighbours: int, beyond: float) -> None:
        super().__init__()
        self.neighbours, self.beyond = neighbours, beyond
        self.embeddings = PositionalCode()
        self.edge_embedding = nn.Linear(POSITION_WIDTH + CENTRES * len(PAIRS), width, bias=False)
        self.norm_edges = nn.LayerNorm(width)

    def forward(
        self, coordinates: Tensor, mask: Tensor, residue_index: Tensor, chain: Tensor, neighbours: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Edges and the graph that they lie on.

        Args:
            coordinates: N, CA, C, O (b, L, 4, 3) in Angstrom, 0 where unresolved.
            mask: (b, L), 1 for resolved residues.
            residue_index: (b, L) int64.
            chain: (b, L) int64.
            neighbours: (b, L, K) int64; None: the nearest ones.

        Returns:
            Edge features (b, L, K, width) and neighbours (b, L, K).
        """
        distances = neighbour_distances(coordinates[:, :, 1], mask, self.beyond)
        if neighbours is None:
            neighbours = nearest(distances, self.neighbours)
        position = self.embeddings(positional_classes(residue_index, chain, neighbours))
        radial = distance_features(self._pair_distances(coordinates, distances, neighbours)).flatten(-2)
        edges = self.norm_edges(self.edge_embedding(torch.cat([position, radial], dim=-1)))
        return edges, neighbours

    @staticmethod
    def _pair_distances(coordinates: Tensor, distances: Tensor, neighbours: Tensor) -> Tensor:
        """(b, L, K, 25) distances of the atom pairs; of these only CA-CA knows what is unresolved."""
        atoms = with_virtual_cb(coordinates)
        own, other = (list(side) for side in zip(*PAIRS[1:], strict=True))
        difference = atoms[:, :, own][:, :, None] - gather_nodes(atoms[:, :, other], neighbours)
        pairs = (difference.square().sum(-1) + SQUARE_FLOOR).sqrt()
        return torch.cat([distances.gather(-1, neighbours)[..., None], pairs], dim=-1)
