"""ProteinMPNN's set is read from its own layout, first chain of each cluster, and never unpickled."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from reedbench.core.errors import ConfigError
from reedbench.datasets.proteinmpnn_set import ProteinmpnnSet
from reedbench.nn import residues

HEAD = "CHAINID,DEPOSITION,RESOLUTION,HASH,CLUSTER,SEQUENCE"
LISTED = [  # chain, resolution, cluster, sequence
    ("1abc_A", 2.0, 10, "ACDEF"),
    ("1abc_B", 2.0, 10, "ACDEG"),
    ("2bcd_A", 4.0, 20, "GGGGG"),  # too coarse: the next of its cluster is the first
    ("2bcd_B", 3.5, 20, "AXACA"),
    ("3cde_A", 1.5, 30, "WWWWWW"),
    ("4def_A", 1.5, 40, "YYYYY"),
]


def entry(sequence: str, backbone) -> dict[str, object]:
    """What a .pt file holds: 14 atoms a residue, NaN where there is none."""
    xyz = torch.full((len(sequence), 14, 3), torch.nan)
    xyz[:, :4] = torch.from_numpy(backbone(len(sequence)))
    xyz[0, 5] = 1.0
    occupied = torch.isfinite(xyz).all(-1)
    return {"seq": sequence, "xyz": xyz, "mask": occupied, "bfac": occupied.float(), "occ": occupied.float()}


@pytest.fixture
def folder(tmp_path, backbone) -> Path:
    rows = [f"{name},2020-01-01,{resolution},000001,{cluster},{text}" for name, resolution, cluster, text in LISTED]
    (tmp_path / "list.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    (tmp_path / "valid_clusters.txt").write_text("30\n999\n")
    (tmp_path / "test_clusters.txt").write_text("40\n")
    for name, _, _, sequence in LISTED:
        file = file_of(tmp_path, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(entry(sequence, backbone), file)
    return tmp_path


def file_of(folder: Path, name: str) -> Path:
    return folder / "pdb" / name[1:3] / f"{name}.pt"


def test_the_first_chain_of_every_cluster_is_taken_and_split_by_the_cluster_files(folder, backbone):
    dataset = ProteinmpnnSet(folder=str(folder))
    made, facts = dataset.rows(), dataset.facts()
    assert made.ids == ["1abc_A", "2bcd_B", "3cde_A", "4def_A"]
    assert made.split == ["train", "train", "valid", "test"]
    assert made.arrays["cluster"].tolist() == [10, 20, 30, 40]
    assert made.arrays["resolution"].tolist() == [2.0, 3.5, 1.5, 1.5]
    assert residues.letters(made.arrays["tokens"][1]) == "AXACA"
    np.testing.assert_array_equal(made.arrays["coordinates"][2], backbone(6))
    assert facts["left_out"] == {"max_resolution": 1, "not first of its cluster": 1}
    assert set(facts["sha256"]) == {"list.csv", "valid_clusters.txt", "test_clusters.txt", "chains"}


def test_all_chains_of_a_cluster_can_be_taken(folder):
    made = ProteinmpnnSet(folder=str(folder), per_cluster="all", max_resolution=None).rows()
    assert made.ids == [name for name, *_ in LISTED]
    assert made.split == ["train"] * 4 + ["valid", "test"]


def test_the_length_in_the_list_counts_before_a_file_is_opened(folder):
    file_of(folder, "3cde_A").write_bytes(b"")
    (folder / "valid_clusters.txt").write_text("\n")
    dataset = ProteinmpnnSet(folder=str(folder), max_length=5)
    assert dataset.rows().ids == ["1abc_A", "2bcd_B", "4def_A"]
    assert dataset.facts()["left_out"]["max_length"] == 1


def test_another_list_and_entries_beside_the_list_are_found(folder):
    (folder / "list.csv").rename(folder / "list_filtered.csv")
    for sub in (folder / "pdb").iterdir():
        sub.rename(folder / sub.name)
    (folder / "pdb").rmdir()
    assert len(ProteinmpnnSet(folder=str(folder), table="list_filtered.csv").rows()) == 4


def test_marks_of_utf8_and_white_space_do_not_matter(folder):
    whole = ProteinmpnnSet(folder=str(folder)).rows()
    for name in ("list.csv", "valid_clusters.txt"):
        (folder / name).write_text("\ufeff" + (folder / name).read_text().replace(",", ", "))
    again = ProteinmpnnSet(folder=str(folder)).rows()
    assert (again.ids, again.split) == (whole.ids, whole.split)


@pytest.mark.parametrize("far", [torch.inf, -2e6])
def test_a_place_that_no_atom_can_have_is_refused(folder, backbone, far):
    held = entry("ACDEF", backbone)
    held["xyz"][2, 1, 0] = far
    torch.save(held, file_of(folder, "1abc_A"))
    with pytest.raises(ConfigError, match="chain '1abc_A': residue 3 has a coordinate beyond 1e\\+06 Angstrom"):
        ProteinmpnnSet(folder=str(folder)).rows()


def test_an_absent_file_and_a_foreign_letter_are_counted(folder, backbone):
    file_of(folder, "1abc_A").unlink()
    torch.save(entry("AUACA", backbone), file_of(folder, "2bcd_B"))
    dataset = ProteinmpnnSet(folder=str(folder), per_cluster="all")
    assert dataset.rows().ids == ["1abc_B", "3cde_A", "4def_A"]
    assert dataset.facts()["left_out"] == {"max_resolution": 1, "no file": 1, "unknown letters": 1}


def test_missing_atoms_stay_missing_and_a_missing_oxygen_is_placed(folder, backbone):
    held = entry("ACDEF", backbone)
    held["xyz"][1, 3], held["xyz"][2, 1, 0] = torch.nan, torch.nan
    torch.save(held, file_of(folder, "1abc_A"))
    made = ProteinmpnnSet(folder=str(folder)).rows()
    missing = np.isnan(made.arrays["coordinates"][0])
    assert np.argwhere(missing.all(-1)).tolist() == [[2, 1]]
    assert missing.sum() == 3
    assert made.arrays["placed_oxygen"].tolist() == [1, 0, 0, 0]


class Evil:
    """Pickles as a call that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_file_is_refused_and_never_run(folder, backbone, tmp_path, zipped):
    mark, file = tmp_path / "mark", file_of(folder, "3cde_A")
    held = {**entry("WWWWWW", backbone), "more": Evil(mark)}
    torch.save(held, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConfigError, match=r"3cde_A\.pt: refused, it asks for `\w+\.mkdir`; only tensors") as caught:
        ProteinmpnnSet(folder=str(folder)).rows()
    assert "\n" not in str(caught.value)
    assert not mark.exists()
    torch.load(file, weights_only=False)  # it would have run
    assert mark.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.98])
