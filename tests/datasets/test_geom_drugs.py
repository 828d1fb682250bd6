"""GEOM-Drugs in tiny files of the published formats: pickles that are trusted or not, and EDM's array."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from molecule_files import graph, kekule, prepared
from pydantic import ValidationError

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.datasets import _conformer_array
from reedbench.datasets.geom_drugs import GeomDrugs
from reedbench.domains import molecule_graphs, rows

Chem = pytest.importorskip("rdkit.Chem")
ENTRIES = {"train": ("CCO", "c1ccccc1", "CC(N)=O"), "val": ("CC=O",), "test": ("C#N", "COC")}
NAMES = ["train-000000", "train-000001", "train-000002", "valid-000000", "test-000000", "test-000001"]
SMILES = [smiles for entries in ENTRIES.values() for smiles in entries]
SHORT = ["CCO", "CCCO", "CC(N)=O", "CC=O", "C#N", "COC"]  # whose bonds EDM's rule finds
EDM = {"format": "edm", "bonds": "distances"}


@pytest.fixture
def midi(tmp_path, monkeypatch) -> Path:
    """MiDi's three files, two conformers an entry; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, entries in ENTRIES.items():
        content = [(smiles, [graph(smiles, seed) for seed in (1, 2)]) for smiles in entries]
        (tmp_path / f"{name}_data.pickle").write_bytes(pickle.dumps(content))
    return tmp_path


def trusted(folder: Path, **settings) -> GeomDrugs:
    return GeomDrugs(path=str(folder), trust_pickles=True, **settings)


def test_a_pickle_is_not_read_unless_somebody_says_so(midi):
    message = r"^dataset geom-drugs: .*train_data.pickle is a pickle, which can run any code: say `trust_pickles: true`"
    with pytest.raises(ConfigError, match=message) as caught:
        GeomDrugs(path=str(midi)).rows()
    assert "\n" not in str(caught.value)
    assert not (midi / "work").exists()


def test_trusted_pickles_give_the_first_conformer_of_every_entry(midi):
    made = trusted(midi).rows()
    assert list(made.ids) == NAMES
    assert trusted(midi).identity() == GeomDrugs(path=str(midi)).identity()
    assert list(made.split) == ["train"] * 3 + ["valid"] + ["test"] * 2
    assert made.arrays["smiles"].strings() == SMILES
    for row, smiles in enumerate(SMILES):
        np.testing.assert_allclose(made.arrays["coordinates"][row], kekule(smiles).coordinates, atol=1e-5)
        np.testing.assert_array_equal(made.arrays["bonds"][row], molecule_graphs.molecule_of(graph(smiles)).bonds)


def test_further_conformers_are_rows_of_the_same_molecule(midi):
    made = trusted(midi, conformers=5).rows()
    assert list(made.ids) == [name + end for name in NAMES for end in ("", ":1")]
    numbers = made.arrays["molecule"].tolist()
    assert numbers[::2] == numbers[1::2]
    assert len(set(numbers)) == 6


def test_molecules_can_be_dealt_out_anew(midi):
    made = trusted(midi, split="dealt", test_share=0.5, valid_share=0, split_seed=2).rows()
    assert set(made.split) == {"train", "test"}
    with pytest.raises(ValidationError, match="test_share has no effect with split: reference: say dealt"):
        trusted(midi, test_share=0.5)


def test_pickles_are_converted_once_and_prepared(midi, capsys):
    prepared(trusted(midi))
    assert capsys.readouterr().err.count("converting") == 3
    index = rows.index(paths.data("geom-drugs"))
    assert index["splits"] == {"train": 3, "valid": 1, "test": 2}
    assert index["sizes"] == {"9": 2, "12": 1}
    prepared(trusted(midi))
    assert "converting" not in capsys.readouterr().err
    prepared(trusted(midi, conformers=2))
    assert capsys.readouterr().err.count("converting") == 3


