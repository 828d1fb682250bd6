"""Designed sequences as pictures: a line per chain, coloured by kind of residue, strong where it is the native one."""

from typing import Any, Final

import numpy as np

from reedbench.nn import residues

LINES = 4  # pixels per chain, and one white one between chains
WHITE = 255
PALE = 0.22  # strength of the colour of a residue that is not the native one
# Kinds of residues and their colours (Okabe and Ito's, which colour-blind readers tell apart).
KINDS: Final = {
    "AVILMC": ("aliphatic, C", "#6E6E6E"),
    "FWY": ("aromatic", "#CC79A7"),
    "STNQ": ("polar", "#009E73"),
    "KRH": ("positive", "#0072B2"),
    "DE": ("negative", "#D55E00"),
    "GP": ("G, P", "#E69F00"),
}
KEY: Final = dict(KINDS.values())


def _colours() -> np.ndarray:
    """(22, 3) of every letter; X is white-ish grey, and nothing is white."""
    table = np.full((residues.VOCABULARY, 3), WHITE, np.float64)
    table[residues.UNKNOWN] = 200
    for letters, (_, colour) in KINDS.items():
        table[residues.tokens(letters)] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return table


def matches(pairs: np.ndarray) -> np.ndarray:
    """One picture of some designs beside their natives.

    Args:
        pairs: (n, 2, length) uint8, designed and native tokens; anything above X is beyond the end of a chain.

    Returns:
        (height, length, 3) uint8.
    """
    designed, native = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    there = native <= residues.UNKNOWN
    colours = _colours()[np.where(there, np.minimum(designed, residues.UNKNOWN), residues.MASK)]
    strength = np.where(designed == native, 1.0, PALE)[..., None]
    shade = np.round(WHITE + strength * (colours - WHITE)).astype(np.uint8)
    lines = np.repeat(shade[:, None], LINES + 1, axis=1)
    lines[:, -1] = WHITE
    return lines.reshape(-1, *shade.shape[1:])[:-1]


def sequences(pairs: np.ndarray) -> list[dict[str, Any]]:
    """Designed and native sequence of each chain, one row per chain."""
    rows = []
    for n, (designed, native) in enumerate(pairs):
        there = native <= residues.UNKNOWN
        both = (residues.letters(tokens[there]) for tokens in (designed, native))
        rows.append({"sample": n, **dict(zip(("designed", "native"), both, strict=True))})
    return rows
