"""What all chain datasets share: filters that count, clusters that stay together, tags, oxygens, the manifest."""

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core.errors import ConfigError
from reedbench.datasets import _chains
from reedbench.datasets.chains_jsonl import ChainsJsonl
from reedbench.domains import rows
from reedbench.nn import residues

EVERYTHING = {"test_share": 0, "valid_share": 0}


@pytest.fixture
def many(record, lines) -> str:
    """120 chains in 40 clusters of three."""
    return lines(*(record(f"c{i}", "ACDEF", cluster40=f"g{i % 40}") for i in range(120)))


def split_of_cluster(made: rows.Rows) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for cluster, split in zip(made.arrays["cluster"].tolist(), made.split, strict=True):
        found.setdefault(cluster, set()).add(split)
    return found


def test_no_cluster_is_in_two_splits_and_the_shares_are_of_clusters(many):
    made = ChainsJsonl(file=many, test_share=0.25, valid_share=0.1).rows()
    splits = split_of_cluster(made)
    assert {len(found) for found in splits.values()} == {1}
    counts = [sum(found == {split} for found in splits.values()) for split in ("train", "valid", "test")]
    assert counts == [26, 4, 10]


def test_the_split_depends_on_name_and_seed_and_is_the_same_each_time(many):
    one, again = (ChainsJsonl(file=many).rows().split for _ in range(2))
    assert one == again
    assert ChainsJsonl(file=many, split_seed=1).rows().split != one
    assert ChainsJsonl(file=many, name="other").rows().split != one


def test_a_filter_moves_few_clusters_to_another_split(record, lines):
    def made(max_length):
        chains = [record(f"c{i}", "ACDEF" if i % 5 else "ACDEFGH") for i in range(200)]
        made = ChainsJsonl(file=lines(*chains), max_length=max_length, test_share=0.3).rows()
        return dict(zip(made.ids, made.split, strict=True))

    every, short = made(7), made(5)
    assert (len(every), len(short)) == (200, 160)
    assert np.mean([every[name] == short[name] for name in short]) > 0.9


def test_rows_have_the_arrays_of_the_domain_and_survive_the_disk(record, lines, tmp_path, backbone):
    chain = record("b", "ACX", resolution=1.5)
    chain["coords"]["CA"][1] = None
    dataset = ChainsJsonl(file=lines(record("a", "WYAC"), chain), min_length=3, **EVERYTHING)
    made = dataset.rows()
    rows.write(tmp_path / "d", made, dataset.facts())
    read = rows.read(tmp_path / "d", "train")
    assert list(read.ids) == ["a", "b"]
    assert {name: array.dtype.name for name, array in read.arrays.items()} == {
        "coordinates": "float32", "tokens": "uint8", "chain": "uint8",
        "cluster": "int64", "resolution": "float32", "breaks": "int32", "placed_oxygen": "int32",
    }  # fmt: skip
    expected = backbone(3)
    expected[1, 1] = np.nan
    np.testing.assert_array_equal(read.arrays["coordinates"][1], expected)
    assert [residues.letters(tokens) for tokens in read.arrays["tokens"]] == ["WYAC", "ACX"]
    assert read.arrays["chain"].values.tolist() == [1] * 7
    assert read.arrays["resolution"].tolist() == [-1, 1.5]
    assert read.arrays["cluster"].tolist() == [0, 1]


def test_clusters_with_numbers_keep_them(record, lines):
    chains = [record("a", cluster40=17), record("b", cluster40="3"), record("c", cluster40=17)]
    assert ChainsJsonl(file=lines(*chains), **EVERYTHING).rows().arrays["cluster"].tolist() == [17, 3, 17]


def broken(record, **more):
    chain = record("broken", **more)
    for column in chain["coords"].values():
        column[12:] = [[x + 5, y, z] for x, y, z in column[12:]]
    return chain


def holey(record, missing: int):
    chain = record("holey")
    for column in chain["coords"].values():
        column[:missing] = [None] * missing
    return chain


@pytest.mark.parametrize(
    ("settings", "left", "reason"),
    [
        ({"max_length": 20}, "long", "max_length"),
        ({"min_length": 20}, "short", "min_length"),
        ({"max_resolution": 2.5}, "coarse", "max_resolution"),
        ({"least_resolved": 0.9}, "holey", "least_resolved"),
        ({"max_breaks": 0}, "broken", "max_breaks"),
        ({}, "nothing", "nothing resolved"),
    ],
)
def test_each_filter_leaves_out_what_it_names_and_counts_it(record, lines, settings, left, reason):
    chains = [record("long", "A" * 21), record("short", "A" * 19), record("coarse", resolution=2.6)]
    chains += [holey(record, 3), broken(record, resolution=2.5)]
    nothing = record("nothing")
    nothing["coords"]["CA"] = [None] * 20
    dataset = ChainsJsonl(file=lines(*chains, nothing), **EVERYTHING, **settings)
    everything = ["long", "short", "coarse", "holey", "broken"]
    assert dataset.rows().ids == [name for name in everything if name != left]
    assert dataset.facts()["left_out"] == {"nothing resolved": 1} | {reason: 1}


