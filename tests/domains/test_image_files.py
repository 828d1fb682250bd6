"""Files of every kind become what PIL makes of them, and squares what ADM's centre crop makes of them."""

import hashlib
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reedbench.domains import image_files
from reedbench.domains.image_files import BadImage, is_image, squared

GOLDEN = json.loads((Path(__file__).parents[1] / "parity" / "image_golden_crops_metrics.json").read_text())
CROPS = {name.removeprefix("crop_"): crop for name, crop in GOLDEN.items() if name.startswith("crop_")}
RED, BLUE = (200, 30, 10), (20, 40, 190)


def formula(height: int, width: int) -> np.ndarray:
    """The image of the parity vectors, (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    channels = (3 * x + 5 * y, x * y // 7, (x // 9) * 17 + (y // 5) * 29)
    return np.stack([channel % 256 for channel in channels], -1).astype(np.uint8)


def file(image: Image.Image, kind: str = "PNG", **more) -> bytes:
    out = BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """16x16: red on the left, blue on the right."""
    image = Image.new("RGB", (16, 16), RED)
    image.paste(BLUE, (8, 0, 16, 16))
    return image.convert(mode)


@pytest.mark.parametrize("size", CROPS)
def test_the_crop_is_adms(size):
    made = squared(file(Image.fromarray(formula(*map(int, size.split("x"))))), 256)
    assert (made.shape, made.dtype) == ((3, 256, 256), np.uint8)
    assert hashlib.sha256(made.transpose(1, 2, 0).tobytes()).hexdigest()[:16] == CROPS[size]["sha"]


def test_a_square_of_the_size_asked_for_stays_as_it_is():
    image = formula(64, 64)
    np.testing.assert_array_equal(squared(file(Image.fromarray(image)), 64), image.transpose(2, 0, 1))


# What a file holds, and the colours of its left and right half.
KINDS = {
    "RGB": (file(halves()), RED, BLUE, 0),
    "JPEG": (file(halves(), "JPEG", quality=95, subsampling=0), RED, BLUE, 4),
    "CMYK": (file(halves("CMYK"), "JPEG", quality=95), RED, BLUE, 6),
    "grey": (file(halves("L"), "JPEG", quality=95), (78,) * 3, (51,) * 3, 3),
    "palette": (file(halves("P")), None, None, 0),
    "palette with a clear colour": (file(halves().quantize(2), transparency=0), RED, BLUE, 0),
    "alpha": (file(Image.merge("RGBA", (*halves().split(), Image.new("L", (16, 16), 0)))), RED, BLUE, 0),
    "grey and alpha": (file(Image.new("LA", (16, 16), (90, 3))), (90,) * 3, (90,) * 3, 0),
    "two levels": (file(Image.new("1", (16, 16), 1)), (255,) * 3, (255,) * 3, 0),
    "16-bit grey": (
        file(Image.fromarray(np.tile(np.repeat([100, 300], 8).astype(np.uint16), (16, 1)))), (100,) * 3, (255,) * 3, 0,
    ),
    "several frames": (file(halves(), "GIF", save_all=True, append_images=[Image.new("RGB", (16, 16))]), RED, BLUE, 0),
    "lossless WebP": (file(halves(), "WEBP", lossless=True), RED, BLUE, 0),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_rgb_as_pil_converts_it(kind):
    raw, left, right, slack = KINDS[kind]
    made = squared(raw, 16)
    np.testing.assert_array_equal(made, np.asarray(Image.open(BytesIO(raw)).convert("RGB")).transpose(2, 0, 1))
    if left is not None:
        for x, colour in ((2, left), (13, right)):
            assert np.abs(made[:, 8, x].astype(int) - colour).max() <= slack


def test_a_rotation_that_only_exif_tells_is_not_carried_out():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, plain = (file(halves(), "JPEG", quality=95, **more) for more in ({"exif": exif}, {}))
    assert Image.open(BytesIO(turned)).getexif()[0x0112] == 6
    np.testing.assert_array_equal(squared(turned, 16), squared(plain, 16))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (file(halves().resize((200, 200)), "JPEG")[:700], "truncated"),
        (file(halves())[:60], ""),
        (b"", "cannot identify"),
        (b"GIF89a", ""),
        (b"<html>404</html>", "cannot identify"),
    ],
)
def test_what_is_no_whole_image_is_refused_in_one_line(raw, words):
    with pytest.raises(BadImage, match=rf"cannot be read \(.*{words}") as error:
        squared(raw, 8)
    assert "\n" not in str(error.value)


def test_an_image_too_large_for_pil_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadImage, match="decompression bomb"):
        squared(file(halves()), 8)


def test_images_are_known_by_their_endings():
    image_files.suffixes.cache_clear()
    assert all(map(is_image, ["a.JPEG", "n01/b.jpg", "c.png", "x/y/d.e.webp", "a.TIFF", "b.bmp"]))
    assert not any(map(is_image, ["a", "a.txt", "n01/.hidden.jpg", "__MACOSX/n01/._b.jpg", "a.json", "b.pdf", "jpg"]))
