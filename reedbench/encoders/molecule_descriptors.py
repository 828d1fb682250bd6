"""Fingerprints or descriptors of a molecule's graph by RDKit: a fixed representation that nobody trained.

It sees elements, charges and bonds, and no coordinates: the two-dimensional counterpart of Uni-Mol as a target of
alignment, and a second witness beside `molecule-shape` for distances of samples. Source: Morgan fingerprints after
Rogers and Hahn 2010, https://doi.org/10.1021/ci100050t; both by https://www.rdkit.org.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.domains.molecule import molecule_of
from reedbench.domains.molecule_graphs import graph, rdkit
from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder, Material, Pretrained

# Of RDKit's descriptors those of size, polarity, branching, and of surface by kind of atom. Left out are counts of
# single groups, which are 0 almost everywhere; what grows without bound or fails on small molecules (Ipc, Kappa, Phi,
# BCUT2D); and what needs stereo.
NAMES = (
    "MolWt", "HeavyAtomCount", "NumValenceElectrons", "MolMR", "LabuteASA", "MolLogP", "TPSA", "FractionCSP3",
    "NumHeteroatoms", "NOCount", "NHOHCount", "NumHAcceptors", "NumHDonors", "NumRotatableBonds", "RingCount",
    "NumAromaticRings", "NumAliphaticRings", "NumSaturatedRings", "BertzCT", "BalabanJ", "HallKierAlpha",
    "MaxEStateIndex", "MinEStateIndex", "MaxPartialCharge", "MinPartialCharge",
    "Chi0", "Chi0n", "Chi0v", "Chi1", "Chi1n", "Chi1v", "Chi2n", "Chi2v", "Chi3n", "Chi3v", "Chi4n", "Chi4v",
    *(f"PEOE_VSA{i}" for i in range(1, 15)), *(f"SMR_VSA{i}" for i in range(1, 11)),
    *(f"SlogP_VSA{i}" for i in range(1, 13)), *(f"EState_VSA{i}" for i in range(1, 12)),
    *(f"VSA_EState{i}" for i in range(1, 11)),
)  # fmt: skip
FARTHEST = 10.0  # standard deviations; what is farther is moved there


class MoleculeDescriptors(AbstractEncoder):
    """Morgan fingerprint or standardised RDKit descriptors of the graph, hydrogens implicit.

    A graph that RDKit does not sanitise is described as far as it goes: rings and aromaticity are perceived without
    looking at valences. A molecule with an undecided element has no graph, and all zeros in place of it, before they
    are standardised. A descriptor that RDKit cannot compute, or that is no finite number, is the training mean.
    """

    domain: ClassVar[str] = "molecule"
    kind: ClassVar[Literal["tokens", "vector"]] = "vector"
    needs_test: ClassVar[bool] = False
    cites: ClassVar[tuple[str, ...]] = ("rogers2010ecfp",)
    uses: Literal["molecule-descriptors"] = "molecule-descriptors"

    of: Literal["morgan", "rdkit"] = "morgan"
    """`morgan`: how often each neighbourhood of an atom occurs, hashed to `bits` numbers. `rdkit`: 94 descriptors, each
    of mean 0 and variance 1 over the training molecules and nowhere beyond 10."""
    radius: int = Field(2, ge=0, le=8)
    """Of neighbourhoods, in bonds; 2 is ECFP4."""
    bits: int = Field(1024, ge=8)
    """Numbers of a fingerprint; different neighbourhoods may share one."""
    counts: bool = True
    """Count neighbourhoods; else say 0 or 1."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "MoleculeDescriptors":
        if self.of == "rdkit":
            self.refuse("radius", "bits", "counts", where="on of: rdkit")
            self.refuse("per_seed", where=f"on {self.uses}, which has nothing random")
        return self

    def cited(self) -> tuple[str, ...]:
        """The fingerprint's paper."""
        return self.cites if self.of == "morgan" else ()

    @property
    def pretrained(self) -> bool:  # type: ignore[override]
        """Whether there are moments to be measured."""
        return self.of == "rdkit"

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """From the settings."""
        return (self.bits,) if self.of == "morgan" else (len(NAMES),)

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Measure the moments of descriptors over the training molecules; one of them that does not vary is 0.

        Raises:
            ConfigError: RDKit is not installed, or lacks one of the descriptors.
        """
        if not self.pretrained:
            return Pretrained({}, {})
        began = time.process_time()
        count, sums, squares = np.zeros(len(NAMES)), np.zeros(len(NAMES)), np.zeros(len(NAMES))
        for part in train.rows.cuts():
            found = _descriptors(train.rows.take(range(part.start, part.stop)))
            there = np.isfinite(found)
            count += there.sum(0)
            sums += np.where(there, found, 0).sum(0)
            squares += np.square(np.where(there, found, 0)).sum(0)
        mean = sums / np.maximum(count, 1)
        std = np.sqrt(np.maximum(squares / np.maximum(count, 1) - np.square(mean), 0))
        varies = std > 1e-6 * np.maximum(np.abs(mean), 1)
        card: dict[str, Any] = {
            "objective": "none: descriptors of RDKit, with moments of the training split",
            "descriptors": len(NAMES),
            "constant": int((~varies).sum()),
            "not_computed": int(len(train.rows) * len(NAMES) - count.sum()),
            "rdkit": rdkit().rdBase.rdkitVersion,
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained({"mean": mean, "std": np.where(varies, std, np.inf)}, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, bits) or (n, 94) float32.

        Raises:
            ConfigError: RDKit is not installed, or lacks one of the descriptors.
        """
        if self.of == "morgan":
            return self._fingerprints(material.rows)
        found = (_descriptors(material.rows) - weights["mean"]) / weights["std"]
        return np.clip(np.where(np.isfinite(found), found, 0), -FARTHEST, FARTHEST).astype(np.float32)

    def _fingerprints(self, rows: Rows) -> np.ndarray:
        rdkit()
        from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

        generator = GetMorganGenerator(radius=self.radius, fpSize=self.bits)
        made = generator.GetCountFingerprintAsNumPy if self.counts else generator.GetFingerprintAsNumPy
        found = np.zeros((len(rows), self.bits), np.float32)
        for row, one in zip(found, _graphs(rows), strict=True):
            if one is not None:
                row[:] = made(one)
        return found


