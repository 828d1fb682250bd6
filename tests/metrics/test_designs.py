"""Metrics on designed sequences: each on a case that is worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from made_designs import NATIVE, Evidence, evidence, scored
from pydantic import ValidationError

from reedbench.core import plugins
from reedbench.core.errors import MetricError
from reedbench.core.ragged import Ragged
from reedbench.metrics._designs import Designs
from reedbench.nn import residues
from reedbench.nn.residues import ALPHABET

SEQUENCE_METRICS = ("recovery", "chain-recovery", "blosum-recovery", "composition", "diversity")


def measured(name: str, seen: Evidence, **settings: Any) -> float:
    return plugins.discover("metrics")[name](uses=name, **settings).measured(seen)


PERFECT = evidence({"one/0": NATIVE["one"], "two/0": NATIVE["two"]})
WRONG = evidence({"one/0": "ACDAAA", "two/0": "KLMA"})  # 3 of 6 and 3 of 4


@pytest.mark.parametrize(
    ("name", "expected"), [("recovery", 1), ("chain-recovery", 1), ("blosum-recovery", 1), ("composition", 0)]
)
def test_the_native_sequence_itself_is_perfect(name, expected):
    if name == "blosum-recovery":
        pytest.importorskip("biotite")
    assert measured(name, PERFECT) == expected


def test_recovery_is_over_residues_and_chain_recovery_over_chains():
    assert measured("recovery", WRONG) == 6 / 10
    assert measured("chain-recovery", WRONG) == (0.5 + 0.75) / 2


def test_the_median_is_over_chains_whatever_the_number_of_samples():
    natives = {name: "AAAA" for name in ("a", "b", "c")}
    samples = {"a/0": "CCCC", "b/0": "CAAA", "c/0": "AAAA", "a/1": "AACC", "b/1": "CAAA", "c/1": "AAAA"}
    assert measured("chain-recovery", evidence(samples, natives), statistic="median") == 0.75
    assert measured("chain-recovery", evidence(samples, natives)) == pytest.approx((0.25 + 0.75 + 1) / 3)


def test_unknown_and_unresolved_residues_do_not_count():
    natives = {"one": "XCDEFG"}
    seen = evidence({"one/0": "XADEFA"}, natives, {"one": [5]})  # of C, D, E, F only C is wrong
    assert measured("recovery", seen) == 3 / 4
    assert measured("composition", evidence({"one/0": "ACDEFA"}, natives, {"one": [5]})) == 0


def test_an_unknown_letter_in_a_design_is_wrong():
    assert measured("recovery", evidence({"one/0": "XCDEFG"})) == 5 / 6


def test_recovery_of_the_last_argmax_reads_that_sequence():
    argmax = Ragged.of([residues.tokens("ACDEFA")])
    seen = evidence({"one/0": "ACDAAA"}, argmax=argmax)
    assert measured("recovery", seen, of="state") == 3 / 6
    assert measured("recovery", seen, of="argmax") == 5 / 6


def test_likely_substitutions_count_as_recovered():
    pytest.importorskip("biotite")
    natives = {"one": "IDKWA"}  # BLOSUM62: I-V 3, D-E 2, K-R 2, W-C -2, A-X 0
    assert measured("blosum-recovery", evidence({"one/0": "VERCX"}, natives)) == 3 / 5


def test_substitution_is_symmetric_and_every_amino_acid_replaces_itself():
    pytest.importorskip("biotite")
    from reedbench.metrics.blosum_recovery import similar

    assert (similar() == similar().T).all()
    assert np.diag(similar()).tolist() == [True] * 20 + [False]
    pairs = {ALPHABET[i] + ALPHABET[j] for i, j in np.argwhere(np.triu(similar(), 1))}
    assert pairs == set("AS DE DN EK EQ FW FY HN HY IL IM IV KQ KR LM LV MV NS QR ST WY".split())


def test_the_divergence_of_disjoint_compositions_is_one_bit_and_of_half_shared_ones_the_formula():
    natives = {"one": "AACC"}
    assert measured("composition", evidence({"one/0": "DDEE"}, natives)) == pytest.approx(1)
    # p = (1/2, 1/2, 0), q = (1/2, 0, 1/2): H(m) = 3/2, H(p) = H(q) = 1
    assert measured("composition", evidence({"one/0": "AADD"}, natives)) == pytest.approx(0.5)
    assert measured("composition", evidence({"one/0": "CACA"}, natives)) == 0


def test_diversity_is_the_mean_over_pairs_then_over_chains():
    one, two = ("ACDEFG", "ACDAAA", "CCDEFG"), ("KLMN", "KLMN", "KLMN")
    samples = {f"{name}/{j}": texts[j] for j in range(3) for name, texts in (("one", one), ("two", two))}
    differ = [3 / 6, 1 / 6, 4 / 6]  # of chain one: 0-1, 0-2, 1-2
    assert measured("diversity", evidence(samples)) == pytest.approx(np.mean(differ) / 2)


def test_diversity_needs_two_samples_of_every_chain():
    metric = plugins.discover("metrics")["diversity"]()
    with pytest.raises(MetricError, match=r"^diversity@state: needs at least two samples.*sampling.streams"):
        metric.measured(evidence({"one/0": "ACDEFG", "one/1": "ACDEFG", "two/0": "KLMN"}))
    assert metric.least_n() == 2


def test_masked_perplexity_is_over_all_masked_residues_of_its_time():
    seen = scored([0.5, 0.9], [[3.0, 1.0], [1.0, 0.0]], [[4, 1], [1, 0]])
    assert measured("masked-perplexity", seen, at=0.5) == pytest.approx(math.exp(4 / 5))
    assert measured("masked-perplexity", seen, at=0.9) == pytest.approx(math.e)


def test_masked_perplexity_names_the_times_that_there_are():
    seen = scored([0.5, 0.9], [[3.0, 1.0]], [[4, 0]])
    with pytest.raises(MetricError, match=r"^masked-perplexity@0\.7: .* at 0\.5, 0\.9; set its scored_at"):
        measured("masked-perplexity", seen, at=0.7)
    with pytest.raises(MetricError, match="no residue was masked"):
        measured("masked-perplexity", seen, at=0.9)


def test_the_bound_weighs_times_by_their_expected_share_of_masks():
    # Chains of 6 and 4 residues; 1 - t is 3/4 and 1/4: (3 / .75 + 1 / .25) / 2 and (0 + 2 / .25) / 2, over 10 residues.
    seen = scored([0.25, 0.75], [[3.0, 1.0], [0.0, 2.0]], [[1, 1], [0, 1]])
    assert measured("elbo", seen, times=2) == pytest.approx((4 + 4) / 10)


def test_the_bound_is_tight_for_a_law_without_neighbours():
    times = (np.arange(5) + 0.5) / 5
    share = 6 * (1 - times)  # expected masks of chain one, each at a surprise of log 20
    seen = scored(times.tolist(), [(share * math.log(20)).tolist()], [[1] * 5])
    assert measured("elbo", seen) == pytest.approx(math.log(20))


@pytest.mark.parametrize(
    ("times", "there"), [([0.2, 0.8], r"0\.2, 0\.8"), ([0.5], r"0\.5"), ([0.25, 0.5], r"0\.25, 0\.5")]
)
def test_the_bound_is_refused_at_other_times_than_its_own_midpoints(times, there):
    seen = scored(times, [[1.0] * len(times)], [[1] * len(times)])
    expected = rf"^elbo@native\+times=2: .* at {there}; set its scored_at to the midpoints .* \[0\.25, 0\.75\], or"
    with pytest.raises(MetricError, match=expected):
        measured("elbo", seen, times=2)


def test_a_bound_of_another_quadrature_is_refused_before_anything_is_sampled():
    find = plugins.discover
    nine = [(i + 0.5) / 9 for i in range(9)]
    samplers = {"a": find("samplers")["ancestral"](scored_at=nine)}
    assert "midpoints of 5 equal parts" in find("metrics")["elbo"]().misfit(None, samplers)
    assert find("metrics")["elbo"](times=9).misfit(None, samplers) is None


@pytest.mark.parametrize(
    ("name", "settings", "family"),
    [
        ("recovery", {}, "recovery@state"),
        ("chain-recovery", {"of": "argmax", "statistic": "median"}, "chain-recovery@argmax-median"),
        ("masked-perplexity", {"at": 0.5}, "masked-perplexity@0.5"),
        ("elbo", {}, "elbo@native"),
    ],
)
def test_the_family_says_what_is_looked_at(name, settings, family):
    metric = plugins.discover("metrics")[name](**settings)
    assert metric.family == family
    assert metric.id(80) == f"{family}.v1-n80"
    assert metric.domain == "protein"
    assert metric.extractors() == metric.folders() == ()


@pytest.mark.parametrize("name", [name for name in SEQUENCE_METRICS if name != "diversity"])
def test_one_sampling_stream_is_enough_for_metrics_that_compare_no_samples(name):
    if name == "blosum-recovery":
        pytest.importorskip("biotite")
    metric = plugins.discover("metrics")[name]()
    assert math.isfinite(metric.measured(evidence({"one/0": "ACDAAA"})))


@pytest.mark.parametrize("at", [0, 1, -0.1])
def test_a_time_at_which_all_or_nothing_is_masked_is_no_setting(at):
    with pytest.raises(ValidationError):
        plugins.discover("metrics")["masked-perplexity"](at=at)


def test_rows_that_do_not_belong_together_are_refused():
    with pytest.raises(MetricError, match="ids or their order differ"):
        Designs(PERFECT.samples, PERFECT.asked.take([1, 0]))
    with pytest.raises(MetricError, match=r"^two/0: the design has 3 residues, and the native chain 4"):
        measured("recovery", evidence({"one/0": "ACDEFG", "two/0": "KLM"}))


def test_a_chain_without_a_residue_that_counts_is_refused():
    with pytest.raises(MetricError, match=r"^two/0: no residue counts"):
        measured("recovery", evidence({"two/0": "KLMN"}, {"two": "XXMN"}, {"two": [2, 3]}))


def test_a_score_that_is_not_finite_is_an_error():
    with pytest.raises(MetricError, match="not a finite number"):
        measured("elbo", scored([0.5], [[math.inf]], [[1]]), times=1)
