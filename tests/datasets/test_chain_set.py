"""The chain sets of Ingraham et al. (CATH 4.2) are read as they are published, with their splits."""

import json
import math

import numpy as np
import pytest

from reedbench.core.errors import ConfigError
from reedbench.datasets.chains_jsonl import ChainsJsonl
from reedbench.nn import residues

NODES = {"1abc.A": ["3.30.930", "1.10.8"], "2abc.A": ["3.30.930"], "3abc.B": ["2.40.50"], "4abc.A": ["1.20.5"]}
LISTS = {"train": ["1abc.A", "2abc.A"], "validation": ["3abc.B"], "test": ["4abc.A", "9zzz.Z"], "cath_nodes": NODES}
NAN = [math.nan] * 3


@pytest.fixture
def chain_set(record, lines, tmp_path):
    """A file of four chains and its splits, as their configuration."""
    chains = [record(name, num_chains=2, CATH=codes) for name, codes in NODES.items()]
    chains[1]["seq"] = "U" + chains[1]["seq"][1:-1] + "Z"
    chains[0]["coords"]["O"][3] = chains[0]["coords"]["N"][0] = NAN
    for atom in chains[0]["coords"].values():
        atom[7] = NAN
    (tmp_path / "chain_set_splits.json").write_text(json.dumps(LISTS))
    return {"file": lines(*chains), "cluster_key": "CATH", "splits": str(tmp_path / "chain_set_splits.json")}


def test_three_nan_are_a_missing_atom(chain_set, backbone):
    made = ChainsJsonl(**chain_set).rows().arrays["coordinates"][0]
    expected = backbone(20)
    expected[0, 0] = expected[7] = np.nan
    np.testing.assert_array_equal(made[[0, 7, 9]], expected[[0, 7, 9]])
    assert np.isfinite(made[3]).all()  # its oxygen was placed


def test_selenocysteine_is_read_as_cysteine_or_x_and_counted(chain_set):
    made = ChainsJsonl(**chain_set)
    assert residues.letters(made.rows().arrays["tokens"][1]) == "CCDEFGHIKLMNPQRSTVWX"
    assert made.facts()["letters_replaced"] == {"U": 1, "Z": 1}
    other = ChainsJsonl(**chain_set, modified="x").rows()
    assert residues.letters(other.arrays["tokens"][1]) == "XCDEFGHIKLMNPQRSTVWX"


def test_the_official_splits_are_taken(chain_set):
    made = ChainsJsonl(**chain_set)
    assert list(zip(made.rows().ids, made.rows().split, strict=True)) == [
        ("1abc.A", "train"), ("2abc.A", "train"), ("3abc.B", "valid"), ("4abc.A", "test"),
    ]  # fmt: skip
    assert made.facts()["names_in_splits_that_are_absent"] == 1
    assert made.facts()["clusters_across_splits"] == 0
    assert len(made.files()) == 2


def test_the_first_cath_code_is_the_cluster(chain_set):
    assert ChainsJsonl(**chain_set).rows().arrays["cluster"].tolist() == [0, 0, 1, 2]


def test_chains_in_no_split_are_left_out_and_clusters_in_two_are_counted(chain_set, tmp_path):
    (tmp_path / "chain_set_splits.json").write_text(json.dumps({"train": ["1abc.A"], "test": ["2abc.A"]}))
    made = ChainsJsonl(**chain_set)
    assert made.rows().ids == ["1abc.A", "2abc.A"]
    assert made.facts()["left_out"] == {"in none of the splits": 2}
    assert made.facts()["clusters_across_splits"] == 1
    assert made.remarks()[0] == (
        "left out: 2 (in none of the splits 2); letters replaced: 2 (U 1, Z 1); clusters across splits: 1"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must be a JSON object with lists of names under train, validation and test"),
        ("{", "must be a JSON object"),
        ('{"cath_nodes": {}}', "must be a JSON object"),
        ('{"train": "1abc.A"}', "'train' is no list of names"),
        ('{"train": ["1abc.A"], "test": ["1abc.A"]}', "'1abc.A' is in train and in test"),
    ],
)
def test_splits_that_are_none_are_refused(chain_set, tmp_path, text, message):
    (tmp_path / "chain_set_splits.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"chain_set_splits\.json: .*{message}"):
        ChainsJsonl(**chain_set).rows()


def test_a_split_that_no_chain_is_in_is_named(chain_set, tmp_path):
    (tmp_path / "chain_set_splits.json").write_text(json.dumps({"train": ["1abc.A"], "test": ["none"]}))
    with pytest.raises(ConfigError, match="no chain in split 'test' of"):
        ChainsJsonl(**chain_set).rows()
