"""Amino acids as letters and as tokens: the 21 letters of ProteinMPNN in its order, then the mask token.

Source: ProteinMPNN, Dauparas et al. 2022, https://doi.org/10.1126/science.add2187 (alphabet); REED, arXiv:2507.08980
(the mask is token 21).
"""

from typing import TYPE_CHECKING, Final

from reedbench.core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

ALPHABET: Final = "ACDEFGHIKLMNPQRSTVWYX"
AMINO_ACIDS: Final = ALPHABET[:20]
UNKNOWN: Final = 20  # X, a residue that is none of the twenty
MASK: Final = 21
VOCABULARY: Final = 22


def tokens(sequence: str) -> "np.ndarray":
    """Letters -> (length,) uint8 tokens.

    Raises:
        ConfigError: a letter is none of the 21.
    """
    import numpy as np

    table = np.full(128, 255, np.uint8)
    table[[ord(letter) for letter in ALPHABET]] = np.arange(len(ALPHABET))
    if not sequence.isascii() or (found := table[np.frombuffer(sequence.encode(), np.uint8)]).max(initial=0) == 255:
        bad = next(letter for letter in sequence if letter not in ALPHABET)
        raise ConfigError(f"residue letter '{bad}' at position {sequence.index(bad) + 1} is none of {ALPHABET}")
    return found


def letters(sequence: "np.ndarray") -> str:
    """(length,) tokens 0..20 -> letters."""
    import numpy as np

    return np.frombuffer(ALPHABET.encode(), np.uint8)[np.asarray(sequence, np.int64)].tobytes().decode()
