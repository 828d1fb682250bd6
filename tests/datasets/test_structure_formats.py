"""Structure files as people have them: names, columns, encodings of all kinds; broken ones are named in one line."""

import gzip

import numpy as np
import pytest
from structure_texts import (
    CIF_COLUMNS,
    atom,
    chain,
    cif,
    cif_rows,
    dataset,
    place,
    residue,
    sequences,
    write,
)

from reedbench.core.errors import ConfigError

pytest.importorskip("biotite")

# Kinds of files


@pytest.mark.parametrize(
    "name", ["1abc.pdb", "pdb1abc.ent", "1abc.pdb1", "1abc.PDB", "1abc.pdb.gz", "1abc.ent.gz", "1abc.pdb2.gz"]
)
def test_pdb_files_are_read_by_any_of_their_endings(tmp_path, name):
    write(tmp_path / "sub" / name, chain("GLY ALA"))
    assert list(sequences(tmp_path).values()) == ["GA"]
    assert list(sequences(tmp_path)) == [f"{name.split('.')[0]}_A"]


@pytest.mark.parametrize("name", ["1abc.cif", "1abc.mmcif", "1abc.cif.gz", "1abc.MMCIF"])
def test_mmcif_files_are_read_by_any_of_their_endings(tmp_path, name):
    write(tmp_path / name, cif([*cif_rows(0, "GLY", "1"), *cif_rows(1, "ALA", "2")]))
    assert sequences(tmp_path) == {"1abc_A": "GA"}


def test_files_of_other_kinds_are_counted_and_said_once(tmp_path):
    write(tmp_path / "x.pdb", chain("GLY ALA"))
    for name in ("a.txt", "b.txt", "c.pdbqt", "d.npz.gz", "README", ".hidden"):
        write(tmp_path / name, "nothing")
    made = dataset(tmp_path)
    assert made.facts()["files_of_other_kinds"] == {".txt": 2, ".npz.gz": 1, ".pdbqt": 1, "no ending": 1}
    assert sum("files of other kinds: 5 (.txt 2, " in line for line in made.remarks()) == 1


# mmCIF


@pytest.mark.parametrize(
    "absent",
    [
        ["pdbx_PDB_ins_code"],
        ["label_alt_id"],
        ["pdbx_PDB_model_num"],
        ["group_PDB"],
        ["type_symbol"],
        ["auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id"],
        ["label_seq_id", "label_comp_id", "label_asym_id", "label_atom_id", "label_entity_id"],
        ["occupancy", "B_iso_or_equiv", "id"],
    ],
    ids=lambda absent: absent[0],
)
def test_an_optional_column_of_mmcif_may_be_absent(tmp_path, absent):
    rows = [*cif_rows(0, "GLY", "1"), *cif_rows(1, "ALA", "2"), *cif_rows(4, "SER", "5")]
    write(tmp_path / "x.cif", cif(rows, columns=[column for column in CIF_COLUMNS if column not in absent]))
    assert sequences(tmp_path) == {"x_A": "GAXXS"}


@pytest.mark.parametrize("column", ["auth_seq_id", "label_seq_id", "auth_asym_id", "occupancy", "pdbx_PDB_model_num"])
def test_a_column_of_dots_says_nothing(tmp_path, column):
    rows = [row | {column: "."} for row in [*cif_rows(0, "GLY", "1"), *cif_rows(1, "ALA", "2")]]
    write(tmp_path / "x.cif", cif(rows))
    assert sequences(tmp_path) == {"x_A": "GA"}


def test_the_first_block_with_atoms_is_read(tmp_path):
    text = (
        "data_about\n_entry.id x\n"
        + cif(cif_rows(0, "GLY", "1"), block="one")
        + cif(cif_rows(0, "SER", "1"), block="two")
    )
    write(tmp_path / "x.cif", text)
    assert sequences(tmp_path) == {"x_A": "G"}


def test_water_and_ligands_of_mmcif_are_no_chains(tmp_path):
    water = cif_rows(20, "HOH", ".", entity="C", group="HETATM", auth_seq_id=301)[3:]
    free = cif_rows(30, "GLY", ".", entity="B", group="HETATM", auth_seq_id=300)
    write(tmp_path / "x.cif", cif([*cif_rows(0, "GLY", "1"), *cif_rows(1, "ALA", "2"), *free, *water]))
    assert sequences(tmp_path) == {"x_A": "GA"}
    assert dataset(tmp_path).facts()["single_amino_acids_left_out"] == 1


# Text of PDB files


@pytest.mark.parametrize("cut", [54, 60, 66])
def test_records_may_end_behind_the_coordinates(tmp_path, cut):
    write(tmp_path / "x.pdb", [line[:cut] for line in chain("GLY ALA")])
    assert sequences(tmp_path) == {"x_A": "GA"}


def test_occupancies_may_be_blank(tmp_path):
    write(tmp_path / "x.pdb", [line[:54] + " " * 6 + line[60:] for line in chain("GLY ALA")])
    assert sequences(tmp_path) == {"x_A": "GA"}