class Harmful:
    """Would write a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (Harmful(), r"asks for posix\.system, which no pickle of molecules needs: it may run foreign code"),
        ([("C", [np.zeros(3)])], r"asks for numpy.*, which no pickle of molecules needs"),
        ({"C": 1}, r"holds a dict, not a list of \(SMILES, molecules\)"),
        ([("C", [])], r"entry 1 is no \(SMILES, molecules\)"),
        ([("C", "CC", "CCC")], r"entry 1 is no \(SMILES, molecules\)"),
    ],
)
def test_a_trusted_pickle_that_holds_something_else_is_refused(midi, content, why):
    (midi / "val_data.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(ConfigError, match=rf"^dataset geom-drugs: .*val_data\.pickle: {why}.*; get it again") as caught:
        trusted(midi).rows()
    assert "\n" not in str(caught.value)
    assert not list(midi.rglob("harmed"))


def test_a_damaged_pickle_is_refused_and_a_whole_one_in_its_place_is_read(midi):
    file = midi / "test_data.pickle"
    whole = file.read_bytes()
    for content in (whole[:-40], b""):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"test_data\.pickle: cannot be read as a pickle"):
            trusted(midi).rows()
    file.write_bytes(whole)
    assert len(trusted(midi).rows()) == 6


def test_the_converter_sees_nothing_of_this_environment(midi, monkeypatch):
    from reedbench.datasets import _pickled_geom

    seen = {}

    def run(command, **settings):
        seen.update(settings, command=command)
        return real(command, **settings)

    real = _pickled_geom.subprocess.run
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setattr(_pickled_geom.subprocess, "run", run)
    trusted(midi).rows()
    assert set(seen["env"]) <= {*_pickled_geom.KEPT, "HOME", "OMP_NUM_THREADS"}
    assert "-I" in seen["command"]
    assert not Path(seen["cwd"]).exists()  # an empty folder that went with it


def test_a_molecule_that_is_none_is_named_by_entry_and_conformer(midi):
    flat, dative = Chem.MolFromSmiles("CCO"), Chem.MolFromSmiles("[NH3]->[Zn]")
    dative.AddConformer(Chem.Conformer(2))
    content = [("CCO", [flat]), ("N", [dative]), ("CC=O", [graph("CC=O")])]
    (midi / "val_data.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(ConfigError, match=r"val_data\.pickle: entry 1, conformer 1: it has no coordinates; mend it"):
        trusted(midi).rows()
    dataset = trusted(midi, tolerate=2)
    made = dataset.rows()
    assert [name for name in made.ids if name.startswith("valid")] == ["valid-000002"]
    assert [why.split(";")[0] for why in dataset.measured(made)["bad"].values()] == [
        "it has no coordinates",
        "a bond of kind dative",
    ]


# EDM's array


@pytest.fixture
def edm(tmp_path) -> Path:
    """Twenty conformers in the array, and a permutation of them."""
    found = []
    for number in range(20):
        one = kekule(SHORT[number % 6], 1 + number // 6)
        head = np.column_stack([np.full(len(one), 3 * number), one.elements])
        found.append(np.concatenate([head, one.coordinates + 2.0], axis=1))
    np.save(tmp_path / "geom_drugs_30.npy", np.concatenate(found))
    np.save(tmp_path / "geom_permutation.npy", np.random.default_rng(0).permutation(20).astype(np.int32))
    return tmp_path


def test_the_array_is_split_by_the_permutation(edm, monkeypatch):
    monkeypatch.setattr(_conformer_array, "CHUNK", 7)
    made = GeomDrugs(path=str(edm), **EDM).rows()
    assert list(made.ids) == [f"{i:07d}" for i in range(20)]
    assert made.arrays["smiles"].strings() == [SHORT[i % 6] for i in range(20)]
    order = np.load(edm / "geom_permutation.npy")
    assert [made.split[i] for i in order] == ["valid"] * 2 + ["test"] * 2 + ["train"] * 16
    np.testing.assert_allclose(made.arrays["centre"], 2.0, atol=1e-5)


def test_conformers_of_the_array_can_be_kept_together(edm):
    made = GeomDrugs(path=str(edm), split="dealt", test_share=0.4, valid_share=0, **EDM).rows()
    sides = set(zip(made.arrays["smiles"].strings(), made.split, strict=True))
    assert len(sides) == 6


def test_shares_are_rounded_down_as_in_the_reference():
    splits = _conformer_array.edm_split(np.arange(59)).tolist()
    assert splits == ["valid"] * 5 + ["test"] * 5 + ["train"] * 49


def test_arrays_of_other_kinds_are_named(edm):
    np.save(edm / "geom_permutation.npy", np.arange(19))
    with pytest.raises(ConfigError, match=r"geom_permutation.npy: is no permutation of the 20 conformers"):
        GeomDrugs(path=str(edm), **EDM).rows()
    array = np.load(edm / "geom_drugs_30.npy")
    np.save(edm / "geom_drugs_30.npy", array[:, :4])
    with pytest.raises(ConfigError, match=r"geom_drugs_30.npy: is float64 \(168, 4\); it must be floats \(atoms, 5\)"):
        GeomDrugs(path=str(edm), **EDM).rows()
    (edm / "geom_drugs_30.npy").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"geom_drugs_30.npy: no whole .npy file"):
        GeomDrugs(path=str(edm), **EDM).rows()
    np.save(edm / "geom_drugs_30.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ConfigError, match=r"geom_drugs_30.npy: no whole .npy file"):
        GeomDrugs(path=str(edm), **EDM).rows()
    (edm / "geom_drugs_30.npy").unlink()
    with pytest.raises(ConfigError, match=r"path: no such file: .*geom_drugs_30.npy; format edm needs"):
        GeomDrugs(path=str(edm), **EDM).rows()


def test_a_conformer_that_is_none_is_named(edm):
    array = np.load(edm / "geom_drugs_30.npy")
    array[0, 1], array[9, 2] = 6.5, np.nan
    np.save(edm / "geom_drugs_30.npy", array)
    message = r"conformer 1 \(atoms from row 1\): has an atomic number that is no whole number; mend it"
    with pytest.raises(ConfigError, match=message):
        GeomDrugs(path=str(edm), **EDM).rows()
    dataset = GeomDrugs(path=str(edm), tolerate=2, **EDM)
    assert len(dataset.rows()) == 18


@pytest.mark.parametrize("settings", [{"trust_pickles": True}, {"conformers": 2}])
def test_settings_of_the_other_format_are_refused(settings):
    with pytest.raises(ValidationError, match="has no effect with format: edm"):
        GeomDrugs(**EDM, **settings)
    with pytest.raises(ValidationError, match="format: edm has no bonds"):
        GeomDrugs(format="edm")
