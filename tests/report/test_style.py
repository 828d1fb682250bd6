"""Colours that everybody can tell apart, looks that never repeat, legends that fit their page."""

import itertools

import numpy as np
import pytest

from reedbench.report import style

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def linear(colour: str) -> np.ndarray:
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson 2020, https://bottosson.github.io/posts/oklab."""
    lms = np.cbrt(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
        @ np.clip(rgb, 0, 1)
    )
    return (
        np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        )
        @ lms
    )


@pytest.mark.parametrize("sight", SIGHT)
def test_all_colours_stay_apart(sight):
    """A difference of 0.02 is just seen; seaborn's `colorblind` palette comes down to 0.03."""
    seen = [oklab(SIGHT[sight] @ linear(colour)) for colour in style.COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.09


def test_lines_stand_out_from_white_paper():
    for colour in style.COLOURS:
        luminance = float(linear(colour) @ [0.2126, 0.7152, 0.0722])
        assert 1.05 / (luminance + 0.05) > 1.7, colour


def test_eleven_methods_have_eleven_colours_and_no_two_looks_are_alike():
    assert len({style.look(place).colour for place in range(11)}) == 11
    assert len({style.look(place) for place in range(150)}) == 150
    assert len({style.look(place).marker for place in range(11)}) == 11


@pytest.mark.parametrize("texts", [["a"] * 3, ["a" * 60, "b" * 60, "c" * 60], ["word " * 60] + ["d" * 100] * 10])
def test_a_legend_is_as_wide_as_its_page_at_most_and_as_high_as_its_lines(texts):
    legend = style.Legend([(None, text) for text in texts], width=17.5)
    lines = [text.split("\n") for text in legend.texts]
    rows = -(-len(lines) // legend.columns)
    columns = [lines[i : i + rows] for i in range(0, len(lines), rows)]
    assert len(columns) == legend.columns
    widths = [max(len(line) for entry in column for line in entry) * style.LETTER + style.HANDLE for column in columns]
    assert sum(widths) <= 17.5
    assert legend.height > max(sum(map(len, column)) for column in columns) * style.LINE_HEIGHT