@pytest.mark.parametrize(
    "data",
    [
        "REMARK   1 r\xe9sum\xe9\n".encode("latin-1"),
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf" + "REMARK \xc5\n".encode("latin-1"),
        b"MODEL        1\nENDMDL\nMODEL        2\n",
        b"\r\n",
    ],
    ids=["latin-1", "mark", "mark and latin-1", "empty model", "empty line"],
)
def test_encodings_marks_and_empty_models_lose_no_atom(tmp_path, data):
    (tmp_path / "x.pdb").write_bytes(data + "\n".join(chain("GLY ALA")).encode())
    made = dataset(tmp_path)
    np.testing.assert_array_equal(made.rows().arrays["coordinates"][0], [place(0), place(1)])


def test_mmcif_in_latin_1_or_with_a_mark_is_read(tmp_path):
    (tmp_path / "x.cif").write_bytes(b"\xef\xbb\xbf" + cif(cif_rows(0, "GLY", "1")).encode())
    (tmp_path / "y.cif").write_bytes(b"# r\xe9sum\xe9\n" + cif(cif_rows(0, "GLY", "1")).encode())
    assert sequences(tmp_path) == {"x_A": "G", "y_A": "G"}


def test_only_the_first_model_with_atoms_counts_and_the_others_are_said(tmp_path):
    write(
        tmp_path / "x.pdb",
        ["MODEL        1", *chain("GLY ALA"), "ENDMDL", "MODEL        2", *chain("SER ALA"), "ENDMDL"],
    )
    assert sequences(tmp_path) == {"x_A": "GA"}
    assert dataset(tmp_path).facts()["files_with_further_models"] == 1


def test_numbers_beyond_9999_and_stars_are_read(tmp_path):
    lines = [
        line[:22] + number + line[26:]
        for i, number in enumerate(("****", "A000", "270f"))
        for line in residue(i, "GLY")
    ]
    write(tmp_path / "x.pdb", lines)
    assert sequences(tmp_path) == {"x_A": "GGG"}


def test_atoms_out_of_order_belong_to_their_residue(tmp_path):
    lines = chain("GLY ALA SER")
    write(tmp_path / "x.pdb", [lines[0], lines[4], *lines[1:4], *lines[5:]])
    np.testing.assert_array_equal(dataset(tmp_path).rows().arrays["coordinates"][0], [place(i) for i in range(3)])


def test_what_is_written_twice_is_there_once_and_counted(tmp_path):
    lines = chain("GLY ALA SER")
    for twice in (lines + lines, lines[:8] + lines[4:8] + lines[8:], [line for line in lines for _ in "ab"]):
        write(tmp_path / "x.pdb", twice)
        assert sequences(tmp_path) == {"x_A": "GAS"}
        assert dataset(tmp_path).facts()["residues_written_twice"] >= 1


# Files that cannot be read

BROKEN = {
    "empty.pdb": (b"", "holds no atoms"),
    "header.pdb": (b"HEADER    PROTEIN\nEND\n", "holds no atoms"),
    "noise.pdb": (bytes(range(200, 256)), "holds no atoms"),
    "cut.pdb": ("\n".join(chain("GLY ALA"))[:-40].encode(), "line 8: coordinates are no three numbers"),
    "nan.pdb": (atom("A", "1", "GLY", "CA", (float("nan"), 1, 2)).encode(), "line 1: a coordinate of an atom is not"),
    "empty.cif": (b"\n", "holds no atoms"),
    "block.cif": (b"data_x\n_entry.id x\n", "holds no atoms"),
    "row.cif": (cif(cif_rows(0, "GLY", "1"))[:-12].encode(), "not a whole mmCIF file"),
    "places.cif": (cif(cif_rows(0, "GLY", "1", Cartn_x="here")).encode(), "atom 1: coordinates are no three numbers"),
    "empty.bcif": (b"", "holds no atoms"),
    "noise.bcif": (bytes(range(200, 256)), "not a whole binary CIF file"),
    "short.pdb.gz": (gzip.compress(b"ATOM" * 90)[:-9], "cannot be read"),
    "plain.pdb.gz": (b"ATOM", "cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, name):
    data, message = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=f"{name}: {message}") as caught:
        dataset(tmp_path).rows()
    assert len(str(caught.value).splitlines()) == 2


def test_all_broken_files_are_named_in_one_message(tmp_path):
    write(tmp_path / "whole.pdb", chain("GLY ALA"))
    for name, (data, _) in BROKEN.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match="13 of 14 files hold no structure that can be read") as caught:
        dataset(tmp_path).rows()
    assert all(name in str(caught.value) for name in BROKEN)
    made = dataset(tmp_path, broken="count")
    assert made.rows().ids == ["whole_A"]
    assert made.facts()["left_out"] == {"broken file": 13}
    assert set(made.facts()["broken_files"]) == set(BROKEN)
    assert made.remarks()[0].startswith("left out: 13 (broken file 13); broken files: 13 (block.cif, cut.pdb, ")


def test_a_folder_of_broken_files_is_refused_whatever_is_asked(tmp_path):
    write(tmp_path / "empty.pdb", "")
    with pytest.raises(ConfigError, match="1 of 1 files"):
        dataset(tmp_path, broken="count").rows()
