"""Structure files spoilt at random give chains or one clear line, and whatever they hold is counted."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from structure_texts import atom, chain, cif, cif_rows, dataset, residue

from reedbench.domains import polymers, structure_files
from reedbench.domains.pdb_records import BadStructure, Records
from reedbench.domains.polymers import Counts

pytest.importorskip("biotite")
FILES = 2000
NAMES = "GLY ALA SER HIE MSE SEP THR LEU UNK VAL CYX TRP"
ENTRY = [
    "REMARK   2 RESOLUTION.    1.85 ANGSTROMS.",
    *chain(NAMES),
    *residue(12, "LEU", location="A", occupancy=0.4),
    *residue(12, "LEU", location="B", occupancy=0.6, shift=0.5),
    *residue(14, "ARG", "14A"),
    "TER",
    *chain("LYS DAL PHE MET", chain="B", kind="HETATM", shift=30.0),
    "TER",
    *chain("ASP GLU GLY", shift=60.0),
    "TER",
    atom("D", "1", "DA", "P", (2, 2, 2)),
    *(atom("A", str(900 + i), "HOH", "O", (i, 50, 0), kind="HETATM") for i in range(3)),
    *residue(90, "GLY", "950", kind="HETATM"),
    "END",
]
BLOCK = cif(
    itertools.chain(
        *(cif_rows(i, name, str(i + 1)) for i, name in enumerate(NAMES.split())),
        *(cif_rows(20 + i, "LYS", str(i + 1), chain="B", entity="B") for i in range(3)),
        cif_rows(60, "HOH", ".", entity="C", group="HETATM", auth_seq_id=301)[3:],
    )
)
Mutation = Callable[[list[str], random.Random], list[str]]


def cut(lines: list[str], draw: random.Random) -> list[str]:
    text = "\n".join(lines)
    return text[: draw.randrange(len(text))].split("\n")


def swapped_columns(lines: list[str], draw: random.Random) -> list[str]:
    start, width = draw.randrange(70), draw.randrange(1, 9)
    other = start + width + draw.randrange(8)
    made = []
    for line in lines:
        a, b, c, d = line[:start], line[start : start + width], line[start + width : other], line[other : other + width]
        made.append(a + d + c + b + line[other + width :])
    return made


def repeated(lines: list[str], draw: random.Random) -> list[str]:
    start = draw.randrange(len(lines))
    block = lines[start : start + draw.choice([1, 1, 4, 8, 40])]
    at = draw.randrange(len(lines))
    return lines[:at] + block + lines[at:]


def renumbered(lines: list[str], draw: random.Random) -> list[str]:
    kind = draw.randrange(4)
    texts = [f"{1:>4}", "    ", "****", ""][kind]
    return [line[:22] + (texts or f"{draw.randrange(-99, 9999):>4}") + line[26:] for line in lines]


def relettered(lines: list[str], draw: random.Random) -> list[str]:
    return [line[:21] + draw.choice("  AB1") + line[22:] for line in lines]


def left_out(lines: list[str], draw: random.Random) -> list[str]:
    return [line for line in lines if draw.random() > 0.2]


def shuffled(lines: list[str], draw: random.Random) -> list[str]:
    start = draw.randrange(len(lines))
    part = lines[start : start + 12]
    draw.shuffle(part)
    return lines[:start] + part + lines[start + 12 :]


def noise(lines: list[str], draw: random.Random) -> list[str]:
    text = list("\n".join(lines))
    for _ in range(draw.randrange(1, 20)):
        text[draw.randrange(len(text))] = chr(draw.randrange(256))
    return "".join(text).split("\n")


MUTATIONS: list[Mutation] = [
    cut, swapped_columns, repeated, renumbered, relettered, left_out, shuffled, noise,
]  # fmt: skip


def spoilt(index: int) -> tuple[str, str]:
    """Name and text of a file: one or two mutations of a small entry."""
    draw = random.Random(index)
    lines = BLOCK.split("\n") if index % 4 == 3 else list(ENTRY)
    for _ in range(draw.randrange(1, 3)):
        lines = draw.choice(MUTATIONS)(lines, draw) or [""]
    return f"{index:04}.{'cif' if index % 4 == 3 else 'pdb'}", "\n".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("spoilt")
    for index in range(FILES):
        name, text = spoilt(index)
        (made / name).write_text(text, encoding="latin-1")
    return made


def read(file: Path) -> Records | str:
    """Its atoms, or why there are none."""
    try:
        return structure_files.read(file)
    except BadStructure as error:
        return str(error)


def accounted(counts: Counts, found: list[polymers.Polymer]) -> int:
    """Residues that are in a chain, or were counted as something else."""
    rows = sum(len(polymer.sequence) for polymer in found)
    return rows - counts.filled + counts.free + counts.others + counts.repeated


def test_every_residue_of_a_spoilt_file_is_in_a_chain_or_counted(folder):
    outcome: Counter[str] = Counter()
    for file in sorted(folder.iterdir()):
        records = read(file)
        if isinstance(records, str):
            outcome["refused"] += 1
            assert len(records.splitlines()) == 1
            continue
        found, counts = polymers.chains(records.atoms, 256)
        outcome["read"] += 1
        keys = {(x.chain, x.segment, x.part, x.number, x.code) for x in records.atoms}
        assert accounted(counts, found) >= len(keys), file
        letters = {x.chain or x.segment for x in records.atoms if not x.free}
        assert counts.no_protein == len(letters - {polymer.letter for polymer in found}), file
        assert len({polymer.name for polymer in found}) == len(found), file
    assert outcome["read"] > FILES / 3
    assert outcome["refused"] > FILES / 20


def test_atoms_of_a_spoilt_pdb_file_are_read_or_the_file_is_refused(folder):
    """Lines that begin as an atom does, up to the end of the model, are all there."""
    for file in sorted(folder.glob("*.pdb")):
        lines = structure_files.text(file.read_bytes()).replace("\r", "\n").split("\n")
        atoms = [line for line in lines if line.startswith(("ATOM  ", "HETATM"))]
        records = read(file)
        if isinstance(records, str):
            continue
        assert len(records.atoms) == len(atoms) or records.further, file


def test_a_folder_of_spoilt_files_becomes_rows_and_every_chain_is_one_or_counted(folder):
    made = dataset(folder, broken="count")
    rows, left_out = made.rows(), made.facts()["left_out"]
    chains = without = 0
    for file in sorted(folder.iterdir()):
        records = read(file)
        if isinstance(records, str):
            continue
        found, _ = polymers.chains(records.atoms, 256)
        chains += len(found)
        without += not found
    of_files = sum(
        left_out.get(reason, 0) for reason in ("broken file", "file without protein", "chain without amino acids")
    )
    assert len(rows) == chains - (sum(left_out.values()) - of_files)
    assert left_out["file without protein"] == without
    assert len(rows) > FILES / 2
