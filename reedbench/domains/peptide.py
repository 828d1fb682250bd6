"""Geometry of a backbone: chain breaks, and the carbonyl oxygen that follows from the other atoms.

Ideal lengths and angles: Engh and Huber 1991, Acta Cryst. A47, 392-400 (C=O 1.231, rounded; CA-C-O 120.8, CA-C-N 116.2
and O-C-N 123.0 degrees, which add up to 360: the four atoms lie in one plane).
"""

import numpy as np

NITROGEN, ALPHA, CARBON, OXYGEN = range(4)  # columns of a backbone
BOND_C_O = 1.23  # Angstrom
ANGLE_CA_C_O = np.deg2rad(120.8)
ANGLE_O_C_N = np.deg2rad(123.0)
# N-CA-C-O torsion where the next residue is unknown: that of an alpha helix (psi -45 degrees, the oxygen opposite).
LAST_TORSION = np.deg2rad(135.0)
LONGEST_BOND = 2.0  # Angstrom between C and the next N (1.33 in a peptide bond): beyond it the chain is broken
FARTHEST = 1e6  # Angstrom from the origin that a coordinate may be
FLAT = 1e-3  # sine of an angle below which three atoms count as one line and span no plane


def has_backbone(coordinates: np.ndarray) -> np.ndarray:
    """(length, 4, 3) -> (length,) bool: N, CA and C are there, whether or not O is."""
    return np.isfinite(coordinates[:, :OXYGEN]).all(axis=(1, 2))


def bonded(coordinates: np.ndarray) -> np.ndarray:
    """(length, 4, 3) -> (length - 1,) bool: residue i and the next one are joined by a peptide bond."""
    gap = coordinates[1:, NITROGEN].astype(np.float64) - coordinates[:-1, CARBON]
    return np.linalg.norm(gap, axis=-1) <= LONGEST_BOND  # False where an atom is missing


def breaks(coordinates: np.ndarray) -> int:
    """Number of places where two neighbouring rows have C and N, and these are too far apart for a bond.

    A gap that is filled with missing residues is none: the rows say so themselves.
    """
    there = np.isfinite(coordinates[:-1, CARBON]).all(-1) & np.isfinite(coordinates[1:, NITROGEN]).all(-1)
    return int((there & ~bonded(coordinates)).sum())


def place_oxygens(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add O where it alone is missing.

    Within a chain O lies in the plane of CA, C and the next N, which shares what the angle CA-C-N leaves of the circle
    between the two sides as ideal geometry does. At an end or before a break it is at the torsion of a helix.

    Args:
        coordinates: (length, 4, 3) N, CA, C, O in Angstrom, NaN where an atom is missing.

    Returns:
        The coordinates with the same dtype, and (length,) bool that tells which oxygens were placed. Where N, CA and C
        lie on one line there is no plane, and O stays missing.
    """
    x = coordinates.astype(np.float64)
    wanted = has_backbone(x) & ~np.isfinite(x[:, OXYGEN]).all(-1)
    inside = wanted & np.append(bonded(x), False)
    last = wanted & ~inside
    after = np.append(x[1:, NITROGEN], x[:1, NITROGEN], axis=0)  # the final row is never inside
    made = np.full((len(x), 3), np.nan)
    made[inside] = _in_plane(x[inside, ALPHA], x[inside, CARBON], after[inside])
    made[last] = _at_torsion(x[last, NITROGEN], x[last, ALPHA], x[last, CARBON])
    placed = np.isfinite(made).all(-1)
    out = coordinates.copy()
    out[placed, OXYGEN] = made[placed]
    return out, placed


def _in_plane(alpha: np.ndarray, carbon: np.ndarray, nitrogen: np.ndarray) -> np.ndarray:
    to_alpha, to_nitrogen = _unit(alpha - carbon), _unit(nitrogen - carbon)
    cosine = (to_alpha * to_nitrogen).sum(-1, keepdims=True)
    share = ANGLE_CA_C_O / (ANGLE_CA_C_O + ANGLE_O_C_N)
    angle = share * (2 * np.pi - np.arccos(np.clip(cosine, -1, 1)))
    away = _unit(to_nitrogen - cosine * to_alpha)  # in the plane, at a right angle to CA
    return carbon + BOND_C_O * (np.cos(angle) * to_alpha - np.sin(angle) * away)


def _at_torsion(nitrogen: np.ndarray, alpha: np.ndarray, carbon: np.ndarray) -> np.ndarray:
    axis = _unit(carbon - alpha)
    to_nitrogen = _unit(nitrogen - alpha)
    across = _unit(to_nitrogen - (to_nitrogen * axis).sum(-1, keepdims=True) * axis)
    around = np.cos(LAST_TORSION) * across + np.sin(LAST_TORSION) * np.cross(axis, across)
    return carbon + BOND_C_O * (np.sin(ANGLE_CA_C_O) * around - np.cos(ANGLE_CA_C_O) * axis)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors, NaN for those that have no direction."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.full_like(vectors, np.nan), where=length > FLAT)
