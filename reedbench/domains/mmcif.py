"""Atoms of an mmCIF or binary CIF file, parsed by biotite; columns that the dictionary calls optional may be absent.

Source of the names: https://mmcif.wwpdb.org/dictionaries/mmcif_pdbx_v50.dic/Categories/atom_site.html. Chains are the
authors'; the order of residues, and what is missing between two, is that of the polymer (`label_seq_id`).
"""

import io
from collections.abc import Sequence
from typing import Any

from reedbench.domains.pdb_records import Atom, BadStructure, Records, finite, occupancy, positive

RESOLUTION = (("refine", "ls_d_res_high"), ("em_3d_reconstruction", "resolution"))
NEEDED = ("Cartn_x", "Cartn_y", "Cartn_z")
Column = Sequence[str]


def read(text: str) -> Records:
    """The first model of the first block with atoms of an mmCIF file.

    Raises:
        BadStructure: there is none, or it cannot be read.
    """
    from biotite.structure.io.pdbx import CIFFile

    return _read(lambda: CIFFile.read(io.StringIO(text)), "mmCIF")


def read_binary(data: bytes) -> Records:
    """The same of a binary CIF file."""
    from biotite.structure.io.pdbx import BinaryCIFFile

    return _read(lambda: BinaryCIFFile.read(io.BytesIO(data)), "binary CIF")


def _read(opened: Any, kind: str) -> Records:
    try:
        file = opened()
        block = next((file[name] for name in file if "atom_site" in file[name]), None)
        return _records(block)
    except (BadStructure, ImportError):
        raise
    except Exception as error:  # parsers raise whatever a damaged file leads them to
        cause = error.__cause__ or error
        why = " ".join(str(cause).split())[:200]
        raise BadStructure(f"not a whole {kind} file ({type(cause).__name__}: {why})") from error


def _records(block: Any) -> Records:
    if block is None:
        raise BadStructure("holds no atoms")
    table = block["atom_site"]
    count = table.row_count
    models = _column(table, count, "pdbx_PDB_model_num")
    rows = [row for row in range(count) if models[row] == models[0]]
    if not rows:
        raise BadStructure("holds no atoms")
    atoms = _ordered(_atoms(table, count, rows))
    return Records(atoms, len(rows) < count, resolution(block))


def resolution(block: Any) -> float | None:
    """Of the experiment, in Angstrom; None where the block gives none."""
    found = (positive(value) for name, column in RESOLUTION for value in _first(block, name, column))
    return next((number for number in found if number is not None), None)


def _first(block: Any, name: str, column: str) -> list[str]:
    there = name in block and column in block[name]
    return block[name][column].as_array(str).tolist()[:1] if there else []


def _column(table: Any, count: int, *names: str) -> Column:
    """The first of some columns that says something in each row; empty text where none does."""
    found = [table[name].as_array(str, masked_value="").tolist() for name in names if name in table]
    if not found:
        return [""] * count
    return [next((cell for cell in cells if cell), "") for cells in zip(*found, strict=True)]


def _atoms(table: Any, count: int, rows: Sequence[int]) -> list[tuple[Atom, int | None]]:
    """Atoms with their place in the polymer."""
    if absent := next((name for name in NEEDED if name not in table), None):
        raise BadStructure(f"atom_site has no column {absent}")
    x, y, z = (_column(table, count, name) for name in NEEDED)
    entity = _column(table, count, "label_asym_id", "auth_asym_id")
    chain = _column(table, count, "auth_asym_id", "label_asym_id")
    position = _column(table, count, "label_seq_id")
    number = _column(table, count, "auth_seq_id", "label_seq_id")
    code = _column(table, count, "pdbx_PDB_ins_code")
    residue = _column(table, count, "label_comp_id", "auth_comp_id")
    name = _column(table, count, "label_atom_id", "auth_atom_id")
    location = _column(table, count, "label_alt_id")
    share = _column(table, count, "occupancy")
    group = _column(table, count, "group_PDB")
    made = []
    for i in rows:
        polymer = _whole(position[i])
        own = _whole(number[i])
        # Two residues of a polymer have two positions, whatever the authors call them.
        text = number[i] + code[i]
        atom = Atom(
            chain=chain[i],
            segment="",
            part=entity[i],
            number=polymer if polymer is not None else own,
            code=text if polymer is not None or own is None else code[i],
            residue=residue[i],
            name=name[i],
            location=location[i],
            occupancy=occupancy(share[i]),
            free=group[i] == "HETATM" and polymer is None,
            place=finite((x[i], y[i], z[i]), f"atom {i + 1}"),
        )
        made.append((atom, polymer))
    return made


def _whole(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdecimal() else None


def _ordered(atoms: list[tuple[Atom, int | None]]) -> list[Atom]:
    """By place in the polymer, within each; chains and atoms without a place stay where they are."""
    first: dict[Any, int] = {}
    for index, (atom, _) in enumerate(atoms):
        first.setdefault((atom.chain, atom.part), index)

    def place(pair: tuple[int, tuple[Atom, int | None]]) -> tuple[int, bool, int]:
        _, (atom, polymer) = pair
        return first[atom.chain, atom.part], polymer is None, polymer or 0

    return [atom for _, (atom, _) in sorted(enumerate(atoms), key=place)]
