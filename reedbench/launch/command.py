"""`reedbench launch <resources> -- step ...`: run one step where the workflow wants it. Meant for rules."""

import os
import signal
from collections.abc import Callable, Sequence
from importlib import import_module

from reedbench.core.commandline import OneLineParser, natural
from reedbench.core.constants import LAUNCHERS
from reedbench.core.errors import ConfigError, ReedbenchError, unknown
from reedbench.launch.resources import Request

VARIABLE = "REEDBENCH_ON_INTERRUPT"
ON_INTERRUPT = ("cancel", "leave")
NUMBERS = ("gpus", "nodes", "tasks_per_node", "cpus", "mem_mb", "runtime")
WORDS = ("partition", "account", "qos", "constraint", "extra")

Run = Callable[[Request, Sequence[str], str], int]


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the step's exit code, or 75 if its job was lost for good."""
    try:
        request, step, on_interrupt = _parse(argv)
        run: Run = import_module(f"reedbench.launch.{request.where}").run
        return run(request, step, on_interrupt)
    except ReedbenchError as error:
        _say(f"reedbench launch: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except SystemExit as done:  # --help
        return int(done.code or 0)


def _say(message: str) -> None:
    from reedbench.core.console import say

    say(message)


def _parse(argv: Sequence[str]) -> tuple[Request, list[str], str]:
    before, step = _split(list(argv))
    given = _parser().parse_args(_joined(before))
    if given.where not in LAUNCHERS:
        raise ConfigError(unknown("launcher", given.where, LAUNCHERS))
    if given.on_interrupt not in ON_INTERRUPT:
        raise ConfigError(unknown("value of --on-interrupt", given.on_interrupt, ON_INTERRUPT))
    asked = {name: getattr(given, name) for name in (*NUMBERS, *WORDS)}
    return Request(given.where, given.key, tuple(given.output), **asked), step, given.on_interrupt


def _parser() -> OneLineParser:
    parser = OneLineParser(prog="reedbench launch", description=__doc__, allow_abbrev=False)
    parser.add_argument("--where", default="inline", help=f"launcher mode: {', '.join(LAUNCHERS)}")
    parser.add_argument("--key", required=True, help="name of the job, unique in the suite")
    parser.add_argument("--output", action="append", default=[], help="declared output, in publishing order")
    for name in NUMBERS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=natural, default=getattr(Request, name))
    for name in WORDS:
        parser.add_argument(f"--{name}", default="")
    parser.add_argument(
        "--on-interrupt",
        default=os.environ.get(VARIABLE, ON_INTERRUPT[0]),
        help=f"cancel (default) or leave the job on Ctrl-C; ${VARIABLE} says it for a whole workflow",
    )
    return parser


def _joined(words: list[str]) -> list[str]:
    """`--extra --gres=gpu:1` as `--extra=--gres=gpu:1`: every option takes a value, which may begin with dashes."""
    if len(words) % 2 or any("=" in name for name in words[::2]):
        return words
    return [f"{name}={value}" for name, value in zip(words[::2], words[1::2], strict=True)]


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first `--`."""
    if {"-h", "--help"} & set(argv[:1]):
        return argv, []
    at = argv.index("--") if "--" in argv else len(argv)
    if argv[at + 1 : at + 2] != ["step"]:
        raise ConfigError("expected `-- step <verb> ...` after the options")
    return argv[:at], argv[at + 1 :]
