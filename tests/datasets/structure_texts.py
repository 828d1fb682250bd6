"""Lines of small structure files: residues on a zigzag whose places have few digits."""

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from reedbench.datasets.pdb_folder import PdbFolder
from reedbench.nn import residues

BACKBONE = ("N", "CA", "C", "O")
SHAPE = np.array([[0, 0, 0], [1.25, 0.75, 0], [2.5, 0, 0.25], [2.5, -1.25, 0.25]])
STEP = np.array([3.75, 0, 0.25])
EVERYTHING = {"test_share": 0, "valid_share": 0, "min_length": 1, "his_tag": "keep"}
CIF_COLUMNS = (
    "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id label_seq_id "
    "pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_comp_id auth_asym_id "
    "auth_atom_id pdbx_PDB_model_num"
).split()


def atom(
    chain: str, number: str, residue: str, name: str, place, *, kind="ATOM", location="", occupancy=1.0, segment=""
) -> str:
    """One record of 80 columns; `number` may end in an insertion code."""
    digits, code = (number[:-1], number[-1]) if number[-1:].isalpha() else (number, "")
    x, y, z = place
    return (
        f"{kind:6}{1:5} {name:^4}{location:1}{residue:<4.4}{chain:1}{digits:>4}{code:1}   {x:8.3f}{y:8.3f}{z:8.3f}"
        f"{occupancy:6.2f}{0:6.2f}      {segment:4}{name[0]:>2}"
    )


def residue(at: int, name: str = "ALA", number: str = "", chain: str = "A", *, atoms=BACKBONE, shift=0.0, **more):
    """Records of a residue at the at-th place of the zigzag, by default numbered so; neighbours are bonded."""
    number = number or str(at + 1)
    return [
        atom(chain, number, name, key, SHAPE[BACKBONE.index(key)] + at * STEP + [0, shift, 0], **more) for key in atoms
    ]


def place(at: int, shift: float = 0.0) -> np.ndarray:
    """(4, 3) float32: where `residue` puts its atoms."""
    return (SHAPE + at * STEP + [0, shift, 0]).astype(np.float32)


def chain(names: str, *, start: int = 0, **more) -> list[str]:
    """Records of residues given by names with spaces between, one behind the other."""
    return [line for i, name in enumerate(names.split(), start) for line in residue(i, name, **more)]


def cif(rows: Iterable[Mapping[str, object]], *, columns: Iterable[str] = CIF_COLUMNS, block: str = "x") -> str:
    """A block of an mmCIF file with these rows of atom_site."""
    columns = list(columns)
    lines = [f"data_{block}", "loop_", *(f"_atom_site.{column}" for column in columns)]
    lines += [" ".join(str(row[column]) for column in columns) for row in rows]
    return "\n".join([*lines, "#", ""])


def cif_rows(
    at: int, name: str, position: str, *, chain="A", entity="A", group="ATOM", **more
) -> list[dict[str, object]]:
    """Rows of atom_site for one residue; `position` is its place in the polymer."""
    made = []
    for key, (x, y, z) in zip(BACKBONE, SHAPE + at * STEP, strict=True):
        row = dict.fromkeys(CIF_COLUMNS, "?")
        row |= {"group_PDB": group, "id": 1, "type_symbol": key[0], "label_atom_id": key, "label_alt_id": "."}
        row |= {"label_comp_id": name, "label_asym_id": entity, "label_entity_id": 1, "label_seq_id": position}
        row |= {"Cartn_x": x, "Cartn_y": y, "Cartn_z": z, "occupancy": 1.0, "auth_seq_id": position}
        row |= {"auth_comp_id": name, "auth_asym_id": chain, "auth_atom_id": key, "pdbx_PDB_model_num": 1}
        made.append({**row, **more})
    return made


def write(file: Path, lines: Iterable[str] | str) -> Path:
    """Write text, packed where the name ends in .gz."""
    text = lines if isinstance(lines, str) else "\n".join(lines) + "\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


def dataset(folder: Path, **more) -> PdbFolder:
    """All chains of a folder, none held out."""
    return PdbFolder(folder=str(folder), **{**EVERYTHING, **more})


def sequences(folder: Path, **more) -> dict[str, str]:
    """Sequence by name of the row."""
    made = dataset(folder, **more).rows()
    return dict(zip(made.ids, map(residues.letters, made.arrays["tokens"]), strict=True))
