"""Chains and residues of structure files as people have them: each kind of oddity gives the right sequence."""

import itertools

import numpy as np
import pytest
from structure_texts import (
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

pytest.importorskip("biotite")

# Order


@pytest.mark.parametrize(
    "numbers",
    ["1F 1E 1D 1C 1B 1A 1", "7 7A 4 5 6 8 9", "9 8 7 6 5 4 3", "100 100A 100B 101 1 2 3", "-3 -2 -1 0 1 2 3"],
)
def test_residues_stand_in_the_order_of_the_file_whatever_their_numbers(tmp_path, numbers):
    names = "HIS MET PRO GLU TRP LYS GLY".split()
    lines = [residue(i, name, number) for i, (name, number) in enumerate(zip(names, numbers.split(), strict=True))]
    write(tmp_path / "x.pdb", itertools.chain(*lines))
    assert sequences(tmp_path) == {"x_A": "HMPEWKG"}
    np.testing.assert_array_equal(dataset(tmp_path).rows().arrays["coordinates"][0], [place(i) for i in range(7)])


def test_the_reference_sorts_by_number_and_code(tmp_path):
    names = zip("HIS MET PRO GLU".split(), "1C 1B 1A 1".split(), strict=True)
    write(tmp_path / "x.pdb", itertools.chain(*(residue(i, *pair) for i, pair in enumerate(names))))
    assert sequences(tmp_path, residues="reference") == {"x_A": "EPMH"}


def test_residues_of_an_mmcif_polymer_stand_in_its_order(tmp_path):
    rows = [*cif_rows(2, "PRO", "3"), *cif_rows(0, "HIS", "1"), *cif_rows(1, "MET", "2")]
    write(tmp_path / "x.cif", cif(rows))
    assert sequences(tmp_path) == {"x_A": "HMP"}


def test_authors_numbers_of_an_mmcif_polymer_decide_nothing(tmp_path):
    rows = [
        cif_rows(i, name, str(i + 1), auth_seq_id=n)
        for i, (name, n) in enumerate([("HIS", 9), ("MET", 7), ("PRO", 90)])
    ]
    write(tmp_path / "x.cif", cif(itertools.chain(*rows)))
    assert sequences(tmp_path) == {"x_A": "HMP"}


# Numbers and gaps


def test_numbers_that_jump_along_a_bond_are_no_gap(tmp_path):
    numbers = ["1", "2", "10", "52", "52A", "82", "999"]
    write(tmp_path / "x.pdb", itertools.chain(*(residue(i, "GLY", n) for i, n in enumerate(numbers))))
    assert sequences(tmp_path) == {"x_A": "GGGGGGG"}
    assert len(sequences(tmp_path, residues="reference", max_length=2000)["x_A"]) == 1000


def test_a_gap_in_space_is_filled_by_its_numbers(tmp_path):
    write(tmp_path / "x.pdb", chain("GLY ALA") + chain("SER THR", start=5))
    assert sequences(tmp_path) == {"x_A": "GAXXXST"}
    made = dataset(tmp_path)
    assert np.isnan(made.rows().arrays["coordinates"][0][2:5]).all()
    assert made.facts()["residues_missing_in_gaps"] == 3
    rows = [*cif_rows(0, "GLY", "1"), *cif_rows(5, "SER", "6", auth_seq_id=2)]
    write(tmp_path / "y.cif", cif(rows))
    assert sequences(tmp_path)["y_A"] == "GXXXXS"


def test_a_gap_whose_numbers_go_on_is_a_break_and_no_residue(tmp_path):
    write(tmp_path / "x.pdb", residue(0, "GLY", "1") + residue(5, "SER", "2"))
    assert sequences(tmp_path) == {"x_A": "GS"}
    assert dataset(tmp_path).rows().arrays["breaks"].tolist() == [1]


def test_a_gap_is_told_by_ca_where_c_or_n_is_missing(tmp_path):
    lines = (
        residue(0, "GLY", "1", atoms=("N", "CA")) + residue(1, "SER", "7") + residue(4, "THR", "10", atoms=("CA", "C"))
    )
    write(tmp_path / "x.pdb", lines)
    assert sequences(tmp_path) == {"x_A": "GSXXT"}


@pytest.mark.parametrize(
    "more",
    [
        atom("A", "900", "HOH", "O", (1, 1, 1)),
        "\n".join(residue(60, "MSE", "901", kind="HETATM")),
        atom("A", "950", "NME", "C", (1, 1, 1), kind="HETATM"),
        atom("A", "0", "ACE", "C", (1, 1, 1)),
        "\n".join(residue(60, "GLY", "1001")),
    ],
    ids=["water", "free amino acid", "cap", "cap in front", "residue far away"],
)
def test_the_span_of_numbers_never_makes_a_chain_too_long(tmp_path, more):
    write(tmp_path / "x.pdb", [*chain("GLY ALA SER"), more])
    assert sequences(tmp_path, max_length=10)["x_A"].startswith("GAS")
    assert "max_length" not in dataset(tmp_path, max_length=10).facts()["left_out"]


def test_what_is_no_residue_of_the_chain_is_left_out_and_counted(tmp_path):
    water, cap = atom("A", "900", "HOH", "O", (1, 1, 1)), atom("A", "0", "ACE", "C", (1, 1, 1))
    write(tmp_path / "x.pdb", [cap, *chain("GLY ALA SER"), water, *residue(60, "MSE", "901", kind="HETATM")])
    made = dataset(tmp_path)
    assert sequences(tmp_path) == {"x_A": "GAS"}
    assert made.facts()["other_molecules_left_out"] == 2
    assert made.facts()["single_amino_acids_left_out"] == 1


def test_gaps_that_would_make_a_chain_too_long_are_left_open_and_counted(tmp_path):
    write(tmp_path / "x.pdb", chain("GLY ALA") + chain("SER THR", start=50))
    made = dataset(tmp_path, max_length=20)
    assert sequences(tmp_path, max_length=20) == {"x_A": "GAST"}
    assert made.facts()["chains_with_gaps_left_open"] == 1
    assert made.rows().arrays["breaks"].tolist() == [1]


def test_residues_of_an_mmcif_polymer_that_are_hetatm_stay_beside_gaps(tmp_path):
    middle = [cif_rows(at, "ALA", str(at + 1)) for at in range(2, 6)]
    ends = [cif_rows(0, "MSE", "1", group="HETATM"), cif_rows(9, "SEP", "10", group="HETATM")]
    write(tmp_path / "x.cif", cif(itertools.chain(ends[0], *middle, ends[1])))
    assert sequences(tmp_path) == {"x_A": "MXAAAAXXXS"}


# Chains of one letter


def test_two_chains_of_one_letter_after_ter_are_both_kept(tmp_path):
    write(tmp_path / "x.pdb", [*chain("GLY ALA"), "TER", *chain("SER THR VAL", shift=30.0)])
    assert sequences(tmp_path) == {"x_A": "GA", "x_A-2": "STV"}
    assert sequences(tmp_path, only_chain="A-2") == {"x_A-2": "STV"}
    assert sequences(tmp_path, only_chain="A") == {"x_A": "GA", "x_A-2": "STV"}


def test_a_chain_that_begins_again_without_ter_is_another(tmp_path):
    write(tmp_path / "x.pdb", [*chain("GLY ALA"), *chain("SER THR VAL", shift=30.0)])
    assert sequences(tmp_path) == {"x_A": "GA", "x_A-2": "STV"}


def test_a_ter_along_a_bond_ends_nothing(tmp_path):
    write(tmp_path / "x.pdb", [*chain("GLY ALA"), "TER", *chain("SER THR", start=2)])
    assert sequences(tmp_path) == {"x_A": "GAST"}


def test_files_put_together_keep_all_their_chains(tmp_path):
    write(tmp_path / "x.pdb", [*chain("GLY ALA"), "END", *chain("SER THR", chain="B", shift=30.0), "END"])
    assert sequences(tmp_path) == {"x_A": "GA", "x_B": "ST"}
    write(tmp_path / "x.pdb", [*chain("GLY ALA"), "END", *chain("GLY ALA", shift=0.5), "END"])  # frames
    assert sequences(tmp_path) == {"x_A": "GA"}
    assert dataset(tmp_path).facts()["files_with_further_models"] == 1


def test_segments_name_chains_without_a_letter_and_chains_of_one(tmp_path):
    blank = chain("GLY ALA", chain="", segment="PROA") + chain("SER THR", chain="", segment="PROB", shift=30.0)
    write(tmp_path / "x.pdb", blank)
    assert sequences(tmp_path) == {"x_PROA": "GA", "x_PROB": "ST"}
    write(tmp_path / "x.pdb", chain("GLY ALA", segment="P1") + chain("SER THR", segment="P2", shift=30.0))
    assert sequences(tmp_path) == {"x_P1": "GA", "x_P2": "ST"}


def test_chains_without_any_name_are_numbered(tmp_path):
    write(tmp_path / "x.pdb", [*chain("GLY ALA", chain=""), "TER", *chain("SER THR", chain="", shift=30.0)])
    assert sequences(tmp_path) == {"x_": "GA", "x_-2": "ST"}


def test_chains_may_have_two_letters_where_the_columns_do(tmp_path):
    lines = [line[:20] + "AB" + line[22:] for line in chain("GLY ALA")] + chain("SER HISA", chain="B", shift=30.0)
    write(tmp_path / "x.pdb", lines)
    assert sequences(tmp_path) == {"x_AB": "GA", "x_B": "SH"}


def test_two_polymers_that_authors_call_the_same_are_both_kept(tmp_path):
    rows = [*cif_rows(0, "GLY", "1"), *cif_rows(9, "SER", "1", entity="B"), *cif_rows(10, "THR", "2", entity="B")]
    write(tmp_path / "x.cif", cif(rows))
    assert sequences(tmp_path) == {"x_A": "G", "x_A-2": "ST"}


def test_chains_of_something_else_are_counted(tmp_path):
    write(
        tmp_path / "x.pdb",
        [*chain("GLY ALA"), atom("D", "1", "DA", "P", (1, 1, 1)), atom("E", "1", "DC", "P", (1, 1, 1))],
    )
    made = dataset(tmp_path)
    assert made.rows().ids == ["x_A"]
    assert made.facts()["left_out"] == {"chain without amino acids": 2}


# Alternative locations


def test_a_residue_is_in_one_location_the_one_of_highest_occupancy(tmp_path):
    two = [
        residue(1, "SER", location=where, shift=shift, occupancy=share)
        for where, shift, share in (("A", 0.5, 0.4), ("B", 0, 0.6))
    ]
    mixed = [two[1][0], two[0][0], two[0][1], two[1][1], two[1][2], two[0][2], two[0][3], two[1][3]]
    for lines in (mixed, two[0] + two[1], two[1] + two[0]):
        write(tmp_path / "x.pdb", residue(0, "GLY") + lines + residue(2, "THR"))
        made = dataset(tmp_path)
        assert sequences(tmp_path) == {"x_A": "GST"}
        np.testing.assert_array_equal(made.rows().arrays["coordinates"][0], [place(i) for i in range(3)])
        assert made.facts()["residues_with_alternative_locations"] == 1


def test_locations_of_one_occupancy_are_taken_in_order_of_their_letters(tmp_path):
    lines = residue(0, "GLY", location="B", shift=0.5, occupancy=0.5) + residue(0, "GLY", location="A", occupancy=0.5)
    write(tmp_path / "x.pdb", lines + residue(1, "SER"))
    np.testing.assert_array_equal(dataset(tmp_path).rows().arrays["coordinates"][0][0], place(0))


def test_two_locations_may_be_two_amino_acids(tmp_path):
    lines = residue(0, "SER", location="A", occupancy=0.3) + residue(0, "THR", location="B", occupancy=0.7)
    write(tmp_path / "x.pdb", lines + residue(1, "GLY"))
    assert sequences(tmp_path) == {"x_A": "TG"}


def test_second_locations_at_the_end_of_the_chain_are_no_residues(tmp_path):
    first = chain("GLY ALA SER", location="A", occupancy=0.6)
    write(tmp_path / "x.pdb", first + chain("GLY ALA SER", location="B", occupancy=0.4, shift=0.5))
    assert sequences(tmp_path) == {"x_A": "GAS"}


# Names of residues


@pytest.mark.parametrize(
    ("names", "letters"),
    [
        ("HIE HID HIP HSD HSE HSP HIS HISD HISE HISH", "HHHHHHHHHH"),
        ("CYX CYM CYS CYS2 CYSH", "CCCCC"),
        ("ASH ASP ASPH GLH GLU GLUH", "DDDEEE"),
        ("LYN LYS LYSH NALA HIE CARG", "KKKAHR"),
    ],
)
def test_protonation_states_are_their_amino_acid(tmp_path, names, letters):
    write(tmp_path / "x.pdb", chain(names))
    assert sequences(tmp_path) == {"x_A": letters}
    assert sequences(tmp_path, modified="x") == {"x_A": letters}
    assert "modified_residues" not in dataset(tmp_path).facts()


def test_a_name_with_two_meanings_is_told_by_its_atoms(tmp_path):
    homoserine = [*residue(1, "HSE"), atom("A", "2", "HSE", "O3", (5, 3, 0))]
    write(tmp_path / "x.pdb", residue(0, "HSE") + homoserine + residue(2, "GLY"))
    assert sequences(tmp_path) == {"x_A": "HSG"}


MODIFIED = "SEP TPO CSO MLY SEC PYL PCA DAL DPN PTR KCX HYP".split()
PARENTS = "STCKCKQAFYKP"


def test_modified_residues_keep_their_backbone_and_their_parents_letter(tmp_path):
    lines = [residue(i, name, kind="HETATM") for i, name in enumerate(["MSE", *MODIFIED])]
    write(tmp_path / "x.pdb", itertools.chain(*lines))
    made = dataset(tmp_path)
    assert sequences(tmp_path) == {"x_A": f"M{PARENTS}"}
    assert made.facts()["modified_residues"] == dict.fromkeys(MODIFIED, 1)
    np.testing.assert_array_equal(made.rows().arrays["coordinates"][0], [place(i) for i in range(13)])


def test_modified_residues_can_be_x(tmp_path):
    write(tmp_path / "x.pdb", residue(0, "GLY") + residue(1, "SEP", kind="HETATM") + residue(2, "MSE", kind="HETATM"))
    assert sequences(tmp_path, modified="x") == {"x_A": "GXM"}
    assert np.isfinite(dataset(tmp_path, modified="x").rows().arrays["coordinates"][0]).all()


def test_a_modified_residue_at_an_end_stays_also_behind_ter(tmp_path):
    write(
        tmp_path / "x.pdb", [*residue(0, "PCA", kind="HETATM"), *residue(1), "TER", *residue(2, "SEP", kind="HETATM")]
    )
    assert sequences(tmp_path) == {"x_A": "QAS"}


@pytest.mark.parametrize("end", [["TER"], []])
def test_modified_residues_that_stand_behind_the_chain_go_into_its_gaps(tmp_path, end):
    chosen = {1: "MSE", 4: "SEP", 5: "MSE", 7: "PCA"}
    lines = [line for i in range(7) if i not in chosen for line in residue(i, "GLY")]
    modified = [line for i, name in chosen.items() for line in residue(i, name, kind="HETATM")]
    free = residue(60, "GLY", "901", kind="HETATM")
    write(tmp_path / "x.pdb", [*lines, *end, *modified, *free])
    assert sequences(tmp_path) == {"x_A": "GMGGSMGQ"}
    assert dataset(tmp_path).facts()["single_amino_acids_left_out"] == 1


def test_amino_acids_of_no_known_parent_or_name_are_x_with_their_backbone(tmp_path):
    write(tmp_path / "x.pdb", chain("GLY UNK ASX Q0Q GLY"))
    made = dataset(tmp_path)
    assert sequences(tmp_path) == {"x_A": "GXXXG"}
    assert np.isfinite(made.rows().arrays["coordinates"][0]).all()
    assert made.facts()["residues_of_unknown_name"] == {"Q0Q": 1}
