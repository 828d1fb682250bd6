"""Molecules in arrays: two layouts, three ways to bonds, and files that are not what they should be."""

from pathlib import Path

import numpy as np
import pytest
from molecule_files import FEW, flat, kekule, padded, saved, some
from pydantic import ValidationError

from reedbench.core.errors import ConfigError
from reedbench.datasets.molecules_npz import MoleculesNpz

pytest.importorskip("rdkit")
ALL = {"test_share": 0, "valid_share": 0}


def molecules() -> list:
    return [kekule(one) for one in FEW]


@pytest.mark.parametrize("bonds", ["distances", "rdkit"])
def test_both_layouts_and_all_bonds_give_the_same_molecules(tmp_path, bonds):
    one = MoleculesNpz(file=some(tmp_path / "flat.npz"), **ALL).rows()
    other = MoleculesNpz(file=saved(tmp_path / "padded.npz", padded(molecules())), bonds=bonds, **ALL).rows()
    assert one.arrays["smiles"].strings() == other.arrays["smiles"].strings() == list(FEW)
    for name in ("elements", "charges", "bonds"):
        np.testing.assert_array_equal(one.arrays[name].values, other.arrays[name].values)
    np.testing.assert_allclose(one.arrays["coordinates"].values, other.arrays["coordinates"].values, atol=1e-6)


def test_molecules_are_named_by_their_numbers_in_gdb(tmp_path):
    numbers = np.arange(8) * 10 + 3
    for name, make in (("gdb_index", flat), ("index", padded)):
        file = saved(tmp_path / f"{name}.npz", make(molecules(), **{name: numbers}))
        made = MoleculesNpz(file=file, bonds="distances", **ALL).rows()
        assert list(made.ids) == [f"gdb_{number}" for number in numbers]
    twice = saved(tmp_path / "twice.npz", flat(molecules(), gdb_index=numbers // 20))
    with pytest.raises(ConfigError, match="two molecules have the number 0, and rows are named by it"):
        MoleculesNpz(file=twice).rows()


def test_properties_become_columns_with_their_units(tmp_path):
    more = {"prop_gap": np.arange(8) / 7, "prop_U0_thermo": -np.arange(8.0), "prop_odd": np.arange(8)}
    file = saved(tmp_path / "x.npz", flat(molecules(), **more))
    dataset = MoleculesNpz(file=file, **ALL)
    made = dataset.rows()
    assert made.arrays["gap"].tolist() == (np.arange(8) / 7).tolist()  # in double precision
    assert dataset.facts()["properties"] == {"gap": "Hartree", "U0_thermo": "Hartree", "odd": "as in the source"}
    other = MoleculesNpz(file=file, properties=("odd",), hartree=False, **ALL)
    assert "gap" not in other.rows().arrays
    assert other.facts()["properties"] == {"odd": "as in the source"}
    edm = MoleculesNpz(file=saved(tmp_path / "y.npz", padded(molecules(), mu=np.ones(8))), bonds="distances", **ALL)
    assert edm.rows().arrays["mu"].tolist() == [1.0] * 8
    with pytest.raises(ConfigError, match=r"properties: unknown property 'gapp'; did you mean 'gap'\?"):
        MoleculesNpz(file=file, properties=("gapp",)).rows()
    taken = saved(tmp_path / "z.npz", flat(molecules(), prop_smiles=np.ones(8)))
    with pytest.raises(ConfigError, match="'smiles' is another column of the manifest"):
        MoleculesNpz(file=taken).rows()


def test_a_property_that_is_nan_is_a_bad_record(tmp_path):
    values = np.ones(8)
    values[4] = np.nan
    with pytest.raises(ConfigError, match="molecule 5 of 8: its property mu is nan"):
        MoleculesNpz(file=saved(tmp_path / "x.npz", flat(molecules(), prop_mu=values))).rows()


def test_bonds_that_the_file_does_not_know_are_counted(tmp_path):
    dataset = MoleculesNpz(file=some(tmp_path / "x.npz", bond_ok=np.arange(8) != 2), **ALL)
    made = dataset.rows()
    assert dataset.measured(made)["left_out"] == {"bonds not determined": 1}
    everything = MoleculesNpz(file=some(tmp_path / "x.npz", bond_ok=np.zeros(8, bool)), bonds="distances", **ALL)
    assert len(everything.rows()) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": None}, "has neither atom_offset, atomic_number, position nor num_atoms, charges, positions"),
        ({"bond_index": None}, "has no bond_index, and `bonds: file` takes bonds from it; say `bonds: distances`"),
        ({"position": np.zeros((3, 3))}, r"position is \(3, 3\), and must be \(60, 3\)"),
        ({"atom_offset": np.arange(9)}, "atom_offset must be 9 numbers that grow from 0 to 60"),
        ({"atom_offset": np.array([0, 20, 10, 60])}, "atom_offset must be 4 numbers that grow from 0 to 60"),
        ({"bond_offset": np.array([0, 5])}, "bond_offset must be 9 numbers"),
        ({"charge": np.zeros(3)}, r"charge is \(3,\)"),
        ({"prop_mu": np.zeros(3)}, r"prop_mu is \(3,\), and must be \(8,\)"),
        ({"atomic_number": np.array(["C"] * 60)}, "atomic_number holds <U1, not numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, change, message):
    with pytest.raises(ConfigError, match=rf"^dataset molecules-npz: .*x\.npz: {message}") as caught:
        MoleculesNpz(file=some(tmp_path / "x.npz", **change)).rows()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.zeros((8, 3, 3))}, r"num_atoms \(8,\), charges \(8, 14\), positions \(8, 3, 3\) do not fit"),
        ({"num_atoms": np.full(8, 15)}, "num_atoms has 15, and there is room for 14"),
    ],
)
def test_padded_arrays_that_do_not_fit_are_named(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        MoleculesNpz(file=saved(tmp_path / "x.npz", padded(molecules(), **change)), bonds="distances").rows()


def test_a_file_that_is_absent_cut_short_empty_or_pickled_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"file: no such file or folder: .*absent.npz; relative paths"):
        MoleculesNpz(file=str(tmp_path / "absent.npz")).rows()
    whole = Path(some(tmp_path / "x.npz")).read_bytes()
    for content in (whole[: len(whole) // 2], b""):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(ConfigError, match=r"x\.npz: not a whole npz file \(.*\); get it again") as caught:
            MoleculesNpz(file=str(tmp_path / "x.npz")).rows()
        assert "\n" not in str(caught.value)
    np.savez(tmp_path / "x.npz", **flat(molecules()) | {"prop_mu": np.array([{}] * 8, object)})
    with pytest.raises(ConfigError, match=r"not a whole npz file .*pickle"):
        MoleculesNpz(file=str(tmp_path / "x.npz")).rows()
    with pytest.raises(ValidationError, match="file is empty"):
        MoleculesNpz(file="")


def test_a_file_without_molecules_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"no molecule in split 'train' \(0 of 0 records pass the filters"):
        MoleculesNpz(
            file=some(tmp_path / "x.npz", [], atom_offset=np.zeros(1, int), bond_offset=np.zeros(1, int))
        ).rows()
