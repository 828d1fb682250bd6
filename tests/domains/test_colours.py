"""Colours in words."""

import numpy as np
import pytest

from reedbench.domains.colours import middle_and_edge, named


@pytest.mark.parametrize(
    ("colour", "word"),
    [
        ((255, 0, 0), "red"), ((0, 128, 0), "green"), ((0, 0, 255), "blue"), ((135, 206, 235), "blue"),
        ((250, 250, 245), "white"), ((12, 10, 14), "black"), ((130, 126, 128), "grey"), ((110, 70, 40), "brown"),
        ((255, 165, 0), "orange"), ((255, 255, 0), "yellow"), ((128, 0, 128), "purple"), ((255, 192, 203), "pink"),
    ],
)  # fmt: skip
def test_a_colour_has_the_word_that_people_give_it(colour, word):
    assert named(np.array([colour])) == [word]


def test_the_middle_and_the_frame_are_told_apart():
    images = np.zeros((2, 3, 8, 8), np.uint8)
    images[0, 2] = 250  # blue all over
    images[0, :, 2:6, 2:6] = np.array([230, 20, 30])[:, None, None]
    images[1] = 255
    middle, edge = middle_and_edge(images)
    assert named(middle) == ["red", "white"]
    assert named(edge) == ["blue", "white"]


def test_grey_images_of_one_channel_have_colours_too():
    middle, edge = middle_and_edge(np.full((1, 1, 5, 7), 128, np.uint8))
    assert middle.tolist() == edge.tolist() == [[128.0] * 3]
