"""A folder of structures: its formats, clusters and filters; and residues as ProteinMPNN's parser makes them."""

import os
from pathlib import Path

import numpy as np
import pytest

from reedbench.core.errors import ConfigError
from reedbench.datasets.pdb_folder import PdbFolder
from reedbench.nn import residues

pytest.importorskip("biotite")
DATA = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data"))
REAL = DATA / "pdb"
GOLDEN = Path(__file__).parents[1] / "parity" / "protein_reference.npz"
EVERYTHING = {"test_share": 0, "valid_share": 0, "min_length": 1}


def atom(chain: str, number: str, residue: str, name: str, place, kind: str = "ATOM", alternative: str = " ") -> str:
    """One line; `number` may end in an insertion code."""
    digits = number.rstrip("AB")
    x, y, z = place
    return (
        f"{kind:6}{1:5} {name:^4}{alternative}{residue:>3} {chain}{digits:>4}{number[len(digits) :]:1}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{0:6.2f}          {name[0]:>2}"
    )


def residue(backbone, i: int, chain: str, number: str, name: str, kind: str = "ATOM", atoms=("N", "CA", "C", "O")):
    """Lines of a residue at the i-th place of the zigzag."""
    places = dict(zip(("N", "CA", "C", "O"), backbone(i + 1)[i], strict=True))
    return [atom(chain, number, name, key, places[key], kind) for key in atoms]


@pytest.fixture
def entry(backbone) -> list[str]:
    """Chain A with whatever may happen, chain B of two residues, then water and DNA."""
    lines = ["REMARK   2 RESOLUTION.    1.85 ANGSTROMS."]
    lines += residue(backbone, 0, "A", "-1", "GLY")
    lines += residue(backbone, 1, "A", "2", "MSE", "HETATM")  # 0 and 1 are absent
    lines += residue(backbone, 2, "A", "2A", "TRP")
    lines += residue(backbone, 3, "A", "3", "UNK", atoms=("N", "CA", "C"))
    second = atom("A", "4", "SER", "CA", (9, 9, 9), alternative="B")
    lines += [*residue(backbone, 4, "A", "4", "THR"), second]
    lines += residue(backbone, 0, "B", "7", "LEU") + residue(backbone, 1, "B", "8", "VAL")
    lines += [atom("A", "901", "HOH", "O", (1, 1, 1), "HETATM"), atom("D", "1", "DA", "P", (2, 2, 2))]
    return ["MODEL        1", *lines, "ENDMDL", "MODEL        2", *lines, "ENDMDL", "END"]


@pytest.fixture
def folder(tmp_path, entry) -> Path:
    (tmp_path / "set" / "sub").mkdir(parents=True)
    (tmp_path / "set" / "sub" / "1abc.pdb").write_text("\n".join(entry) + "\n")
    (tmp_path / "set" / "notes.txt").write_text("no structure")
    return tmp_path / "set"


def test_residues_are_those_of_the_reference_parser(folder, backbone):
    dataset = PdbFolder(folder=str(folder), residues="reference", **EVERYTHING)
    made, facts = dataset.rows(), dataset.facts()
    assert made.ids == ["1abc_A", "1abc_B"]
    assert [residues.letters(tokens) for tokens in made.arrays["tokens"]] == ["GXXMWXT", "LV"]
    coordinates = made.arrays["coordinates"][0]
    assert np.isnan(coordinates[1:3]).all()
    written = backbone(5)
    np.testing.assert_array_equal(coordinates[[0, 3, 4, 6]], written[[0, 1, 2, 4]])
    np.testing.assert_array_equal(coordinates[5, :3], written[3, :3])
    assert made.arrays["placed_oxygen"].tolist() == [1, 0]
    assert made.arrays["resolution"].tolist() == pytest.approx([1.85, 1.85])
    assert facts["left_out"] == {"nothing resolved": 1}  # the DNA
    assert facts["unknown_residues"] == 3


