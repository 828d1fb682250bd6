"""Images: grey levels, the networks' range, and the sample file of the field."""

import zipfile

import numpy as np
import pytest

from reedbench.core import archives
from reedbench.core.errors import MissingArtefact
from reedbench.domains import image

LEVELS = np.arange(256, dtype=np.uint8)


def test_rounding_brings_every_grey_level_back_exactly():
    np.testing.assert_array_equal(image.to_uint8(image.to_signed(LEVELS), "round"), LEVELS)


def test_truncation_brings_the_middle_of_every_grey_level_back_exactly():
    middle = (LEVELS.astype(np.float64) + 0.5) / 127.5 - 1
    np.testing.assert_array_equal(image.to_uint8(middle, "truncate"), LEVELS)


def test_truncation_of_a_level_itself_loses_at_most_the_last_bit_as_in_the_reference():
    """float32 x / 127.5 - 1 lies just below some levels; REPA's generate.py @67f7145 loses the same ones."""
    signed = image.to_signed(LEVELS)
    lost = LEVELS.astype(int) - image.to_uint8(signed, "truncate")
    reference = np.clip(np.float32(255) * ((signed + np.float32(1)) / np.float32(2)), 0, 255).astype(np.uint8)
    assert set(lost.tolist()) == {0, 1}
    np.testing.assert_array_equal(image.to_uint8(signed, "truncate"), reference)


def test_the_two_roundings_differ_by_half_a_grey_level_on_average():
    signed = np.random.default_rng(0).uniform(-0.9, 0.9, 100_000)
    shift = image.to_uint8(signed, "round").astype(float) - image.to_uint8(signed, "truncate")
    assert shift.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rounding", ["round", "truncate"])
def test_values_outside_the_range_are_clipped(rounding):
    assert image.to_uint8(np.array([-7.0, -1.0, 1.0, 7.0]), rounding).tolist() == [0, 0, 255, 255]


def test_the_networks_range_ends_at_one():
    signed = image.to_signed(LEVELS)
    assert signed.dtype == np.float32
    assert (signed[0], signed[255]) == (-1.0, 1.0)


def test_a_sample_file_is_nhwc_uint8_under_the_name_that_evaluators_expect(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    image.write_samples(tmp_path / "s.npz", [images[:2], images[2:]], np.arange(5))
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        assert (file["arr_0"].shape, file["arr_0"].dtype) == ((5, 4, 6, 3), np.uint8)
        np.testing.assert_array_equal(file["arr_0"][2, 1, 3], images[2, :, 1, 3])
    read, labels = image.read_samples(tmp_path / "s.npz")
    np.testing.assert_array_equal(read, images)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    np.savez(tmp_path / "whole.npz", arr_0=images.transpose(0, 2, 3, 1), labels=np.arange(5))
    assert (tmp_path / "s.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_sample_file_is_what_the_evaluator_of_adm_streams(tmp_path):
    """It opens the member itself, reads its header, takes C order alone, and reads rows one batch after the other."""
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    image.write_samples(tmp_path / "s.npz", [images[:2], images[2:]], np.arange(5))
    with zipfile.ZipFile(tmp_path / "s.npz") as archive, archive.open("arr_0.npy") as member:
        assert np.lib.format.read_magic(member) == (1, 0)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        assert (shape, fortran, dtype) == ((5, 4, 6, 3), False, np.dtype(np.uint8))
        rows = [np.frombuffer(member.read(4 * 6 * 3), np.uint8).reshape(4, 6, 3) for _ in range(5)]
        assert member.read() == b""
    np.testing.assert_array_equal(np.stack(rows), images.transpose(0, 2, 3, 1))


def test_many_samples_are_read_as_a_map_of_their_file(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGE", 100)
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    image.write_samples(tmp_path / "s.npz", [images], np.arange(5))
    read, labels = image.read_samples(tmp_path / "s.npz")
    assert isinstance(read, np.memmap)
    np.testing.assert_array_equal(read, images)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    np.savez(tmp_path / "other.npz", arr_0=images)
    with pytest.raises(MissingArtefact, match=r"other\.npz: has no array labels"):
        image.read_samples(tmp_path / "other.npz")


def test_a_damaged_sample_file_is_named(tmp_path):
    file = tmp_path / "s.npz"
    image.write_samples(file, [np.zeros((2, 1, 3, 3), np.uint8)], np.arange(2))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(MissingArtefact, match=r"s\.npz: not a whole npz file"):
        image.read_samples(file)


def test_an_absent_sample_file_is_named(tmp_path):
    with pytest.raises(MissingArtefact, match=r"s\.npz: no such file"):
        image.read_samples(tmp_path / "s.npz")


def test_a_montage_has_five_images_in_a_row_with_white_between():
    images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    picture = image.montage(images)
    assert picture.shape == (2 * 3 - 1, 5 * 4 - 1, 3)
    assert (picture[:2, 4:7] == 1).all()
    assert (picture[3:, 4:7] == 6).all()
    assert (picture[2] == 255).all()
    assert (picture[3:, 8:] == 255).all()


def test_ink_is_dark_on_white():
    picture = image.montage(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1))
    assert picture.tolist() == [[255, 255, 0]]
