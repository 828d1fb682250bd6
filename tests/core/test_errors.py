"""Every error has an exit code, and a misspelt word gets a suggestion."""

import pytest

from reedbench.core import errors
from reedbench.core.errors import ConfigError, Problem, did_you_mean, unknown

CODES = {
    errors.ReedbenchError: 1,
    errors.ConfigError: 2,
    errors.MissingArtefact: 3,
    errors.MetricError: 4,
    errors.Diverged: 1,
    errors.RunAgain: 75,
    errors.Paused: 75,
}


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_an_error_has_its_exit_code_and_one_base(kind):
    assert kind.exit_code == CODES[kind]
    assert issubclass(kind, errors.ReedbenchError)


def test_a_close_word_is_suggested():
    assert did_you_mean("pathces", ["patches", "pixels"]) == "; did you mean 'patches'?"


def test_a_word_that_is_close_to_nothing_gets_no_suggestion():
    assert did_you_mean("zzz", ["patches", "pixels"]) == ""


def test_an_unknown_word_lists_what_is_allowed_in_order():
    assert unknown("encoder", "pathces", ["pixels", "patches"]) == (
        "unknown encoder 'pathces'; did you mean 'patches'? (allowed: patches, pixels)"
    )
    assert unknown("encoder", "x", []) == "unknown encoder 'x' (allowed: none)"


def test_a_configuration_error_says_all_its_problems_one_per_line():
    problems = [Problem("a.yaml", "train.batch", "must be positive", line=3), Problem("b.yaml", "", "is empty")]
    error = ConfigError(iter(problems))
    assert str(error) == "a.yaml:3: train.batch: must be positive\nb.yaml: is empty"
    assert error.problems == problems


def test_a_configuration_error_can_be_one_sentence():
    error = ConfigError("no such thing")
    assert (str(error), error.problems) == ("no such thing", [])
