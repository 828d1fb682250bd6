"""Embeddings that AlphaFold3 exported: read as they are, or refused."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.af3_export import BUCKETS, Af3Export

LENGTHS = (7, 4)
CLUSTERS = (31, 5)


@pytest.fixture
def rows() -> Rows:
    tokens = Ragged(np.zeros(sum(LENGTHS), np.uint8), np.array(LENGTHS))
    return Rows(["1abc_A", "2xyz_B"], ["train"] * 2, {"tokens": tokens, "cluster": np.array(CLUSTERS)})


def embeddings(seed: int, size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "single_embeddings": rng.standard_normal((size, 6)).astype(np.float32),
        "pair_embeddings": rng.standard_normal((size, size, 3)).astype(np.float32),
        "structure_embeddings": rng.standard_normal((size, 8)).astype(np.float32),
    }


def export(folder: Path, sizes: tuple[int, ...] = LENGTHS) -> list[dict[str, np.ndarray]]:
    """Write exports of these sizes as REED does."""
    made = [embeddings(seed, size) for seed, size in enumerate(sizes)]
    for cluster, arrays in zip(CLUSTERS, made, strict=True):
        file = folder / f"cluster_{cluster}" / "seed-0_embeddings" / "embeddings.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, **arrays)
    return made


def represented(folder: Path, rows: Rows, **settings) -> Ragged:
    return Af3Export(folder=str(folder), **settings).represent({}, Material(rows))


@pytest.mark.parametrize("output", ["single", "structure"])
def test_residues_are_the_exported_values(output, tmp_path, rows):
    made = export(tmp_path)
    found = represented(tmp_path, rows, output=output)
    assert Af3Export(folder="x", output=output).kind == "residues"
    assert found.dtype == np.float32
    for row, arrays in zip(found, made, strict=True):
        np.testing.assert_array_equal(row, arrays[f"{output}_embeddings"])


def test_pairs_are_laid_out_row_by_row(tmp_path, rows):
    made = export(tmp_path)
    found = represented(tmp_path, rows, output="pair")
    assert Af3Export(folder="x", output="pair").kind == "pairs"
    assert found.lengths.tolist() == [length**2 for length in LENGTHS]
    for row, arrays, length in zip(found, made, LENGTHS, strict=True):
        np.testing.assert_array_equal(row[2 * length + 3], arrays["pair_embeddings"][2, 3])
        np.testing.assert_array_equal(row.reshape(length, length, 3), arrays["pair_embeddings"])


def test_buckets_are_cut_to_the_chain(tmp_path, rows):
    made = export(tmp_path, (256, 256))
    for output in ("single", "pair"):
        found = represented(tmp_path, rows, output=output, lengths="bucket")
        for row, arrays, length in zip(found, made, LENGTHS, strict=True):
            whole = arrays[f"{output}_embeddings"]
            expected = whole[:length, :length] if output == "pair" else whole[:length]
            np.testing.assert_array_equal(row, expected.reshape(-1, whole.shape[-1]))


@pytest.mark.parametrize(
    ("lengths", "size", "words"),
    [
        ("exact", 6, r"6 residues, and the chain has 7, for which lengths: exact expects 7$"),
        ("exact", 8, r"8 residues, and the chain has 7, .* expects 7; if they are padded .* set lengths: bucket$"),
        ("exact", 256, r"256 residues, and the chain has 7, .*set lengths: bucket$"),
        ("bucket", 7, r"7 residues, and the chain has 7, for which lengths: bucket expects 256$"),
        ("bucket", 6, r"6 residues, and the chain has 7"),
        ("bucket", 512, r"512 residues, and the chain has 7, for which lengths: bucket expects 256$"),
    ],
)
@pytest.mark.parametrize("output", ["single", "pair"])
def test_another_length_is_refused(output, lengths, size, words, tmp_path, rows):
    export(tmp_path, (size, 256 if lengths == "bucket" else LENGTHS[1]))
    with pytest.raises(ConfigError, match=rf"cluster_31/seed-0_embeddings/embeddings\.npz: {words}"):
        represented(tmp_path, rows, output=output, lengths=lengths)


@pytest.mark.parametrize(("length", "bucket"), [(256, 256), (257, 512), (1300, 1536), (5120, 5120), (5121, 5121)])
def test_the_bucket_is_the_next_one_and_beyond_the_last_the_length_itself(length, bucket, tmp_path):
    assert BUCKETS == tuple(sorted(BUCKETS))
    rows = Rows(["a"], ["train"], {"tokens": Ragged(np.zeros(length, np.uint8), np.array([length]))})
    np.savez(tmp_path / "a.npz", single_embeddings=np.zeros((bucket, 2), np.float32))
    assert represented(tmp_path, rows, pattern="{id}.npz", lengths="bucket").lengths.tolist() == [length]
    np.savez(tmp_path / "a.npz", single_embeddings=np.zeros((bucket + 1, 2), np.float32))
    with pytest.raises(ConfigError, match=f"{bucket + 1} residues, and the chain has {length}"):
        represented(tmp_path, rows, pattern="{id}.npz", lengths="bucket")


def test_files_can_be_named_after_ids(tmp_path, rows):
    made = export(tmp_path)
    for name, arrays in zip(rows.ids, made, strict=True):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    named = represented(tmp_path, rows, pattern="{id}.npz")
    np.testing.assert_array_equal(named.values, represented(tmp_path, rows).values)


def test_missing_exports_are_counted(tmp_path, rows):
    export(tmp_path)
    (tmp_path / "cluster_5" / "seed-0_embeddings" / "embeddings.npz").unlink()
    with pytest.raises(MissingArtefact, match=r"cluster_5/.*: no AlphaFold3 export of chain '2xyz_B' \(1 of 2 chains"):
        represented(tmp_path, rows)


def test_clusters_must_be_known_where_the_pattern_names_them(tmp_path, rows):
    export(tmp_path)
    without = Rows(rows.ids, rows.split, {"tokens": rows.arrays["tokens"]})
    with pytest.raises(ConfigError, match="needs the column cluster"):
        represented(tmp_path, without)


def broken(kind: str) -> dict[str, np.ndarray]:
    arrays = embeddings(0, LENGTHS[0])
    values = arrays["single_embeddings"]
    if kind == "object":
        return {"single_embeddings": np.array([{}], object)}
    if kind == "nan":
        values[3, 2] = np.nan
    return {"single_embeddings": {"flat": values[:, 0], "text": values.astype(str), "nan": values}[kind]}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("object", "not a whole npz file of numbers .*pickle"),
        ("flat", r"single_embeddings is float32 \(7,\), no embedding of residues"),
        ("text", "no embedding of residues"),
        ("nan", "values that are not finite"),
    ],
)
def test_other_content_is_refused(kind, words, tmp_path, rows):
    export(tmp_path)
    file = tmp_path / "cluster_31" / "seed-0_embeddings" / "embeddings.npz"
    np.savez(file, **broken(kind))
    with pytest.raises(ConfigError, match=rf"embeddings\.npz: .*{words}"):
        represented(tmp_path, rows)


def test_an_absent_array_is_named_with_those_that_are_there(tmp_path, rows):
    export(tmp_path)
    np.savez(tmp_path / "cluster_5" / "seed-0_embeddings" / "embeddings.npz", single=np.zeros(3))
    with pytest.raises(ConfigError, match=r"has no array single_embeddings \(it has single\)"):
        represented(tmp_path, rows)


@pytest.mark.parametrize("size", [0, 50, 500])
def test_a_file_cut_short_is_refused(size, tmp_path, rows):
    export(tmp_path)
    file = tmp_path / "cluster_31" / "seed-0_embeddings" / "embeddings.npz"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ConfigError, match=r"embeddings\.npz: not a whole npz file"):
        represented(tmp_path, rows)


def test_all_exports_have_the_same_channels(tmp_path, rows):
    export(tmp_path)
    file = tmp_path / "cluster_5" / "seed-0_embeddings" / "embeddings.npz"
    np.savez(file, single_embeddings=np.zeros((LENGTHS[1], 5), np.float32))
    with pytest.raises(ConfigError, match=r"has 5 channels where .* has 6"):
        represented(tmp_path, rows)


@pytest.mark.parametrize(
    "pattern", ["embeddings.npz", "{name}.npz", "{}.npz", "{id", "{id!r}.npz", "{cluster:05d}", "{id.x}"]
)
def test_patterns_must_name_the_chain(pattern):
    with pytest.raises(ValidationError, match="pattern"):
        Af3Export(folder="x", pattern=pattern)


def test_chains_of_one_cluster_do_not_share_an_export(tmp_path, rows):
    export(tmp_path)
    same = Rows(rows.ids, rows.split, {**rows.arrays, "cluster": np.array([31, 31])})
    words = r"cluster_31/.*: stands for both '1abc_A' and '2xyz_B', .*use \{id\} in pattern"
    with pytest.raises(ConfigError, match=words):
        Af3Export(folder=str(tmp_path)).prepared({}, Material(same))


def test_missing_exports_are_counted_over_all_parts_before_the_first(tmp_path, rows):
    export(tmp_path)
    (tmp_path / "cluster_5" / "seed-0_embeddings" / "embeddings.npz").unlink()
    with pytest.raises(MissingArtefact, match="1 of 2 chains"):
        Af3Export(folder=str(tmp_path)).prepared({}, Material(rows))
