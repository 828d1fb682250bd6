"""The base of every configuration model: immutable, no unknown keys, field docstrings become descriptions."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A plain, hashable, strictly checked piece of configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    unkeyed: ClassVar[frozenset[str]] = frozenset()
    """Fields that no key covers, beside those of the base classes: words, and what only rounds or divides work."""

    def plain(self) -> dict[str, Any]:
        """All fields as built-in types, for JSON."""
        return self.model_dump(mode="json")

    def refuse(self, *names: str, where: str, cure: str = "take it out") -> None:
        """Refuse settings that another one makes ineffective: they would give one experiment several keys.

        Args:
            names: of the fields.
            where: at which value of the other one, for the message.
            cure: what to do, for the message.

        Raises:
            ValueError: one of them is not the default.
        """
        for name in names:
            if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True):
                raise ValueError(f"{name} has no effect {where}: {cure}")

    def identity(self) -> dict[str, Any]:
        """What keys are made of: the fields that differ from their defaults, as built-in types.

        So a new field with a neutral default moves no key. A default that changes moves none either: it needs another
        `version`, which tests/schema/test_defaults.py enforces.
        """
        left_out = frozenset().union(*(vars(base).get("unkeyed", ()) for base in type(self).__mro__))
        dumped = self.plain()
        return {
            name: _identity(value, dumped[name])
            for name, field in type(self).model_fields.items()
            if name not in left_out and (value := getattr(self, name)) != field.get_default(call_default_factory=True)
        }


def _identity(value: Any, dumped: Any) -> Any:
    """A field's value as built-in types, models in it by their identity."""
    if isinstance(value, Frozen):
        return value.identity()
    if isinstance(value, Mapping):
        return {name: _identity(entry, dumped[name]) for name, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_identity(entry, plain) for entry, plain in zip(value, dumped, strict=True)]
    return dumped
