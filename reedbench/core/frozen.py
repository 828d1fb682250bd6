"""The base of every configuration model: immutable, no unknown keys, field docstrings become descriptions."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Frozen(BaseModel):
    """A plain, hashable, strictly checked piece of configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    unkeyed: ClassVar[frozenset[str]] = frozenset()
    """Fields that no key covers, beside those of the base classes: words, and what only rounds or divides work."""

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """What the docstrings below the fields say, by field; empty where there is none.

        They are read from the source when they are asked for: pydantic would do so for every model in every job.
        """
        below: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            below |= _docstrings(base) if issubclass(base, Frozen) else {}
        return {name: field.description or below.get(name, "") for name, field in cls.model_fields.items()}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in cls.descriptions().items():
            if text:
                properties[name]["description"] = text
        return schema

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


def _docstrings(model: type) -> dict[str, str]:
    """Of the fields that a class itself declares."""
    try:
        source = inspect.getsource(model)
    except (OSError, TypeError):  # made at run time
        return {}
    (definition,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(definition, ast.ClassDef)
    return dict(_documented(definition.body))


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in pairwise([*body, ast.Pass()]):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            said = following.value if isinstance(following, ast.Expr) else None
            text = said.value if isinstance(said, ast.Constant) else None
            yield statement.target.id, inspect.cleandoc(text) if isinstance(text, str) else ""
