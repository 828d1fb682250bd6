"""What all datasets of molecules share: filters, splits by molecule, parts, counts, and bad records."""

import json

import numpy as np
import pytest
from molecule_files import FEW, flat, kekule, prepared, saved, some
from pydantic import ValidationError

from reedbench.core import io, paths
from reedbench.core.errors import ConfigError
from reedbench.core.ragged import Ragged, Texts
from reedbench.datasets import _molecules
from reedbench.datasets.molecules_npz import MoleculesNpz
from reedbench.domains import molecule, rows
from reedbench.domains.molecule import AROMATIC, Molecule
from reedbench.domains.rows import TEST, TRAIN

pytest.importorskip("rdkit")
ALL = {"test_share": 0, "valid_share": 0}


def apart(*molecules: Molecule) -> Molecule:
    """One record with all of them, 20 Angstrom from each other."""
    starts = np.cumsum([0, *map(len, molecules)])
    places = [one.coordinates + np.array([20.0 * i, 0, 0]) for i, one in enumerate(molecules)]
    bonds = [one.bonds.astype(int) + np.array([start, start, 0]) for one, start in zip(molecules, starts, strict=False)]
    elements = np.concatenate([one.elements for one in molecules])
    return Molecule.of(np.concatenate(places), elements, None, np.concatenate(bonds))


def of(tmp_path, *molecules: Molecule, **settings) -> MoleculesNpz:
    return MoleculesNpz(file=saved(tmp_path / "x.npz", flat(molecules)), **ALL | settings)


def hydroxyl() -> Molecule:
    """OH, which lacks a hydrogen."""
    return Molecule.of([[0, 0, 0], [0.97, 0, 0]], [8, 1], None, [(0, 1, 1)])


def crowded() -> Molecule:
    """A carbon with five hydrogens."""
    places = np.random.default_rng(0).normal(size=(6, 3))
    return Molecule.of(places, [6, 1, 1, 1, 1, 1], None, [(0, i, 1) for i in range(1, 6)])


