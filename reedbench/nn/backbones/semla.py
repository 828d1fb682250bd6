"""Semla: a denoiser of molecules whose atoms carry invariant features and many sets of coordinates.

Source: Irwin et al. 2024, arXiv:2406.07266 (SemlaFlow), semlaflow/models/semla.py @2f41e57; REED, arXiv:2507.08980,
molecule/semlaflow/flowmodels/semla.py:822-993 @0a4527e. Same state-dict keys without the prefix of their training,
`molecule_checkpoints` reads it; parameters that nothing uses are not here, and projectors live with the alignments.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.backbones.semla_layers import (
    Atoms,
    BondRefine,
    CoordNorm,
    MessageLayer,
    NodeFeedForward,
    Norm,
    mapped,
)
from reedbench.nn.initialisation import GeneratorFor, fan_in_uniform, fill, normal, xavier_uniform

CHARGES: Final = 7  # classes: 0, +1, +2, +3, -1, -2, -3
Initialisation = Literal["reference", "ones"]
# (site, depth): features of atoms after layer 1, 2, ...; 0 on padding, or what the reference has there
Tap = tuple[Literal["masked", "reference"], int]


class Prediction(NamedTuple):
    """What a molecule is thought to become.

    As the `previous` one of self-conditioning, types and bonds are probabilities, and charges are not looked at.

    Attributes:
        coordinates: (b, N, 3), centred, 0 on padding.
        types: (b, N, T) logits.
        bonds: (b, N, N, E) logits, symmetric.
        charges: (b, N, 7) logits.
    """

    coordinates: Tensor
    types: Tensor
    bonds: Tensor
    charges: Tensor | None = None


class Dynamics(nn.Module):
    """All layers between the embeddings and the heads; arguments as of `Semla`."""

    def __init__(
        self,
        width: int,
        layers: int,
        sets: int,
        heads: int,
        message: int,
        message_hidden: int,
        edge: int,
        norm: Norm,
        *,
        self_condition: bool,
        bond_refine: bool,
    ) -> None:
        super().__init__()
        sizes = (width, sets, heads, message)
        # The first and the last layer have their own hidden width in the reference, semla.py:646-671.
        self.layers = nn.ModuleList(
            [
                MessageLayer(*sizes, 0, edges_in=edge, norm=norm),
                *(MessageLayer(*sizes, message_hidden, norm=norm) for _ in range(layers - 2)),
                MessageLayer(*sizes, 0, edges_out=edge, norm=norm),
            ]
        )
        self.coord_proj = nn.Linear(2 if self_condition else 1, sets, bias=False)
        self.final_ff_block = NodeFeedForward(width, sets, sets, norm)
        self.coord_norm = CoordNorm(sets, norm)
        self.coord_head = nn.Linear(sets, 1, bias=False)
        self.refine_layer = BondRefine(width, message, edge) if bond_refine else None
        self.feat_norm = nn.LayerNorm(width)
        self.bond_norm = nn.LayerNorm(edge)

    def forward(
        self, c: Tensor, h: Tensor, edges: Tensor, atoms: Atoms, depths: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor, dict[int, Tensor]]:
        """Coordinates (b, 1 or 2, N, 3), features (b, N, d) and edges (b, N, N, E) -> the same, of the prediction.

        Args:
            c: of the input, and of the previous prediction if there is one.
            h: embedded atoms.
            edges: embedded edges.
            atoms: which are real.
            depths: layers 1, 2, ... after which features are wanted.
        """
        c = mapped(self.coord_proj.weight[:, : c.shape[1]], c) * atoms.mask
        tapped: dict[int, Tensor] = {}
        made = edges
        for depth, layer in enumerate(self.layers, start=1):
            c, h, made = layer(c, h, atoms, edges if depth == 1 else None)
            if depth in depths:
                tapped[depth] = h
        c, h = self.final_ff_block(c, h, atoms)
        out = mapped(self.coord_head.weight, self.coord_norm(atoms.centred(c), atoms))
        out = atoms.centred(out)
        if self.refine_layer is not None:
            made = self.refine_layer(out, h, made, atoms)
        return out[:, 0], self.feat_norm(h), self.bond_norm(made), tapped


class Semla(nn.Module):
    """Noisy molecules -> what they become, coordinates without a frame: E(3) equivariant, mirroring included.

    A plain constructor leaves the default values of torch; call `initialise` or load a state dict.

    Args:
        tokens: T, classes of atoms, padding and mask included.
        bonds: E, classes of bonds.
        width: d, of the features.
        layers: at least 2.
        sets: S, sets of coordinates.
        heads: of the attention over features, a divisor of `width`.
        message: width of features in messages.
        message_hidden: width of messages in between, but in the first and last layer.
        edge: width of edges.
        size_embedding: width of what stands for the number of atoms.
        max_atoms: molecules have fewer atoms.
        coordinate_norm: see `semla_layers.CoordNorm`.
        self_condition: it reads a previous prediction.
        bond_refine: bonds see the predicted coordinates.
        initialisation: `reference`: all that is not one-dimensional is Xavier-uniform, the weights of coordinate sets
            and the embedding of sizes too, to which it happens by accident (REED fm.py:1156-1165 @0a4527e); `ones`:
            weights of sets are 1, the embedding is N(0, 1), as their constructors have it.

    Attributes:
        tokens: as given.
        bonds: as given.
        width: of hidden states.
        layers: the largest depth of a tap.
        self_condition: as given.
    """

    def __init__(
        self,
        *,
        tokens: int,
        bonds: int,
        width: int = 384,
        layers: int = 12,
        sets: int = 64,
        heads: int = 32,
        message: int = 128,
        message_hidden: int = 128,
        edge: int = 128,
        size_embedding: int = 64,
        max_atoms: int = 256,
        coordinate_norm: Norm = "length",
        self_condition: bool = True,
        bond_refine: bool = True,
        initialisation: Initialisation = "reference",
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"layers {layers}: the first one reads edges and the last one makes them, so at least 2")
        if width % heads:
            raise ValueError(f"width {width} must be a multiple of heads {heads}")
        self.tokens, self.bonds, self.width, self.layers = tokens, bonds, width, layers
        self.self_condition = self_condition
        self.max_atoms, self.initialisation = max_atoms, initialisation
        times = 2 if self_condition else 1
        self.edge_in_proj = _mlp(times * bonds, edge, edge)
        self.edge_out_proj = _mlp(edge, edge, bonds)
        self.size_emb = nn.Embedding(max_atoms, size_embedding)
        self.feat_proj = _mlp(1 + times * tokens + size_embedding, width, width)
        self.dynamics = Dynamics(
            width, layers, sets, heads, message, message_hidden, edge, coordinate_norm,
            self_condition=self_condition, bond_refine=bond_refine,
        )  # fmt: skip
        self.atom_classifier_head = _mlp(width, width, tokens)
        self.charge_classifier_head = _mlp(width, width, CHARGES)

    def forward(
        self,
        coordinates: Tensor,
        types: Tensor,
        bonds: Tensor,
        t: Tensor,
        mask: Tensor,
        previous: Prediction | tuple[Tensor, Tensor, Tensor] | None = None,
        taps: Sequence[Tap] = (),
    ) -> tuple[Prediction, list[Tensor]]:
        """Predict clean molecules, and hand out hidden states on the way.

        Args:
            coordinates: (b, N, 3).
            types: (b, N, T), of noisy atoms: one-hot, or anything in between.
            bonds: (b, N, N, E), of noisy bonds.
            t: times (b,), 1 for data.
            mask: (b, N), 1 for real atoms.
            previous: prediction for self-conditioning, coordinates and probabilities of types and bonds; None: 0.
            taps: hidden states that are wanted, see `Tap`.

        Returns:
            The prediction, and hidden states (b, N, width) in the order of `taps`.

        Raises:
            ValueError: there is no such tap, a molecule has too many atoms, or `previous` is not read.
        """
        self._check(previous, taps)
        mask = mask.to(coordinates.dtype)
        atoms = Atoms.of(mask)
        own = [t.to(coordinates.dtype)[:, None, None].expand(-1, mask.shape[1], 1), types, self._sizes(mask)]
        given = [coordinates, torch.cat(own, dim=-1), bonds]
        sets, nodes, edges = (
            [[x] for x in given] if previous is None else [list(x) for x in zip(given, previous[:3], strict=True)]
        )
        c, h, e, tapped = self.dynamics(
            torch.stack(sets, dim=1),
            _embedded(self.feat_proj, nodes),
            _embedded(self.edge_in_proj, edges),
            atoms,
            [depth for _, depth in taps],
        )
        found = Prediction(
            coordinates=c,
            types=self.atom_classifier_head(h),
            bonds=self.edge_out_proj(e + e.transpose(1, 2)),
            charges=self.charge_classifier_head(h),
        )
        return found, [tapped[depth] * mask[..., None] if site == "masked" else tapped[depth] for site, depth in taps]

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name, so that methods start with equal backbones.

        Matrices are Xavier-uniform, biases U(-1 / sqrt(inputs), 1 / sqrt(inputs)) and layer norms the identity; for
        other parameters see `initialisation`.
        """
        for name, parameter in self.named_parameters():
            owner = self.get_submodule(name.rpartition(".")[0])
            if self.initialisation == "ones" and isinstance(owner, CoordNorm):
                fill(parameter, 1.0)
            elif self.initialisation == "ones" and isinstance(owner, nn.Embedding):
                normal(parameter, 1.0, generator_for(name))
            elif parameter.ndim > 1:
                xavier_uniform(parameter, generator_for(name))
            elif isinstance(owner, nn.Linear):
                fan_in_uniform(parameter, owner.in_features, generator_for(name))
            else:
                fill(parameter, 1.0 if name.endswith("weight") else 0.0)

    def _sizes(self, mask: Tensor) -> Tensor:
        """(b, N, size_embedding) from how many atoms there are."""
        count = mask.sum(1).long()
        if mask.shape[1] >= self.max_atoms and (most := int(count.max())) >= self.max_atoms:
            raise ValueError(f"a molecule has {most} atoms, and this network takes fewer than {self.max_atoms}")
        return self.size_emb(count)[:, None].expand(-1, mask.shape[1], -1)

    def _check(self, previous: object, taps: Sequence[Tap]) -> None:
        if previous is not None and not self.self_condition:
            raise ValueError("a previous prediction is given to a network without self-conditioning")
        for site, depth in taps:
            if site not in ("masked", "reference") or not 1 <= depth <= self.layers:
                raise ValueError(
                    f"tap {(site, depth)}: the site must be masked or reference, and the depth between 1 and "
                    f"{self.layers}"
                )


def _mlp(inputs: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, out))


def _embedded(mlp: nn.Sequential, parts: Sequence[Tensor]) -> Tensor:
    """`mlp` of parts one after the other, those that are absent being 0."""
    x = torch.cat(list(parts), dim=-1)
    first, activation, last = mlp
    return last(activation(F.linear(x, first.weight[:, : x.shape[-1]], first.bias)))
