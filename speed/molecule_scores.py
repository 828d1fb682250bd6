"""Stability and validity of QM9's 13,083 test molecules on one core: ours against loops over atoms and pairs.

The loops are written as EDM's evaluation is (qm9/analyze.py:209-245, qm9/bond_analyze.py, qm9/rdkit_functions.py:76-133
@fce07d7): for every pair of atoms a distance and an order by dictionaries of lengths, for every atom a sum, an RDKit
molecule bond by bond from the same orders once more, sanitised, and the SMILES of its largest fragment. Ours are the
metrics `atom-stability@edm`, `molecule-stability@edm` and `validity@distances`. Both take the same molecules in this
process, several times in turn; the least seconds count. It fails where a count differs, or below `--goal`.

    python speed/molecule_scores.py [--every 10] [--repeats 3] [--goal 20]
"""

import argparse
import csv
import math
import os
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from rdkit import Chem

from reedbench.core import io
from reedbench.core.ragged import Ragged
from reedbench.domains import bond_distances, molecule_graphs
from reedbench.domains.molecule import SYMBOLS
from reedbench.domains.rows import Rows
from reedbench.metrics.atom_stability import AtomStability
from reedbench.metrics.molecule_stability import MoleculeStability
from reedbench.metrics.validity import Validity
from reedbench.steps.evidence import CellEvidence

DATA = Path(os.environ.get("REEDBENCH_DATA", "../shared/data")) / "qm9_test.npz"
MARGINS = {1: 10, 2: 5, 3: 3}
ALLOWED = {"H": 1, "C": 4, "N": 3, "O": 2, "F": 1}
TYPES = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}


def lengths() -> dict[int, dict[str, dict[str, int]]]:
    """Of bonds in picometres, by order and both elements."""
    found: dict[int, dict[str, dict[str, int]]] = {1: {}, 2: {}, 3: {}}
    with bond_distances.TABLE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(line for line in file if not line.startswith("#")):
            for a, b in ((line["first"], line["second"]), (line["second"], line["first"])):
                found[int(line["order"])].setdefault(a, {})[b] = int(line["picometres"])
    return found


LENGTHS = lengths()


def order(one: str, other: str, distance: float) -> int:
    """Of the bond between two elements at a distance in Angstrom."""
    distance = 100 * distance
    if distance < LENGTHS[1][one][other] + MARGINS[1]:
        if one in LENGTHS[2] and other in LENGTHS[2][one]:
            if distance < LENGTHS[2][one][other] + MARGINS[2]:
                if one in LENGTHS[3] and other in LENGTHS[3][one]:
                    if distance < LENGTHS[3][one][other] + MARGINS[3]:
                        return 3
                return 2
        return 1
    return 0


def stable_atoms(places: np.ndarray, symbols: list[str]) -> int:
    """Pair by pair."""
    x, y, z = places[:, 0], places[:, 1], places[:, 2]
    sums = np.zeros(len(x), dtype="int")
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            p1, p2 = np.array([x[i], y[i], z[i]]), np.array([x[j], y[j], z[j]])
            found = order(symbols[i], symbols[j], np.sqrt(np.sum((p1 - p2) ** 2)))
            sums[i] += found
            sums[j] += found
    return sum(int(ALLOWED[symbol] == total) for symbol, total in zip(symbols, sums, strict=True))


def smiles(places: np.ndarray, symbols: list[str]) -> str | None:
    """Of the largest fragment; None where RDKit does not sanitise the molecule."""
    n = len(symbols)
    distances = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    orders = np.zeros((n, n), dtype="int")
    for i in range(n):
        for j in range(i):
            orders[i, j] = order(*sorted([symbols[i], symbols[j]], key=list(ALLOWED).index), distances[i, j])
    made = Chem.RWMol()
    for symbol in symbols:
        made.AddAtom(Chem.Atom(symbol))
    for i, j in np.argwhere(orders):
        made.AddBond(int(i), int(j), TYPES[int(orders[i, j])])
    try:
        Chem.SanitizeMol(made)
    except ValueError:
        return None
    pieces = Chem.rdmolops.GetMolFrags(made, asMols=True)
    largest = max(pieces, default=made, key=lambda piece: piece.GetNumAtoms())
    Chem.SanitizeMol(largest)
    return Chem.MolToSmiles(largest)


def by_loops(rows: Rows) -> tuple[int, int, int]:
    """Stable atoms, stable molecules and valid molecules."""
    atoms = molecules = valid = 0
    for places, elements in zip(rows.arrays["coordinates"], rows.arrays["elements"], strict=True):
        symbols = [SYMBOLS[number] for number in elements]
        found = stable_atoms(places, symbols)
        atoms, molecules = atoms + found, molecules + (found == len(symbols))
        valid += smiles(places, symbols) is not None
    return atoms, molecules, valid


def by_metrics(rows: Rows) -> tuple[int, int, int]:
    """The same."""
    evidence = CellEvidence(rows, rows, training=lambda: rows)
    metrics = AtomStability(rule="edm"), MoleculeStability(rule="edm"), Validity(graph="distances")
    atoms, molecules, valid = (metric.measured(evidence) for metric in metrics)
    total = int(rows.arrays["elements"].lengths.sum())
    return round(atoms * total), round(molecules * len(rows)), round(valid * len(rows))


def read(every: int) -> Rows:
    """One molecule of so many."""
    found = io.read_npz(DATA, ["num_atoms", "position", "atomic_number"])
    number = found["num_atoms"].astype(np.int64)
    places, elements = (Ragged(found[name], number)[::every] for name in ("position", "atomic_number"))
    ids = [f"{i}" for i in range(len(places))]
    signs = Ragged(np.zeros(len(elements.values), np.int8), elements.lengths)
    bonds = Ragged(np.zeros((0, 3), np.uint8), np.zeros(len(places), np.int64))
    arrays = {"coordinates": places.astype(np.float32), "elements": elements.astype(np.uint8), "charges": signs}
    return Rows(ids, ["test"] * len(ids), {**arrays, "bonds": bonds})


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--every", type=int, default=10, help="one molecule of so many")
    parser.add_argument("--repeats", type=int, default=3, help="in turn")
    parser.add_argument("--goal", type=float, default=20.0, help="least ratio")
    asked = parser.parse_args()
    molecule_graphs.rdkit()  # silences it, for both
    rows = read(asked.every)
    by_metrics(rows.take(range(2)))  # tables are read once
    seconds, counts = {by_loops: math.inf, by_metrics: math.inf}, {}
    for _ in range(asked.repeats):
        for way in seconds:
            began = time.process_time()
            counts[way] = way(rows)
            seconds[way] = min(seconds[way], time.process_time() - began)
    atoms, molecules, valid = counts[by_metrics]
    print(f"{len(rows)} molecules: {atoms} stable atoms, {molecules} stable molecules, {valid} valid")
    if counts[by_loops] != counts[by_metrics]:
        raise SystemExit(f"the loops count {counts[by_loops]}")
    ratio = seconds[by_loops] / seconds[by_metrics]
    print(f"CPU seconds: {seconds[by_loops]:.3f} loops, {seconds[by_metrics]:.3f} ours; ratio {ratio:.1f}")
    if ratio < asked.goal:
        raise SystemExit(f"ratio {ratio:.1f} is below {asked.goal:g}")


if __name__ == "__main__":
    main()
