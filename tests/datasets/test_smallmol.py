"""The embedded dataset of molecules: whole, small, the same each time, and described."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core.ragged import Ragged
from reedbench.datasets.smallmol import Smallmol
from reedbench.domains import made_molecules, molecule, molecule_graphs
from reedbench.domains.rows import TEST, TRAIN, Rows

pytest.importorskip("rdkit")
FEW = {"max_heavy": 4, "molecules": 60, "test_share": 0.2}


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Smallmol(**FEW).rows()


def test_rows_are_molecules_named_by_their_smiles(rows):
    assert len(rows) == len(set(rows.ids)) == 60
    assert list(rows.ids) == rows.arrays["smiles"].strings()
    assert {TRAIN, TEST} <= set(rows.split)
    for i, smiles in enumerate(rows.ids):
        one = molecule.molecule_of(rows.arrays, i)
        assert molecule_graphs.smiles(molecule_graphs.graph(one)) == smiles
        np.testing.assert_allclose(one.coordinates.mean(0), 0, atol=1e-6)
    assert not rows.arrays["charges"].values.any()
    assert np.isfinite(rows.arrays["mmff_energy"]).all()


def test_rows_are_the_same_bytes_each_time(rows):
    again = Smallmol(**FEW).rows()
    for name, array in rows.arrays.items():
        one, other = (x.values if isinstance(x, Ragged) else x for x in (array, again.arrays[name]))
        assert one.tobytes() == other.tobytes(), name


def test_more_molecules_include_the_same_ones(rows):
    more = Smallmol(**FEW | {"molecules": 90}).rows()
    place = {name: i for i, name in enumerate(more.ids)}
    assert set(rows.ids) < set(more.ids)
    assert [more.split[place[name]] for name in rows.ids] == list(rows.split)
    for i, name in enumerate(rows.ids[:10]):
        np.testing.assert_array_equal(more.arrays["coordinates"][place[name]], rows.arrays["coordinates"][i])
    assert sorted(Smallmol(max_heavy=3, molecules=None).rows().ids) == sorted(made_molecules.enumerated(3))


def test_more_conformers_begin_with_the_same_ones(rows):
    both = Smallmol(**FEW | {"conformers": 2}).rows()
    assert list(both.ids[::2]) == list(rows.ids)
    assert list(both.ids[1::2]) == [f"{name}:1" for name in rows.ids]
    assert list(both.split[::2]) == list(both.split[1::2]) == list(rows.split)
    assert both.arrays["molecule"][::2].tolist() == both.arrays["molecule"][1::2].tolist()
    np.testing.assert_array_equal(both.arrays["coordinates"][0], rows.arrays["coordinates"][0])
    alike = [
        np.array_equal(both.arrays["coordinates"][2 * i], both.arrays["coordinates"][2 * i + 1]) for i in range(60)
    ]
    assert sum(alike) < 3


def test_facts_tell_where_they_come_from_and_what_they_are_not():
    facts = Smallmol(**FEW).facts()
    assert facts == json.loads(json.dumps(facts, allow_nan=False))
    assert "were not measured" in facts["card"][0]
    assert "says little" in facts["card"][-1]
    assert facts["rules"] == list(made_molecules.RULES)
    assert facts["molecules_by_the_rules"] == 142
    assert facts["made_with"].startswith("RDKit 2")
    assert facts["properties"] == {"mmff_energy": "kcal/mol"}


def test_the_default_set_has_a_few_thousand_molecules_of_at_most_twenty_atoms():
    """Without their conformers, which take longer; see speed."""
    source = Smallmol().source
    assert len(source) == 2500
    assert source.facts["molecules_by_the_rules"] == 3488


def test_a_molecule_without_a_conformer_is_counted(monkeypatch):
    real = made_molecules.conformer
    monkeypatch.setattr(
        made_molecules, "conformer", lambda smiles, seed: None if smiles == "CO" else real(smiles, seed)
    )
    dataset = Smallmol(max_heavy=2, molecules=None, test_share=0, valid_share=0)
    made = dataset.rows()
    assert "CO" not in made.ids
    assert dataset.measured(made)["left_out"] == {"no conformer": 1}


@pytest.mark.parametrize("wrong", [{"max_heavy": 0}, {"max_heavy": 8}, {"molecules": 0}, {"conformers": 0}])
def test_settings_that_make_no_dataset_are_refused(wrong):
    with pytest.raises(ValidationError):
        Smallmol(**wrong)
