"""Made backbones: chains of ideal helices, strands and loops, compact and free of clashes.

A chain is grown from its N terminus. Every piece (a loop and the element that follows it) is drawn many times over; of
those that clash with nothing, the one that keeps the chain most compact stays. Nothing here is fitted to any protein:
strands form no sheets, and there is no energy.

Sources: bond lengths and angles of Engh and Huber 1991, https://doi.org/10.1107/S0108767391001071; the recursion
from torsions to atoms is that of Parsons et al. 2005 (NeRF), https://doi.org/10.1002/jcc.20237, carried as a frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reedbench.core.errors import ConfigError

C_N, N_CA, CA_C, C_O = 1.329, 1.458, 1.525, 1.231  # Angstrom
CA_C_N, C_N_CA, N_CA_C, CA_C_O = 116.2, 121.7, 111.2, 120.8  # degrees

LOOP, HELIX, STRAND = range(3)
LENGTHS = {LOOP: (2, 5), HELIX: (8, 14), STRAND: (4, 8)}  # residues of a segment, both ends included
# (phi, psi) in degrees at the centre of the well-known regions, and for loops the share of each.
IDEAL = {HELIX: (-63.0, -43.0), STRAND: (-120.0, 130.0)}
LOOPS = ((-63.0, -43.0), (-120.0, 130.0), (-70.0, 145.0), (57.0, 40.0))
LOOP_SHARES = (0.3, 0.2, 0.3, 0.2)
WIDER = 2.0  # strands and loops spread this many times as far around their ideal as helices
OMEGA, OMEGA_SPREAD = 180.0, 3.0  # degrees

CLASH = 2.8  # least distance of backbone atoms at least three residues apart, Angstrom
CA_CLASH = 3.8  # least distance of CA atoms that are no neighbours in the chain, Angstrom
CANDIDATES = 128  # draws of each piece
ATTEMPTS = 200  # whole chains that are begun before the settings are called impossible
DECIMALS = 3  # coordinates are rounded as in a PDB file, so that they do not depend on the machine's last bit


@dataclass(frozen=True)
class _End:
    """Where a chain ends: a frame whose first axis is the last bond CA-C, the place of that C, and psi (radians)."""

    frame: np.ndarray  # (3, 3)
    place: np.ndarray  # (3,)
    psi: float


def make(length: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Draw one backbone.

    Args:
        length: number of residues.
        noise: standard deviation of phi and psi of helices, in degrees (twice that in strands and loops).
        rng: where all draws come from.

    Returns:
        (length, 4, 3) float32: N, CA, C, O in Angstrom, centred, with CA atoms of non-neighbours at least `CA_CLASH`
        and backbone atoms of residues three or more apart at least `CLASH` from each other.

    Raises:
        ConfigError: no chain without clashes was found: the noise is too large.
    """
    for _ in range(ATTEMPTS):
        if (chain := _grow(length, noise, rng)) is not None:
            centred = chain - chain[:, 1].mean(axis=0)
            return np.round(centred, DECIMALS).astype(np.float32)
    raise ConfigError(
        f"no backbone of {length} residues without clashes in {ATTEMPTS} attempts at noise {noise:g} (degrees); "
        "choose less noise"
    )