def test_rows_have_the_arrays_of_molecules(tmp_path):
    made = MoleculesNpz(file=some(tmp_path / "x.npz"), **ALL).rows()
    assert list(made.ids) == [f"{i:07d}" for i in range(8)]
    kinds = {name: (array.dtype, array.shape[1:]) for name, array in made.arrays.items()}
    assert kinds == {
        "coordinates": (np.float32, (-1, 3)),
        "elements": (np.uint8, (-1,)),
        "charges": (np.int8, (-1,)),
        "bonds": (np.uint8, (-1, 3)),
        "smiles": (np.uint8, (-1,)),
        "molecule": (np.int64, ()),
        "centre": (np.float32, (3,)),
    }
    assert made.arrays["smiles"].strings() == list(FEW)
    declared = MoleculesNpz(file="x").declared()["shapes"]
    assert declared == {name: list(array.shape[1:]) for name, array in made.arrays.items()}
    for i, smiles in enumerate(FEW):
        one, source = molecule.molecule_of(made.arrays, i), kekule(smiles)
        np.testing.assert_allclose(one.coordinates.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(one.coordinates, source.coordinates, atol=1e-6)
        np.testing.assert_allclose(made.arrays["centre"][i], [1, 1, 1], atol=1e-6)  # where the file has them
        np.testing.assert_array_equal(one.elements, source.elements)
        np.testing.assert_array_equal(one.bonds[:, :2], source.bonds[:, :2])


def test_aromatic_bonds_are_marked_or_not(tmp_path):
    made = MoleculesNpz(file=some(tmp_path / "x.npz", ["c1ccccc1"]), **ALL).rows()
    assert (made.arrays["bonds"][0][:, 2] == AROMATIC).sum() == 6
    made = MoleculesNpz(file=some(tmp_path / "x.npz", ["c1ccccc1"]), aromatic="kekule", **ALL).rows()
    np.testing.assert_array_equal(made.arrays["bonds"][0], kekule("c1ccccc1").bonds)


def test_sanitising_separates_charges_in_the_rows_too(tmp_path):
    bonds = kekule("C[N+](=O)[O-]").bonds.copy()
    bonds[(bonds[:, 0] == 1) | (bonds[:, 1] == 1), 2] = [1, 2, 2]  # both oxygens by double bonds, and no charges
    source = kekule("C[N+](=O)[O-]")
    neutral = Molecule.of(source.coordinates, source.elements, None, bonds)
    made = of(tmp_path, neutral).rows()
    assert made.arrays["smiles"].strings() == ["C[N+](=O)[O-]"]
    assert sorted(made.arrays["charges"][0][:4].tolist()) == [-1, 0, 0, 1]
    assert sorted(made.arrays["bonds"][0][:, 2].tolist()) == [1, 1, 1, 1, 1, 2]


# Filters


@pytest.mark.parametrize(
    ("settings", "left_out", "rest"),
    [
        ({}, {}, 8),
        ({"max_atoms": 9}, {"max_atoms": 1}, 7),
        ({"elements": ("H", "C", "O")}, {"elements (F)": 1, "elements (N)": 2}, 5),
        ({"elements": ("H", "O")}, {"elements (C)": 4, "elements (C, F)": 1, "elements (C, N)": 2}, 1),
    ],
)
def test_filters_count_what_they_leave_out(tmp_path, settings, left_out, rest):
    dataset = MoleculesNpz(file=some(tmp_path / "x.npz"), **ALL, **settings)
    made = dataset.rows()
    assert len(made) == rest
    assert dataset.measured(made)["left_out"] == left_out
    assert dataset.remarks() == (_said(left_out) if left_out else [])


def _said(left_out):
    return [f"left out: {sum(left_out.values())} ({', '.join(f'{name} {n}' for name, n in left_out.items())})"]


def test_several_fragments_are_left_out_cut_or_kept(tmp_path):
    salt = apart(kekule("O"), kekule("CCO"), kekule("COC"))
    one = of(tmp_path, kekule("O"), salt)
    assert one.measured(one.rows())["left_out"] == {"fragments": 1}
    largest = of(tmp_path, salt, fragments="largest").rows()
    assert largest.arrays["smiles"].strings() == ["CCO"]  # of two of nine atoms the first
    np.testing.assert_allclose(largest.arrays["coordinates"][0], kekule("CCO").coordinates, atol=1e-5)
    np.testing.assert_array_equal(largest.arrays["bonds"][0], kekule("CCO").bonds)
    whole = of(tmp_path, salt, fragments="any").rows()
    assert whole.arrays["elements"].lengths.tolist() == [21]
    assert whole.arrays["smiles"].strings() == ["CCO.COC.O"]


@pytest.mark.parametrize(
    ("graphs", "left_out", "smiles"),
    [
        ("complete", {"hydrogens missing": 1, "not sanitised": 1}, ["CCO"]),
        ("sanitised", {"not sanitised": 1}, ["CCO", "[OH]"]),
        ("any", {}, ["CCO", "[OH]", ""]),
    ],
)
def test_graphs_that_are_not_whole(tmp_path, graphs, left_out, smiles):
    dataset = of(tmp_path, kekule("CCO"), hydroxyl(), crowded(), graphs=graphs)
    made = dataset.rows()
    assert dataset.measured(made)["left_out"] == left_out
    assert made.arrays["smiles"].strings() == smiles
    if graphs == "any":
        np.testing.assert_array_equal(made.arrays["bonds"][2], crowded().bonds)


def test_settings_that_name_no_elements_or_leave_nothing_are_refused():
    with pytest.raises(ValidationError, match="'Xx' is no element from H to Bi"):
        MoleculesNpz(file="x", elements=("C", "Xx"))
    with pytest.raises(ValidationError, match="one is there twice"):
        MoleculesNpz(file="x", elements=("C", "C"))
    with pytest.raises(ValidationError, match="leave nothing to train on"):
        MoleculesNpz(file="x", test_share=0.5, valid_share=0.5)
    with pytest.raises(ValidationError, match="less than or equal to 255"):
        MoleculesNpz(file="x", max_atoms=256)


# Splits


def many() -> list[str]:
    return [f"{'C' * i}{end}" for i in range(1, 9) for end in ("O", "N", "F", "C=O", "C#N")]


def test_conformers_of_a_molecule_are_on_one_side(tmp_path):
    conformers = [kekule(smiles, seed) for seed in (1, 2, 3) for smiles in many()]
    dataset = MoleculesNpz(file=saved(tmp_path / "x.npz", flat(conformers)), test_share=0.3, valid_share=0.2)
    made = dataset.rows()
    side: dict[int, set[str]] = {}
    for number, split in zip(made.arrays["molecule"].tolist(), made.split, strict=True):
        side.setdefault(number, set()).add(split)
    assert len(side) == 40
    assert all(len(splits) == 1 for splits in side.values())
    counted = dataset.measured(made)["molecules"]
    assert sum(counted.values()) == 40
    assert counted == {split: made.split.count(split) // 3 for split in sorted(set(made.split))}


def test_a_filter_moves_no_molecule_to_another_split_nor_does_another_file(tmp_path):
    def splits(smiles, **settings):
        made = MoleculesNpz(file=some(tmp_path / "x.npz", smiles), test_share=0.3, valid_share=0.2, **settings).rows()
        return dict(zip(made.arrays["smiles"].strings(), made.split, strict=True))

    everything = splits(many())
    assert splits(many()[::-1]) == everything
    few = splits(many(), max_atoms=20, name="other")
    assert 20 < len(few) < 40
    assert few.items() <= everything.items()
    assert splits(many(), split_seed=1) != everything


def test_a_source_can_say_which_conformers_belong_together(tmp_path):
    arrays = flat([kekule(one) for one in many()], molecule=np.arange(40) // 4)
    made = MoleculesNpz(file=saved(tmp_path / "x.npz", arrays), test_share=0.4, valid_share=0).rows()
    assert made.arrays["molecule"].tolist() == [i // 4 for i in range(40)]
    assert all(len(set(made.split[i : i + 4])) == 1 for i in range(0, 40, 4))


def test_an_empty_split_is_an_error_that_says_what_was_left_out(tmp_path):
    message = r"^dataset molecules-npz: no molecule in split 'train' \(0 of 8 records pass the filters, left out: "
    with pytest.raises(ConfigError, match=message + r"\{'max_atoms': 8\}\); loosen the filters"):
        MoleculesNpz(file=some(tmp_path / "x.npz"), max_atoms=2, **ALL).rows()


# Parts


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """Three records a part."""
    monkeypatch.setattr(_molecules.shards, "ROWS_PER_SHARD", 3)


def test_parts_are_the_rows_in_pieces_each_by_itself(tmp_path, small_parts):
    file, settings = some(tmp_path / "x.npz"), {"max_atoms": 9, **ALL}
    dataset = MoleculesNpz(file=file, **settings)
    parts = [part() for part in dataset.parts()]
    assert [len(part) for part in parts] == [3, 2, 2]
    whole = dataset.rows()
    assert [name for part in parts for name in part.ids] == list(whole.ids)
    alone = MoleculesNpz(file=file, **settings).parts()[1]()  # as another process makes it
    for name, array in alone.arrays.items():
        one, other = (
            (of.values, of.lengths) if isinstance(of, Ragged) else (of,) for of in (array, parts[1].arrays[name])
        )
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_part_may_be_empty(tmp_path, monkeypatch, small_parts):
    monkeypatch.chdir(tmp_path)
    dataset = MoleculesNpz(file=some(tmp_path / "x.npz", ["CCO", "CCO", "CCO", "O"]), max_atoms=5, **ALL)
    assert [len(part()) for part in dataset.parts()] == [0, 1]
    prepared(dataset)
    assert rows.index(paths.data("molecules-npz"))["splits"] == {TRAIN: 1}


def test_what_other_processes_left_out_is_counted_too(tmp_path, small_parts):
    file, settings = some(tmp_path / "x.npz"), {"max_atoms": 9, "elements": ("H", "C", "O", "N"), **ALL}
    one, other = (MoleculesNpz(file=file, **settings) for _ in range(2))
    made = one.rows()
    other.parts()[0]()
    assert other.measured(made)["left_out"] == one.measured(made)["left_out"] == {"elements (F)": 1, "max_atoms": 1}


def test_prepare_writes_smiles_as_text_and_counts(tmp_path, monkeypatch, small_parts, capsys):
    monkeypatch.chdir(tmp_path)
    dataset = MoleculesNpz(
        file=some(tmp_path / "x.npz", many(), prop_mu=np.arange(40.0)), test_share=0.3, valid_share=0.2, max_atoms=20
    )
    prepared(dataset)
    folder = paths.data("molecules-npz")
    listed = io.read_table(f"{folder}/manifest.parquet").to_pydict()
    assert list(listed) == ["id", "split", "smiles", "molecule", "mu", "sha256"]
    made = dataset.rows()
    assert listed["smiles"] == made.arrays["smiles"].strings()
    index = rows.index(folder)
    measured = dataset.measured(made)
    assert {name: index[name] for name in measured} == json.loads(json.dumps(measured))
    assert index["properties"] == {"mu": "Debye"}
    assert index["shapes"]["smiles"] == [-1]
    train = rows.read(folder, TRAIN)
    first = train.take([0]).arrays["smiles"]
    assert Texts(first.values, first.lengths).strings() == [made.where(TRAIN).arrays["smiles"].strings()[0]]
    assert f"molecules-npz: {_said(measured['left_out'])[0]}" in capsys.readouterr().err


def test_counts_are_those_of_the_rows(tmp_path):
    dataset = MoleculesNpz(file=some(tmp_path / "x.npz", many()), test_share=0.3, valid_share=0)
    made = dataset.rows()
    told = dataset.measured(made)
    train = made.where(TRAIN)
    sizes = train.arrays["elements"].lengths
    assert told["sizes"] == {str(n): int((sizes == n).sum()) for n in sorted(set(sizes.tolist()))}
    assert list(map(int, told["sizes"])) == sorted(map(int, told["sizes"]))
    per_split = {split: int(made.where(split).arrays["elements"].lengths.max()) for split in (TEST, TRAIN)}
    assert told["largest"] == per_split
    assert told["atoms"] == len(made.arrays["elements"].values) == sum(told["elements"].values())
    assert set(told["elements"]) == {"H", "C", "N", "O", "F"}
    assert told["charges"] == {"0": told["atoms"]}
    assert sum(told["bonds"].values()) == len(made.arrays["bonds"].values)
    assert told["std"]["centred"] == pytest.approx(train.arrays["coordinates"].values.std(dtype=np.float64))
    moved = train.arrays["coordinates"].values + np.repeat(train.arrays["centre"], sizes, 0)
    assert told["std"]["uncentred"] == pytest.approx(moved.std(dtype=np.float64))
    assert set(told["molecules"]) == {TRAIN, TEST}


# Bad records


BAD = {  # array, and what stands in it for the second molecule
    "it has no atom": ("atom_offset", 9),
    "atom 2 has a place that is NaN": ("position", np.nan),
    "an atom is beyond 10000 Angstrom": ("position", 1e30),
    "atom 2 has the atomic number 0": ("atomic_number", 0),
    "atom 2 has the atomic number 101": ("atomic_number", 101),
    "a bond joins atom 10 of 9": ("bond_index", [0, 9]),
    "a bond joins an atom with itself": ("bond_index", [1, 1]),
    "a bond has an order that is not 1 to 4": ("bond_order", 7),
}


@pytest.fixture(params=BAD)
def bad(request, tmp_path):
    """What is wrong with the second of three molecules of a file, and the file."""
    name, value = BAD[request.param]
    arrays = flat([kekule("CC=O"), kekule("CCO"), kekule("C#N")])
    place = {"atom_offset": 2, "bond_index": 6, "bond_order": 6}.get(name, 8)
    if name == "atom_offset":
        arrays = flat([kekule("CC=O"), kekule("C#N")])
        for offsets in ("atom_offset", "bond_offset"):
            arrays[offsets] = np.insert(arrays[offsets], 1, arrays[offsets][1])
    else:
        arrays[name][place] = value
    return request.param, saved(tmp_path / "x.npz", arrays)


def test_a_bad_record_is_named_in_one_line_or_tolerated(bad):
    why, file = bad
    dataset = MoleculesNpz(file=file, **ALL)
    message = rf"^dataset molecules-npz: .*x\.npz: molecule 2 of 3: {why}.*; mend it, or say `tolerate: 1` or more"
    with pytest.raises(ConfigError, match=message) as caught:
        dataset.rows()
    assert "\n" not in str(caught.value)
    tolerant = MoleculesNpz(file=file, tolerate=1, **ALL)
    made = tolerant.rows()
    assert len(made) == 2
    told = tolerant.measured(made)
    assert told["left_out"] == {"cannot be read": 1}
    ((where, reason),) = told["bad"].items()
    assert where.endswith("molecule 2 of 3")
    assert reason.startswith(why)
    assert tolerant.identity() == dataset.identity()  # the same rows, whatever it says
    with pytest.raises(ConfigError, match=why):  # parts of a tolerant run do not pass where nobody tolerates
        MoleculesNpz(file=file, **ALL).measured(made)