def test_a_chain_without_a_residue_that_can_be_scored_is_left_out_and_counted(record, lines):
    poly, half, line = record("poly", "X" * 20), record("half", "X" * 10 + "A" * 10), record("line", "A" * 10)
    half["coords"]["CA"][10:] = [None] * 10
    line["coords"] = {atom: [[x, 0, 0]] * 10 for x, atom in enumerate(("N", "CA", "C"))}  # no place for O
    dataset = ChainsJsonl(file=lines(record("a"), poly, half, line), **EVERYTHING)
    assert dataset.rows().ids == ["a"]
    assert dataset.facts()["left_out"] == {"no known residue resolved": 3}


def test_a_limit_itself_is_allowed(record, lines):
    settings = {"max_length": 20, "min_length": 20, "max_resolution": 2.5, "least_resolved": 0.85, "max_breaks": 1}
    file = lines(record("a", resolution=2.5), holey(record, 3), broken(record))
    dataset = ChainsJsonl(file=file, **EVERYTHING, **settings)
    assert dataset.rows().ids == ["a", "holey", "broken"]
    assert dataset.rows().arrays["breaks"].tolist() == [0, 0, 1]
    assert dataset.facts()["unresolved_residues"] == 3


def test_placed_oxygens_are_counted_per_chain_and_in_the_facts(record, lines):
    bare, one = record("bare"), record("one")
    bare["coords"]["O"] = None
    one["coords"]["O"][4] = None
    dataset = ChainsJsonl(file=lines(bare, record("whole"), one), **EVERYTHING)
    made, facts = dataset.rows(), dataset.facts()
    assert made.arrays["placed_oxygen"].tolist() == [20, 0, 1]
    assert (facts["placed_oxygens"], facts["chains_with_placed_oxygens"]) == (21, 2)
    assert np.isfinite(made.arrays["coordinates"].values).all()


@pytest.mark.parametrize(
    ("sequence", "fixed", "reference"),
    [
        ("A" * 20 + "HHHHHH", 20, 20),
        ("A" * 20 + "HHHHHHH", 20, 14),  # the reference was run on this one
        ("HHHHHH" + "A" * 20, 20, 20),
        ("MGSSHHHHHH" + "A" * 20, 20, 20),
        ("MGSSGHHHHHH" + "A" * 20, 31, 31),  # one residue too far inside
        ("MHHHHHH" + "A" * 20 + "HHHHHHGS", 20, 20),
        ("A" * 20 + "HHHHH", 25, 25),
        ("H" * 12, 0, 0),
    ],
)
def test_tags_are_cut(sequence, fixed, reference):
    for rule, length in (("keep", len(sequence)), ("fixed", fixed), ("reference", reference)):
        assert len(sequence[_chains.trimmed(sequence, rule)]) == length


def test_a_tag_goes_with_its_coordinates_and_is_counted(record, lines, backbone):
    tagged = record("tagged", "GHHHHHHACDEF")
    dataset = ChainsJsonl(file=lines(tagged, record("plain")), **EVERYTHING)
    made = dataset.rows()
    assert residues.letters(made.arrays["tokens"][0]) == "ACDEF"
    np.testing.assert_array_equal(made.arrays["coordinates"][0], backbone(12)[7:])
    assert dataset.facts()["tags_cut"] == 1
    assert len(ChainsJsonl(file=lines(tagged), his_tag="keep", **EVERYTHING).rows().arrays["tokens"][0]) == 12


def test_the_longest_chain_is_measured_with_its_tag_and_the_shortest_without(record, lines):
    file = lines(record("tagged", "HHHHHHACDEF"))
    for settings, reason in (({"max_length": 10}, "max_length"), ({"min_length": 6}, "min_length")):
        with pytest.raises(ConfigError, match=rf"left out: \{{'{reason}': 1\}}"):
            ChainsJsonl(file=file, **EVERYTHING, **settings).rows()


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_split_that_has_a_share_and_no_chain_is_refused(record, lines, split):
    file = lines(record("a"), record("b"), record("c"))
    with pytest.raises(ConfigError, match=f"no chain in split '{split}' .3 chains in 3 clusters pass"):
        ChainsJsonl(file=file, **{**EVERYTHING, f"{split}_share": 0.1}).rows()


def test_filters_that_leave_nothing_say_so(record, lines):
    with pytest.raises(ConfigError, match=r"no chain in split 'train' \(0 chains .*'max_length': 2"):
        ChainsJsonl(file=lines(record("a"), record("b")), max_length=5).rows()


def test_names_are_unique_and_fit_into_fasta(record, lines):
    with pytest.raises(ConfigError, match="chain 'a' is there 2 times"):
        ChainsJsonl(file=lines(record("a"), record("b"), record("a"))).rows()
    with pytest.raises(ConfigError, match="chain 'a b' has white space"):
        ChainsJsonl(file=lines(record("a b"))).rows()


def test_an_absent_file_is_named_with_its_key():
    with pytest.raises(ConfigError, match=r"dataset chains-jsonl: file: no such file or folder: .*nowhere\.jsonl"):
        ChainsJsonl(file="nowhere.jsonl").rows()


@pytest.mark.parametrize("settings", [{"test_share": 1.0}, {"max_length": 0}, {"his_tag": "cut"}, {"max_breaks": -1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        ChainsJsonl(file="x", **settings)
