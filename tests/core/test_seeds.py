"""Streams are functions of their names: the numbers pinned here are those of every published run."""

import os
import subprocess
import sys

import numpy as np
import pytest

from reedbench.core import seeds

GOLDEN = {
    ("order", "digits", 0, 0): 5763487098911004564,
    ("noise", "tiny", 0, 7): 7454442042572059002,
    ("init", "tiny", 0, "x_embedder.proj.weight"): 5162237278761580813,
}
ROW = ("noise", "digits", 0, 3)


@pytest.mark.parametrize("name", GOLDEN, ids=lambda name: name[0])
def test_a_stream_keeps_its_seed_for_ever(name):
    assert seeds.of(*name) == GOLDEN[name]


def test_the_first_numbers_of_a_stream_never_change():
    assert seeds.stream("order", "digits", 0, 0).permutation(10).tolist() == [0, 8, 1, 4, 6, 5, 2, 9, 3, 7]
    rows = seeds.rows([0, 1, 5], *ROW)
    expected = [[0.2661935, -0.1514741], [-0.6954368, 1.7491174], [-0.9116543, 1.3530493]]
    assert rows.normal(2) == pytest.approx(np.array(expected), abs=1e-6)
    assert rows.uniform() == pytest.approx(np.array([0.6262721, 0.7889283, 0.0038624]), abs=1e-6)


def test_one_name_gives_the_same_numbers_each_time():
    one, other = (seeds.stream("noise", "tiny", 0, 3).random(5).tolist() for _ in range(2))
    assert one == other


def test_a_row_gets_the_same_numbers_whatever_other_rows_are_drawn_with_it():
    whole, alone = seeds.rows(range(8), *ROW), seeds.rows([5], *ROW)
    for draw in (lambda s: s.normal(3, 2), lambda s: s.uniform(4), lambda s: s.seeds(), lambda s: s.normal()):
        assert np.array_equal(draw(whole)[5:6], draw(alone))


def test_no_two_rows_of_many_streams_begin_alike():
    """A seed of 32 bits gives pairs of equal noise in 50,000 samples with a probability of a quarter."""
    first = np.concatenate([seeds.rows(range(20_000), "sample", "x", k).seeds() for k in range(3)])
    assert len(np.unique(first)) == len(first)


def test_streams_keep_the_key_apart_from_a_seed_of_32_bits():
    """Streams whose 63-bit seeds agree in their last 32 bits are different streams."""
    generators = [seeds._generator(np.array(key, np.uint64), 0) for key in ([1, 0], [1 + 2**40, 0], [1, 1])]
    assert len({one.random() for one in generators}) == 3


def test_padding_of_rows_changes_nothing_in_them():
    lengths = [2, 5, 0]
    near = seeds.rows(range(3), *ROW).uniform(5, 3, lengths=lengths)
    far = seeds.rows(range(3), *ROW).uniform(9, 3, lengths=lengths)
    assert np.array_equal(near, far[:, :5])
    assert not far[:, 5:].any()
    assert (near[1] > 0).all()


def test_pairs_of_a_row_have_their_own_numbers_whatever_the_padding():
    lengths = [2, 5, 0]
    near, far = (seeds.rows(range(3), *ROW).uniform(n, n, 2, lengths=lengths, axes=2) for n in (5, 9))
    assert np.array_equal(near, far[:, :5, :5])
    there = np.arange(5) < np.array(lengths)[:, None]
    assert np.array_equal((near > 0).all(-1), there[:, :, None] & there[:, None])


def test_gamma_numbers_follow_their_shapes_and_leave_padding_out():
    shapes = np.tile([0.3, 4.0], (200, 50, 1))
    drawn = seeds.rows(range(200), *ROW).gamma(shapes, lengths=[40] * 200)
    np.testing.assert_allclose(drawn[:, :40].mean((0, 1)), [0.3, 4.0], rtol=0.05)
    assert not drawn[:, 40:].any()
    alone = seeds.rows([7], *ROW).gamma(shapes[:1, :40])
    assert np.array_equal(alone[0], drawn[7, :40])


def test_a_row_of_another_length_leaves_the_others_alone():
    one, other = (seeds.rows(range(2), *ROW).normal(4, lengths=[n, 4]) for n in (1, 3))
    assert np.array_equal(one[1], other[1])


def test_normal_numbers_come_in_either_precision():
    assert seeds.rows([0], *ROW).normal(2).dtype == np.float32
    assert seeds.rows([0], *ROW).normal(2, dtype="float64").dtype == np.float64


def test_numbers_follow_their_laws():
    rows = seeds.rows(range(100), "law")
    normal, uniform = rows.normal(500), rows.uniform(500)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert abs(uniform.mean() - 0.5) < 0.01
    assert uniform.min() >= 0
    assert uniform.max() < 1


def test_another_name_or_coordinate_gives_another_seed():
    names = [("noise", "tiny", 0, 3), ("time", "tiny", 0, 3), ("noise", "other", 0, 3), ("noise", "tiny", 1, 3),
             ("noise", "tiny", 0, 4), ("noise", "tiny", 0), ("noise", "tiny", 3, 0)]  # fmt: skip
    assert len({seeds.of(*name) for name in names}) == len(names)
    assert len({seeds.stream(*name).random() for name in names}) == len(names)


def test_a_seed_fits_a_signed_64_bit_integer():
    assert all(0 <= seeds.of("x", i) < 2**63 for i in range(1000))
    assert max(seeds.of("x", i) for i in range(1000)) > 2**62


def test_a_seed_does_not_depend_on_pythons_hash_seed():
    program = "from reedbench.core import seeds; print(seeds.of('noise', 'tiny', 0, 7))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, check=True
        ).stdout
        for salt in ("1", "2")
    }
    assert printed == {b"7454442042572059002\n"}
