"""Progress off a terminal: a last line for the person, every update as a JSON event."""

import json

import pytest

from reedbench.core import console
from reedbench.core.console import Track


def test_off_a_terminal_the_last_line_is_printed_and_the_first_ones_are_not(capsys):
    with Track("b/sit/seed0", 3) as track:
        for done in (1, 2, 3):
            track.update(done, loss=0.5 / done)
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("b/sit/seed0: 3/3 steps, ")
    assert line.endswith("loss 0.1667")
    assert printed.out == ""


def test_a_line_comes_once_enough_time_has_passed(capsys, monkeypatch):
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    with Track("x", 10, unit="sample") as track:
        track.update(2)
    assert capsys.readouterr().err.startswith("x: 2/10 samples, ")


def test_every_update_is_an_event(tmp_path):
    file = tmp_path / "deep" / "events.jsonl"
    with Track("x", 20, start=10, events=file) as track:
        track.update(15, loss=0.25)
        track.update(20, loss=0.125)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(event["done"], event["loss"]) for event in events] == [(15, 0.25), (20, 0.125)]
    assert {(event["title"], event["total"]) for event in events} == {("x", 20)}
    assert all(event["rate"] > 0 for event in events)


def test_events_of_a_resumed_run_follow_those_before(tmp_path):
    for done in (1, 2):
        with Track("x", 2, start=done - 1, events=tmp_path / "events.jsonl") as track:
            track.update(done)
    assert [json.loads(line)["done"] for line in (tmp_path / "events.jsonl").read_text().splitlines()] == [1, 2]


def test_square_brackets_in_a_message_are_not_markup(capsys):
    console.say("a [red]b[/red] [0.3, 1]")
    assert capsys.readouterr().err == "a [red]b[/red] [0.3, 1]\n"


def test_words_between_colons_are_not_emoji(capsys):
    console.say("a:smile:b")
    console.console().print("a:smile:b")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("a:smile:b\n", "a:smile:b\n")


def test_a_long_line_of_data_is_not_broken(capsys):
    console.console().print("word " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_nothing_is_said_or_shown_while_muted(capsys, tmp_path):
    with console.muted(), Track("x", 2, events=tmp_path / "events.jsonl") as track:
        console.say("a")
        track.update(2)
    console.say("b")
    assert capsys.readouterr().err == "b\n"


@pytest.mark.parametrize(("value", "shown"), [(0.16667, "0.1667"), (12345.6, "12346"), (1.5e9, "1.5e+09")])
def test_numbers_are_short_and_megabytes_are_no_powers_of_ten(capsys, value, shown):
    with Track("x", 1) as track:
        track.update(1, number=value)
    assert capsys.readouterr().err.endswith(f"number {shown}\n")
