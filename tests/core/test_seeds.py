"""Streams are functions of their names: the numbers pinned here are those of every published run."""

import os
import subprocess
import sys

import pytest
import torch

from reedbench.core import seeds

GOLDEN = {
    ("order", "digits", 0, 0): 5763487098911004564,
    ("noise", "tiny", 0, 7): 7454442042572059002,
    ("init", "tiny", 0, "x_embedder.proj.weight"): 5162237278761580813,
}


@pytest.mark.parametrize("name", GOLDEN, ids=lambda name: name[0])
def test_a_stream_keeps_its_seed_for_ever(name):
    assert seeds.of(*name) == GOLDEN[name]


def test_the_first_numbers_of_a_stream_never_change():
    stream = seeds.stream("order", "digits", 0, 0)
    assert torch.randint(0, 2**31, (3,), generator=stream).tolist()[0] == 901415524
    assert seeds.numpy_stream("order", "digits", 0, 0).permutation(10).tolist() == [9, 2, 8, 0, 6, 4, 3, 5, 7, 1]


def test_one_name_gives_the_same_numbers_each_time():
    one, other = (torch.randn(5, generator=seeds.stream("noise", "tiny", 0, 3)) for _ in range(2))
    assert torch.equal(one, other)
    one, other = (seeds.numpy_stream("noise", "tiny", 0, 3).random(5).tolist() for _ in range(2))
    assert one == other


def test_another_name_or_coordinate_gives_another_seed():
    names = [("noise", "tiny", 0, 3), ("time", "tiny", 0, 3), ("noise", "other", 0, 3), ("noise", "tiny", 1, 3),
             ("noise", "tiny", 0, 4), ("noise", "tiny", 0), ("noise", "tiny", 3, 0)]  # fmt: skip
    assert len({seeds.of(*name) for name in names}) == len(names)


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