def plan(length: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Pieces of a chain, each the kinds of its residues: a loop, then a helix or a strand; the last is cut to fit."""
    while length > 0:
        element = int(rng.choice([HELIX, STRAND]))
        kinds = [kind for kind in (LOOP, element) for _ in range(rng.integers(*LENGTHS[kind], endpoint=True))]
        yield np.array(kinds[:length])
        length -= len(kinds)


def clashes(piece: np.ndarray, before: np.ndarray) -> bool:
    """Whether a piece (n, 4, 3) of a chain touches itself or the chain (m, 4, 3) directly before it."""
    whole = np.concatenate([before, piece])
    number = np.arange(len(whole))
    apart = np.abs(number[len(before) :, None] - number)
    ca = _distances(piece[:, 1], whole[:, 1])
    if (ca[apart >= 2] < CA_CLASH).any():
        return True
    near = _distances(piece.reshape(-1, 3), whole.reshape(-1, 3)) < CLASH
    return bool(near.reshape(len(piece), 4, len(whole), 4).max(axis=(1, 3))[apart >= 3].any())


def _grow(length: int, noise: float, rng: np.random.Generator) -> np.ndarray | None:
    """One attempt at a chain; None where a piece found no room."""
    chain, end = np.zeros((0, 4, 3)), _End(np.eye(3), np.zeros(3), 0.0)
    for kinds in plan(length, rng):
        phi, psi, omega = _torsions(kinds, noise, rng)
        atoms, frames = _build(end, phi, psi, omega)
        for i in np.argsort(_spread(atoms[:, :, 1], chain[:, 1]), kind="stable"):
            if not clashes(atoms[i], chain):
                chain, end = np.concatenate([chain, atoms[i]]), _End(frames[i], atoms[i, -1, 2], psi[i, -1])
                break
        else:
            return None
    return chain


def _torsions(kinds: np.ndarray, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates of phi, psi and omega (before the residue), each (CANDIDATES, n) in radians."""
    shape = (CANDIDATES, len(kinds))
    centre = np.array(LOOPS)[rng.choice(len(LOOPS), shape, p=LOOP_SHARES)]
    for kind, ideal in IDEAL.items():
        centre[:, kinds == kind] = ideal
    spread = noise * np.where(kinds == HELIX, 1.0, WIDER)
    phi_psi = centre + spread[:, None] * rng.standard_normal((*shape, 2))
    omega = OMEGA + OMEGA_SPREAD * rng.standard_normal(shape)
    phi, psi, omega = np.radians([phi_psi[..., 0], phi_psi[..., 1], omega])
    return phi, psi, omega


def _build(end: _End, phi: np.ndarray, psi: np.ndarray, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Continue a chain: torsions (k, n) -> atoms (k, n, 4, 3), and the frames (k, 3, 3) at which they end."""
    k, n = phi.shape
    psi_before = np.concatenate([np.full((k, 1), end.psi), psi[:, :-1]], axis=1)
    turns = np.stack([_turn(psi_before, CA_C_N), _turn(omega, C_N_CA), _turn(phi, N_CA_C)], axis=2)
    to_oxygen = _turn(psi + np.pi, CA_C_O)[..., 0]  # O lies opposite the next N, in the plane of the peptide
    frame, place = np.broadcast_to(end.frame, (k, 3, 3)), np.broadcast_to(end.place, (k, 3))
    atoms = np.empty((k, n, 4, 3))
    for i in range(n):
        for atom, bond in enumerate((C_N, N_CA, CA_C)):
            frame = frame @ turns[:, i, atom]
            place = place + bond * frame[..., 0]
            atoms[:, i, atom] = place
        atoms[:, i, 3] = place + C_O * (frame @ to_oxygen[:, i, :, None])[..., 0]
    return atoms, frame


def _turn(torsion: np.ndarray, angle: float) -> np.ndarray:
    """Rotations (..., 3, 3) from the frame of one bond to that of the next: about the bond, then by the bond angle."""
    cos_t, sin_t, zero = np.cos(torsion), np.sin(torsion), np.zeros_like(torsion)
    cos_a, sin_a = -np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rows = [
        [zero + cos_a, zero - sin_a, zero],
        [sin_a * cos_t, cos_a * cos_t, -sin_t],
        [sin_a * sin_t, cos_a * sin_t, cos_t],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _spread(ca: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """Squared radius of gyration (k,) of the chain's CA atoms (m, 3) with each candidate's (k, n, 3)."""
    number = ca.shape[1] + len(chain)
    centre = (ca.sum(axis=1) + chain.sum(axis=0)) / number
    squares = (ca**2).sum(axis=(1, 2)) + (chain**2).sum()
    return squares / number - (centre**2).sum(axis=1)


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n, 3), (m, 3) -> (n, m) Euclidean distances."""
    squares = (one**2).sum(-1)[:, None] + (other**2).sum(-1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0))
