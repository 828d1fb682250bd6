"""Metrics on molecules: each on a case that is worked out by hand."""

import gzip

import numpy as np
import pytest
from made_molecules import broken, embedded, evidence, joined, training, undecided

from reedbench.core import io, plugins
from reedbench.core.errors import ConfigError, MetricError, NoValue
from reedbench.domains import bond_distances, molecule_checks, molecule_energies, molecule_graphs
from reedbench.domains.molecule import Molecule, chosen
from reedbench.domains.rows import Rows
from reedbench.steps.evidence import CellEvidence

MOLECULE = [name for name, metric in plugins.discover("metrics").items() if metric.domain == "molecule"]


def made(name, **settings):
    return plugins.discover("metrics")[name](**settings)


def measured(name, seen, **settings) -> float:
    return made(name, **settings).measured(seen)


def test_atoms_are_pooled_and_molecules_count_alike():
    """Ethanol is stable; of six atoms of the other all but the carbon, which has five bonds."""
    seen = evidence("CCO", broken())
    assert measured("atom-stability", seen) == (9 + 5) / (9 + 6)
    assert measured("molecule-stability", seen) == 1 / 2
    assert measured("atom-stability", seen, rule="legacy") == (9 + 5) / (9 + 6)


def test_the_rule_of_distances_looks_at_no_bonds():
    ethanol = embedded("CCO")
    without = Molecule(ethanol.coordinates, ethanol.elements, ethanol.charges, np.zeros((0, 3), np.uint8))
    assert measured("molecule-stability", evidence(without), rule="edm") == 1
    assert measured("molecule-stability", evidence(without), rule="legacy") == 0
    assert measured("validity", evidence(without), graph="distances", connected=True) == 1
    assert measured("validity", evidence(without), connected=True) == 0
    apart = Molecule(5 * ethanol.coordinates, ethanol.elements, ethanol.charges, ethanol.bonds)
    assert measured("molecule-stability", evidence(apart), rule="edm") == 0
    assert measured("molecule-stability", evidence(apart), rule="legacy") == 1


def test_validity_is_over_all_samples_and_may_ask_for_one_piece():
    seen = evidence("CCO", "C[NH3+]", broken(), undecided(), joined(embedded("O"), embedded("CC")))
    assert measured("validity", seen) == 3 / 5
    assert measured("validity", seen, connected=True) == 2 / 5


def test_uniqueness_is_over_valid_samples_and_blind_to_stereo():
    seen = evidence("CCO", "OCC", broken(), "C[C@H](O)F", "C[C@@H](O)F", "CC")
    assert measured("uniqueness", seen) == 3 / 5


def test_a_sample_that_lacks_a_hydrogen_is_neither_whole_nor_known():
    methane = embedded("C")
    radicals = (chosen(methane, np.array(atoms)) for atoms in ([0, 1, 2, 3], [4, 0, 1, 2]))
    seen = evidence("C", "CC", *radicals, known=["C", "CC"])
    assert measured("validity", seen) == 1
    assert measured("uniqueness", seen) == 3 / 4
    assert measured("novelty", seen) == 1 / 2


def test_of_bonds_from_distances_the_largest_fragment_counts():
    seen = evidence(joined(embedded("O"), embedded("CCO")), "CCO")
    assert measured("uniqueness", seen, graph="distances") == 1 / 2
    assert measured("uniqueness", seen, graph="bonds") == 1
    assert measured("novelty", seen, graph="distances") == 0
    assert measured("novelty", seen, graph="bonds") == 1 / 2


def test_novelty_treats_stereo_alike_on_both_sides():
    seen = evidence("C[C@@H](O)F", "CC(O)F", "CCCC", "CCCC", "CCCCC", broken())
    assert measured("novelty", seen) == 3 / 5
    assert measured("novelty", seen, among="distinct") == 2 / 3


@pytest.mark.parametrize("name", ["known.smi", "known.smi.gz"])
def test_known_molecules_may_come_from_a_file(tmp_path, name):
    text = "OCC ethanol\n\n[H]C([H])([H])[H]\n"
    file = tmp_path / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    seen = evidence("CCO", "C", "CC(=O)O")
    metric = made("novelty", file=str(file))
    assert metric.measured(seen) == 1 / 3
    assert metric.files() == (file,)
    assert metric.protocol()["file_sha256"] == io.sha256(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"C\nC(C\n", r"line 2: no SMILES that RDKit reads: 'C\(C'; take the line out"), (b"\xff\xfe", "cannot be read")],
)
def test_a_file_that_holds_something_else_is_named(tmp_path, content, said):
    file = tmp_path / "known.smi"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        measured("novelty", evidence("C"), file=str(file))
    with pytest.raises(ConfigError, match=r"novelty@bonds\+file=.*: file: no such file: .*absent"):
        measured("novelty", evidence("C"), file=str(tmp_path / "absent.smi"))


