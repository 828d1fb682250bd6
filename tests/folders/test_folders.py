"""Folders: what is folded, what predictions must be, and programs and files in place of a network."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core import plugins
from reedbench.core.errors import MetricError, MissingArtefact
from reedbench.folders import AbstractFolder, Prediction
from reedbench.folders.command import Command
from reedbench.folders.predicted import Predicted, name_of

# Writes for every sequence a PDB whose residue i has N, CA, C, O, H at x = i, y = column; B-factors as asked.
PROGRAM = """
import sys
from pathlib import Path
LINE = "ATOM  {:5d}  {:<3s} ALA A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00{:6.2f}          {:>2s}"
fasta, out, bfactor, skip, device = sys.argv[1:]
for record in Path(fasta).read_text().split(">")[1:]:
    name, sequence = record.split()
    lines = []
    for i in range(len(sequence)):
        for column, atom in enumerate(["N", "CA", "C", "O", "H"]):
            b = 0.0 if atom == "H" else float(bfactor)
            if atom != skip or i != 1:
                lines.append(LINE.format(5 * i + column + 1, atom, i + 1, i, column, 0, b, atom[0]))
    Path(out, name + ".pdb").write_text(chr(10).join(lines))
if device != "cpu":
    sys.exit("not asked for the CPU")
