"""Designs and predicted structures that metrics can be worked out on by hand."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.domains.superposition import Folds
from reedbench.nn import residues

NATIVE = {"one": "ACDEFG", "two": "KLMN"}
IDS = ("one/0", "two/0", "one/1", "two/1")
LENGTHS = {"one": 40, "two": 30}
TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


@dataclass
class Evidence:
    """Samples and what was asked for, as the evaluate step gives them to metrics."""

    samples: Rows
    asked: Rows


def evidence(
    designs: dict[str, str], natives: dict[str, str] = NATIVE, missing: dict[str, list[int]] | None = None, **more: Any
) -> Evidence:
    """Designs by sample id for natives by chain id; `missing` lists residues that lack an O."""
    names = [name.rpartition("/")[0] for name in designs]
    coordinates = [np.zeros((len(natives[name]), 4, 3), np.float32) for name in names]
    for name, array in zip(names, coordinates, strict=True):
        array[(missing or {}).get(name, []), 3] = np.nan
    tokens = [residues.tokens(natives[name]) for name in names]
    asked = {
        "coordinates": Ragged.of(coordinates),
        "tokens": Ragged.of(tokens),
        "chain": Ragged.of([np.ones(len(row), np.uint8) for row in tokens]),
    }
    found = Ragged.of([residues.tokens(text) for text in designs.values()])
    ids = list(designs)
    samples = Rows(ids, ["sample"] * len(ids), {"tokens": found, "argmax": found, **more})
    return Evidence(samples, Rows(ids, ["asked"] * len(ids), asked))


def scored(times: list[float], nll: list[list[float]], masked: list[list[int]]) -> Evidence:
    arrays = {"times": np.tile(times, (len(nll), 1)), "nll": np.array(nll), "masked": np.array(masked)}
    names = {"one/0": NATIVE["one"], "two/0": NATIVE["two"]}
    return evidence(dict(list(names.items())[: len(nll)]), **arrays)


def backbone(length: int) -> np.ndarray:
    """(length, 4, 3): a helix of residues whose four atoms differ."""
    angle = np.deg2rad(100) * np.arange(length)
    ca = np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(length)], axis=1)
    offsets = np.array([[-1.0, 0.5, -0.7], [0, 0, 0], [0.9, 0.4, 1.0], [1.9, 0.2, 0.8]])
    return (ca[:, None] + offsets).astype(np.float32)


def stretched(atoms: np.ndarray, rmsd: float) -> np.ndarray:
    """The same about its centre, larger by so much that superposition leaves this RMSD; then moved away."""
    centred = atoms - atoms.mean(axis=(0, 1))
    radius = np.sqrt((centred**2).sum(-1).mean())
    return (centred * (1 + rmsd / radius)) @ TURN.T + [50.0, 0, -9]


@dataclass
class FoldedEvidence:
    """Samples, chains, and one folder's structures."""

    samples: Rows
    asked: Rows
    structures: Folds
    asked_for: list[str] = field(default_factory=list)

    def folds(self, folder: str) -> Folds:
        self.asked_for.append(folder)
        return self.structures


def folded(rmsds: tuple[float, ...], plddt: tuple[float, ...] = (90, 80, 70, 20)) -> FoldedEvidence:
    """Four samples whose predictions are this far from their chains."""
    natives = [backbone(LENGTHS[name.partition("/")[0]]) for name in IDS]
    tokens = Ragged.of([np.zeros(len(atoms), np.uint8) for atoms in natives])
    chain = Ragged.of([np.ones(len(atoms), np.uint8) for atoms in natives])
    predicted = [stretched(atoms[:, :3], by) for atoms, by in zip(natives, rmsds, strict=True)]
    asked = Rows(IDS, ["asked"] * 4, {"coordinates": Ragged.of(natives), "tokens": tokens, "chain": chain})
    samples = Rows(IDS, ["sample"] * 4, {"tokens": tokens, "argmax": tokens})
    return FoldedEvidence(samples, asked, Folds(Ragged.of(predicted), np.array(plddt, np.float64)))
