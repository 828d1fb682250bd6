"""What the index says of rows of molecules: sizes, elements, charges, bonds, and the spread of coordinates."""

from collections import Counter
from typing import Any

import numpy as np

from reedbench.domains.molecule import SYMBOLS
from reedbench.domains.rows import TRAIN, Rows


def measured(rows: Rows) -> dict[str, Any]:
    """Counts and spreads in float64; rows are read part by part.

    `sizes` {atoms: training molecules}; `largest` {split: atoms of its largest molecule}; `std` (Angstrom) of all
    numbers of the training coordinates together, `centred` as rows have them and `uncentred` as the source had them
    (SemlaFlow's scale of QM9 is the latter: REED molecule/semlaflow/scriptutil.py:22 @0a4527e, though its data are
    centred before use); `elements`, `charges` and `bonds` {name or order: number} of all rows, `atoms` in all, and
    `molecules` by split, conformers not counted.
    """
    elements, charges, orders = Counter[int](), Counter[int](), Counter[int]()
    sizes = Counter[int]()
    molecules: dict[str, set[int]] = {}
    largest: dict[str, int] = {}
    sums = {"centred": np.zeros(3), "uncentred": np.zeros(3)}  # numbers, their sum and that of their squares
    for cut in rows.cuts():
        piece = rows.take(range(cut.start, cut.stop))
        arrays, lengths = piece.arrays, piece.arrays["elements"].lengths
        for counter, values in ((elements, arrays["elements"].values), (charges, arrays["charges"].values)):
            counter.update(_counts(values))
        orders.update(_counts(arrays["bonds"].values[:, 2]))
        trained = np.array([split == TRAIN for split in piece.split], bool)
        sizes.update(_counts(lengths[trained]))
        for split, number, size in zip(piece.split, arrays["molecule"].tolist(), lengths.tolist(), strict=True):
            molecules.setdefault(split, set()).add(number)
            largest[split] = max(size, largest.get(split, 0))
        row = np.repeat(np.arange(len(piece)), lengths)
        places = arrays["coordinates"].values.astype(np.float64)[trained[row]]
        moved = places + arrays["centre"].astype(np.float64)[row[trained[row]]]
        for name, numbers in (("centred", places), ("uncentred", moved)):
            sums[name] += [numbers.size, numbers.sum(), np.square(numbers).sum()]
    return {
        "atoms": elements.total(),
        "molecules": {split: len(numbers) for split, numbers in sorted(molecules.items())},
        "sizes": {str(size): sizes[size] for size in sorted(sizes)},
        "largest": dict(sorted(largest.items())),
        "std": {name: _std(*of.tolist()) for name, of in sums.items()},
        "elements": {SYMBOLS[number]: elements[number] for number in sorted(elements)},
        "charges": {str(charge): charges[charge] for charge in sorted(charges)},
        "bonds": {str(order): orders[order] for order in sorted(orders)},
    }


def _counts(values: np.ndarray) -> dict[int, int]:
    found, numbers = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def _std(count: float, total: float, squares: float) -> float:
    """Of a population; 0 of none."""
    return float(np.sqrt(max(0.0, squares / count - (total / count) ** 2))) if count else 0.0
