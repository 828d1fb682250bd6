"""Requests to save or leave: the most urgent counts, and is kept until a loop has done what it asks."""

import pytest

from reedbench.core import interruption
from reedbench.core.interruption import LEAVE, NOTHING, SAVE


@pytest.fixture(autouse=True)
def _nothing_asked():
    interruption.answered()
    yield
    interruption.answered()


@pytest.mark.parametrize(
    ("asked", "wanted"), [([], NOTHING), ([SAVE], SAVE), ([SAVE, LEAVE], LEAVE), ([LEAVE, SAVE], LEAVE)]
)
def test_the_most_urgent_request_is_wanted(asked, wanted):
    for request in asked:
        interruption.ask(request)
    assert interruption.wanted() == wanted


@pytest.mark.parametrize(("asked", "left"), [(SAVE, NOTHING), (LEAVE, LEAVE)])
def test_a_saved_state_answers_a_request_to_save_and_none_to_leave(asked, left):
    interruption.ask(asked)
    interruption.answered(SAVE)
    assert interruption.wanted() == left


def test_a_request_is_told_whether_a_loop_looks_at_it():
    with interruption.deferred():
        assert interruption.ask(SAVE)
    assert not interruption.ask(SAVE)