def test_without_smiles_novelty_says_what_to_do():
    plain = training()
    rows = Rows(plain.ids, plain.split, {name: plain.arrays[name] for name in ("elements", "coordinates")})
    seen = evidence("C")
    lacking = CellEvidence(seen.samples, seen.asked, training=lambda: rows)
    with pytest.raises(MetricError, match="have no SMILES; give a file"):
        measured("novelty", lacking)


def test_energies_are_means_over_samples_that_have_one():
    seen = evidence("CCO", broken(), "CC(=O)O")
    both = [molecule_energies.relaxed(molecule_graphs.graph(embedded(text))) for text in ("CCO", "CC(=O)O")]
    energies, strains = [one.energy for one in both], [one.energy - one.relaxed for one in both]
    assert measured("energy", seen) == pytest.approx(np.mean(energies))
    assert measured("energy", seen, per="atom") == pytest.approx(np.mean(np.divide(energies, (9, 8))))
    assert measured("strain", seen) == pytest.approx(np.mean(strains))
    assert measured("strain", seen, per="atom") == pytest.approx(np.mean(np.divide(strains, (9, 8))))
    assert measured("relaxation-rmsd", seen) == pytest.approx(np.mean([one.rmsd for one in both]))
    assert measured("energy-validity", seen) == measured("energy-validity", seen, relaxed=True) == 2 / 3
    np.testing.assert_allclose(made("strain").values(seen), [strains[0], np.nan, strains[1]])


def test_samples_whose_optimisation_does_not_converge_have_an_energy_and_no_strain(monkeypatch):
    monkeypatch.setattr(molecule_energies, "ITERATIONS", 1)
    seen = evidence("CCO", "CC(=O)O")
    assert measured("energy-validity", seen) == 1
    assert measured("energy-validity", seen, relaxed=True) == 0
    with pytest.raises(NoValue, match="MMFF94 gives none of the valid samples a value"):
        measured("strain", seen)


WORST = {"atom-stability": 0, "molecule-stability": 0, "validity": 0, "energy-validity": 0, "posebusters": 0}


@pytest.mark.parametrize("name", MOLECULE)
def test_samples_of_which_none_is_valid_crash_no_metric(name):
    """They have a value, or a reason why there is none."""
    if name == "posebusters":
        pytest.importorskip("posebusters")
    seen = evidence(undecided(), undecided())
    if name in WORST:
        assert measured(name, seen) == WORST[name]
    elif name == "distribution":
        assert measured(name, seen) > 0
    else:
        with pytest.raises(NoValue, match="no sample is a valid molecule"):
            measured(name, seen)


@pytest.mark.parametrize("name", MOLECULE)
def test_a_part_has_its_own_value_and_nothing_is_made_twice(name, monkeypatch):
    calls: list[str] = []

    def counted(module, function):
        own = getattr(module, function)
        monkeypatch.setattr(module, function, lambda *given: calls.append(function) or own(*given))

    if name == "posebusters":
        pytest.importorskip("posebusters")
    counted(molecule_checks, "sanitised")
    counted(molecule_energies, "relaxed")
    counted(molecule_graphs, "smiles")
    counted(bond_distances, "perceived_rows")
    samples = ["CCO", broken(), "CC(=O)O", "CCO"]
    whole = evidence(*samples)
    parts = [whole.part(slice(0, 2)), whole.part(slice(2, 4))]
    metric = made(name)
    found = [metric.measured(part) for part in parts]
    metric.measured(whole)
    assert {one: calls.count(one) for one in calls if one != "smiles"}.keys() <= {
        "sanitised", "relaxed", "perceived_rows",
    }  # fmt: skip
    assert calls.count("sanitised") <= 1
    assert calls.count("relaxed") <= 3
    assert calls.count("smiles") <= 3 + len(training().ids)
    assert found == [metric.measured(evidence(*some)) for some in (samples[:2], samples[2:])]


@pytest.mark.parametrize("name", MOLECULE)
def test_every_metric_on_molecules_can_score_real_data(name):
    assert plugins.discover("metrics")[name].of_real


def test_ids_say_the_rule():
    assert made("atom-stability", rule="edm").id(100) == "atom-stability@edm.v1-n100"
    assert made("validity", connected=True).id(100) == "validity@bonds+connected=yes.v1-n100"
    assert made("strain", per="atom").id(100) == "strain@atom.v1-n100"
    assert made("novelty", graph="distances", among="distinct").family == "novelty@distances+among=distinct"
