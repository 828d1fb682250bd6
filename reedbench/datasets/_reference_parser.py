"""Residues of a structure file as ProteinMPNN's parser makes them, faults included, on atoms read by biotite.

Source: ProteinMPNN 8907e66 protein_mpnn_utils.py:54-187: ATOM records, and MSE as MET; the first atom of a name wins
over alternatives; residue numbers are made contiguous with X where one is absent; insertion codes follow their number
in alphabetical order; other residues are X; parts of a file that call a chain the same are one chain.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.domains import mmcif, pdb_records, structure_files
from reedbench.domains.pdb_records import BadStructure
from reedbench.domains.protein import ATOMS
from reedbench.domains.residue_names import STANDARD

LETTERS = {**STANDARD, "MSE": "M"}


def read(file: Path) -> tuple[Any, float | None]:
    """Atoms of the residues that count, first model, and the resolution in Angstrom.

    Raises:
        BadStructure: biotite cannot read the file, or a coordinate is not finite.
    """
    try:
        atoms, resolution = _atoms(file)
    except (BadStructure, ImportError):
        raise
    except Exception as error:  # parsers raise whatever a damaged file leads them to
        kind = structure_files.kind_of(file)
        raise BadStructure(f"not a whole {kind} file ({type(error).__name__}: {error})") from error
    if not np.isfinite(atoms.coord).all():
        raise BadStructure("a coordinate of an atom is not a finite number; leave the atom out")
    return atoms, resolution


def chains(atoms: Any) -> Iterator[tuple[str, int, Any]]:
    """Name, span of the residue numbers and atoms of each chain."""
    for name in dict.fromkeys(atoms.chain_id.tolist()):
        chain = atoms[atoms.chain_id == name]
        yield name.strip(), int(np.ptp(chain.res_id)) + 1, chain


def backbone(atoms: Any) -> tuple[str, np.ndarray]:
    """Sequence and (length, 4, 3) float32 backbone of one chain."""
    names: dict[tuple[int, str], str] = {}
    places: dict[tuple[tuple[int, str], str], np.ndarray] = {}
    columns = (atoms.res_id.tolist(), atoms.ins_code.tolist(), atoms.res_name.tolist(), atoms.atom_name.tolist())
    for number, code, residue, atom, place in zip(*columns, atoms.coord, strict=True):
        key = number, code.strip()
        names.setdefault(key, residue)
        if atom in ATOMS:
            places.setdefault((key, atom), place)
    numbers = {number for number, _ in names}
    absent = [(number, "") for number in range(min(numbers), max(numbers)) if number not in numbers]
    keys = sorted([*names, *absent])
    missing = np.full(3, np.nan, np.float32)
    coordinates = np.array([[places.get((key, atom), missing) for atom in ATOMS] for key in keys], np.float32)
    return "".join(LETTERS.get(names.get(key, ""), "X") for key in keys), coordinates


def _atoms(file: Path) -> tuple[Any, float | None]:
    from biotite.structure.io import pdb, pdbx

    data, kind = structure_files.content(file), structure_files.kind_of(file)
    if kind == structure_files.BINARY:
        opened: Any = pdbx.BinaryCIFFile.read(io.BytesIO(data))
    else:
        parser = pdb.PDBFile if kind == structure_files.PDB else pdbx.CIFFile
        opened = parser.read(io.StringIO(structure_files.text(data)))
    if kind == structure_files.PDB:
        atoms, resolution = opened.get_structure(model=1, altloc="all"), pdb_records.resolution(opened.lines)
    else:
        atoms, resolution = pdbx.get_structure(opened, model=1, altloc="all"), mmcif.resolution(opened.block)
    return atoms[~atoms.hetero | (atoms.res_name == "MSE")], resolution
