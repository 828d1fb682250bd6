"""QM9 in tiny files of the published formats; the splits at their real size are in tests/parity."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from molecule_files import FEW, archive, block, kekule, xyz
from pydantic import ValidationError

from reedbench.core.errors import ConfigError
from reedbench.datasets import _molecules, _qm9_files
from reedbench.datasets.qm9 import Qm9

pytest.importorskip("rdkit")
SMILES = [*FEW, "CN", "CO", "CF", "N", "C"]  # 13
OUT = [3, 9]  # numbers, from 1, of those that are not characterised
HEADER = "".join(f"line {i} of 9\n" for i in range(1, 10))
XYZ = {"format": "xyz", "bonds": "distances"}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """All files, of 13 molecules, of which two are left out; five are trained on."""
    monkeypatch.setattr(_qm9_files, "MOLECULES", 13)
    monkeypatch.setattr(_qm9_files, "UNCHARACTERISED", 2)
    monkeypatch.setattr(_qm9_files, "TRAINING", 9)
    archive(tmp_path / "dsgdb9nsd.xyz.tar.bz2", [xyz(smiles, i) for i, smiles in enumerate(SMILES, 1)])
    records = [block(smiles, title=f"gdb_{i}") for i, smiles in enumerate(SMILES, 1)]
    (tmp_path / "gdb9.sdf").write_text("".join(records))
    columns = ["mol_id", *_qm9_files.COLUMNS.values(), "u0_atom"]
    cells = [[f"gdb_{i}", *(str(i + place / 8) for place in range(14)), "-1.25e-6", "7"] for i in range(1, 14)]
    (tmp_path / "gdb9.sdf.csv").write_text("".join(",".join(row) + "\n" for row in [columns, *cells]))
    (tmp_path / "uncharacterized.txt").write_text(HEADER + "".join(f"   {i}   C   C  0.1\n" for i in OUT) + "------\n")
    return tmp_path


@pytest.mark.parametrize("split", ["edm", "midi"])
@pytest.mark.parametrize("settings", [XYZ, {}, {"format": "xyz", "bonds": "rdkit"}, {"bonds": "distances"}])
def test_both_formats_give_the_molecules_of_the_split(folder, settings, split):
    made = Qm9(path=str(folder), split=split, **settings).rows()
    numbers = [i for i in range(1, 14) if i not in OUT]
    assert list(made.ids) == [f"gdb_{i}" for i in numbers]
    assert made.arrays["molecule"].tolist() == numbers
    assert made.arrays["smiles"].strings() == [SMILES[i - 1] for i in numbers]
    wanted = _qm9_files.SPLITS[split]([i - 1 for i in OUT])
    assert list(made.split) == [wanted[i - 1] for i in numbers]
    for row, i in enumerate(numbers):
        np.testing.assert_allclose(made.arrays["coordinates"][row], kekule(SMILES[i - 1]).coordinates, atol=1e-4)


def test_properties_have_the_names_and_units_of_the_paper(folder):
    one, other = Qm9(path=str(folder), **XYZ), Qm9(path=str(folder))
    first, second = one.rows().arrays, other.rows().arrays
    assert first["A"][0] == second["A"][0] == 1.0
    assert first["mu"][1] == second["mu"][1] == 2 + 3 / 8
    assert first["U0"][0] == second["U0"][0] == 1 + 10 / 8
    assert first["Cv"].tolist() == second["Cv"].tolist() == [-1.25e-6] * 11  # of `-1.25*^-6` in one of them
    assert set(first["omega1"].tolist()) == {3900.25}  # the highest frequency
    assert "omega1" not in second
    told = one.facts()["properties"]
    assert (told["A"], told["mu"], told["alpha"], told["U0"], told["Cv"]) == (
        "GHz",
        "Debye",
        "Bohr^3",
        "Hartree",
        "cal/(mol K)",
    )
    few = Qm9(path=str(folder), properties=("mu",), **XYZ)
    assert list(few.facts()["properties"]) == ["mu"]
    with pytest.raises(ConfigError, match=r"unknown property 'homoo'; did you mean 'homo'\?"):
        Qm9(path=str(folder), properties=("homoo",)).rows()


@pytest.mark.parametrize("settings", [XYZ, {}])
def test_parts_can_be_read_in_any_order(folder, monkeypatch, settings):
    monkeypatch.setattr(_molecules.shards, "ROWS_PER_SHARD", 4)
    dataset = Qm9(path=str(folder), **settings)
    parts = dataset.parts()
    read = [list(parts[i]().ids) for i in (2, 0, 1, 1)]
    assert [name for part in (read[1], read[2], read[0]) for name in part] == [
        f"gdb_{i}" for i in range(1, 14) if i not in OUT
    ]
    assert read[2] == read[3]


def test_other_files_than_qm9s_are_named(folder, monkeypatch):
    with pytest.raises(ConfigError, match=r"no such file: .*dsgdb9nsd.xyz.tar.bz2; format xyz needs dsgdb9nsd"):
        Qm9(path=str(folder / "absent"), **XYZ).rows()
    monkeypatch.setattr(_qm9_files, "UNCHARACTERISED", 3)
    with pytest.raises(
        ConfigError, match=r"uncharacterized.txt: lists 2 molecules after its 9 first lines, and QM9 has 3"
    ):
        Qm9(path=str(folder)).rows()
    monkeypatch.setattr(_qm9_files, "UNCHARACTERISED", 2)
    monkeypatch.setattr(_qm9_files, "MOLECULES", 14)
    with pytest.raises(ConfigError, match=r"gdb9.sdf: holds 13 molecules, and QM9 has 14"):
        Qm9(path=str(folder)).rows()
    with pytest.raises(ConfigError, match=r"tar.bz2: ends before molecule 14 of 14"):
        Qm9(path=str(folder), **XYZ).rows()


def test_damaged_archives_are_named(folder):
    file = folder / "dsgdb9nsd.xyz.tar.bz2"
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"x" * 2000):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"^dataset qm9: .*tar.bz2: damaged or cut short|ends before molecule 1 "):
            Qm9(path=str(folder), **XYZ).rows()
    archive(file, [xyz(smiles, i) for i, smiles in enumerate(SMILES, 1)], first=5)
    with pytest.raises(ConfigError, match=r"dsgdb9nsd_000005.xyz is in place 1"):
        Qm9(path=str(folder), **XYZ).rows()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: "", "0 lines for 0 atoms"),
        (lambda text: text.replace("9\n", "99\n", 1), "14 lines for 99 atoms"),
        (lambda text: text.replace("\nC\t", "\nQ\t", 1), "an atom that is no element"),
        (lambda text: text.replace("\t-0.5", "", 1), "an atom that is no element with four numbers"),
        (lambda text: text.replace("gdb 1\t1.0", "gdb 1\tnan"), "nan is no finite number"),
        (lambda text: text.replace("gdb 1\t1.0", "gdb 1"), "14 properties"),
    ],
)
def test_a_file_of_the_archive_that_is_no_molecule_is_named(folder, change, why):
    texts = [xyz(smiles, i) for i, smiles in enumerate(SMILES, 1)]
    archive(folder / "dsgdb9nsd.xyz.tar.bz2", [change(texts[0]), *texts[1:]])
    with pytest.raises(ConfigError, match=rf"tar.bz2: dsgdb9nsd_000001.xyz: is no molecule of QM9: .*{why}"):
        Qm9(path=str(folder), **XYZ).rows()
    assert len(Qm9(path=str(folder), tolerate=1, **XYZ).rows()) == 10


def test_windows_line_ends_and_members_in_folders_are_read(folder):
    texts = [xyz(smiles, i).replace("\n", "\r\n") for i, smiles in enumerate(SMILES, 1)]
    archive(folder / "dsgdb9nsd.xyz.tar.bz2", texts)
    assert len(Qm9(path=str(folder), **XYZ).rows()) == 11
    with tarfile.open(folder / "dsgdb9nsd.xyz.tar.bz2", "w:bz2") as packed:
        for i, smiles in enumerate(SMILES, 1):
            (folder / "one.xyz").write_text(xyz(smiles, i))
            packed.add(folder / "one.xyz", f"./qm9/dsgdb9nsd_{i:06d}.xyz")
    assert len(Qm9(path=str(folder), **XYZ).rows()) == 11


def test_a_table_of_other_molecules_is_named(folder):
    table = folder / "gdb9.sdf.csv"
    text = table.read_text()
    table.write_text(text.replace("gdb_4,", "gdb_5,", 1))
    with pytest.raises(ConfigError, match=r"record 4 .*: is 'gdb_4', and row 4 of the table is 'gdb_5'"):
        Qm9(path=str(folder)).rows()
    table.write_text(text.replace("gdb_4,4.0", "gdb_4,x", 1))
    with pytest.raises(ConfigError, match=r"gdb9.sdf.csv: line 5: 'x' is no number"):
        Qm9(path=str(folder)).rows()
    table.write_text("\n".join(text.split("\n")[:5]))
    with pytest.raises(ConfigError, match=r"has 4 rows, and QM9 has 13 molecules"):
        Qm9(path=str(folder)).rows()


def test_bonds_of_a_file_without_bonds_are_refused():
    with pytest.raises(ValidationError, match="xyz has no bonds, and bonds: file takes them from there"):
        Qm9(format="xyz")
