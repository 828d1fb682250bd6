"""The tiny Semla of specs/molecule.md, section 9.2, with its weights and inputs; sections 9.3 and 9.5 begin with it.

Source: SemlaFlow and REED molecule/ @0a4527e, run once on the CPU in float64; only numbers were kept.
"""

import torch
from torch import Tensor, nn

from reedbench.nn.alignment import Projector
from reedbench.nn.backbones.semla import Prediction, Semla

TOKENS, BONDS, WIDTH, REPRESENTATION = 18, 5, 32, 24
T = torch.tensor([0.3, 0.8], dtype=torch.float64)
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.float64)


def extras() -> dict[str, tuple[int, ...]]:
    """Tensors of the reference that our network lacks: projectors, and what nothing uses."""
    d, r, e = WIDTH, REPRESENTATION, 16
    shapes = {"dynamics.layers.0.edge_feat_norm.weight": (e,), "dynamics.layers.0.edge_feat_norm.bias": (e,)}
    layers = {"time_embedder.mlp.0": (r, 512), "time_embedder.mlp.2": (r, r)}
    layers |= {"projectors.0.0": (d, d), "projectors.0.2": (d, d), "projectors.0.4": (r, d)}
    for name, (out, inputs) in layers.items():
        shapes |= {f"dynamics.{name}.weight": (out, inputs), f"dynamics.{name}.bias": (out,)}
    return shapes


def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights of the vectors: tensor k by name has 0.15 sin(0.7 i + 0.3 k + 0.1), and 1 more if it is a norm's."""
    state = {}
    for k, name in enumerate(sorted(shapes)):
        shape = shapes[name]
        i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
        value = 0.15 * torch.sin(0.7 * i + 0.3 * k + 0.1)
        state[name] = (value + name.endswith(("set_weights", "norm.weight"))).reshape(shape)
    return state


def tiny_state() -> dict[str, Tensor]:
    """All 190 tensors under the names of the reference."""
    own = {name: tuple(tensor.shape) for name, tensor in _tiny().state_dict().items()}
    return filled(own | extras())


def tiny_semla() -> tuple[Semla, Projector]:
    """Network and projector in float64, with their weights."""
    network, projector = _tiny(), Projector(WIDTH, WIDTH, REPRESENTATION).double()
    state = tiny_state()
    _load(network, "", state)
    _load(projector, "dynamics.projectors.0.", state)
    return network, projector


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Coordinates (2, 5, 3), types (2, 5, 18), bonds (2, 5, 5, 5), times and mask."""
    n, b = torch.arange(5), torch.arange(2)[:, None]
    atom, axis, row = (n[:, None] + 1).double(), torch.arange(3).double(), b[..., None].double()
    coordinates = torch.sin(1.3 * atom + 0.9 * axis + 0.5 * row) * MASK[..., None]
    types = nn.functional.one_hot((3 * n + b) % 16 + 2, TOKENS).double() * MASK[..., None]
    i, j = n[:, None], n[None]
    classes = (i * j + i + j + b[..., None]) % 5
    bonds = nn.functional.one_hot(classes, BONDS).double() * (MASK[:, :, None] * MASK[:, None])[..., None]
    return coordinates, types, bonds, T, MASK


def conditioned(found: Prediction) -> Prediction:
    """A prediction as it is given to the next evaluation."""
    return Prediction(found.coordinates, found.types.softmax(-1), found.bonds.softmax(-1))


def _tiny() -> Semla:
    return Semla(
        tokens=TOKENS, bonds=BONDS, width=WIDTH, layers=4, sets=8, heads=8, message=16, message_hidden=16, edge=16,
        size_embedding=8, max_atoms=32,
    ).double()  # fmt: skip


def _load(module: nn.Module, prefix: str, state: dict[str, Tensor]) -> None:
    module.load_state_dict({name: state[prefix + name] for name in module.state_dict()})
