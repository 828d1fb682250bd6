"""What the notes of a table say of its methods' cards."""

import pytest

from reedbench.report.notes import notes
from reedbench.report.tables import compare


@pytest.fixture
def said(three_seeds, facts):
    """Notes of a table whose methods have these cards."""

    def lines(**cards) -> list[str]:
        blank = {"tier": "faithful", "choices": 0, "cites": []}
        methods = {m: {**words, "card": {**blank, **cards.get(m, {})}} for m, words in facts["methods"].items()}
        return notes(compare(three_seeds, {**facts, "methods": methods}))

    return lines


def test_a_faithful_method_has_no_line(said):
    assert not any(line.startswith(("SiT: ", "REPA_x 50%: faithful")) or "Cite" in line for line in said())


def test_an_adaptation_is_called_one_and_so_are_own_data(said):
    lines = said(repa={"tier": "adaptation"}, sit={"tier": "own data"})
    assert "REPA_x 50%: adaptation to a setting that its paper did not have." in lines
    assert "SiT: on data of its own, not to be compared with rows on other data." in lines


def test_free_choices_are_counted_in_one_line(said):
    lines = said(repa={"choices": 2}, sit={"choices": 1})
    (line,) = [line for line in lines if line.startswith("Free choices of ours")]
    assert line.endswith(": 2 of REPA_x 50%; 1 of SiT.")


def test_what_nobody_has_said_is_said_to_be_so(said):
    lines = said(repa={"tier": "unstated"}, sit={"tier": "unstated"})
    assert "How near to its paper is not stated of: REPA_x 50%, SiT." in lines


def test_papers_are_named_once_with_the_methods_that_cite_them(said):
    lines = said(repa={"cites": ["ma2024sit", "mine2030"]}, sit={"cites": ["ma2024sit"]})
    assert (
        "Cite (BibTeX: reedbench method NAME): Ma et al. 2024, arXiv:2401.08740 (REPA_x 50%, SiT); mine2030 "
        "(REPA_x 50%)." in lines
    )


def test_a_table_without_cards_has_no_such_line(three_seeds, facts):
    assert not any("Cite" in line for line in notes(compare(three_seeds, facts)))


def test_what_is_said_of_several_methods_is_said_once(said):
    lines = said(repa={"tier": "adaptation"}, sit={"tier": "adaptation"})
    assert "REPA_x 50%, SiT: adaptation to a setting that its paper did not have." in lines
