"""The codec of molecules: classes, padding, sizes that are asked for, samples on disk, previews."""

import numpy as np
import pytest
import torch

from reedbench.codecs.molecules import FIRST, Molecules
from reedbench.core.errors import ConfigError, Diverged
from reedbench.domains import molecule, molecule_files, molecule_pictures, rows
from reedbench.domains.molecule import Molecule
from reedbench.domains.rows import TEST, TRAIN, Rows

SMALL = Molecules(elements=("H", "C", "N", "O"), scale=2.0)
WATER = Molecule.of([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]], [8, 1, 1], None, [(0, 1, 1), (0, 2, 1)])
CYANIDE = Molecule.of([[0, 0, 0], [0, 0, 1.16]], [6, 7], [-1, 0], [(0, 1, 3)])
METHANE = Molecule.of(
    np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63,
    [6, 1, 1, 1, 1], None, [(0, i, 1) for i in range(1, 5)],
)  # fmt: skip
ALL = (WATER, CYANIDE, METHANE)


@pytest.fixture
def data():
    return Rows(["water", "cyanide", "methane"], [TRAIN, TRAIN, TEST], molecule.arrays_of(ALL))


@pytest.fixture
def folder(data, tmp_path):
    rows.write(tmp_path / "data", data, {})
    return tmp_path / "data"


def test_a_batch_has_classes_and_padding(data):
    batch = SMALL.batch(data.arrays, 6)
    assert {name: (tuple(x.shape), x.dtype) for name, x in batch.items()} == {
        "coordinates": ((3, 6, 3), torch.float32), "types": ((3, 6), torch.int64), "charges": ((3, 6), torch.int64),
        "bonds": ((3, 6, 6), torch.int64), "mask": ((3, 6), torch.float32), "numbers": ((3, 6), torch.int64),
    }  # fmt: skip
    assert batch["types"].tolist()[:2] == [[FIRST + 3, FIRST, FIRST, 0, 0, 0], [FIRST + 1, FIRST + 2, 0, 0, 0, 0]]
    assert batch["numbers"].tolist()[:2] == [[8, 1, 1, 0, 0, 0], [6, 7, 0, 0, 0, 0]]
    assert batch["charges"].tolist()[1] == [4, 0, 0, 0, 0, 0]
    assert batch["mask"].sum(1).tolist() == [3, 2, 5]
    assert (batch["bonds"] == batch["bonds"].transpose(1, 2)).all()
    assert batch["bonds"][1, 0, 1] == 3
    np.testing.assert_allclose(batch["coordinates"][0, :3], WATER.coordinates / 2)
    assert not batch["coordinates"][0, 3:].any()


def test_the_shape_tells_tokens_and_bond_classes():
    assert SMALL.shape({}) == (-1, 6, 5)
    assert Molecules(mask_bonds=True).shape({}) == (-1, 18, 6)
    assert SMALL.shape({"elements": {"H": 9, "O": 1}, "charges": {"-3": 1, "0": 9}}) == (-1, 6, 5)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"elements": {"C": 3, "Si": 2, "Bi": 1}}, r"have Si, Bi, which the codec's `elements` lack \(H, C, N, O\)"),
        ({"charges": {"-4": 1, "0": 7, "5": 1}}, "have atoms of charge -4, \\+5, and there are classes for -3 to 3"),
    ],
)
def test_the_index_tells_what_the_network_does_not_know(facts, said):
    with pytest.raises(ConfigError, match=said):
        SMALL.shape(facts)


def test_what_the_network_does_not_know_is_named(data):
    with pytest.raises(ConfigError, match=r"have O, which the codec's `elements` lack \(H, C, N\); add"):
        Molecules(elements=("H", "C", "N")).batch(data.arrays)
    ion = Molecule.of([[0, 0, 0]], [6], [4])
    with pytest.raises(ConfigError, match=r"atoms of charge \+4, and there are classes for -3 to 3; leave"):
        SMALL.batch(molecule.arrays_of([ion]))


@pytest.mark.parametrize(("elements", "said"), [(("H", "Q"), "'Q' is no element"), (("C", "C"), "named twice")])
def test_elements_that_there_are(elements, said):
    with pytest.raises(ValueError, match=said):
        Molecules(elements=elements)


def test_sizes_are_drawn_from_the_split_and_are_those_of_their_numbers(folder):
    asked = SMALL.asked(folder, rows.index(folder), 200, 1)
    sizes = asked.arrays["elements"].lengths
    assert set(sizes.tolist()) == {2, 3}
    assert 60 < (sizes == 3).sum() < 140
    assert not asked.arrays["elements"].values.any()
    fewer = SMALL.asked(folder, rows.index(folder), 50, 5).arrays["elements"].lengths
    np.testing.assert_array_equal(fewer, sizes[:50])
    test = Molecules(sizes="test").asked(folder, rows.index(folder), 3, 1)
    assert test.arrays["elements"].lengths.tolist() == [5, 5, 5]
    assert SMALL.condition(asked, {}, None)["mask"].sum(1).tolist() == sizes.tolist()


