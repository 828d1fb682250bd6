"""Tiny runs of molecules for the tests of training: random ones, and methods of flow and of diffusion with REED."""

from pathlib import Path
from typing import Any

import doubled
import numpy as np
import torch

from reedbench.backbones.egnn import EGNNBackbone
from reedbench.backbones.semla import SemlaBackbone
from reedbench.codecs.molecules import Molecules
from reedbench.core import io, seeds, shards
from reedbench.domains import molecule, rows
from reedbench.domains.molecule import Molecule
from reedbench.domains.rows import TRAIN, Rows
from reedbench.objectives import Schedule
from reedbench.objectives._molecules import MoleculeAlignment
from reedbench.objectives.molecule_diffusion import MoleculeDiffusion
from reedbench.objectives.molecule_flow import MoleculeFlow
from reedbench.schema.benchmark import Optimiser, Training
from reedbench.training.loaders import TrainingData
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import Trainer

SIZES = [4, 9, 6, 1, 7, 5, 8, 3, 6, 10, 2, 7, 4, 5]
ELEMENTS = ("H", "C", "N", "O")
TOKENS = 40
VECTOR = MoleculeAlignment(encoder="vector", depth=1)
RAMP = Schedule(shape="linear-ramp", length=5)
FLOW = MoleculeFlow(label="flow")
REED = MoleculeFlow(label="REED", alignments=(VECTOR,), denoise=RAMP)
EDM = MoleculeDiffusion(label="EDM", alignments=(VECTOR,), denoise=RAMP)
SEMLA = {"width": 8, "layers": 2, "sets": 4, "heads": 2, "message": 4, "edge": 4, "size_embedding": 4}
EGNN = {"width": 8, "layers": 2}


def write_data(folder: Path) -> None:
    """Random atoms with a chain of bonds, and a representation of each molecule."""
    rng = np.random.default_rng(0)
    made = []
    for n in SIZES:
        bonds = [(i, i + 1, int(rng.integers(1, 5))) for i in range(n - 1)]
        elements, charges = rng.choice([1, 6, 7, 8], n), rng.integers(-1, 2, n)
        made.append(Molecule.of(rng.normal(0, 1.5, (n, 3)), elements, charges, bonds))
    names = [f"{i:02d}" for i in range(len(SIZES))]
    rows.write(folder / "data", Rows(names, [TRAIN] * len(SIZES), molecule.arrays_of(made)), {})
    values = rng.standard_normal((len(SIZES), 6)).astype(np.float16)
    shards.write(folder / "vector" / "shards", {"representation": values})
    io.write_json(folder / "vector" / "index.json", {"train_ids": rows.ids_digest(names), "kind": "vector"})


def network(method: Any, shape: tuple[int, ...], facts: Any) -> Any:
    """A backbone of the method's kind."""
    plugin = SemlaBackbone(**SEMLA) if method.process == "flow" else EGNNBackbone(**EGNN)
    return plugin.build(shape, facts)


def trainer(folder: Path, method: Any, *, double: bool = False, ranks: Ranks | None = None, **settings: Any) -> Trainer:
    """A trainer of a method; nothing is clipped."""
    torch.set_num_threads(1)
    optimiser = Optimiser(lr=1e-3, clip=1e9)
    training = Training(**{"tokens": TOKENS, "optimiser": optimiser, "segment": 10, "save_every": 5, **settings})
    codec = Molecules(elements=ELEMENTS, scale=1.7, mask_bonds=getattr(method, "classes", "") == "mask")
    data = TrainingData(folder / "data", {name: folder / name for name in method.encoders()}, codec)
    backbone = network(method, data.shape(), data.facts)
    learner = method.build(backbone, data.target_shapes(), lambda name: seeds.stream("init", "b", 0, name))
    if double:
        doubled.double(learner)
    return Trainer(learner, data, training, "b", 0, ranks or Ranks.alone("cpu"))
