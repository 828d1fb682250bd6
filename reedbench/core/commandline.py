"""Command lines that are read without typer: where a process must start light, or is started by another program."""

import argparse
from typing import NoReturn

from reedbench.core.errors import ConfigError


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, like everything else here."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` functions turn into a line and an exit code."""
        raise ConfigError(f"{message} (see: {self.prog} --help)")


def natural(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 up")
    return int(text)
