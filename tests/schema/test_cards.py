"""`reedbench method`: what a method is, in words, and what is said where there is none of a name."""

import re
import sys
import types
from dataclasses import fields
from pathlib import Path

import pytest

from reedbench.core import plugins
from reedbench.objectives import _card
from reedbench.objectives._card import Card
from reedbench.objectives._schedule import Schedule
from reedbench.objectives.aligned import Aligned, Alignment
from reedbench.objectives.grouped import GroupedByTime
from reedbench.objectives.imported import Imported
from reedbench.objectives.molecule_diffusion import MoleculeDiffusion
from reedbench.objectives.molecule_flow import MoleculeFlow

ROOT = Path(__file__).parents[2]
ONE = Alignment(encoder="patches", depth=2)
TWO = Alignment(encoder="text", depth=3, weight=0.25)
RAMP = Schedule(shape="linear-ramp", length=5)


@pytest.fixture
def said(files, reedbench, capsys):
    """Runs `reedbench method` on the tiny suite; gives its exit code, standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        files.write()
        code = reedbench("method", *arguments)
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", [n for n, one in plugins.discover("objectives").items() if one.code is None])
def test_every_objective_of_the_package_fills_its_card(name):
    card = plugins.discover("objectives")[name].general()
    assert card.tier != "unstated"
    empty = [one.name for one in fields(Card) if one.name not in ("name", "choices") and not getattr(card, one.name)]
    assert not empty, "say these as constants of the class"
    for words in (card.formula, card.cost, card.source, *card.choices):
        assert "\n" not in words


@pytest.mark.parametrize(
    ("settings", "name", "cites"),
    [
        ({}, "SiT", ["ma2024sit"]),
        ({"alignments": (ONE,)}, "REPA", ["ma2024sit", "yu2025repa"]),
        ({"alignments": (ONE, TWO)}, "REED", ["ma2024sit", "yu2025repa", "wang2025reed"]),
        ({"alignments": (ONE,), "denoise": RAMP}, "REED", ["ma2024sit", "yu2025repa", "wang2025reed"]),
        ({"denoise": RAMP}, "SiT with REED's curriculum", ["ma2024sit", "wang2025reed"]),
        ({"alignments": (ONE.model_copy(update={"weight": 0.0}),)}, "SiT", ["ma2024sit"]),
        (
            {"alignments": (Alignment(encoder="patches", depth=2, projector="conv", norm="spatial"),)},
            "iREPA",
            ["ma2024sit", "yu2025repa", "singh2025irepa"],
        ),
        (
            {"alignments": (ONE,), "align": Schedule(shape="stop", start=9)},
            "REPA, stopped as in HASTE",
            ["ma2024sit", "yu2025repa", "wang2025haste"],
        ),
        (
            {"alignments": (Alignment(encoder="patches", depth=2, time_weight="linear"),)},
            "REED",
            ["ma2024sit", "yu2025repa", "wang2025reed"],
        ),
    ],
)
def test_settings_of_aligned_say_which_method_it_is(settings, name, cites):
    card = Aligned(label="-", **settings).card()
    assert (card.name, list(card.cites), card.tier) == (name, cites, "faithful")


def test_the_formula_has_the_settings_and_the_letters_once():
    formula = Aligned(label="-", alignments=(ONE, TWO), denoise=RAMP).card().formula
    assert formula.startswith("omega(step) (|v(x_t, t, y) - v*|^2) + 0.5 A(patches@2) + 0.25 A(text@3); v* = ")
    assert formula.count("A = -cos") == 1
    mean = Aligned(label="-", alignments=(ONE, TWO), reduce="mean", align=Schedule(shape="stop", start=3)).card()
    assert "|v(x_t, t, y) - v*|^2 + rho(step) (0.25 A(patches@2) + 0.125 A(text@3));" in mean.formula


def test_a_class_that_says_its_whole_formula_keeps_it():
    class Whole(Aligned):
        unaligned = ""
        formula = "all of it"

    assert Whole(label="-", alignments=(ONE,)).card().formula == Whole.general().formula == "all of it"


def test_alignments_on_edm_are_an_adaptation():
    tap = {"encoder": "vector", "depth": 1}
    assert MoleculeDiffusion(label="-").card().tier == "faithful"
    assert MoleculeDiffusion(label="-", alignments=[tap]).card().tier == "adaptation"


def test_the_cost_of_first_predictions_is_their_share():
    assert MoleculeFlow(label="-", self_conditioning=0).card().cost == "3F per step"
    assert MoleculeFlow(label="-").card().cost == "3F + 0.5F (without gradient) per step"


def test_imported_weights_cite_whose_direction_of_time_they_have():
    cites = {time: Imported(label="-", weights="x.pt", time=time, step=1).card().cites for time in ("sit", "repa")}
    assert cites == {"sit": ("ma2024sit",), "repa": ("yu2025repa", "wang2025reed")}


def test_an_objective_is_printed_with_all_its_settings(said):
    code, out, err = said("aligned")
    assert (code, err) == (0, "")
    assert out.startswith("aligned\n")
    for words in (
        "formula ",
        "source ",
        "tier ",
        "choices of ours ",
        "cost ",
        "    reduce: sum  # ",
        "@inproceedings{",
    ):
        assert words in out
    assert "tiny (sit, repa, reed)" in out
    assert "    label: required  # Name in tables and figures." in out


def test_a_method_is_printed_with_the_settings_that_differ(said):
    code, out, _ = said("tiny/reed")
    assert code == 0
    assert out.startswith("REED (tiny/reed)\n")
    assert "    alignments[1].weight: 0.25  # Coefficient of the term" in out
    assert "    denoise.length: 5  # " in out
    assert "reduce" not in out
    assert [key for key in re.findall(r"@\w+\{(\w+),", out)] == ["ma2024sit", "yu2025repa", "wang2025reed"]


def test_a_page_of_markdown_escapes_what_users_wrote(files, said):
    files.set("methods/repa/label", "a|b_c")
    code, out, _ = said("tiny/repa", "--markdown")
    assert code == 0
    assert out.startswith("## a\\|b\\_c (REPA, tiny/repa)\n")
    assert "| `alignments[0].encoder` | patches |" in out
    assert out.rstrip().endswith("```")
    assert out.count("```") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["alligned"], "unknown objective 'alligned'; did you mean 'aligned'?"),
        (["alligned"], "a benchmark's method is named as in digits/repa"),
        (["tiny/rede"], "unknown method of tiny 'rede'; did you mean 'reed'?"),
        (["tinny/reed"], "unknown benchmark 'tinny'; did you mean 'tiny'?"),
        (["repa"], "'repa' is a method of benchmarks: name one of tiny/repa"),
        ([], "name an objective or a benchmark's method"),
        (["aligned", "--all"], "name an objective or a benchmark's method"),
        (["aligned", "--write"], "--write goes with --all"),
    ],
)
def test_a_name_that_there_is_not_is_one_line(said, arguments, words):
    code, out, err = said(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_outside_of_a_suite_objectives_have_cards(files, reedbench, capsys):
    assert reedbench("method", "aligned") == 0
    assert "used by" not in capsys.readouterr().out


def test_all_methods_are_a_table_with_a_row_per_card(said):
    code, out, _ = said("--all")
    head, _, *rows = out.splitlines()
    assert (code, head) == (0, "| method | paper | tier | objective | benchmarks |")
    assert [row.split(" | ")[0] for row in rows] == ["| SiT", "| REPA", "| REED"]
    assert rows[0] == "| SiT | [Ma et al. 2024](https://arxiv.org/abs/2401.08740) | faithful | `aligned` | `tiny` |"


def test_the_table_is_written_below_its_mark_and_nothing_else_changes(said):
    Path("docs").mkdir()
    guide = Path("docs/methods.md")
    guide.write_text("# My words\n")
    assert said("--all", "--write")[:2] == (0, "")
    written = guide.read_text()
    assert written.startswith("# My words\n\n<!-- Generated by `reedbench method --all --write`")
    assert "| REED |" in written
    assert said("--all", "--write")[0] == 0
    assert guide.read_text() == written


def test_the_list_says_where_methods_are_explained(reedbench, capsys):
    assert reedbench("list", "--help") == 0
    assert "reedbench method NAME" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("documentation", "source"),
    [
        ("X: a loss.\n\nSource: arXiv:2506.05350, and\nits released code.", "arXiv:2506.05350, and its released code."),
        ("X: a loss. Source: arXiv:2504.16064.", "arXiv:2504.16064."),
        ("X: a loss.\n\nSource: the paper.\n\nMore.", "the paper."),
        ("X: a loss, of one scale. Tang et al. 2025, arXiv:2502.12154.", "arXiv:2502.12154"),
        ("X: a loss.", ""),
        (None, ""),
    ],
)
def test_a_source_that_the_class_does_not_say_is_that_of_its_file(monkeypatch, documentation, source):
    module = types.ModuleType("made_up", documentation)
    monkeypatch.setitem(sys.modules, "made_up", module)
    assert _card.source_of(type("X", (), {"__module__": "made_up"})) == source


def test_a_method_without_its_first_stage_says_so():
    trained = {"init": "teacher", "teacher": {"method": "sit", "step": 5}}
    assert (
        len(GroupedByTime(label="TDC").card().choices) == len(GroupedByTime(label="TDC", **trained).card().choices) + 1
    )
    assert "no first stage" in GroupedByTime(label="TDC").card().choices[-1]


NUMBER = re.compile(r"(?<![\w.])\d*\.?\d+(?![\w.]*\d)")


@pytest.mark.parametrize("name", [n for n, one in plugins.discover("objectives").items() if one.domain == "image"])
def test_a_default_is_not_said_as_if_it_were_the_value_of_a_row(name):
    method = plugins.discover("objectives")[name]
    own = [field.default for key, field in method.model_fields.items() if key not in Aligned.model_fields]
    pairs = [default if isinstance(default, tuple) else (default,) for default in own]
    defaults = {float(x) for pair in pairs for x in pair if isinstance(x, float | int)} - {0.0, 1.0, 2.0}
    for words in (method.formula, *method.choices):
        said = defaults & {float(number) for number in NUMBER.findall(words)}
        assert not said or "by default" in words, f"{said} may be otherwise: {words}"
