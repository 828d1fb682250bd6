"""Tiny runs of inverse folding for the tests of training: random chains, and a REED with an alignment at every site."""

from pathlib import Path
from typing import Any

import doubled
import numpy as np
import torch

from reedbench.backbones.protein_mpnn import ProteinMPNNBackbone
from reedbench.codecs.residues import Residues
from reedbench.core import io, seeds, shards
from reedbench.core.ragged import Ragged
from reedbench.domains import rows
from reedbench.domains.rows import TRAIN, Rows
from reedbench.nn import initialisation
from reedbench.nn.residues import UNKNOWN
from reedbench.objectives.masked_diffusion import MaskedDiffusion, ResidueAlignment
from reedbench.schema.benchmark import Optimiser, Training
from reedbench.steps import taught
from reedbench.training.loaders import TrainingData
from reedbench.training.pool import PairedPool
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import Trainer

LENGTHS = [9, 14, 11, 20, 7, 16, 12, 18, 10, 13, 15, 19, 8, 17]
TOKENS = 120
FEATURES = 16 + 16 * 25  # of an edge: positions, and Gaussians of distances
NODE = ResidueAlignment(encoder="one", site="node", depth=1)
EDGE = ResidueAlignment(encoder="two", site="edge", depth=1, weight=2.0, masked_only=True)
STRUCTURE = ResidueAlignment(encoder="one", site="structure", norm="reference")
BACKBONE: dict[str, Any] = {"width": 8, "encoder_layers": 1, "decoder_layers": 2, "neighbours": 5, "dropout": 0.2}
DISCRETE = MaskedDiffusion(label="discrete")
REED = MaskedDiffusion(label="REED", alignments=(NODE, EDGE, STRUCTURE), masked_only=True, time_weight="schedule")


def write_data(folder: Path) -> None:
    """Random walks with random letters, two residues without structure, and representations of residues and pairs."""
    rng = np.random.default_rng(0)
    coordinates = [np.cumsum(rng.normal(0, 2, (n, 1, 3)), 0) + rng.normal(0, 1, (n, 4, 3)) for n in LENGTHS]
    coordinates[3][5], coordinates[6][0, 1] = np.nan, np.nan
    arrays = {
        "coordinates": Ragged.of([x.astype(np.float32) for x in coordinates]),
        "tokens": Ragged.of([rng.integers(0, 20, n).astype(np.uint8) for n in LENGTHS]),
        "chain": Ragged.of([np.ones(n, np.uint8) for n in LENGTHS]),
    }
    made = Rows(names(), [TRAIN] * len(LENGTHS), arrays)
    rows.write(folder / "data", made, {})
    for name, kind, power, dim in (("one", "residues", 1, 6), ("two", "pairs", 2, 3)):
        values = Ragged.of([3 + rng.standard_normal((n**power, dim)).astype(np.float16) for n in LENGTHS])
        shards.write(folder / name / "shards", {"representation": values})
        io.write_json(folder / name / "index.json", {"train_ids": rows.ids_digest(made.ids), "kind": kind})


def trainer(
    folder: Path, method: Any, *, double: bool = False, ranks: Ranks | None = None, teacher: Any = None, **settings: Any
) -> Trainer:
    """A trainer of a method with dropout; nothing is clipped."""
    torch.set_num_threads(1)
    optimiser = Optimiser(lr=1e-3, clip=1e9)
    training = Training(**{"tokens": TOKENS, "optimiser": optimiser, "segment": 10, "save_every": 5, **settings})
    kept = {name: folder / name for name in method.encoders()}
    pool = PairedPool(designs(folder), Residues(), names(), "designs") if method.pooled() else None
    data = TrainingData(folder / "data", kept, Residues(), pool=pool)
    if teacher is None and method.asks_teacher:
        teacher = made_teacher(double=double)
    network = ProteinMPNNBackbone(**BACKBONE).build(data.shape(), data.facts)
    learner = method.build(network, data.target_shapes(), lambda name: seeds.stream("init", "b", 0, name))
    if teacher is not None and method.init == "teacher":
        taught.begin(learner, teacher.state_dict(), method, "tiny")
    if double:
        doubled.double(learner)
    return Trainer(
        learner, data, training, "b", 0, ranks or Ranks.alone("cpu"), teacher if method.asks_teacher else None
    )


def names() -> list[str]:
    """Of the chains."""
    return [f"{i:02d}" for i in range(len(LENGTHS))]


def designs(folder: Path) -> Rows:
    """Random sequences in place of those that a teacher would draw, X where nothing is resolved."""
    native, rng = rows.read(folder / "data", TRAIN), np.random.default_rng(1)
    drawn = [rng.integers(0, 20, n).astype(np.uint8) for n in LENGTHS]
    for i, coordinates in enumerate(native.arrays["coordinates"]):
        drawn[i][~np.isfinite(coordinates).all((1, 2))] = UNKNOWN
    return Rows(names(), ["sample"] * len(LENGTHS), {"tokens": Ragged.of(drawn)})


def made_teacher(*, double: bool = False) -> Any:
    """What is sampled of plain masking diffusion, with weights of which none is zero."""
    network = ProteinMPNNBackbone(**BACKBONE).build((-1,), {})
    for name, parameter in network.named_parameters():
        initialisation.normal(parameter, 0.3, seeds.stream("teacher", name))
    return network.double() if double else network


def forward(rows: int, length: int, encoder: int = 1, decoder: int = 2, *, edges: int = 1, out: bool = True) -> float:
    """Operations of a forward pass, two per multiply-add, by hand: features, layers, updated edges, and logits."""
    width, near = BACKBONE["width"], BACKBONE["neighbours"]
    residue = 13 * encoder + 11 * decoder
    edge = 1 + 5 * encoder + 3 * decoder + 16 * edges
    products = (residue + near * edge) * width**2 + near * FEATURES * width + 22 * width * out
    return 2.0 * rows * length * products


def training(rows: int, length: int, encoder: int = 1, decoder: int = 2, *, edges: int = 1) -> float:
    """Of a step of masking diffusion: features, too, want a gradient, as positions along the chain are learnt."""
    return 3 * forward(rows, length, encoder, decoder, edges=edges)
