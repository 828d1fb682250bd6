"""What is looked at of a run: its weights of a step, and these sampled with a sampler and scored.

Runs make them, see `schema.runs`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.schema import pool_names, settings
from reedbench.schema.settings import Settings

if TYPE_CHECKING:
    from reedbench.schema.runs import Run


@dataclass(frozen=True)
class Checkpoint:
    """A run's weights of a step."""

    run: "Run"
    step: int

    @property
    def title(self) -> str:
        """`digits/reed/seed0/400`."""
        return f"{self.run.title}/{self.step}"

    @property
    def segment(self) -> int:
        """The segment that they belong to.

        Raises:
            ConfigError: no weights are saved at its step.
        """
        return self.run.course.segment_of(self.step)

    @property
    def folder(self) -> str:
        """Where that segment's weights lie."""
        return self.run.segment(self.segment)

    @property
    def receipt(self) -> str:
        """The receipt that vouches for them."""
        return self.run.receipt(self.segment)

    @property
    def weights(self) -> str:
        """Their file."""
        return f"{self.folder}/{paths.step_name(self.step)}.safetensors"


@dataclass(frozen=True)
class Cell(Checkpoint):
    """A run's weights of a step, sampled with a sampler and scored."""

    sampler: str

    @property
    def place(self) -> tuple[str, int, int, str]:
        """Method, seed, step and sampler: where it stands in the tables of its benchmark."""
        return self.run.method, self.run.seed, self.step, self.sampler

    @property
    def title(self) -> str:
        """`digits/reed/seed0/400/ode`."""
        return f"{self.run.title}/{self.step}/{self.sampler}"

    @property
    def path_names(self) -> tuple[str, ...]:
        """`digits, reed, seed0, step-0000400, ode`: below which its parts lie."""
        run = self.run
        return run.benchmark.name, run.method, f"seed{run.seed}", paths.step_name(self.step), self.sampler

    @property
    def drawer(self) -> Any:
        """The sampler's settings."""
        return self.run.benchmark.drawer(self.sampler)

    @property
    def of_training(self) -> bool:
        """Whether its samples are of the training rows, for a pool."""
        return pool_names.of_training(self.sampler)

    @cached_property
    def sampling(self) -> Settings:
        """Settings of `sample`, beside the weights."""
        return self.run.benchmark.sampling(self.sampler)

    @cached_property
    def sampling_key(self) -> str:
        """Under which its samples must have been drawn."""
        return settings.key(self.sampling)

    def check_planned(self, recipe: str, sampling: str = "") -> None:
        """Refuse a job that was planned with other keys than today's; an empty one is not looked at.

        Raises:
            ConfigError: the configuration was edited since.
        """
        for what, planned, now in (("recipe", recipe, self.run.key), ("sampling", sampling, self.sampling_key)):
            if planned not in ("", now):
                raise ConfigError(
                    f"{self.title}: the configuration changed since this job was planned ({what} {now}, planned "
                    f"{planned}): run snakemake again"
                )

    @property
    def samples(self) -> str:
        """Folder of its samples."""
        return paths.samples(self.run.benchmark.name, *self.place)

    @property
    def preview(self) -> str:
        """The first few of its samples."""
        return paths.preview(self.run.benchmark.name, *self.place)

    @property
    def metrics(self) -> str:
        """Its metric records."""
        return paths.metrics(self.run.benchmark.name, *self.place)
