"""The base of every configuration model: immutable, no unknown keys, field docstrings become descriptions."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A plain, hashable, strictly checked piece of configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """Built-in types only, for JSON and for Snakemake's `params` (a model there would not be compared)."""
        return self.model_dump(mode="json")
