"""Samples of molecules on disk: SDF for people and other programs, shards for what reads them here.

SDF as MDL's V2000 connection table: Dalby et al. 1992, https://doi.org/10.1021/ci00007a012 (charges as `M  CHG`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from reedbench.core import io, shards
from reedbench.domains.molecule import ARRAYS, SYMBOLS, Molecule, molecule_of
from reedbench.domains.rows import Rows

SDF, SHARDS = "samples.sdf", "molecules"
CHARGES_PER_LINE: Final = 8


def write_samples(folder: Path | str, samples: Rows) -> None:
    """Write molecules, which may be on disk and more than memory holds; ids become the titles of the SDF's records."""
    pieces = [samples.take(range(cut.start, cut.stop)) for cut in samples.cuts()] if len(samples) else []
    shards.write_parts(Path(folder) / SHARDS, ({name: piece.arrays[name] for name in ARRAYS} for piece in pieces))
    with io.atomic(Path(folder) / SDF) as part, Path(part).open("w", newline="\n") as file:
        for piece in pieces:
            for i, name in enumerate(piece.ids):
                file.writelines(record(molecule_of(piece.arrays, i), name))


def read_samples(folder: Path | str) -> Rows:
    """Molecules, as `write_samples` wrote them, numbered from 0.

    Raises:
        MissingArtefact: a file is absent or damaged.
    """
    store = shards.Shards(Path(folder) / SHARDS)
    arrays = {name: store.read(name) for name in ARRAYS}
    return Rows([str(i) for i in range(len(store))], ["sample"] * len(store), arrays)


def record(molecule: Molecule, title: str) -> Iterator[str]:
    """The lines of an SDF record; atoms whose element was not decided are called X."""
    yield f"{title}\n  reedbench\n\n"
    yield f"{len(molecule):3d}{len(molecule.bonds):3d}  0  0  0  0  0  0  0  0999 V2000\n"
    for (x, y, z), element in zip(molecule.coordinates.tolist(), molecule.elements.tolist(), strict=True):
        yield f"{x:10.4f}{y:10.4f}{z:10.4f} {SYMBOLS[element]:<3} 0  0  0  0  0  0  0  0  0  0  0  0\n"
    for i, j, order in molecule.bonds.tolist():
        yield f"{i + 1:3d}{j + 1:3d}{order:3d}  0\n"
    charged = np.flatnonzero(molecule.charges).tolist()
    for begin in range(0, len(charged), CHARGES_PER_LINE):
        some = charged[begin : begin + CHARGES_PER_LINE]
        yield f"M  CHG{len(some):3d}" + "".join(f" {i + 1:3d} {int(molecule.charges[i]):3d}" for i in some) + "\n"
    yield "M  END\n$$$$\n"
