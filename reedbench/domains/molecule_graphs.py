"""Molecules as RDKit's, and back: sanitised graphs, canonical SMILES. RDKit is imported here, its force fields beside.

Every function takes and gives `domains.molecule.Molecule`, hydrogens explicit.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from reedbench.core.errors import ConfigError
from reedbench.domains.molecule import AROMATIC, DOUBLE, SINGLE, TRIPLE, Molecule


@cache
def rdkit() -> Any:
    """The package `rdkit.Chem`, silenced: what it cannot read, callers say.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from rdkit import Chem, RDLogger, log_handler
    except ImportError as error:
        raise ConfigError("molecules need RDKit: pip install rdkit (or reedbench[molecule])") from error
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    log_handler.setLevel("CRITICAL")  # where other packages (posebusters) lead it through Python's logging
    return Chem


@cache
def _types() -> dict[int, Any]:
    kinds = rdkit().BondType
    return {SINGLE: kinds.SINGLE, DOUBLE: kinds.DOUBLE, TRIPLE: kinds.TRIPLE, AROMATIC: kinds.AROMATIC}


def graph(molecule: Molecule, *, sanitise: bool = True, dummies: bool = False) -> Any:
    """An RDKit molecule with one conformer, or None where RDKit does not sanitise it; atoms keep their order.

    Atoms whose element was not decided (0) make it None too, or are RDKit's dummies if there may be `dummies`.
    """
    chem = rdkit()
    if not dummies and (molecule.elements == 0).any():
        return None
    made, types = chem.RWMol(), _types()
    for element, charge in zip(molecule.elements.tolist(), molecule.charges.tolist(), strict=True):
        atom = chem.Atom(element)
        atom.SetFormalCharge(charge)
        made.AddAtom(atom)
    for i, j, order in molecule.bonds.tolist():
        made.AddBond(i, j, types[order])
        if order == AROMATIC:
            made.GetAtomWithIdx(i).SetIsAromatic(True)
            made.GetAtomWithIdx(j).SetIsAromatic(True)
            made.GetBondBetweenAtoms(i, j).SetIsAromatic(True)
    conformer = chem.Conformer(len(molecule))
    conformer.SetPositions(molecule.coordinates.astype(np.float64))
    made.AddConformer(conformer)
    found = made.GetMol()
    if sanitise:
        try:
            chem.SanitizeMol(found)
        except ValueError:  # all of RDKit's sanitisation errors are
            return None
    return found


def kekule_orders(molecule: Molecule) -> np.ndarray | None:
    """(bonds,) uint8: orders of a molecule's bonds, 1 or 2 in place of aromatic; None where there is no such form.

    The molecule need not be one that RDKit sanitises.
    """
    chem = rdkit()
    found = graph(molecule, sanitise=False)
    if found is None:
        return None
    try:
        chem.Kekulize(found, clearAromaticFlags=True)
    except ValueError:  # all of RDKit's errors of this kind are
        return None
    orders = {kind: order for order, kind in _types().items()}
    return np.array([orders[bond.GetBondType()] for bond in found.GetBonds()], np.uint8)


def largest(found: Any) -> Any:
    """The fragment of a sanitised RDKit molecule with most atoms; the first of several."""
    return max(rdkit().GetMolFrags(found, asMols=True), key=lambda one: one.GetNumAtoms())


def smiles(found: Any) -> str:
    """Canonical SMILES without stereo of a sanitised RDKit molecule with explicit hydrogens, which it leaves out.

    Hydrogens that RDKit finds missing stay so: CH3 is the radical `[CH3]`, and not methane. Sanitising counts them in
    all the same, as the references do: whether it takes a molecule, and what is aromatic in it, depends on them.
    """
    chem = rdkit()
    if not lacks_hydrogens(found):
        return _written(chem.RemoveHs(found))
    found = chem.RWMol(found)
    for atom in found.GetAtoms():
        if missing := atom.GetTotalNumHs():
            atom.SetNumExplicitHs(0)
            atom.SetNoImplicit(True)
            atom.SetNumRadicalElectrons(atom.GetNumRadicalElectrons() + missing)
    found.UpdatePropertyCache(strict=False)
    return _written(chem.RemoveHs(found, sanitize=False))


