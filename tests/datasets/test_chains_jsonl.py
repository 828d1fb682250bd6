"""A file of chains is read as it is, and whatever is wrong is named with its line."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from reedbench.core.errors import ConfigError
from reedbench.datasets.chains_jsonl import ChainsJsonl

DATA = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data"))
CHAINS = DATA / "protein_chains.jsonl.gz"
EVERYTHING = {"test_share": 0, "valid_share": 0}


def test_packed_and_plain_files_are_read_alike(record, lines):
    file = Path(lines(record("a"), "", record("b")))
    (packed := file.with_suffix(".jsonl.gz")).write_bytes(gzip.compress(file.read_bytes()))
    plain, packed = (ChainsJsonl(file=str(f), **EVERYTHING).rows() for f in (file, packed))
    assert plain.ids == packed.ids == ["a", "b"]
    np.testing.assert_array_equal(plain.arrays["coordinates"].values, packed.arrays["coordinates"].values)


def test_a_file_below_the_data_folder_is_found(record, lines, monkeypatch):
    file = Path(lines(record("a")))
    monkeypatch.setenv("REEDBENCH_DATA", str(file.parent))
    dataset = ChainsJsonl(file=file.name, **EVERYTHING)
    assert dataset.rows().ids == ["a"]
    assert dataset.facts()["source"] == file.name


def test_the_key_of_the_cluster_can_be_chosen_and_a_chain_whose_value_is_null_is_alone(record, lines):
    chains = [record("a", family="x"), record("b", family="x"), record("c", family=None), record("d", family=None)]
    clusters = ChainsJsonl(file=lines(*chains), cluster_key="family", **EVERYTHING).rows().arrays["cluster"]
    assert clusters.tolist() == [0, 0, 1, 2]


def test_a_chain_without_a_cluster_is_alone_even_if_a_cluster_has_its_name(record, lines):
    chains = [record("a"), record("b", cluster40="a"), record("c", cluster40="=a"), record("=a"), record("==a")]
    clusters = ChainsJsonl(file=lines(*chains), **EVERYTHING).rows().arrays["cluster"]
    assert clusters.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("asked", ["family", "cluster4O"])
def test_an_absent_cluster_key_is_an_error_that_names_the_keys_there_are(record, lines, asked):
    chains = [record("a", **{asked: "x"}, fold=1), record("b", fold=1)]
    near = "; did you mean 'cluster40'\\?" if asked == "cluster4O" else ""
    message = rf"line 2: cluster_key: unknown key '{asked}'{near} \(allowed: cluster40, fold\); .*one-per-chain"
    with pytest.raises(ConfigError, match=message):
        ChainsJsonl(file=lines(*chains), cluster_key=asked).rows()


def test_one_cluster_per_chain_wants_its_word(record, lines):
    chains = [record("a", cluster40="x"), record("b", cluster40="x")]
    clusters = ChainsJsonl(file=lines(*chains), cluster_key="one-per-chain", **EVERYTHING).rows().arrays["cluster"]
    assert clusters.tolist() == [0, 1]


@pytest.mark.parametrize("change", [{"name": "a\ud800"}, {"cluster40": "a\ud800"}])
def test_half_a_character_is_refused_in_a_line_that_can_be_printed(record, lines, change):
    with pytest.raises(ConfigError, match=r"name 'a\\ud800' is no text") as caught:
        ChainsJsonl(file=lines(record("a") | change)).rows()
    assert str(caught.value).isascii()


def test_an_atom_that_is_null_is_missing(record, lines, backbone):
    chain = record("a")
    chain["coords"]["C"][7] = None
    expected = backbone(20)
    expected[7, 2] = np.nan
    made = ChainsJsonl(file=lines(chain), **EVERYTHING).rows()
    np.testing.assert_array_equal(made.arrays["coordinates"][0], expected)


BAD = (
    "[NaN, 0, 0]; [0, Infinity, 0]; [0, 0, 1e999]; [1, 2]; [1, 2, null]; [1, 2, 3, 4]; 7; [[1], [2], [3]]; [1e7, 0, 0]"
)


@pytest.mark.parametrize("entry", [*BAD.split("; "), '["1", "2", "3"]', "{}"])
def test_an_entry_that_is_no_place_is_named_with_line_residue_and_atom(record, lines, entry):
    chain = record("b")
    chain["coords"]["CA"][4] = "HERE"
    bad = json.dumps(chain).replace('"HERE"', entry)
    with pytest.raises(ConfigError, match=r"chains\.jsonl: line 2: residue 5, atom CA: must be three numbers"):
        ChainsJsonl(file=lines(record("a"), bad)).rows()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seq": "ACDEFGHIKLMNPQRSTVW*"}, r"residue letter '\*' at position 20 is none of"),
        ({"seq": "ACD"}, "atom N has 20 entries for 3 letters"),
        ({"seq": ""}, "'seq' must be there as text"),
        ({"name": 7}, "'name' must be there as text"),
        ({"coords": None}, "chain 'a': 'coords' must be an object"),
        ({"coords": {"N": []}}, "atom N has 0 entries for 20 letters"),
        ({"coords": {}}, "atom N has no entries for 20 letters"),
        ({"cluster40": [1]}, r"'cluster40' must be a whole number, text that is not empty, or null, not \[1\]"),
        ({"cluster40": ""}, "'cluster40' must be a whole number, text that is not empty, or null"),
        ({"resolution": "2.0"}, "'resolution' must be Angstrom above 0 or null"),
    ],
)
def test_a_line_that_is_no_chain_is_named(record, lines, change, message):
    with pytest.raises(ConfigError, match=rf"chains\.jsonl: line 1: {message}"):
        ChainsJsonl(file=lines(record("a") | change)).rows()


@pytest.mark.parametrize("line", ["{", "[]", '"text"', "[" * 5000])
def test_a_line_that_is_no_object_is_named(record, lines, line):
    with pytest.raises(ConfigError, match=r"chains\.jsonl: line 2: "):
        ChainsJsonl(file=lines(record("a"), line)).rows()


def test_a_file_that_is_cut_short_or_no_text_is_named(record, lines):
    file = Path(lines(record("a")))
    packed = file.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(file.read_bytes())[:-20])
    file.write_bytes(b"\xff\xfe\x00")
    for damaged in (packed, file):
        with pytest.raises(ConfigError, match=f"{damaged.name}: damaged or cut short"):
            ChainsJsonl(file=str(damaged)).rows()


@pytest.mark.skipif(not CHAINS.exists(), reason=f"{CHAINS} is not there (REEDBENCH_DATA)")
def test_the_real_chains_are_whole_and_no_cluster_crosses_a_split():
    dataset = ChainsJsonl(file=str(CHAINS), max_length=512, his_tag="keep")
    made, facts = dataset.rows(), dataset.facts()
    assert (len(made), facts["residues"], facts["clusters"]) == (2432, 276_909, 2050)
    assert facts["left_out"] == {}
    # All oxygens of 1,669 chains are missing, and single ones of six others.
    assert int((made.arrays["placed_oxygen"] > 0).sum()) == facts["chains_with_placed_oxygens"] == 1675
    clusters, splits = made.arrays["cluster"], np.array(made.split)
    held = [set(clusters[splits == split].tolist()) for split in ("train", "valid", "test")]
    assert [len(found) for found in held] == [1743, 102, 205]
    assert len(held[0] | held[1] | held[2]) == 2050  # none is in two of them


@pytest.mark.skipif(not CHAINS.exists(), reason=f"{CHAINS} is not there (REEDBENCH_DATA)")
def test_one_family_holds_much_of_an_unlimited_test_split_and_the_index_says_so():
    """The antibody light chains: 68 of 275 test chains under the name that the benchmark had."""
    whole = ChainsJsonl(name="chains", file=str(CHAINS), min_length=30)
    test = whole.facts()["clusters_by_split"]["test"]
    assert (test["chains"], test["clusters"]) == (275, 185)
    assert test["largest_share"] == 68 / 275
    assert test["effective_clusters"] == pytest.approx(15.437, abs=0.001)
    limited = ChainsJsonl(name="chains", file=str(CHAINS), min_length=30, most_per_cluster=0.05)
    test = limited.facts()["clusters_by_split"]["test"]
    assert (test["chains"], test["clusters"]) == (217, 185)
    assert test["largest_share"] == 10 / 217
    assert test["effective_clusters"] > 120