def _graphs(rows: Rows) -> list[Any]:
    """RDKit molecules without explicit hydrogens, None where there is no graph."""
    return [_perceived(rows, i) for i in range(len(rows))]


def _perceived(rows: Rows, i: int) -> Any:
    chem, molecule = rdkit(), molecule_of(rows.arrays, i)
    if (found := graph(molecule)) is not None:
        return chem.RemoveHs(found)
    if (found := graph(molecule, sanitise=False)) is None:
        return None
    found = chem.RemoveHs(found, updateExplicitCount=True, sanitize=False)
    found.UpdatePropertyCache(strict=False)
    steps = chem.SanitizeFlags.SANITIZE_ALL
    steps ^= chem.SanitizeFlags.SANITIZE_PROPERTIES | chem.SanitizeFlags.SANITIZE_KEKULIZE
    chem.SanitizeMol(found, steps, catchErrors=True)
    return found


def _descriptors(rows: Rows) -> np.ndarray:
    """(n, names) float64, NaN where RDKit has no value."""
    rdkit()
    from rdkit.Chem import Descriptors

    known = dict(Descriptors.descList)
    if missing := [name for name in NAMES if name not in known]:
        raise ConfigError(f"encoder molecule-descriptors: this RDKit has no descriptor {missing[0]}; take another one")
    found = np.zeros((len(rows), len(NAMES)))
    for row, one in zip(found, _graphs(rows), strict=True):
        if one is not None:
            row[:] = [_value(known[name], one) for name in NAMES]
    return found


def _value(descriptor: Any, one: Any) -> float:
    try:
        return float(descriptor(one))
    except Exception:  # of a graph that was not sanitised RDKit raises whatever it stumbles on
        return float("nan")
