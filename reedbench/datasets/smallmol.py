"""Small molecules of C, N, O and F that RDKit makes: all that valence allows, each with a minimum of MMFF94.

It tests the machinery and the effect of alignment, not chemistry at large: see the card that `facts` gives.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.datasets import _molecule_sources
from reedbench.datasets._molecule_sources import BadRecord, Record, Source, Unfit
from reedbench.datasets._molecules import AbstractDealtOut
from reedbench.domains import made_molecules

ENERGY = "mmff_energy"
MOST_HYDROGENS = 2  # for each heavy atom, and two more
CARD = (
    "These molecules were not measured. All of C, N, O and F are enumerated that valence and the rules below allow; "
    "most of them are known compounds or near to one, but nobody asked whether each could be made.",
    "Conformers come from RDKit: distance geometry with knowledge of torsions (ETKDG), then a minimum of the force "
    "field MMFF94 in vacuum, whatever its energy is among the molecule's minima. So bond lengths and angles are those "
    "of the force field, sharper than in data of quantum chemistry such as QM9's, and metrics that use MMFF94 (energy, "
    "strain) judge the data by the rule that made them.",
    "The set of all molecules is known: what a method draws may be new and still be in it.",
    "The set tests the machinery and the effect of alignment on learning. It says little of how a method ranks on "
    "molecules of the size of drugs.",
)


class Smallmol(AbstractDealtOut):
    """Enumerated molecules of at most six atoms beside hydrogen; a row is named by its SMILES."""

    embedded: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("riniker2015etkdg", "wang2020etkdg", "halgren1996mmff94", "tosco2014mmff")
    uses: Literal["smallmol"] = "smallmol"

    max_heavy: int = Field(6, ge=1, le=7)
    """Most atoms beside hydrogen. Up to 4, 5, 6 and 7 there are 142, 632, 3,488 and 21,334 molecules."""
    molecules: int | None = Field(2500, ge=1)
    """At most so many of them, chosen by a digest of their SMILES: more of them include the same ones. All if null.
    2,500 take some 13 seconds of a processor."""
    conformers: int = Field(1, ge=1)
    """Conformers of each, from embeddings of their own; they may be alike. More of them begin with the same ones."""

    def opened(self) -> Source:
        """The enumeration."""
        return _Made(self)


class _Made(Source):
    """Molecules that are enumerated at once, and embedded when they are read."""

    def __init__(self, asked: Smallmol) -> None:
        self.units = {ENERGY: "kcal/mol"}
        self.each, self.max_heavy = asked.conformers, asked.max_heavy
        every = made_molecules.enumerated(asked.max_heavy)
        first = sorted(every, key=lambda smiles: (seeds.of("smallmol", smiles), smiles))[: asked.molecules]
        chosen = set(first)
        self.smiles = [smiles for smiles in every if smiles in chosen]
        self.facts = {
            "source": "made by reedbench (not measured)",
            "made_with": f"RDKit {_version()}",
            "card": list(CARD),
            "rules": list(made_molecules.RULES),
            "molecules_by_the_rules": len(every),
            "records": len(self),
        }

    def __len__(self) -> int:
        return len(self.smiles) * self.each

    def name(self, number: int) -> str:
        """SMILES, and the number of a further conformer."""
        molecule, conformer = divmod(number, self.each)
        return f"{self.smiles[molecule]}:{conformer}" if conformer else self.smiles[molecule]

    def where(self, number: int) -> str:
        """SMILES."""
        return self.name(number)

    def sizes(self) -> np.ndarray:
        """As of the largest."""
        return np.full(len(self), _molecule_sources.row_bytes(np.array(self.max_heavy * (1 + MOST_HYDROGENS) + 2)))

    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Embed some."""
        for number in range(part.start, part.stop):
            molecule, conformer = divmod(number, self.each)
            smiles = self.smiles[molecule]
            made = made_molecules.conformer(smiles, seeds.of("smallmol-conformer", smiles, conformer))
            if made is None:
                yield Unfit("no conformer")
            else:
                found, energy = made
                properties = {ENERGY: energy}
                yield Record(found.coordinates, found.elements, found.charges, found.bonds, properties=properties)


def _version() -> Any:
    import rdkit

    return rdkit.__version__