def test_residues_are_those_of_the_file(folder):
    dataset = PdbFolder(folder=str(folder), **EVERYTHING)
    assert dataset.rows().ids == ["1abc_A", "1abc_B"]
    assert [residues.letters(tokens) for tokens in dataset.rows().arrays["tokens"]] == ["GMWXT", "LV"]
    assert dataset.facts()["left_out"] == {"chain without amino acids": 1}  # the DNA
    assert dataset.facts()["files_with_further_models"] == 1


@pytest.mark.parametrize("rule", ["file", "reference"])
def test_all_formats_give_the_same_rows(folder, tmp_path, rule):
    from biotite.structure.io import pdb, pdbx

    atoms = pdb.PDBFile.read(folder / "sub" / "1abc.pdb").get_structure(altloc="all")
    expected = PdbFolder(folder=str(folder), residues=rule, **EVERYTHING).rows()
    for suffix, kind in ((".cif", pdbx.CIFFile), (".bcif", pdbx.BinaryCIFFile)):
        file = kind()
        pdbx.set_structure(file, atoms, data_block="x")
        name = "em_3d_reconstruction" if suffix == ".cif" else "refine"
        column = "resolution" if suffix == ".cif" else "ls_d_res_high"
        category = pdbx.CIFCategory if suffix == ".cif" else pdbx.BinaryCIFCategory
        file.block[name] = category({column: "1.85"})
        (tmp_path / suffix).mkdir()
        file.write(tmp_path / suffix / f"1abc{suffix}")
        made = PdbFolder(folder=str(tmp_path / suffix), residues=rule, **EVERYTHING).rows()
        assert made.ids == expected.ids
        for key, array in expected.arrays.items():
            for one, other in zip(made.arrays[key], array, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("text", ["NOT APPLICABLE.", "0.00 ANGSTROMS.", "NULL ANGSTROMS."])
def test_a_resolution_that_is_none_is_unknown_and_passes_the_filter(folder, text):
    file = folder / "sub" / "1abc.pdb"
    file.write_text(file.read_text().replace("1.85 ANGSTROMS.", text))
    dataset = PdbFolder(folder=str(folder), max_resolution=1.0, **EVERYTHING)
    assert dataset.rows().arrays["resolution"].tolist() == [-1, -1]
    assert dataset.facts()["chains_without_resolution"] == 2


def test_one_chain_can_be_chosen_and_files_without_it_are_counted(folder, backbone):
    (folder / "2xyz.pdb").write_text("\n".join(residue(backbone, 0, "A", "1", "GLY")))
    dataset = PdbFolder(folder=str(folder), only_chain="B", **EVERYTHING)
    assert dataset.rows().ids == ["1abc_B"]
    assert dataset.facts()["left_out"] == {"file without chain B": 1}
    assert dataset.facts()["files"] == 2


def test_a_file_without_protein_is_counted(folder):
    (folder / "2xyz.pdb").write_text(atom("A", "1", "HOH", "O", (0, 0, 0)).replace("ATOM  ", "HETATM"))
    dataset = PdbFolder(folder=str(folder), **EVERYTHING)
    assert dataset.rows().ids == ["1abc_A", "1abc_B"]
    assert dataset.facts()["left_out"] == {"chain without amino acids": 1, "file without protein": 1}


def test_chains_of_a_file_stay_together_unless_a_file_groups_them(folder, tmp_path):
    alone = PdbFolder(folder=str(folder), **EVERYTHING)
    assert alone.rows().arrays["cluster"].tolist() == [0, 0]
    assert "homologues unknown" in alone.facts()["clusters_from"]
    (tmp_path / "clusters.csv").write_text("\ufeffname, cluster\n1abc_B,5 \n1abc_A,9\n1abc_D, 9\n")
    grouped = PdbFolder(folder=str(folder), clusters=str(tmp_path / "clusters.csv"), **EVERYTHING)
    assert grouped.rows().arrays["cluster"].tolist() == [9, 5]
    assert grouped.facts()["clusters_from"].endswith("clusters.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,cluster\n1abc_A,1\n1abc_A,1\n", "line 3: '1abc_A' is there a second time"),
        ("name,cluster\n1abc_A\n", "line 2: has no cluster"),
        ("name,cluster\n1abc_A," + "1" * 140_000 + "\n", "after line 1: no row of a .csv file"),
        ("name,cluster\n1abc_A,1\n", "1 of 2 chains have no cluster, such as '1abc_B'"),
        ("a,b\n1,2\n", "unknown column 'name'"),
    ],
)
def test_a_cluster_file_that_does_not_fit_is_refused(folder, tmp_path, text, message):
    (tmp_path / "clusters.csv").write_text(text)
    with pytest.raises(ConfigError, match=rf"clusters\.csv: {message}"):
        PdbFolder(folder=str(folder), clusters=str(tmp_path / "clusters.csv"), **EVERYTHING).rows()


