"""Datasets: one file each. A dataset yields rows with splits; the `prepare` step writes them to disk."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.core.plugins import NAME, Plugin
from reedbench.domains.rows import Rows


class AbstractDataset(Plugin):
    """Where rows come from, and how they are split."""

    domain: ClassVar[str]
    embedded: ClassVar[bool] = False  # needs no download: belongs to `snakemake all`

    unkeyed: ClassVar[frozenset[str]] = frozenset({"papers"})

    name: str = Field("", pattern=f"^({NAME})?$")
    """Folder name under results/data; the plugin's name unless two variants must live side by side."""

    papers: tuple[str, ...] = ()
    """Keys of the bibliography of the data in a layout that anybody's may have: whom `reedbench cite` names. In no key
    of a run."""

    def cited(self) -> tuple[str, ...]:
        """What the plugin cites, and the papers of these data."""
        return (*self.cites, *self.papers)

    @property
    def id(self) -> str:
        """Name used in paths."""
        return self.name or self.uses

    @property
    def leaves_out(self) -> bool:
        """Whether rows of the reference, with which samples are compared, are left out of training."""
        return False

    @property
    def hides_labels(self) -> bool:
        """Whether methods see no labels, so that samples can be asked for none."""
        return False

    def existing(self, key: str) -> Path:
        """The file or folder that one of its settings names.

        Raises:
            ConfigError: there is none.
        """
        if not (path := paths.external(getattr(self, key))).exists():
            raise ConfigError(
                f"dataset {self.id}: {key}: no such file or folder: {path}; relative paths start from the working "
                "directory or $REEDBENCH_DATA"
            )
        return path

    @abstractmethod
    def rows(self) -> Rows:
        """All rows of all splits, in a fixed order."""

    def parts(self) -> Sequence[Callable[[], Rows]]:
        """The same rows in consecutive parts, each made when it is called; by one of several processes, or again.

        What `prepare` asks for. A data set that does not fit in memory makes each part by itself, of some 64 MB, and
        `rows` of all of them; how many there are follows from its settings and files alone. Here `rows` is cut up.
        """
        whole = self.rows()
        return [partial(whole.take, range(cut.start, cut.stop)) for cut in whole.cuts()]

    def declared(self) -> dict[str, Any]:
        """What the index will say, as far as the settings alone tell it.

        `shapes` by array, rows by split (`splits`), `classes`: `reedbench check` judges a benchmark by it before any
        data are there.
        """
        return {}

    def files(self) -> tuple[Path, ...]:
        """Files from outside that it reads, as far as they are few: their digests are part of the provenance."""
        return ()

    def decides(self) -> object:
        """A plain value: what decides the bytes of its parts beside settings and `files`, such as a listing."""
        return None

    def holds(self, number: int, ids: Sequence[str]) -> bool:
        """Whether a part that an earlier run made, with rows of these ids, is still right; else it is made again."""
        return True

    def absent(self, ids: Sequence[str]) -> dict[str, Any]:
        """What the index should say of rows that could not be made, given the ids of all that were.

        Raises:
            ConfigError: too many are absent; the parts are kept.
            RunAgain: some could be made now; the next run does.
        """
        return {}

    def measured(self, rows: Rows) -> dict[str, Any]:
        """What the index should say of the rows themselves, given all of them once they are made; they may be on disk.

        Raises:
            ConfigError: they are no data set, such as one without a split that is wanted; the parts are kept.
        """
        return {}

    def facts(self) -> dict[str, object]:
        """What the index should say beside row counts (number of classes, source)."""
        return {}

    def remarks(self) -> Sequence[str]:
        """What `prepare` says of the data beside their number, a line each."""
        return ()
