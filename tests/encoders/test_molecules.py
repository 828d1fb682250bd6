"""What encoders of molecules share: what a structure tells without any of them."""

import numpy as np
import pytest
from molecule_rows import SMILES, changed, molecule, rows_of

from reedbench.core.errors import ConfigError
from reedbench.domains.molecule import Molecule
from reedbench.domains.molecule_graphs import rdkit
from reedbench.encoders._molecules import composition, probes, properties, require_finite, some


@pytest.fixture(scope="module")
def rows():
    return rows_of([molecule(smiles) for smiles in SMILES])


def test_structures_tell_rings_heavy_atoms_and_size(rows):
    found = properties(rows)
    chem = rdkit()
    graphs = [chem.MolFromSmiles(smiles) for smiles in SMILES]
    assert found["rings"].tolist() == [one.GetRingInfo().NumRings() for one in graphs]
    assert found["heavy"].tolist() == [one.GetNumAtoms() for one in graphs]
    places = rows.arrays["coordinates"][3].astype(np.float64)
    assert found["gyration"][3] == pytest.approx(np.sqrt(np.square(places - places.mean(0)).sum(1).mean()))


def test_rings_are_counted_in_every_fragment():
    two = [
        Molecule.of(np.random.default_rng(0).normal(size=(7, 3)), [6] * 7, None, bonds)
        for bonds in ([(0, 1, 1), (1, 2, 1), (0, 2, 1), (3, 4, 1), (4, 5, 1), (3, 5, 1)], [])
    ]
    assert properties(rows_of(two))["rings"].tolist() == [2, 0]


def test_properties_of_the_data_come_before_those_of_structures(rows):
    gap = np.arange(len(rows), dtype=np.float32)
    assert properties(rows_of([molecule(smiles) for smiles in SMILES], gap=gap)).keys() == {"gap"}


def test_a_composition_counts_elements(rows):
    found = composition(rows)
    ethanol = found[SMILES.index("CCO")]
    assert (ethanol[[1, 6, 8]].tolist(), ethanol.sum()) == ([6, 2, 1], 9)


def test_a_probe_says_what_vectors_add_to_the_composition(rows):
    rings = properties(rows)["rings"][:, None]
    card = probes(rows.take(range(60)), rings[:60], rows.take(range(60, len(rows))), rings[60:])
    assert card["r2_rings"] > 0.99
    assert card["r2_rings_of_composition"] < 0.9 < card["r2_rings_of_both"]
    assert card["r2_heavy"] < 0.5 < 0.99 < card["r2_heavy_of_both"]


def test_molecules_whose_property_is_not_known_are_not_probed(rows):
    gap = properties(rows)["rings"].copy()
    gap[::3] = np.nan
    known = rows_of([molecule(smiles) for smiles in SMILES], gap=gap, mu=np.full(len(rows), np.nan))
    vectors = properties(rows)["rings"][:, None]
    card = probes(known.take(range(60)), vectors[:60], known.take(range(60, len(rows))), vectors[60:])
    assert card["r2_gap"] > 0.99
    assert "r2_mu" not in card


def test_some_rows_are_drawn_by_the_stream_and_stay_in_order(rows):
    drawn = some(rows, 10, "a")
    assert len(drawn) == 10
    assert drawn.ids == sorted(drawn.ids, key=lambda name: int(name[1:]))
    assert drawn.ids != some(rows, 10, "b").ids
    assert some(rows, 1000, "a").ids == rows.ids


def test_the_row_with_a_place_that_is_no_number_is_named(rows):
    places = rows.arrays["coordinates"].values.copy()
    places[rows.arrays["coordinates"].starts[4]] = np.inf
    require_finite(rows, "x")
    with pytest.raises(ConfigError, match="encoder x: row 'm4' has an atom whose place is no number"):
        require_finite(changed(rows, coordinates=places), "x")
