"""pydantic's errors in the words of the user's file: where, what, what is allowed, did you mean."""

import types
import typing
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from reedbench.core import plugins
from reedbench.core.errors import Problem, did_you_mean
from reedbench.schema.loading import Document, Key


def explain(error: ValidationError, model: type[BaseModel], document: Document, at: Key = ()) -> list[Problem]:
    """One problem per error of pydantic, with the file's lines."""
    return [_problem(detail, model, document, at) for detail in error.errors()]


def _problem(detail: Any, model: type[BaseModel], document: Document, at: Key) -> Problem:
    location = _as_written(detail["loc"], document.values)
    key = (*at, *location)
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        allowed = sorted(_fields_at(model, detail["loc"][:-1]))
        last = str(location[-1])
        message = f"unknown key '{last}'{did_you_mean(last, allowed)} (allowed here: {', '.join(allowed)})"
    elif kind == "missing":
        message = "is required and missing"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        allowed = [tag.strip().strip("'") for tag in detail["ctx"].get("expected_tags", "").split(",") if tag.strip()]
        given_tag = str(detail["ctx"].get("tag", "")) if kind == "union_tag_invalid" else ""
        key = (*key, "uses")
        message = (
            f"unknown plugin '{given_tag}'{did_you_mean(given_tag, allowed)} (allowed: {', '.join(allowed)})"
            if given_tag
            else f"is required and missing (allowed: {', '.join(allowed) or 'see reedbench list'})"
        )
    elif kind == "literal_error":
        expected = detail["ctx"]["expected"]
        allowed = [word.strip().strip("'") for word in expected.replace(" or ", ",").split(",")]
        message = f"{given!r} is not allowed{did_you_mean(str(given), allowed)} (allowed: {', '.join(allowed)})"
    elif kind == "value_error":
        message = str(detail["ctx"]["error"])
    else:
        message = f"{_lower(detail['msg'])}, got {given!r}"
    return Problem(document.file, ".".join(map(str, key)), message, document.line(key))


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _as_written(location: Iterable[str | int], values: Any) -> Key:
    """pydantic puts the chosen plugin into the location of a union; the user's file has no such key."""
    written: list[str | int] = []
    for part in location:
        inside = isinstance(values, dict) and part in values
        inside |= isinstance(values, list) and isinstance(part, int) and part < len(values)
        if inside:
            written.append(part)
            values = values[part]
        elif isinstance(values, dict) and values.get("uses") == part:
            continue
        else:
            written.append(part)
            values = None
    return tuple(written)


def _fields_at(model: Any, location: tuple[str | int, ...]) -> list[str]:
    """Names of the fields of the model that `location` leads to."""
    here: Any = model
    for part in location:
        here = _step_into(here, part)
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _step_into(annotation: Any, part: str | int) -> Any:
    annotation = _strip(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return None if field is None else field.annotation
    options = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for option in options:
            chosen = _strip(option)
            is_plugin = isinstance(chosen, type) and issubclass(chosen, plugins.Plugin)
            if is_plugin and chosen.plugin_name() == part:
                return chosen
        return next((option for option in options if option is not type(None)), None)
    if typing.get_origin(annotation) in (dict, tuple, list):
        return options[-1] if typing.get_origin(annotation) is dict else options[0]
    return annotation


def _strip(annotation: Any) -> Any:
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation
