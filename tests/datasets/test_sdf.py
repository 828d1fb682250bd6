"""SDF files as programs write them, and records that are none."""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest
from molecule_files import FEW, block, graph

from reedbench.core.errors import ConfigError
from reedbench.datasets import _molecules, _sdf
from reedbench.datasets.sdf import Sdf

Chem = pytest.importorskip("rdkit.Chem")
REAL = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data")) / "molecules_3d.sdf.gz"
ALL = {"test_share": 0, "valid_share": 0}


def written(folder: Path, *blocks: str, name: str = "x.sdf") -> str:
    (folder / name).write_text("".join(blocks), newline="")
    return str(folder / name)


def read(file: str, **settings):
    return Sdf(file=file, **ALL | settings).rows()


def same(one, other, digits: int = 7) -> None:
    assert one.arrays["smiles"].strings() == other.arrays["smiles"].strings()
    for name in ("coordinates", "elements", "charges", "bonds"):
        np.testing.assert_allclose(one.arrays[name].values, other.arrays[name].values, rtol=0, atol=10.0**-digits)
        np.testing.assert_array_equal(one.arrays[name].lengths, other.arrays[name].lengths)


@pytest.fixture
def plain(tmp_path):
    """Every molecule as a V2000 record with a title."""
    return written(tmp_path, *(block(smiles, title=f"m{i}") for i, smiles in enumerate(FEW)))


def test_records_are_read_as_they_are(plain):
    made = read(plain)
    assert list(made.ids) == [f"{i:07d}" for i in range(1, 9)]
    assert made.arrays["title"].strings() == [f"m{i}" for i in range(8)]
    assert made.arrays["smiles"].strings() == list(FEW)
    for i, smiles in enumerate(FEW):
        places = graph(smiles).GetConformer().GetPositions()
        np.testing.assert_allclose(made.arrays["coordinates"][i], places - places.mean(0), atol=1e-4)
        np.testing.assert_allclose(made.arrays["centre"][i], places.mean(0), atol=1e-4)


def test_v3000_packed_files_and_other_line_ends_give_the_same_rows(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(_sdf, "BLOCK", 100)  # so that records and their ends lie across blocks
    whole, text = read(plain), Path(plain).read_text()
    third = written(tmp_path, *(block(smiles, v3000=True) for smiles in FEW), name="third.sdf")
    assert "V3000" in Path(third).read_text()
    same(read(third), whole, digits=4)  # it has more of them
    windows = written(tmp_path, text.replace("\n", "\r\n"), name="windows.sdf")
    same(read(windows), whole)
    assert read(windows).arrays["title"].strings() == whole.arrays["title"].strings()
    (tmp_path / "packed.sdf.gz").write_bytes(gzip.compress(text.encode()))
    same(read(str(tmp_path / "packed.sdf.gz")), whole)
    unended = written(tmp_path, text.removesuffix("$$$$\n"), name="unended.sdf")
    same(read(unended), whole)
    same(read(written(tmp_path, text + "\n\n", name="blank.sdf")), whole)


@pytest.mark.parametrize("packed", [False, True])
def test_parts_can_be_read_in_any_order(plain, tmp_path, monkeypatch, packed):
    monkeypatch.setattr(_molecules.shards, "ROWS_PER_SHARD", 3)
    if packed:
        (tmp_path / "x.sdf.gz").write_bytes(gzip.compress(Path(plain).read_bytes()))
        plain = str(tmp_path / "x.sdf.gz")
    dataset = Sdf(file=plain, **ALL)
    assert [dataset.parts()[i]().arrays["smiles"].strings() for i in (2, 0, 1)] == [
        list(FEW[6:]), list(FEW[:3]), list(FEW[3:6])
    ]  # fmt: skip


def test_conformers_are_told_by_smiles_or_by_a_tag(tmp_path):
    blocks = [block(smiles, {"group": group}, title=group, seed=seed)
              for smiles, group in (("CCO", "a"), ("COC", "a"), ("CC=O", "b")) for seed in (1, 2)]  # fmt: skip
    file = written(tmp_path, *blocks)
    by_smiles, by_tag, by_title = (
        read(file, molecule=tag).arrays["molecule"].tolist() for tag in ("", "group", "title")
    )
    assert [by_smiles.count(number) for number in by_smiles] == [2] * 6
    assert [by_tag.count(number) for number in by_tag] == [4, 4, 4, 4, 2, 2]
    assert by_tag == by_title
    with pytest.raises(ConfigError, match=r"record 1 \(from line 1\): unknown tag 'grup'; did you mean 'group'\?"):
        read(file, molecule="grup")


def test_tags_with_numbers_become_columns(tmp_path):
    file = written(tmp_path, block("CCO", {"energy": "-1.5", "note": "x"}), block("O", {"energy": "2"}))
    assert read(file, properties=("energy",)).arrays["energy"].tolist() == [-1.5, 2.0]
    with pytest.raises(ConfigError, match=r"record 1 .*: tag note is no number: 'x'"):
        read(file, properties=("note",))
    with pytest.raises(ConfigError, match=r"record 2 .*: unknown tag 'note'"):
        read(written(tmp_path, block("O", {"note": "1"}), block("O")), properties=("note",))
    with pytest.raises(ConfigError, match=r"tag energy is nan"):
        read(written(tmp_path, block("O", {"energy": "nan"})), properties=("energy",))


def flat_record() -> str:
    from rdkit.Chem import AllChem

    found = Chem.MolFromSmiles("CCO")
    AllChem.Compute2DCoords(found)
    return Chem.MolToMolBlock(found) + "$$$$\n"


def pressed_record() -> str:
    """Says that it has three dimensions, and is methane in a plane."""
    lines = block("C").split("\n")
    return "\n".join(f"{line[:20]}    0.0000{line[30:]}" if line[30:32] in (" C", " H") else line for line in lines)


def changed(old: str, new: str) -> str:
    text = block("CCO")
    assert old in text
    return text.replace(old, new, 1)


BAD = {
    "is empty": "$$$$\n",
    "it has no atom": "\n     RDKit          3D\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n",
    "has coordinates in two dimensions; make three of them": flat_record,
    r"has coordinates in two dimensions.* says `3D` in columns": pressed_record,
    "RDKit cannot read it: Element 'Qq' not found": lambda: changed(" C   0", " Qq  0"),
    "atom 1 has the atomic number 0": lambda: changed(" C   0", " *   0"),
    "RDKit cannot read it: Cannot process coordinates on line 5": lambda: "\n".join(
        "       nan" + line[10:] if i == 4 else line for i, line in enumerate(block("CCO").split("\n"))
    ),
    "atom 1 has a place that is NaN": lambda: re.sub(r"V30 1 C \S+", "V30 1 C nan", block("CCO", v3000=True), count=1),
    "has no line `M  END`: it is cut short": lambda: changed("M  END\n", ""),
    "has a bond of kind": lambda: changed("  1  2  1  0\n", "  1  2  9  0\n"),
}


@pytest.mark.parametrize("why", BAD)
def test_a_bad_record_is_named_with_its_number_and_line(tmp_path, why):
    bad = BAD[why] if isinstance(BAD[why], str) else BAD[why]()
    before = block("CC=O")
    file = written(tmp_path, before, bad, block("O"))
    place = rf"x\.sdf: record 2 \(from line {before.count(chr(10)) + 1}\): "
    with pytest.raises(ConfigError, match=rf"^dataset sdf: .*{place}{why}.*; mend it, or say `tolerate: 1`") as caught:
        read(file)
    assert "\n" not in str(caught.value)
    tolerant = Sdf(file=file, tolerate=1, **ALL)
    made = tolerant.rows()
    assert list(made.ids) == ["0000001", "0000003"]
    assert next(iter(tolerant.measured(made)["bad"].values())).startswith(why.split(".*")[0])


def test_rdkit_stays_silent_after_it_was_asked_why(capfd):
    text = changed(" C   0", " Qq  0")
    with pytest.raises(_sdf.BadRecord, match="Element 'Qq' not found"):
        _sdf.parsed(text.encode())
    assert Chem.MolFromMolBlock(text) is None
    assert Chem.MolFromSmiles("CX") is None
    assert capfd.readouterr().err == ""


def test_a_truncated_last_record_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"record 2 .*: has no line `M  END`: it is cut short"):
        read(written(tmp_path, block("O"), block("CCO")[:300]))


def test_several_fragments_and_missing_hydrogens_are_counted(tmp_path):
    pair = Chem.CombineMols(graph("O"), graph("N"))
    bare = Chem.RemoveHs(graph("CCO"))
    file = written(tmp_path, block("O"), *(Chem.MolToMolBlock(one) + "$$$$\n" for one in (pair, bare)))
    dataset = Sdf(file=file, **ALL)
    assert dataset.measured(dataset.rows())["left_out"] == {"fragments": 1, "hydrogens missing": 1}


def test_files_that_are_none_are_named(tmp_path):
    for content in ("", "\n\n"):
        with pytest.raises(ConfigError, match=r"x\.sdf: holds no record; an SDF file has at least one"):
            read(written(tmp_path, content))
    (tmp_path / "x.sdf.gz").write_bytes(gzip.compress(block("CCO").encode() * 9)[:-30])
    with pytest.raises(ConfigError, match=r"x\.sdf\.gz: damaged or cut short"):
        read(str(tmp_path / "x.sdf.gz"))
    (tmp_path / "y.sdf.gz").write_bytes(block("CCO").encode())
    with pytest.raises(ConfigError, match=r"y\.sdf\.gz: damaged or cut short"):
        read(str(tmp_path / "y.sdf.gz"))
    with pytest.raises(ConfigError, match="no such file or folder"):
        read(str(tmp_path / "z.sdf"))


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there (REEDBENCH_DATA)")
def test_real_conformers_have_the_molecules_that_their_file_says(tmp_path):
    file = tmp_path / "first.sdf"
    with gzip.open(REAL) as whole:
        file.write_bytes(whole.read(1_500_000).rpartition(b"$$$$\n")[0])
    by_tag, by_smiles = (Sdf(file=str(file), molecule=tag, **ALL).rows() for tag in ("molecule", ""))
    assert len(by_tag) == len(by_smiles) > 300
    one, other = (made.arrays["molecule"].tolist() for made in (by_tag, by_smiles))
    assert 20 < len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other)) < 200