def test_numbers_far_apart_make_a_long_chain_for_the_reference(folder, backbone):
    lines = residue(backbone, 0, "A", "1", "GLY") + residue(backbone, 1, "A", "9999", "GLY")
    (folder / "2xyz.pdb").write_text("\n".join(lines))
    dataset = PdbFolder(folder=str(folder), residues="reference", **EVERYTHING)
    assert dataset.rows().ids == ["1abc_A", "1abc_B"]
    assert dataset.facts()["left_out"] == {"max_length": 1, "nothing resolved": 1}


@pytest.mark.parametrize("name", ["bad.pdb", "bad.cif", "bad.bcif"])
@pytest.mark.parametrize("content", [b"", b"data_x\nloop_\n_atom_site.id\n1\n", bytes(range(200, 256))])
@pytest.mark.parametrize("rule", ["file", "reference"])
def test_a_file_that_is_no_structure_is_named(folder, name, content, rule):
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"{name}: (holds no|not a whole|atom_site has no)"):
        PdbFolder(folder=str(folder), residues=rule, **EVERYTHING).rows()


@pytest.mark.parametrize("rule", ["file", "reference"])
def test_a_coordinate_that_is_no_number_is_refused(folder, rule):
    (folder / "bad.pdb").write_text(atom("A", "1", "GLY", "CA", (float("nan"), 1, 2)))
    with pytest.raises(ConfigError, match=r"bad\.pdb: .*a coordinate of an atom is not a finite number"):
        PdbFolder(folder=str(folder), residues=rule, **EVERYTHING).rows()


def test_the_same_file_in_two_formats_is_refused(folder, entry):
    (folder / "1abc.pdb").write_text("\n".join(entry))
    with pytest.raises(ConfigError, match="chain '1abc_A' is there 2 times"):
        PdbFolder(folder=str(folder), **EVERYTHING).rows()


def test_a_folder_without_structures_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no structure file \(pdb, ent, pdb1, cif"):
        PdbFolder(folder=str(tmp_path)).rows()


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there (REEDBENCH_DATA)")
def test_5l33_is_what_the_reference_parser_makes_of_it():
    """X and S of ProteinMPNN 8907e66 parse_PDB and tied_featurize, as in the parity vectors."""
    made = PdbFolder(folder=str(REAL), residues="reference", **EVERYTHING).rows()
    assert made.ids == ["5L33_A", "6MRR_A"]
    with np.load(GOLDEN, allow_pickle=False) as golden:
        np.testing.assert_array_equal(made.arrays["coordinates"][0], golden["X"])
        np.testing.assert_array_equal(made.arrays["tokens"][0], golden["S"])
    assert made.arrays["resolution"].tolist() == pytest.approx([2.0, 1.18])
    assert made.arrays["placed_oxygen"].tolist() == made.arrays["breaks"].tolist() == [0, 0]


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there (REEDBENCH_DATA)")
def test_5l33_differs_from_the_reference_only_where_a_later_location_is_likelier():
    ours, theirs = (PdbFolder(folder=str(REAL), residues=rule, **EVERYTHING).rows() for rule in ("file", "reference"))
    assert ours.ids == theirs.ids
    for one, other in zip(ours.arrays["tokens"], theirs.arrays["tokens"], strict=True):
        np.testing.assert_array_equal(one, other)
    moved = [
        (a != b).any((1, 2)).nonzero()[0].tolist()
        for a, b in zip(*(x.arrays["coordinates"] for x in (ours, theirs)), strict=True)
    ]
    assert moved == [[41, 75], []]