def as_drawn(codec, data):
    batch = codec.batch(data.arrays)
    return {name: batch[name] for name in ("coordinates", "types", "charges", "bonds")}


def asked_for(data):
    return Rows(data.ids, ["asked"] * len(data), {"elements": data.arrays["elements"]})


def test_what_was_drawn_becomes_molecules_again(data):
    samples = SMALL.samples(as_drawn(SMALL, data), asked_for(data))
    for i, one in enumerate(ALL):
        again = molecule.molecule_of(samples.arrays, i)
        np.testing.assert_allclose(again.coordinates, one.coordinates, atol=1e-6)
        assert all((getattr(again, name) == getattr(one, name)).all() for name in ("elements", "charges", "bonds"))


def test_the_lower_triangle_counts_and_hidden_bonds_and_padding_are_none(data):
    drawn = as_drawn(SMALL, data)
    drawn["bonds"][0] = torch.triu(torch.ones(5, 5, dtype=torch.int64))  # above the diagonal
    drawn["bonds"][1, 1, 0] = 5  # hidden
    drawn["bonds"][1, 4, 3] = 1  # beyond the molecule
    drawn["types"][0, 1] = 1  # hidden
    samples = SMALL.samples(drawn, asked_for(data))
    assert samples.arrays["bonds"].lengths.tolist() == [0, 0, 4]
    assert samples.arrays["elements"][0].tolist() == [8, 0, 1]


def test_bonds_that_were_not_drawn_come_from_distances(data):
    drawn = {name: x for name, x in as_drawn(SMALL, data).items() if name in ("coordinates", "types")}
    samples = SMALL.samples(drawn, asked_for(data))
    assert [samples.arrays["bonds"][i].tolist() for i in range(3)] == [one.bonds.tolist() for one in ALL]
    assert not samples.arrays["charges"].values.any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 3e38])
def test_places_that_are_no_numbers_have_diverged_and_the_samples_are_named(data, wrong):
    drawn = as_drawn(SMALL, data)
    drawn["coordinates"][2, 3, 1] = wrong
    with pytest.raises(Diverged, match=r"are no numbers in 1 of 3 samples \(methane\); what was drawn has diverged"):
        SMALL.samples(drawn, asked_for(data))
    drawn = as_drawn(SMALL, data)
    drawn["coordinates"][1, 4] = wrong  # padding
    SMALL.samples(drawn, asked_for(data))


def test_samples_survive_their_files(data, tmp_path):
    SMALL.write(tmp_path, data)
    read = SMALL.read(tmp_path)
    assert list(read.ids) == ["0", "1", "2"]
    for name in molecule.ARRAYS:
        np.testing.assert_array_equal(read.arrays[name].values, data.arrays[name].values)
    text = (tmp_path / molecule_files.SDF).read_text()
    assert text.count("$$$$\n") == 3
    assert "M  CHG  1   1  -1\n" in text


def test_other_programs_read_the_sdf(data, tmp_path):
    chem = pytest.importorskip("rdkit.Chem")
    SMALL.write(tmp_path, data)
    found = list(chem.SDMolSupplier(str(tmp_path / molecule_files.SDF), removeHs=False))
    assert [chem.MolToSmiles(chem.RemoveHs(one)) for one in found] == ["O", "[C-]#N", "C"]
    np.testing.assert_allclose(found[2].GetConformer().GetPositions(), METHANE.coordinates, atol=1e-4)


def test_previews_are_bytes_and_come_back(data, folder):
    preview = SMALL.preview(data, asked_for(data))
    assert (preview.dtype, preview.shape) == (np.uint8, (3, 5, 19))
    for one, again in zip(ALL, molecule_pictures.unpacked(preview), strict=True):
        assert all((getattr(one, name) == getattr(again, name)).all() for name in molecule.ARRAYS)
    assert len(SMALL.real(folder, asked_for(data))) == 3  # the nearest sizes that there are
    assert SMALL.names(asked_for(data)) == ["3 atoms", "2 atoms", "5 atoms"]


def test_pictures_show_all_and_frame_what_is_not_valid(data):
    pytest.importorskip("rdkit")
    crowded = Molecule(METHANE.coordinates, np.array([1, 1, 1, 1, 0], np.uint8), METHANE.charges, METHANE.bonds)
    preview = molecule_pictures.packed([WATER, CYANIDE, METHANE, crowded])
    picture = SMALL.picture(preview)
    side = molecule_pictures.SIDE
    assert picture.shape == (2 * side, 4 * side, 3)
    corners = [picture[0, i * side].tolist() for i in range(4)]
    assert corners == [[255, 255, 255]] * 3 + [list(molecule_pictures.WRONG)]
    assert all((picture[:, i * side + 5 : (i + 1) * side - 5] < 200).any() for i in range(4))
    numbers = SMALL.numbers(preview)
    assert [row["smiles"] for row in numbers] == ["O", "[C-]#N", "C", ""]
    assert numbers[3]["elements"] == "H H H H X"
