"""What of two protocols differs, and own samplers in the papers' words."""

import pytest

from reedbench.report.paper.protocol import Protocol, contradict, differences, of_cell, of_row, unstated
from reedbench.report.paper.verdicts import NOT_COMPARABLE, REPRODUCED

USUAL = Protocol("euler-maruyama", "250", "none", "", "50000", "adm", "sd-vae-ft-ema", "random")


def test_the_suites_samplers_are_in_the_papers_words(lab):
    imagenet = lab.benchmark()

    def seen(sampler):
        return of_cell(imagenet.cell("repa", 0, 1_000_000, sampler), 50_000, "adm")

    assert seen("sde") == USUAL
    assert (seen("sde-cfg").guidance, seen("sde-cfg").interval) == ("1.275", "all times")
    assert (seen("sde-interval-repa").guidance, seen("sde-interval-repa").interval) == ("1.8", "0,0.7")  # [0.3, 1] here


def test_an_own_interval_run_is_that_of_the_papers_row(lab):
    lab.add("imagenet", {"1000000]\n# Guided": "1000000, 4000000]\n# Guided", "[1000000]": "[4000000]"})
    lab.measure("repa", 4_000_000, [1.45], sampler="sde-interval-repa")
    whole = lab.row("REPA", 4_000_000, guidance="1.8", interval="0,0.7")
    assert lab.verdict(whole).verdict == REPRODUCED
    other = lab.row("REPA", 4_000_000, guidance="2", interval="0,0.7")
    assert lab.verdict(other).why.startswith("guidance: 1.8 here, 2 in the paper")
    plain = whole.model_copy(update={"interval": ""})
    assert lab.verdict(plain).why.startswith("interval of guidance: 0,0.7 here, all times in the paper")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"sde: {uses: euler-maruyama, steps: 250}": "sde: {uses: heun, steps: 250}"},
         "sampler: heun here, euler-maruyama in the paper"),
        ({"sde: {uses: euler-maruyama, steps: 250}": "sde: {uses: euler-maruyama, steps: 250, last: euler}"},
         "sampler: euler-maruyama with last: euler here, euler-maruyama in the paper"),
        ({"sde: {uses: euler-maruyama, steps: 250}": "sde: {uses: euler-maruyama, steps: 50}"},
         "steps of the sampler: 50 here, 250 in the paper"),
        ({"count: 50000": "count: 10000"}, "number of samples: 10000 here, 50000 in the paper"),
        ({"decoder: weights/sd-vae-ft-ema": "decoder: weights/sd-vae-ft-mse"},
         "VAE: sd-vae-ft-mse here, sd-vae-ft-ema in the paper"),
        ({", labels: random": ""}, "labels: balanced here, random in the paper"),
    ],
)  # fmt: skip
def test_each_field_that_keeps_numbers_apart_is_named(lab, edit, words):
    lab.add("imagenet", edit)
    lab.measure("repa", 400_000, [7.9])
    said = lab.verdict(lab.row("REPA", 400_000))
    assert (said.verdict, said.why.split(";")[0]) == (NOT_COMPARABLE, words)


def test_the_sampler_that_comes_nearest_is_the_one_that_is_compared(lab):
    lab.add("imagenet", {"samplers:\n": "samplers:\n  ode: {uses: heun, steps: 125}\n"})
    lab.measure("repa", 400_000, [7.9], sampler="ode")
    row = lab.row("REPA", 400_000)
    assert lab.verdict(row).own.sampler == "ode"
    lab.measure("repa", 400_000, [7.9])
    assert lab.verdict(row).own.sampler == "sde"


def test_what_nobody_states_keeps_nothing_apart(lab):
    silent = of_row(lab.row("SiT", 400_000).model_copy(update={"sampler": "", "sampler_steps": None, "n": None}))
    assert differences(USUAL, silent) == []
    assert unstated(USUAL, silent) == ["sampler", "steps of the sampler", "number of samples", "VAE", "labels"]


def test_what_is_stated_and_does_not_apply_here_differs():
    (one,) = differences(Protocol(sampler="euler-maruyama"), Protocol(sampler="sde", n="50000"))
    assert str(one) == "number of samples: none here, 50000 in the paper"


@pytest.mark.parametrize(
    ("here", "there", "agree"),
    [
        (Protocol(sampler="heun"), Protocol(sampler="ode"), True),
        (Protocol(sampler="heun"), Protocol(sampler="sde"), False),
        (Protocol(sampler="euler-maruyama"), Protocol(sampler="sde"), True),
        (Protocol(guidance="1.5"), Protocol(guidance="guided"), True),
        (Protocol(guidance="none"), Protocol(guidance="guided"), False),
        (Protocol(guidance="1.5"), Protocol(guidance="none"), False),
        (Protocol(interval="0,0.7"), Protocol(interval="some"), True),
        (Protocol(interval="all times"), Protocol(interval="some"), False),
    ],
)
def test_vague_words_stand_for_what_they_may_mean(here, there, agree):
    assert (not differences(here, there)) is agree
    assert contradict(there, here) is not agree
    if agree:
        assert len(unstated(here, there)) == 1


def test_two_sources_contradict_only_where_both_speak():
    assert not contradict(Protocol(sampler="ode"), Protocol(labels="random"))
    assert contradict(Protocol(sampler="ode"), Protocol(sampler="euler-maruyama"))


def test_a_scale_of_one_is_no_guidance(lab):
    row = lab.row("SiT", 400_000)
    assert of_row(row.model_copy(update={"guidance": "1"})) == of_row(row)
    assert of_row(row).is_guided is False
    assert of_row(row.model_copy(update={"guidance": ""})).is_guided is None


def test_guidance_inside_the_network_is_none_as_papers_print_it(lab):
    lab.add("imagenet-b-methods")
    methods = lab.benchmark("imagenet-b-methods")
    sampler = next(name for name, one in methods.spec.samplers.items() if one.guidance > 1)
    assert of_cell(methods.cell("mg", 0, 400_000, sampler), 50_000, "adm").guidance == "none"
    assert of_cell(methods.cell("repa", 0, 400_000, sampler), 50_000, "adm").guidance == "1.5"
