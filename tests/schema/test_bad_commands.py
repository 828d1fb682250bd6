"""Wrong command lines: one line, exit code 2."""

import pytest

TRAIN = ("train", "--benchmark", "tiny", "--method", "repa", "--seed", "0", "--segment", "0")
SAMPLE = ("sample", *TRAIN[1:7], "--step", "10", "--sampler", "ode")


def swap(command: tuple[str, ...], old: str, new: str) -> list[str]:
    """The command with one word exchanged."""
    assert old in command
    return [new if word == old else word for word in command]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["trian"], ["trian", "train", "evaluate"], id="unknown verb"),
        pytest.param(TRAIN[:-2], ["required: --segment"], id="missing option"),
        pytest.param([*TRAIN, "--sede", "1"], ["--sede"], id="unknown option"),
        pytest.param(swap(TRAIN, "0", "-1"), ["-1"], id="negative seed"),
        pytest.param(swap(TRAIN, "0", "first"), ["first"], id="seed that is no number"),
        pytest.param(["plot", "--benchmark", "tiny", "--figure", "pie"], ["pie", "speedup"], id="unknown figure"),
        pytest.param(swap(TRAIN, "tiny", "tinny"), ["unknown benchmark 'tinny'; did you mean 'tiny'?"], id="benchmark"),
        pytest.param(swap(TRAIN, "repa", "rpea"), ["unknown method 'rpea'; did you mean 'repa'?"], id="method"),
        pytest.param(swap(SAMPLE, "ode", "odd"), ["unknown sampler 'odd'; did you mean 'ode'?"], id="sampler"),
        pytest.param(["prepare", "--dataset", "digit"], ["unknown dataset 'digit'"], id="dataset"),
        pytest.param(["tabulate", "--benchmark", "tiny", "--ablation", "x"], ["unknown ablation 'x'"], id="ablation"),
        pytest.param(["pretrain", "--dataset", "digits", "--encoder", "x"], ["unknown encoder 'x'"], id="encoder"),
    ],
)
def test_a_wrong_step_command_line_ends_in_exit_code_2_and_says_why(files, reedbench, capsys, arguments, words):
    files.write()
    assert reedbench("step", *arguments) == 2
    said = capsys.readouterr().err
    assert [word for word in words if word not in said] == []
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [("list", "encodres"), ("plan", "tyni"), ("chekc",)])
def test_a_wrong_command_line_ends_in_exit_code_2(files, reedbench, capsys, arguments):
    files.write()
    assert reedbench(*arguments) == 2
    assert arguments[-1] in capsys.readouterr().err
