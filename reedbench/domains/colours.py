"""Colours of images in words: the nearest of eleven basic colour terms (Berlin and Kay 1969)."""

import numpy as np

# Typical values in sRGB, as in HTML and X11; means over pixels are duller than paint, so there are dull ones too.
TYPICAL = {
    "black": ((0, 0, 0), (35, 35, 35)),
    "grey": ((85, 85, 85), (128, 128, 128), (175, 175, 175)),
    "white": ((255, 255, 255), (225, 225, 225)),
    "red": ((220, 20, 30), (150, 40, 40)),
    "orange": ((240, 140, 20), (205, 120, 60)),
    "yellow": ((240, 225, 40), (200, 185, 90)),
    "green": ((20, 160, 40), (70, 105, 55), (120, 160, 100)),
    "blue": ((30, 60, 220), (60, 85, 140), (120, 160, 215)),
    "purple": ((130, 30, 170), (110, 75, 130)),
    "pink": ((255, 150, 190), (215, 150, 165)),
    "brown": ((120, 70, 25), (105, 80, 60), (150, 120, 90)),
}
NAMES = tuple(name for name, values in TYPICAL.items() for _ in values)
VALUES = np.array([value for values in TYPICAL.values() for value in values], np.float64)
MIDDLE, EDGE = 0.5, 0.125  # shares of a side: of the middle square, and of the frame


def named(colours: np.ndarray) -> list[str]:
    """The word for each colour (n, 3), 0..255."""
    distance = np.square(colours[:, None] - VALUES).sum(-1)
    return [NAMES[i] for i in distance.argmin(1)]


def middle_and_edge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours of the middle and of the frame of images (n, 1 or 3, height, width) uint8, each (n, 3)."""
    _, channels, height, width = images.shape
    pixels = images.astype(np.float64).repeat(3 // channels, 1)
    y, x = (np.abs((np.arange(side) + 0.5) / side - 0.5) for side in (height, width))
    away = np.maximum(y[:, None], x[None])  # from the middle, 0 to 0.5
    means = [pixels[..., where].mean(-1) for where in (away <= MIDDLE / 2, away > 0.5 - EDGE)]
    return means[0], means[1]