def _written(found: Any) -> str:
    return str(rdkit().MolToSmiles(found, isomericSmiles=False))


def molecule_of(found: Any) -> Molecule:
    """From an RDKit molecule with a conformer and explicit hydrogens; its bonds as they are (aromatic or Kekule).

    Raises:
        ValueError: it has a bond of another kind, no conformer, or what `Molecule.of` refuses.
    """
    if found.GetNumConformers() == 0:
        raise ValueError("it has no coordinates")
    atoms = list(found.GetAtoms())
    return Molecule.of(
        found.GetConformer().GetPositions(),
        [atom.GetAtomicNum() for atom in atoms],
        [atom.GetFormalCharge() for atom in atoms],
        bonds(found),
    )


def bonds(found: Any) -> list[tuple[int, int, int]]:
    """Two atoms and the order of every bond of an RDKit molecule.

    Raises:
        ValueError: it has a bond of another kind.
    """
    orders, told = {kind: order for order, kind in _types().items()}, []
    for bond in found.GetBonds():
        if bond.GetBondType() not in orders:
            raise ValueError(
                f"a bond of kind {str(bond.GetBondType()).lower()}; single, double, triple and aromatic fit"
            )
        told.append((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), orders[bond.GetBondType()]))
    return told


def described(found: Any, *, kekule: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Charges (atoms,) int8 and bonds (bonds, 3) uint8 of a sanitised RDKit molecule, as `Molecule` has them.

    They may differ from those that it was made of: sanitising separates charges (nitro groups) and marks aromatic bonds
    as such. With `kekule` these are single and double.
    """
    if kekule:
        chem = rdkit()
        found = chem.RWMol(found)
        chem.Kekulize(found, clearAromaticFlags=True)
    charges = np.array([atom.GetFormalCharge() for atom in found.GetAtoms()], np.int8)
    told = np.array(bonds(found), np.int64).reshape(-1, 3)
    told[:, :2].sort(axis=1)
    return charges, told[np.lexsort((told[:, 1], told[:, 0]))].astype(np.uint8)


def lacks_hydrogens(found: Any) -> bool:
    """Whether RDKit finds hydrogens in a sanitised molecule that are no atoms of it."""
    return any(atom.GetTotalNumHs() for atom in found.GetAtoms())


def determined(molecule: Molecule, charge: int = 0) -> Molecule | None:
    """The same atoms with the bonds, none marked as aromatic, and charges that RDKit derives from places, or None.

    Kim & Kim 2015, https://doi.org/10.1002/bkcs.10334, as RDKit has it (`rdDetermineBonds`); `charge` is the total one.
    """
    chem = rdkit()
    from rdkit.Chem import rdDetermineBonds

    found = chem.RWMol(graph(replace(molecule, bonds=np.zeros((0, 3), np.uint8)), sanitise=False))
    try:
        rdDetermineBonds.DetermineBonds(found, charge=charge, embedChiral=False)
    except (ValueError, RuntimeError):  # no bonds fit; or none within its limit of attempts
        return None
    charges, told = described(found)
    return replace(molecule, charges=charges, bonds=told)


def canonical(text: str) -> str:
    """A SMILES as `smiles` writes it; hydrogens are implicit in it, as usual.

    Raises:
        ValueError: RDKit reads no molecule from it.
    """
    chem = rdkit()
    found = chem.MolFromSmiles(text)
    if found is None:
        raise ValueError(f"no SMILES that RDKit reads: '{text[:80]}'")
    return _written(chem.RemoveHs(found))