def test_a_truncated_file_is_named(folder, backbone, zipped, kept):
    file = file_of(folder, "1abc_A")
    torch.save(entry("ACDEF", backbone), file, _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ConfigError, match=r"1abc_A\.pt: .*(damaged or cut short|refused).*delete it") as caught:
        ProteinmpnnSet(folder=str(folder)).rows()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seq": "ACDE"}, r"xyz \(5, 14, 3\) does not fit 4 letters in seq"),
        ({"xyz": torch.zeros(5, 3, 3)}, r"xyz \(5, 3, 3\) does not fit"),
        ({"xyz": torch.zeros(5, 14)}, r"xyz \(5, 14\) does not fit"),
        ({"xyz": [1.0]}, "must hold a dict with text `seq` and tensor `xyz`"),
        ({"seq": None}, "must hold a dict"),
        (
            {"xyz": torch.zeros(5, 14, 3).to_sparse()},
            "xyz must be a dense tensor of floats, not torch.float32, torch.spa",
        ),
        (
            {"xyz": torch.zeros(5, 14, 3, dtype=torch.complex64)},
            "xyz must be a dense tensor of floats, not torch.compl",
        ),
        ({"xyz": torch.zeros(5, 14, 3, dtype=torch.int64)}, "xyz must be a dense tensor of floats, not torch.int64"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_a_file_with_other_content_is_named(folder, backbone, change, message):
    torch.save({**entry("ACDEF", backbone), **change}, file_of(folder, "1abc_A"))
    with pytest.raises(ConfigError, match=rf"1abc_A\.pt: {message}"):
        ProteinmpnnSet(folder=str(folder)).rows()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CHAINID,RESOLUTION,SEQUENCE\n", "unknown column 'CLUSTER'"),
        (f"{HEAD}\n1abc_A,x,2.0,1,ten,ACDEF\n", "line 2: RESOLUTION and CLUSTER must be numbers"),
        (f"{HEAD}\n1abc_A,x,2.0,1,10\n", "line 2: has no SEQUENCE"),
        (f"{HEAD}\n../../etc_A,x,2.0,1,10,ACDEF\n", "line 2: needs a CHAINID"),
        (f"{HEAD}\n1abc_../A,x,2.0,1,10,ACDEF\n", "line 2: needs a CHAINID"),
        (f"{HEAD}\n1abc_A,x,2.0,1,10," + "A" * 140_000 + "\n", "after line 1: no row of a .csv file"),
    ],
)
def test_a_list_that_is_none_is_named(folder, text, message):
    (folder / "list.csv").write_text(text)
    with pytest.raises(ConfigError, match=rf"list\.csv: {message}"):
        ProteinmpnnSet(folder=str(folder)).rows()


@pytest.mark.parametrize(
    ("text", "message"),
    [("40\nx\n", "line 2: 'x' is no cluster number"), ("40\n30\n", "line 2: cluster 30 is in valid")],
)
def test_a_cluster_file_that_is_wrong_is_named(folder, text, message):
    (folder / "test_clusters.txt").write_text(text)
    with pytest.raises(ConfigError, match=rf"test_clusters\.txt: {message}"):
        ProteinmpnnSet(folder=str(folder)).rows()


@pytest.mark.parametrize("name", ["list.csv", "valid_clusters.txt"])
def test_an_absent_list_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=f"{name}: cannot be read"):
        ProteinmpnnSet(folder=str(folder)).rows()


def test_a_split_whose_clusters_have_no_chain_is_refused(folder):
    (folder / "test_clusters.txt").write_text("41\n")
    with pytest.raises(ConfigError, match="no chain in split 'test'"):
        ProteinmpnnSet(folder=str(folder)).rows()
