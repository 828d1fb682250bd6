"""Small molecules that are made: all of C, N, O and F that valence and a few declared rules allow, and conformers.

Molecules grow atom by atom. Every connected graph with at most two rings has an atom of at most two neighbours whose
removal leaves it connected, so joining a new atom to one or two atoms of every smaller molecule reaches all of them;
each rule of growth holds for what is left when such an atom goes, so nothing is lost by applying it early.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, Final

import numpy as np

from reedbench.domains import molecule_graphs
from reedbench.domains.molecule import DOUBLE, NUMBERS, TRIPLE, Molecule

VALENCES: Final = {NUMBERS[symbol]: valence for symbol, valence in (("C", 4), ("N", 3), ("O", 2), ("F", 1))}
CARBON: Final = NUMBERS["C"]
MOST_RINGS: Final = 2
SMALL: Final = 4  # atoms of a strained ring
UNSTABLE: Final = {
    "an N or O with hydrogen on a saturated carbon with a further N, O or F": "[O,N;!H0][CX4][O,N,F]",
    "an N or O with hydrogen on a C=C that is not aromatic": "[O,N;!H0]C=C",
    "an OH on a C=N": "[OX2H]C=N",
    "an F on a C=N": "FC=N",
    "an N or O on a triple bond's carbon": "[O,N]C#*",
}
RULES: Final = (
    "C, N, O and F with four, three, two and one bonds and no charges, at least one of them C",
    "no bond between two of N, O and F",
    "no atom with two double bonds",
    "at most two rings, which share at most one bond, at most one of them of three or four atoms",
    "no double bond in a ring of three or four atoms, no triple bond in any ring",
    *(f"not {words}" for words in UNSTABLE),
)
ATTEMPTS: Final = 2000  # iterations of MMFF94
DIGITS: Final = 4  # of a place in Angstrom that stay: processors round differently


@dataclass(frozen=True)
class _Heavy:
    """A molecule without its hydrogens; bonds are two atoms, the first below the second, and the order."""

    elements: tuple[int, ...]
    bonds: tuple[tuple[int, int, int], ...] = ()


def enumerated(max_heavy: int) -> list[str]:
    """Canonical SMILES of all molecules of at most so many atoms beside hydrogen, by their number, then by letters."""
    chem = molecule_graphs.rdkit()
    level = {chem.MolToSmiles(_graph(one)): one for one in (_Heavy((element,)) for element in VALENCES)}
    found = _allowed(level)
    for _ in range(1, max_heavy):
        grown: dict[str, _Heavy] = {}
        for parent in level.values():
            for child in _grown(parent):
                graph = _graph(child)
                if not _strained(graph, child):
                    grown.setdefault(chem.MolToSmiles(graph), child)
        level = grown
        found += _allowed(level)
    return found


def conformer(smiles: str, seed: int) -> tuple[Molecule, float] | None:
    """One conformer by ETKDG, its minimum under MMFF94, and its energy in kcal/mol; None if there is none.

    Riniker & Landrum 2015, https://doi.org/10.1021/acs.jcim.5b00654; Halgren 1996,
    https://doi.org/10.1002/(SICI)1096-987X(199604)17:5/6<490::AID-JCC1>3.0.CO;2-P; as RDKit has them.
    """
    chem = molecule_graphs.rdkit()
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    found = chem.AddHs(chem.MolFromSmiles(smiles))
    how = rdDistGeom.ETKDGv3()
    how.randomSeed = seed % 2**31
    if rdDistGeom.EmbedMolecule(found, how) != 0:
        return None
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(found, rdForceFieldHelpers.MMFFGetMoleculeProperties(found))
    if field is None or field.Minimize(maxIts=ATTEMPTS) != 0:
        return None
    conformer = found.GetConformer()
    conformer.SetPositions(np.round(conformer.GetPositions(), DIGITS))
    return molecule_graphs.molecule_of(found), round(float(field.CalcEnergy()), DIGITS)


def _allowed(level: dict[str, _Heavy]) -> list[str]:
    """Of molecules of one size, those that are molecules of their own and not only parts of larger ones."""
    chem, found = molecule_graphs.rdkit(), []
    for smiles, heavy in level.items():
        if CARBON in heavy.elements:
            graph = chem.MolFromSmiles(smiles)
            if not any(graph.HasSubstructMatch(pattern) for pattern in _unstable()):
                found.append(smiles)
    return sorted(found)


@cache
def _unstable() -> list[Any]:
    return [molecule_graphs.rdkit().MolFromSmarts(pattern) for pattern in UNSTABLE.values()]


def _graph(heavy: _Heavy) -> Any:
    """A sanitised RDKit molecule."""
    chem = molecule_graphs.rdkit()
    made = chem.RWMol()
    for element in heavy.elements:
        made.AddAtom(chem.Atom(element))
    for i, j, order in heavy.bonds:
        made.AddBond(i, j, chem.BondType.values[order])
    chem.SanitizeMol(made)
    return made


def _grown(parent: _Heavy) -> Iterator[_Heavy]:
    """The molecule with one more atom, which is joined to one or two of its own."""
    new = len(parent.elements)
    used, several = [0] * new, [False] * new  # bonds of each atom, and whether one of them is double or triple
    for i, j, order in parent.bonds:
        for atom in (i, j):
            used[atom] += order
            several[atom] |= order > 1
    rings = len(parent.bonds) - new + 1
    for element, valence in VALENCES.items():
        ends = [
            (atom, order)
            for atom, other in enumerate(parent.elements)
            if CARBON in (element, other)
            for order in range(1, 1 + min(TRIPLE, valence, VALENCES[other] - used[atom]))
            if order == 1 or not several[atom]
        ]
        yield from (_joined(parent, element, [end]) for end in ends)
        if rings < MOST_RINGS:
            for one, other in combinations(ends, 2):
                fits = one[0] != other[0] and one[1] + other[1] <= valence
                if fits and max(one[1], other[1]) < TRIPLE and min(one[1], other[1]) == 1:
                    yield _joined(parent, element, [one, other])


def _joined(parent: _Heavy, element: int, ends: Sequence[tuple[int, int]]) -> _Heavy:
    new = len(parent.elements)
    return _Heavy((*parent.elements, element), (*parent.bonds, *((atom, new, order) for atom, order in ends)))


def _strained(graph: Any, heavy: _Heavy) -> bool:
    """Whether a ring has a bond that it may not have, or too many are small."""
    orders = [order for _, _, order in heavy.bonds]  # of RDKit's bonds too, which have the same numbers
    rings = [set(ring) for ring in graph.GetRingInfo().BondRings()]
    small = [ring for ring in rings if len(ring) <= SMALL]
    return (
        len(small) > 1
        or any(len(one & other) > 1 for one, other in combinations(rings, 2))
        or any(orders[bond] >= DOUBLE for ring in small for bond in ring)
        or any(orders[bond] == TRIPLE for ring in rings for bond in ring)
    )
