"""What is known of molecules without RDKit is what RDKit says."""

import numpy as np
import pytest

from reedbench.domains import molecule_checks, molecule_graphs
from reedbench.domains.molecule import AROMATIC, NUMBERS, Molecule, arrays_of

Chem = pytest.importorskip("rdkit.Chem")

ELEMENTS = [NUMBERS[symbol] for symbol in (*molecule_checks.PLAIN, "B", "Si", "I", "Se")]
SHARES = np.array([3, 5, 4, 4, 1, 1, 1, 1, 1, 0.3, 0.3, 0.3, 0.3])


def random_graph(rng, *, plain: bool) -> Molecule:
    """Atoms and bonds without any sense; with `plain` without charges, aromatic bonds and rarer elements."""
    n = int(rng.integers(1, 9))
    weight = np.where(np.arange(len(SHARES)) < (len(molecule_checks.PLAIN) if plain else 99), SHARES, 0)
    elements = rng.choice(ELEMENTS, n, p=weight / weight.sum())
    pairs = np.argwhere(np.triu(np.ones((n, n), bool), 1))
    kept = pairs[rng.permutation(len(pairs))[: rng.integers(0, n + 3)]]
    orders = rng.choice([1, 2, 3, AROMATIC], len(kept), p=[0.6, 0.3, 0.1, 0] if plain else [0.5, 0.25, 0.1, 0.15])
    charges = np.zeros(n, int) if plain else rng.choice([0, 0, 0, 0, 1, -1], n)
    return Molecule.of(rng.normal(size=(n, 3)), elements, charges, np.column_stack([kept, orders]))


def by_rdkit(molecules) -> list[bool]:
    return [molecule_graphs.graph(one) is not None for one in molecules]


@pytest.mark.parametrize("plain", [True, False])
def test_random_graphs_are_sanitised_exactly_where_rdkit_does(plain):
    rng = np.random.default_rng(0)
    molecules = [random_graph(rng, plain=plain) for _ in range(4000)]
    expected = by_rdkit(molecules)
    assert 400 < sum(expected) < 3600
    assert molecule_checks.sanitised(arrays_of(molecules)).tolist() == expected


def test_most_are_known_without_rdkit(monkeypatch):
    rng, asked = np.random.default_rng(1), []
    molecules = [random_graph(rng, plain=True) for _ in range(400)]
    graph = molecule_graphs.graph
    monkeypatch.setattr(molecule_graphs, "graph", lambda one: asked.append(one) or graph(one))
    molecule_checks.sanitised(arrays_of(molecules))
    assert len(asked) < 100
    assert len(asked) > 0


@pytest.mark.parametrize(
    ("text", "valid"),
    [("CN(=O)=O", True), ("C[N](C)(C)(C)C", False), ("O=Cl(=O)(=O)O", True), ("CP(C)(C)(C)C", True),
     ("CS(=O)(=O)C", True), ("C=N(=O)C", True), ("F=C", False)],
)  # fmt: skip
def test_what_rdkit_mends_is_left_to_it(text, valid):
    raw = Chem.MolFromSmiles(text, sanitize=False)
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondTypeAsDouble())) for b in raw.GetBonds()]
    elements = [atom.GetAtomicNum() for atom in raw.GetAtoms()]
    one = Molecule.of(np.arange(3.0 * len(elements)).reshape(-1, 3), elements, None, bonds)
    assert molecule_checks.sanitised(arrays_of([one])).tolist() == [valid] == by_rdkit([one])


def test_an_element_that_was_not_decided_is_not_valid():
    one = Molecule(np.zeros((2, 3), np.float32), np.array([6, 0], np.uint8), np.zeros(2, np.int8),
                   np.zeros((0, 3), np.uint8))  # fmt: skip
    assert molecule_checks.sanitised(arrays_of([one])).tolist() == [False]


def test_fragments_are_counted_per_molecule():
    rng = np.random.default_rng(2)
    molecules = [random_graph(rng, plain=True) for _ in range(200)]
    expected = [len(Chem.GetMolFrags(molecule_graphs.graph(one, sanitise=False))) for one in molecules]
    assert molecule_checks.fragments(arrays_of(molecules)).tolist() == expected
    assert len(set(expected)) > 3
