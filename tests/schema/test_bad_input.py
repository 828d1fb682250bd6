"""Whatever is wrong in a configuration is said in one line with file and key, and ends in exit code 2."""

import copy

import mistakes
import mistakes_of_files
import mistakes_of_methods
import mistakes_of_resources
import pytest
from edits import ONLINE, TINY
from yaml import safe_dump

OF_TINY = {**mistakes.CASES, **mistakes_of_methods.CASES, **mistakes_of_resources.CASES, **mistakes_of_files.CASES}
ALL = [pytest.param(edit, TINY, key, words, id=name) for name, (edit, key, words) in OF_TINY.items()]
ALL += [pytest.param(*case, id=name) for name, case in mistakes_of_files.OTHER_FILES.items()]
JARGON = ("Input should", "input should", "unable to parse", "[key]", "pydantic", "Traceback", "discriminator")


@pytest.mark.parametrize(("edit", "file", "key", "words"), ALL)
def test_one_mistake_is_one_line_with_file_key_and_what_is_allowed(files, reedbench, capsys, edit, file, key, words):
    edit(files)
    files.write()
    assert reedbench("check") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"reedbench: {file}:")
    assert f": {key}: " in line or not key
    assert [word for word in words if word not in line] == []
    assert [word for word in JARGON if word in line] == []


def test_the_tiny_suite_that_the_mistakes_are_made_in_is_valid(files, reedbench, capsys):
    files.write()
    assert reedbench("check") == 0
    assert capsys.readouterr().err == "tiny: ok (3 methods, 2 seeds)\n"


def test_an_online_encoder_that_a_method_and_another_encoder_read_is_valid(files, reedbench):
    files.set("encoders/dino", {**ONLINE, "grid": 4})
    files.set("encoders/caption/image", "dino")
    files.set("methods/repa/alignments/0/encoder", "dino")
    files.write()
    assert reedbench("check") == 0


def test_a_duplicate_key_is_one_line_with_both_line_numbers(files, reedbench, capsys):
    methods = files.benchmarks["tiny"].pop("methods")
    listed = safe_dump({"methods": methods}, sort_keys=False)
    twice = f"{listed}  sit: {{uses: aligned, label: SiT}}\n"
    files.benchmarks["tiny"] = twice + safe_dump(files.benchmarks["tiny"], sort_keys=False)
    files.write()
    assert reedbench("check") == 2
    (line,) = capsys.readouterr().err.splitlines()
    again = len(listed.splitlines()) + 1
    assert line == f"reedbench: {TINY}:{again}: methods.sit: is given twice (first in line 2); keep one"


def test_the_line_number_is_that_of_the_mistake(files, reedbench, capsys):
    files.set("train/batch", 0)
    files.write()
    assert reedbench("check") == 2
    with open(TINY, encoding="utf-8") as written:
        (number,) = [i for i, line in enumerate(written, 1) if line == "  batch: 0\n"]
    assert f"{TINY}:{number}: train.batch: " in capsys.readouterr().err


def test_mistakes_in_two_files_are_reported_in_one_go(files, reedbench, capsys):
    files.benchmarks["other"] = copy.deepcopy(files.benchmarks["tiny"])
    files.set("train/batch", 0)
    files.set("table/2", "reeed", "other")
    files.write()
    assert reedbench("check") == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "benchmarks/other.yaml:" in first
    assert "unknown method 'reeed'" in first
    assert f"{TINY}:" in second
    assert "train.batch: must be at least 1, got 0" in second


def test_mistakes_in_one_file_are_reported_in_one_go(files, reedbench, capsys):
    files.set("train/batch", 0)
    files.set("codec/rounding", "up")
    files.set("titel", "x")
    files.write()
    assert reedbench("check") == 2
    lines = capsys.readouterr().err.splitlines()
    keys = ("codec.rounding", "train.batch", "titel")
    assert [[f": {key}: " in line for line in lines].count(True) for key in keys] == [1, 1, 1]
    assert len(lines) == 3


def test_any_command_that_reads_the_configuration_reports_its_mistakes(files, reedbench, capsys):
    files.set("train/batch", 0)
    files.write()
    for command in (("list", "methods"), ("plan", "tiny"), ("step", "prepare", "--dataset", "digits")):
        assert reedbench(*command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "train.batch: must be at least 1, got 0" in line
