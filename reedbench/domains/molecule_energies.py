"""Energies of molecules under the force field MMFF94 by RDKit, and how far they are from a minimum of it.

MMFF94: Halgren 1996, https://doi.org/10.1002/(SICI)1096-987X(199604)17:5/6<490::AID-JCC1>3.0.CO;2-P; energies in
kcal/mol. Interactions between fragments are left out, as RDKit does where nothing else is asked for.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from reedbench.domains import molecule_graphs

ITERATIONS: Final = 1000  # of the optimiser, at most: SemlaFlow's util/rdkit.py, in REED @0a4527e


@dataclass(frozen=True)
class Relaxed:
    """What the force field says of one molecule; NaN where it cannot be computed.

    Attributes:
        energy: as it is, kcal/mol.
        relaxed: at the minimum that the optimiser reached, kcal/mol. NaN where it did not converge within `ITERATIONS`:
            REED's rule (util/rdkit.py:182-191 @0a4527e). SemlaFlow takes what there is then (util/rdkit.py:168-174
            @2f41e57), so that its numbers are not comparable.
        rmsd: between the two, all atoms in their order, Angstrom.
    """

    energy: float = np.nan
    relaxed: float = np.nan
    rmsd: float = np.nan


def relaxed(graph: Any) -> Relaxed:
    """Energies of a sanitised RDKit molecule with one conformer, which stays as it is; all NaN without parameters."""
    chem = molecule_graphs.rdkit()
    from rdkit.Chem import rdForceFieldHelpers as fields

    moved = chem.Mol(graph)
    parameters = fields.MMFFGetMoleculeProperties(moved, mmffVariant="MMFF94")
    field = None if parameters is None else fields.MMFFGetMoleculeForceField(moved, parameters)
    if field is None:
        return Relaxed()
    energy = field.CalcEnergy()
    if not np.isfinite(energy):  # such as of two atoms in one place
        return Relaxed()
    try:
        unfinished = field.Minimize(maxIts=ITERATIONS)
        after = field.CalcEnergy()
    except RuntimeError:  # RDKit's line search gave up
        return Relaxed(energy)
    if unfinished or not np.isfinite(after):
        return Relaxed(energy)
    places = (one.GetConformer().GetPositions() for one in (graph, moved))
    return Relaxed(energy, after, rmsd(*places))


def rmsd(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square distance of points (n, 3) after the best rotation and translation. Kabsch 1976.

    Float64: of the singular values s of the covariance, the last with the sign of its determinant,
    n rmsd^2 = |one|^2 + |other|^2 - 2 sum s. https://doi.org/10.1107/S0567739476001873
    """
    one, other = (np.asarray(points, np.float64) - np.mean(points, axis=0, dtype=np.float64) for points in (one, other))
    left, singular, right = np.linalg.svd(one.T @ other)
    singular[-1] *= np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0
    squares = (one**2).sum() + (other**2).sum() - 2 * singular.sum()
    return float(np.sqrt(max(0.0, squares) / len(one)))
