"""Parts that outlive the process that made them."""

import pytest

from reedbench.core import interruption
from reedbench.core.errors import Paused, RunAgain
from reedbench.core.parts import Parts, cuts, even_cuts, every

NAMES = ("represent", "digits", "patches")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    interruption.answered()


def fill(parts, *, until=None, leave=None, mine=None):
    done = []
    for number, path in parts.make(parts.missing() if mine is None else mine):
        if number == until:
            raise KeyboardInterrupt
        path.write_text(f"part {number}")
        done.append(number)
        if number == leave:
            interruption.ask(interruption.LEAVE)
    return done


def test_what_was_made_is_kept_and_what_was_begun_is_not():
    with pytest.raises(KeyboardInterrupt):
        fill(Parts(NAMES, "settings", 4), until=2)
    again = Parts(NAMES, "settings", 4)
    assert again.missing() == [2, 3]
    assert [file.name for file in sorted(again.folder.iterdir())] == [
        "part-00000.safetensors",
        "part-00001.safetensors",
    ]
    assert fill(again) == [2, 3]


@pytest.mark.parametrize(("decides", "count"), [("other settings", 4), ("settings", 5)])
def test_parts_of_other_settings_or_other_cuts_are_not_taken(decides, count):
    fill(Parts(NAMES, "settings", 4))
    assert Parts(NAMES, decides, count).missing() == list(range(count))


def test_processes_share_the_parts_and_together_make_each_once():
    for mine in ([0, 3, 6], [1, 4], [2, 5]):
        assert fill(Parts(NAMES, "settings", 7), mine=mine) == mine
    assert Parts(NAMES, "settings", 7).missing() == []


def test_asked_to_leave_it_finishes_its_part_and_says_what_is_left():
    parts = Parts(NAMES, "settings", 3)
    with pytest.raises(Paused, match=r"^represent/digits/patches: paused, 2 of 3 parts left; run again to go on$"):
        fill(parts, leave=0)
    assert parts.missing() == [1, 2]


def test_linked_in_order_and_then_gone(tmp_path):
    parts = Parts(NAMES, "settings", 2)
    fill(parts)
    other = Parts(NAMES, "older", 1)
    fill(other)
    (tmp_path / "out").mkdir()
    parts.link(tmp_path / "out")
    parts.discard()
    assert [file.read_text() for file in sorted((tmp_path / "out").iterdir())] == ["part 0", "part 1"]
    assert not parts.folder.exists()
    assert other.missing() == []
    other.discard()
    assert not (tmp_path / "work" / "parts").exists()


def test_whoever_makes_parts_keeps_others_from_it():
    one, other = Parts(NAMES, "settings", 2), Parts(NAMES, "settings", 2)
    with one.held():
        with pytest.raises(RunAgain, match=r"^represent/digits/patches: another process makes it now"), other.held():
            pass
        with Parts(NAMES, "others", 2).held():
            assert ("represent/digits/patches", one.folder) in list(every())
            assert len(list(every())) == 2
    with other.held():
        pass


def test_cuts_follow_the_bytes():
    assert cuts([3, 3, 3, 9, 1, 1], 6) == [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 6)]
    assert cuts([20], 6) == cuts([1], 6) == [slice(0, 1)]
    assert cuts([]) == [slice(0, 0)]
    assert cuts([1] * 5, 6, most=2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert even_cuts(10, 2, 8) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert even_cuts(2, 100, 8) == [slice(0, 1), slice(1, 2)]
    assert even_cuts(0, 4) == [slice(0, 0)]
