"""Image files of any kind that PIL knows, as squares of one size: ADM's centre crop.

Source: guided-diffusion 22e0df81 guided_diffusion/image_datasets.py (`center_crop_arr`), whose steps EDM2, SiT, REPA
and REED repeat. Files are opened by what they hold, whatever their name says, and become RGB as PIL converts them:
alpha is dropped, 16-bit grey is clipped to 255, and a rotation that only EXIF tells is not carried out.
"""

from functools import cache
from io import BytesIO

import numpy as np


class BadImage(ValueError):
    """A file holds no whole image."""


@cache
def suffixes() -> frozenset[str]:
    """Endings of the files that PIL opens, in lower case, with the dot."""
    from PIL import Image

    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN)


def is_image(name: str) -> bool:
    """Whether a path ends like an image and is not hidden (as macOS hides its notes in zips)."""
    begin, dot, end = name.rpartition("/")[2].rpartition(".")
    return bool(begin) and not begin.startswith(".") and dot + end.lower() in suffixes()


def squared(raw: bytes, side: int) -> np.ndarray:
    """The middle of an image, shrunk or grown to (3, side, side) uint8.

    While its shorter side is at least twice as long as asked for, both are halved (box filter); then the shorter one is
    brought to length (bicubic); then the middle is cut out.

    Raises:
        BadImage: says why.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(raw)) as opened:
            image: Image.Image = opened.convert("RGB")
        while min(image.size) >= 2 * side:
            image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
        scale = side / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    except Exception as error:  # damaged files make PIL raise anything
        raise BadImage(f"cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from error
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image)[top : top + side, left : left + side].transpose(2, 0, 1)
