"""PoseBusters' checks, and what stands in their place where the package is not installed."""

import sys

import numpy as np
import pytest
from made_molecules import broken, embedded, evidence, joined

from reedbench.core.errors import NoValue
from reedbench.domains import molecule_graphs
from reedbench.domains.molecule import Molecule
from reedbench.metrics.posebusters import PoseBusters


def test_without_the_package_there_is_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "posebusters", None)
    with pytest.raises(NoValue, match=r"^PoseBusters is not installed: pip install posebusters$"):
        PoseBusters().measured(evidence("CCO"))


def test_whole_molecules_pass_and_torn_squeezed_and_invalid_ones_do_not(capfd):
    pytest.importorskip("posebusters")
    benzoic = embedded("OC(=O)c1ccccc1")
    squeezed = Molecule(0.6 * benzoic.coordinates, benzoic.elements, benzoic.charges, benzoic.bonds)
    seen = evidence("CCO", "OC(=O)c1ccccc1", squeezed, broken(), joined(embedded("O"), embedded("CC")))
    metric = PoseBusters(checks="mol-fast")
    assert metric.measured(seen) == 2 / 5
    assert metric.measured(seen.part(slice(0, 2))) == 1
    assert molecule_graphs.graph(broken()) is None
    assert capfd.readouterr().err == ""  # RDKit is silent still


def test_energies_are_looked_at_once_and_a_check_without_an_answer_is_not_passed(monkeypatch):
    posebusters = pytest.importorskip("posebusters")
    pandas, seen, configs = pytest.importorskip("pandas"), evidence("CCO", "CCN", "CC"), []
    answers = [pandas.DataFrame({"a": [True], "b": [True]}), pandas.DataFrame({"a": [True], "b": [np.nan]}), None]

    class Judge:
        def __init__(self, config):
            configs.append([module["name"] for module in config["modules"]])

        def bust(self, mol_pred):
            return answers.pop(0)  # of the last one an error: it has no answers at all

    monkeypatch.setattr(posebusters, "PoseBusters", Judge)
    assert PoseBusters(checks="mol").measured(seen) == 1 / 3
    assert configs[0].count("Energy ratio") == 1
