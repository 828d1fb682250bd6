"""Samples of molecules on disk: SDF for people and other programs, shards for what reads them here.

SDF as MDL's V2000 connection table: Dalby et al. 1992, https://doi.org/10.1021/ci00007a012 (charges as `M  CHG`). What
its columns cannot hold is a V3000 table (BIOVIA's "CTfile formats"): networks that have learned little draw bonds
between all atoms, or atoms far away.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from reedbench.core import io, shards
from reedbench.domains.molecule import ARRAYS, SYMBOLS, Molecule, molecule_of
from reedbench.domains.rows import Rows

SDF, SHARDS = "samples.sdf", "molecules"
HEADER: Final = "  REEDBNCH          3D"  # who wrote it (8 letters), no date, and that the places have three dimensions
CHARGES_PER_LINE: Final = 8
MOST_NUMBERED: Final = 999  # atoms, and bonds, that three columns count
LEAST_PLACE, LARGEST_PLACE = -9999.9, 99999.9  # Angstrom between which ten columns hold four decimals


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
    yield f"{title}\n{HEADER}\n\n"
    yield from _columns(molecule) if _fits_columns(molecule) else _tagged(molecule)
    yield "M  END\n$$$$\n"


def _fits_columns(molecule: Molecule) -> bool:
    """Whether V2000 has room for it."""
    at = molecule.coordinates
    few = max(len(molecule), len(molecule.bonds)) <= MOST_NUMBERED
    return few and bool((at > LEAST_PLACE).all() and (at < LARGEST_PLACE).all())


def _columns(molecule: Molecule) -> Iterator[str]:
    """A V2000 table, without its end."""
    yield f"{len(molecule):3d}{len(molecule.bonds):3d}  0  0  0  0  0  0  0  0999 V2000\n"
    for (x, y, z), element in zip(molecule.coordinates.tolist(), molecule.elements.tolist(), strict=True):
        yield f"{x:10.4f}{y:10.4f}{z:10.4f} {SYMBOLS[element]:<3} 0  0  0  0  0  0  0  0  0  0  0  0\n"
    for i, j, order in molecule.bonds.tolist():
        yield f"{i + 1:3d}{j + 1:3d}{order:3d}  0\n"
    charged = np.flatnonzero(molecule.charges).tolist()
    for begin in range(0, len(charged), CHARGES_PER_LINE):
        some = charged[begin : begin + CHARGES_PER_LINE]
        yield f"M  CHG{len(some):3d}" + "".join(f" {i + 1:3d} {int(molecule.charges[i]):3d}" for i in some) + "\n"


def _tagged(molecule: Molecule) -> Iterator[str]:
    """A V3000 table, without its end."""
    yield "  0  0  0  0  0  0  0  0  0  0999 V3000\nM  V30 BEGIN CTAB\n"
    yield f"M  V30 COUNTS {len(molecule)} {len(molecule.bonds)} 0 0 0\nM  V30 BEGIN ATOM\n"
    atoms = zip(molecule.coordinates.tolist(), molecule.elements.tolist(), molecule.charges.tolist(), strict=True)
    for number, (place, element, charge) in enumerate(atoms, 1):
        at = " ".join(f"{x:.9g}" for x in place)
        yield f"M  V30 {number} {SYMBOLS[element]} {at} 0{f' CHG={charge}' if charge else ''}\n"
    yield "M  V30 END ATOM\n"
    if len(molecule.bonds):
        yield "M  V30 BEGIN BOND\n"
        for number, (i, j, order) in enumerate(molecule.bonds.tolist(), 1):
            yield f"M  V30 {number} {order} {i + 1} {j + 1}\n"
        yield "M  V30 END BOND\n"
    yield "M  V30 END CTAB\n"