"""


class Counting(AbstractFolder):
    """Gives every sequence a line of atoms, and remembers what it was asked for."""

    uses: Literal["counting"] = "counting"
    spoil: str = ""

    def missing(self) -> str | None:
        return None

    def predict(self, sequences: Sequence[str], device: str) -> Iterator[Prediction]:
        for sequence in sequences:
            ASKED.append((sequence, device))
            coordinates = np.arange(9.0 * len(sequence)).reshape(-1, 3, 3)
            if self.spoil == "nan":
                coordinates[1, 2] = np.nan
            yield coordinates[..., : 2 if self.spoil == "shape" else 3], 200.0 if self.spoil == "plddt" else 50.0


ASKED: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    ASKED.clear()


def test_unknown_residues_are_folded_as_alanine_and_equal_sequences_once():
    folds = Counting().fold_sequences(["ACX", "MK", "ACA"], "cuda")
    assert ASKED == [("ACA", "cuda"), ("MK", "cuda")]
    assert folds.coordinates.lengths.tolist() == [3, 2, 3]
    assert folds.coordinates.dtype == np.float32
    np.testing.assert_array_equal(folds.coordinates[0], folds.coordinates[2])
    assert folds.plddt.tolist() == [50, 50, 50]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("nan", r"folder counting: its prediction for ACDEF lacks N, CA or C of residue 2"),
        ("shape", r"its prediction for ACDEF has coordinates of shape \(5, 3, 2\)"),
        ("plddt", r"its prediction for ACDEF has a mean pLDDT of 200.0"),
    ],
)
def test_predictions_that_none_can_make_are_refused(spoil, message):
    with pytest.raises(MetricError, match=message):
        Counting(spoil=spoil).fold_sequences(["ACDEF"], "cpu")


@pytest.mark.parametrize("name", list(plugins.discover("folders")))
def test_every_folder_has_a_version_and_a_domain(name):
    folder = plugins.discover("folders")[name]
    assert folder.version >= 1
    assert folder.domain == "protein"


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """A folding program as a command line."""
    pytest.importorskip("biotite")
    script = tmp_path / "fold it.py"
    script.write_text(PROGRAM)

    def line(bfactor: float = 80, skip: str = "-") -> str:
        return f"{sys.executable} '{script}' {{fasta}} {{out}} {bfactor} {skip} {{device}}"

    return line


def test_a_command_is_run_once_and_its_files_are_read(program):
    folder = Command(command=program())
    assert folder.missing() is None
    folds = folder.fold_sequences(["ACD", "MKVL"], "cpu")
    assert folds.coordinates.lengths.tolist() == [3, 4]
    # Residue i is at x = i; N, CA, C at y = 0, 1, 2.
    assert folds.coordinates[1][3].tolist() == [[3, 0, 0], [3, 1, 0], [3, 2, 0]]
    assert folds.plddt.tolist() == [80, 80]  # hydrogens have none and are left out


def test_shares_become_percent_where_they_are_declared_and_are_refused_elsewhere(program):
    assert Command(command=program(0.75), full_plddt=1).fold_sequences(["ACD"], "cpu").plddt.tolist() == [75]
    with pytest.raises(MetricError, match="say `full_plddt: 1`"):
        Command(command=program(0.75)).fold_sequences(["ACD"], "cpu")
    with pytest.raises(MetricError, match=r"B-factors of 0\.pdb are 80 to 80, not pLDDT 0 to 1"):
        Command(command=program(80), full_plddt=1).fold_sequences(["ACD"], "cpu")


def test_a_residue_that_lacks_an_atom_is_named(program):
    with pytest.raises(MetricError, match="its prediction for ACD lacks N, CA or C of residue 2"):
        Command(command=program(skip="CA")).fold_sequences(["ACD"], "cpu")


def test_a_command_that_fails_shows_its_last_words():
    code = "import sys; print('no GPU here', file=sys.stderr); sys.exit(3)"
    folder = Command(command=f'{sys.executable} -c "{code}" {{fasta}} {{out}}')
    with pytest.raises(MetricError, match=r"folding command ended with 3: .*: no GPU here$"):
        folder.fold_sequences(["ACD"], "cpu")


def test_a_program_that_the_system_cannot_start_is_an_error(tmp_path):
    program = tmp_path / "fold"
    program.write_text("print('no first line that names an interpreter')\n")
    program.chmod(0o755)
    folder = Command(command=f"{program} {{fasta}} {{out}}")
    assert folder.missing() is None
    with pytest.raises(MetricError, match=r"folding command cannot be started \(Exec format error\): .*/fold "):
        folder.fold_sequences(["ACD"], "cpu")


def test_a_command_that_leaves_nothing_or_no_structure_is_an_error():
    with pytest.raises(MetricError, match=r"left no 0\.pdb in \{out\}"):
        Command(command=f"{sys.executable} -c pass {{fasta}} {{out}}").fold_sequences(["ACD"], "cpu")
    code = "import sys; open(sys.argv[2] + '/0.pdb', 'w').write('nothing')"
    with pytest.raises(MetricError, match=r"0\.pdb is not a PDB file"):
        Command(command=f'{sys.executable} -c "{code}" {{fasta}} {{out}}').fold_sequences(["ACD"], "cpu")


def test_a_program_that_is_not_there_is_a_reason():
    reason = Command(command="no-such-folder {fasta} {out}").missing()
    assert reason is not None
    assert "no program 'no-such-folder' is on PATH" in reason


@pytest.mark.parametrize("line", ["fold {fasta}", "fold {out}", "fold '{fasta} {out}", ""])
def test_a_command_without_its_places_is_a_wrong_setting(line):
    with pytest.raises(ValidationError):
        Command(command=line)


def test_files_of_predictions_are_found_by_their_sequence(tmp_path):
    coordinates = np.random.default_rng(0).normal(size=(3, 3, 3))
    np.savez(tmp_path / name_of("ACA"), coordinates=coordinates, plddt=71.5)
    folder = Predicted(folder=str(tmp_path))
    assert folder.missing() is None
    folds = folder.fold_sequences(["ACX", "ACA"], "cpu")
    np.testing.assert_array_equal(folds.coordinates[0], coordinates.astype(np.float32))
    assert folds.plddt.tolist() == [71.5, 71.5]


def test_the_name_of_a_prediction_is_the_digest_of_its_letters():
    assert name_of("ACA") == "b32062bf7b8bed45bc6c7bedfe1c093bf2d45c0b87973bab9e1ef4b85497f469.npz"


def test_absent_predictions_are_counted_and_the_first_is_named(tmp_path):
    np.savez(tmp_path / name_of("ACA"), coordinates=np.zeros((3, 3, 3)), plddt=1.0)
    with pytest.raises(
        MissingArtefact, match=f"1 of 2 sequences have no predicted structure; the first is MK: .*{name_of('MK')}"
    ):
        Predicted(folder=str(tmp_path)).fold_sequences(["ACA", "MK"], "cpu")


def test_a_damaged_prediction_is_to_be_made_again(tmp_path):
    (tmp_path / name_of("ACA")).write_bytes(b"PK")
    with pytest.raises(MissingArtefact, match=r"not a whole npz file .*; fold this sequence again"):
        Predicted(folder=str(tmp_path)).fold_sequences(["ACA"], "cpu")


@pytest.mark.parametrize("plddt", [71.5, [71.5], [60.0, 70.5, 84.0], [[60.0, 70.5, 84.0]]])
def test_the_mean_is_taken_of_confidences_per_residue(tmp_path, plddt):
    np.savez(tmp_path / name_of("ACA"), coordinates=np.zeros((3, 3, 3)), plddt=plddt)
    assert Predicted(folder=str(tmp_path)).fold_sequences(["ACA"], "cpu").plddt.tolist() == [71.5]


@pytest.mark.parametrize(
    ("plddt", "message"),
    [
        (np.array([60.0, 70.0]), r"`plddt` has shape \(2,\); it must be one number, or one for each of 3 residues"),
        (np.array("high"), "`coordinates` and `plddt` must be numbers"),
        (np.array([60.0, np.nan, 70.0]), "`plddt` goes from nan to nan, not from 0 to 100"),
        (np.array([0.6, 0.7, 0.8]), "`plddt` is 0 to 1 in every residue; write 0 to 100"),
        (np.array(170.0), "`plddt` goes from 170 to 170, not from 0 to 100"),
    ],
)
def test_a_confidence_that_is_none_is_refused(tmp_path, plddt, message):
    np.savez(tmp_path / name_of("ACA"), coordinates=np.zeros((3, 3, 3)), plddt=plddt)
    with pytest.raises(MetricError, match=message):
        Predicted(folder=str(tmp_path)).fold_sequences(["ACA"], "cpu")


def test_a_folder_of_predictions_that_is_not_there_is_a_reason(tmp_path):
    reason = Predicted(folder=str(tmp_path / "none")).missing()
    assert reason is not None
    assert "no folder of predicted structures" in reason
