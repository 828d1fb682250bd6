"""What a job asks for, exactly as the launch line of the workflow names it. The line's text is frozen."""

import re
import shlex
from dataclasses import dataclass
from typing import Any

from reedbench.core.errors import ConfigError

OURS = frozenset(  # what finding a job again, its logs and its requeue rest on, and what has a key of its own
    "array begin chdir clusters comment cpus-per-task error gpus-per-node job-name mem no-requeue nodes ntasks"
    " ntasks-per-node open-mode output parsable requeue signal test-only time wait wrap".split()
)
SHORTEST = 5  # minutes: Slurm warns up to a minute early, so that less leaves nothing between start and warning


@dataclass(frozen=True)
class Request:
    """One launched step: where, with what, and which outputs it must leave, in publishing order.

    Raises:
        ConfigError: a number is out of range, or the key is no name.
    """

    where: str
    key: str
    outputs: tuple[str, ...] = ()
    gpus: int = 0
    """Per node."""
    nodes: int = 1
    tasks_per_node: int = 1
    cpus: int = 1
    """Per process."""
    mem_mb: int = 2000
    """Per node."""
    runtime: int = 60
    """Minutes."""
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    extra: str = ""
    """Further options of sbatch, as on its command line."""

    def __post_init__(self) -> None:
        for name in ("nodes", "tasks_per_node", "cpus", "mem_mb", "runtime"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{self.key}: {name} is {getattr(self, name)}; it must be at least 1")
        if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", self.key):
            raise ConfigError(f"launch: --key '{self.key}' must be names of letters, digits, '_', '-', '.', with '/'")
        if self.where == "slurm" and self.runtime < SHORTEST:
            raise ConfigError(
                f"{self.key}: runtime is {self.runtime} min; a job needs at least {SHORTEST} min on Slurm, "
                "or it would be killed at its time limit before it can be told to save its state"
            )
        if self.gpus and self.tasks_per_node > self.gpus:
            raise ConfigError(
                f"{self.key}: {self.tasks_per_node} processes per node share {self.gpus} GPU(s); "
                "set tasks_per_node to at most gpus"
            )
        self.extra_options()

    @property
    def ranks(self) -> int:
        """Processes in all."""
        return self.nodes * self.tasks_per_node

    def extra_options(self) -> dict[str, Any]:
        """`--gres=gpu:1 --exclusive` as {"gres": "gpu:1", "exclusive": True}.

        Raises:
            ConfigError: a word is no option of that form.
        """
        options: dict[str, Any] = {}
        try:
            words = shlex.split(self.extra)
        except ValueError as error:
            raise ConfigError(f"{self.key}: slurm_extra '{self.extra}': {error}") from error
        for word in words:
            match = re.fullmatch(r"--([a-z][a-z-]*)(?:=(.*))?", word)
            if match is None:
                raise ConfigError(
                    f"{self.key}: slurm_extra: '{word}' is not an option of sbatch of the form --name=value or --name"
                )
            if match[1] in OURS:
                raise ConfigError(f"{self.key}: slurm_extra: --{match[1]} is set by the launcher; leave it out")
            options[match[1]] = True if match[2] is None else match[2]
        return options
