"""A design as a picture: strong colours where it is native, pale ones where it is not, white beyond its end."""

import numpy as np

from reedbench.domains import sequence_pictures as pictures
from reedbench.nn import residues

PAIRS = np.array([[residues.tokens("DKX"), residues.tokens("DEX")], [[0, 255, 255], [0, 255, 255]]], np.uint8)
NEGATIVE, POSITIVE = (213, 94, 0), (0, 114, 178)


def test_a_residue_is_strong_where_it_is_the_native_one():
    lines = pictures.matches(PAIRS)
    assert lines.shape == (2 * 5 - 1, 3, 3)
    assert tuple(lines[0, 0]) == NEGATIVE
    pale = [round(255 + pictures.PALE * (channel - 255)) for channel in POSITIVE]
    assert lines[0, 1].tolist() == pale
    assert (lines[4] == 255).all()  # between chains
    assert (lines[5:, 1:] == 255).all()  # beyond the end


def test_every_letter_has_a_kind_and_its_colour_a_word():
    letters = "".join(pictures.KINDS)
    assert sorted(letters) == sorted(residues.AMINO_ACIDS)
    assert len(set(pictures.KEY.values())) == len(pictures.KINDS)


def test_sequences_are_told_up_to_their_end():
    assert pictures.sequences(PAIRS) == [
        {"sample": 0, "designed": "DKX", "native": "DEX"},
        {"sample": 1, "designed": "A", "native": "A"},
    ]
