"""The codec of inverse folding: padding, what is asked for, and samples on disk."""

import numpy as np
import pytest
import torch

from reedbench.codecs.residues import NOTHING, Residues
from reedbench.core.errors import ConfigError
from reedbench.core.ragged import Ragged
from reedbench.domains import protein, rows
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.nn import residues
from reedbench.nn.residues import MASK

LENGTHS = (5, 3, 4, 6)
SPLITS = (TRAIN, TEST, TEST, TRAIN)


@pytest.fixture
def chains() -> Rows:
    rng = np.random.default_rng(0)
    coordinates = [rng.standard_normal((n, 4, 3)).astype(np.float32) for n in LENGTHS]
    coordinates[0][2, 3] = np.nan
    arrays = {
        "coordinates": Ragged.of(coordinates),
        "tokens": Ragged.of([rng.integers(0, 20, n).astype(np.uint8) for n in LENGTHS]),
        "chain": Ragged.of([np.repeat([1, 2], [n - 2, 2]).astype(np.uint8) for n in LENGTHS]),
        "cluster": np.arange(4),
    }
    return Rows(["a", "b", "c", "d"], SPLITS, arrays)


@pytest.fixture
def folder(chains, tmp_path):
    rows.write(tmp_path / "data", chains, {})
    return tmp_path / "data"


def test_a_batch_is_padded_and_knows_what_is_missing(chains):
    batch = Residues().batch(chains.arrays)
    assert {name: tuple(x.shape) for name, x in batch.items()} == {
        "coordinates": (4, 6, 4, 3), "tokens": (4, 6), "mask": (4, 6), "residue_index": (4, 6), "chain": (4, 6)
    }  # fmt: skip
    assert batch["mask"].tolist()[0] == [1, 1, 0, 1, 1, 0]
    assert torch.isfinite(batch["coordinates"]).all()
    assert batch["chain"].tolist()[1] == [1, 2, 2, 0, 0, 0]
    assert batch["residue_index"].tolist()[1] == [0, 101, 102, -100, -100, -100]
    np.testing.assert_array_equal(batch["tokens"][3], chains.arrays["tokens"][3])


def test_samples_are_asked_for_the_test_chains_once_per_stream(folder):
    asked = Residues().asked(folder, rows.index(folder), 4, 2)
    assert list(asked.ids) == ["b/0", "c/0", "b/1", "c/1"]
    assert asked.arrays["tokens"].lengths.tolist() == [3, 4, 3, 4]


def test_more_chains_than_there_are_is_a_line_with_the_largest_count(folder):
    with pytest.raises(ConfigError, match=r"asks for 3 chains, and the test split has 2: lower it to 4"):
        Residues().asked(folder, rows.index(folder), 6, 2)


def drawn(lengths: list[int]) -> dict[str, torch.Tensor]:
    longest, n = max(lengths), len(lengths)
    tokens = torch.arange(n * longest).reshape(n, longest) % 20
    tokens[0, 1] = MASK  # not designed: its structure is missing
    return {
        "tokens": tokens, "argmax": (tokens + 1) % 20, "evaluations": torch.arange(n),
        "times": torch.tensor([[0.25, 0.75]] * n, dtype=torch.float64),
        "nll": torch.rand(n, 2, dtype=torch.float64), "masked": torch.ones(n, 2, dtype=torch.int64),
    }  # fmt: skip


def test_samples_survive_their_files_at_their_own_length(folder, tmp_path):
    codec = Residues()
    asked = codec.asked(folder, rows.index(folder), 4, 2)
    samples = codec.samples(drawn([3, 4, 3, 4]), asked)
    assert residues.letters(samples.arrays["tokens"][0]) == "AXD"
    codec.write(tmp_path, samples)
    assert (tmp_path / protein.FASTA).read_text().splitlines()[:2] == [">b/0", "AXD"]
    read = codec.read(tmp_path)
    assert list(read.ids) == list(asked.ids)
    for name, array in samples.arrays.items():
        found = read.arrays[name]
        if isinstance(array, Ragged):
            assert found.lengths.tolist() == array.lengths.tolist()
            array, found = array.values, found.values
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_a_preview_pairs_designs_with_natives(folder):
    codec = Residues()
    asked = codec.asked(folder, rows.index(folder), 2, 1)
    preview = codec.preview(codec.samples(drawn([3, 4]), asked), asked)
    assert (preview.shape, preview.dtype) == ((2, 2, 4), np.uint8)
    assert preview[0, :, 3].tolist() == [NOTHING, NOTHING]
    np.testing.assert_array_equal(preview[1, 1], asked.arrays["tokens"][1])


def test_beside_a_preview_stand_the_native_sequences_of_the_same_chains(folder):
    codec = Residues()
    asked = codec.asked(folder, rows.index(folder), 4, 2)
    preview, real = codec.preview(codec.samples(drawn([3, 4, 3, 4]), asked), asked), codec.real(folder, asked)
    np.testing.assert_array_equal(real[:, 0], preview[:, 1])
    np.testing.assert_array_equal(real[:, 1], preview[:, 1])
    assert codec.names(asked) == ["b", "c", "b", "c"]
    assert [row["designed"] for row in codec.numbers(real)] == [row["native"] for row in codec.numbers(preview)]
