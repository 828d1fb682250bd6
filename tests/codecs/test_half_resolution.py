"""2x2 means and back: what is kept, what is lost, and what cannot be halved."""

import numpy as np
import pytest

from reedbench.codecs.half_resolution import HalfResolution
from reedbench.codecs.pixels import Pixels
from reedbench.core.errors import ConfigError
from reedbench.domains.rows import Rows

CODEC = HalfResolution()


def images(n: int = 3, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 3, side, side), dtype=np.uint8)


def test_a_latent_is_the_mean_of_two_by_two_pixels_as_the_pixel_codec_scales_them():
    data = images()
    latents = CODEC.encode(data)
    assert latents.dtype == np.float32
    assert latents.shape == (3, *CODEC.shape({"shapes": {"images": [3, 8, 8]}})) == (3, 3, 4, 4)
    whole = Pixels().encode(data)
    assert latents[1, 2, 3, 0] == pytest.approx(whole[1, 2, 6:8, 0:2].mean(), abs=1e-6)


def test_flat_images_come_back_as_they_are_and_edges_do_not_wrap():
    flat = np.full((256, 1, 4, 4), 0, np.uint8) + np.arange(256, dtype=np.uint8)[:, None, None, None]
    np.testing.assert_array_equal(CODEC.decode(CODEC.encode(flat)), flat)
    half = np.zeros((1, 1, 8, 8), np.uint8)
    half[..., 4:] = 255
    back = CODEC.decode(CODEC.encode(half))
    assert (back[..., 0] == 0).all()
    assert (back[..., -1] == 255).all()


def test_decoding_is_bicubic():
    ramp = np.linspace(-0.9, 0.9, 8, dtype=np.float32) * np.ones((1, 1, 8, 1), np.float32)
    values = CODEC.decode(ramp)[0, 0, 8].astype(int)
    steps = np.diff(values[4:-4])  # a ramp stays one, in steps of half the size, but for a little ringing of the kernel
    assert (np.abs(steps - 0.9 * 255 / 14) < 4).all()
    impulse = np.full((1, 1, 8, 8), -0.5, np.float32)
    impulse[0, 0, 4, 4] = 0.5
    assert CODEC.decode(impulse).min() < CODEC.decode(impulse[:, :, :1, :1]).min()  # undershoots, as linear does not


def test_real_images_through_the_codec_keep_ids_and_labels_and_lose_detail():
    data = Rows(list("abc"), ["test"] * 3, {"images": images(), "labels": np.arange(3)})
    again = CODEC.again(data)
    assert (again.ids, again.split) == (data.ids, data.split)
    np.testing.assert_array_equal(again.arrays["labels"], data.arrays["labels"])
    assert again.arrays["images"].shape == data.arrays["images"].shape
    assert (again.arrays["images"] != data.arrays["images"]).mean() > 0.9
    assert CODEC.lossy
    assert not Pixels().lossy
    same = Pixels(rounding="round").again(data).arrays["images"]
    np.testing.assert_array_equal(same, data.arrays["images"])


def test_images_with_an_odd_side_cannot_be_halved():
    with pytest.raises(ConfigError, match="images of 8x7 cannot be halved: sides must be even"):
        CODEC.latent_shape((3, 8, 7))


def test_rounding_changes_samples_and_no_recipe():
    assert HalfResolution(rounding="truncate").recipe() == CODEC.recipe()
    assert HalfResolution(rounding="truncate").identity() != CODEC.identity()
