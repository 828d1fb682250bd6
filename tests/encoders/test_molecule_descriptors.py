"""Fingerprints and descriptors of graphs: RDKit's own, standardised, and defined for broken molecules too."""

import json

import numpy as np
import pytest
from molecule_rows import SMILES, changed, molecule, permuted, rows_of, splits
from pydantic import ValidationError

from reedbench.core.errors import ConfigError
from reedbench.domains.molecule import Molecule
from reedbench.domains.molecule_graphs import rdkit
from reedbench.encoders import Material, molecule_descriptors
from reedbench.encoders.molecule_descriptors import FARTHEST, NAMES, MoleculeDescriptors

FIVE_BONDS = Molecule.of(
    np.random.default_rng(0).normal(size=(7, 3)),
    [6, 1, 1, 1, 1, 8, 1],
    None,
    [(0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1), (5, 6, 1)],
)


@pytest.fixture(scope="module")
def train() -> Material:
    return Material(splits()[0])


@pytest.fixture(scope="module")
def moments(train):
    return MoleculeDescriptors(of="rdkit").pretrain(train, train, "x")


def fingerprints(rows, **settings) -> np.ndarray:
    return MoleculeDescriptors(**settings).represent({}, Material(rows))


@pytest.mark.parametrize("counts", [True, False])
def test_a_fingerprint_is_that_of_the_smiles(counts):
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=3, fpSize=128)
    found = fingerprints(rows_of([molecule(s) for s in SMILES]), radius=3, bits=128, counts=counts)
    assert found.dtype == np.float32
    assert found.shape[1:] == MoleculeDescriptors(bits=128).shape({}, {})
    made = generator.GetCountFingerprintAsNumPy if counts else generator.GetFingerprintAsNumPy
    for row, smiles in zip(found, SMILES, strict=True):
        np.testing.assert_array_equal(row, made(rdkit().MolFromSmiles(smiles)))
    assert (found.max() > 1) == counts


def test_descriptors_are_standardised_over_the_training_molecules(train, moments):
    encoder = MoleculeDescriptors(of="rdkit")
    found = encoder.represent(moments.weights, train)
    assert found.dtype == np.float32
    assert found.shape == (64, len(NAMES)) == (64, *encoder.shape({}, {}))
    varies = np.isfinite(moments.weights["std"])
    np.testing.assert_allclose(found[:, varies].mean(0, np.float64), 0, atol=1e-5)
    assert not found[:, ~varies].any()
    unclipped = np.abs(found).max(0) < FARTHEST
    np.testing.assert_allclose(found[:, varies & unclipped].std(0, dtype=np.float64), 1, atol=1e-4)
    assert moments.card["constant"] == (~varies).sum()
    assert moments.card["not_computed"] == 0
    assert json.loads(json.dumps(moments.card, allow_nan=False)) == moments.card


def test_a_descriptor_is_that_of_rdkit(train, moments):
    from rdkit.Chem import Descriptors

    place, weights = NAMES.index("TPSA"), moments.weights
    rows = rows_of([molecule("CC(N)=O")])
    found = MoleculeDescriptors(of="rdkit").represent(weights, Material(rows))[0, place]
    expected = (Descriptors.TPSA(rdkit().MolFromSmiles("CC(N)=O")) - weights["mean"][place]) / weights["std"][place]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("of", ["morgan", "rdkit"])
def test_coordinates_numbering_and_other_rows_do_not_count(of, train, moments):
    encoder = MoleculeDescriptors(of=of)
    found = encoder.represent(moments.weights, train)
    flat = changed(train.rows, coordinates=np.zeros_like(train.rows.arrays["coordinates"].values))
    np.testing.assert_array_equal(encoder.represent(moments.weights, Material(flat)), found)
    np.testing.assert_allclose(encoder.represent(moments.weights, Material(permuted(train.rows))), found, atol=1e-3)
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_array_equal(encoder.represent(moments.weights, train.take(order)), found[order])


def test_a_graph_that_rdkit_does_not_sanitise_is_described_as_far_as_it_goes(moments):
    broken, whole = rows_of([FIVE_BONDS]), rows_of([molecule("CO")])
    seen = fingerprints(broken)
    assert seen.sum() >= 3
    assert (seen != fingerprints(whole)).any()
    found = MoleculeDescriptors(of="rdkit").represent(moments.weights, Material(broken))
    assert np.isfinite(found).all()
    weight = NAMES.index("MolWt")
    assert found[0, weight] * moments.weights["std"][weight] + moments.weights["mean"][weight] == pytest.approx(33, 0.1)


def test_an_undecided_element_gives_zeros_before_they_are_standardised(moments):
    rows = changed(rows_of([molecule("CO")]), elements=np.array([6, 0, 1, 1, 1, 1], np.uint8))
    assert not fingerprints(rows).any()
    found = MoleculeDescriptors(of="rdkit").represent(moments.weights, Material(rows))[0]
    weight = NAMES.index("MolWt")
    assert found[weight] == pytest.approx(-moments.weights["mean"][weight] / moments.weights["std"][weight], rel=1e-5)


def test_what_rdkit_cannot_compute_is_the_training_mean(train, moments, monkeypatch):
    from rdkit.Chem import Descriptors

    def failing(one):
        if one.GetNumAtoms() > 5:
            raise ValueError("too many")
        return float("nan") if one.GetNumAtoms() > 4 else 1.0 * one.GetNumAtoms()

    listed = [(name, failing if name == "TPSA" else own) for name, own in Descriptors.descList]
    monkeypatch.setattr(Descriptors, "descList", listed)
    encoder, place = MoleculeDescriptors(of="rdkit"), NAMES.index("TPSA")
    made = encoder.pretrain(train, train, "x")
    heavy = np.array([(row > 1).sum() for row in train.rows.arrays["elements"]])
    assert made.card["not_computed"] == (heavy > 4).sum()
    assert made.weights["mean"][place] == pytest.approx(heavy[heavy <= 4].mean())
    found = encoder.represent(made.weights, train)[:, place]
    assert not found[heavy > 4].any()
    assert found[heavy <= 4].std() > 0.5


def test_far_values_are_moved_to_the_limit(moments):
    large = rows_of([Molecule.of(np.zeros((200, 3)), [53] * 200)])
    found = MoleculeDescriptors(of="rdkit").represent(moments.weights, Material(large))
    assert found[0, NAMES.index("MolWt")] == FARTHEST


def test_a_missing_descriptor_is_named(train, monkeypatch):
    monkeypatch.setattr(molecule_descriptors, "NAMES", ("TPSA", "Nonesuch"))
    with pytest.raises(ConfigError, match="this RDKit has no descriptor Nonesuch; take another one"):
        MoleculeDescriptors(of="rdkit").pretrain(train, train, "x")


def test_only_descriptors_need_the_training_split(train):
    assert MoleculeDescriptors(of="rdkit").pretrained
    assert not MoleculeDescriptors().pretrained
    assert MoleculeDescriptors().pretrain(train, train, "x").weights == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"of": "rdkit", "bits": 64}, "bits has no effect on of: rdkit"),
        ({"of": "rdkit", "per_seed": True}, "per_seed has no effect on molecule-descriptors"),
        ({"per_seed": True}, "per_seed has no effect on molecule-descriptors"),
    ],
)
def test_settings_without_effect_are_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        MoleculeDescriptors(**settings)
