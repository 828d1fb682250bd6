"""pydantic's errors in the words of the user's file: where, what, what is allowed, did you mean."""

import traceback
import types
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from reedbench.core import plugins
from reedbench.core.errors import ConfigError, Problem, ReedbenchError, did_you_mean
from reedbench.schema.loading import Document, Key

M = TypeVar("M", bound=BaseModel)

LONGEST = 60  # characters of a faulty value that are repeated to the user

# What a value must be, by pydantic's error type; braces take the numbers of the error's context.
MUST_BE = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of at most 18 digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text (put numbers in quotes)",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "too_short": "a list of {min_length} or more entries",
    "too_long": "a list of {max_length} or fewer entries",
    "string_pattern_mismatch": "a name of lower-case letters and digits, with single dots or dashes between them",
}


def read_as(model: type[M], file: Path | str) -> M:
    """A YAML file as a model.

    Raises:
        ConfigError: with every problem of it.
    """
    document = Document(file)
    try:
        found = model.model_validate(document.values)
    except ValidationError as error:
        raise ConfigError(document.problems + explain(error, model, document)) from error
    if document.problems:
        raise ConfigError(document.problems)
    return found


def explain(error: ValidationError, model: type[BaseModel], document: Document, at: Key = ()) -> list[Problem]:
    """One problem per error of pydantic, with the file's lines."""
    return [_problem(detail, model, document, at) for detail in error.errors()]


def _problem(detail: Any, model: type[BaseModel], document: Document, at: Key) -> Problem:
    location = _as_written(detail["loc"], document.values)
    key = (*at, *location)
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind == "extra_forbidden":
        message = _not_allowed("unknown key", str(location[-1]), _fields_at(model, detail["loc"][:-1]), "allowed here")
    elif kind == "missing" and isinstance(key[-1], int):
        key, message = key[:-1], f"must be a list of more entries, got {_shown(given)}"
    elif kind == "missing":
        message = "is required and missing"
    elif kind == "union_tag_invalid":
        key = (*key, "uses")
        message = _not_allowed("unknown plugin", str(context["tag"]), _plugins_at(model, detail["loc"]))
    elif kind == "union_tag_not_found":
        key = (*key, "uses")
        message = f"is required and missing (allowed: {', '.join(_plugins_at(model, detail['loc']))})"
    elif kind == "literal_error":
        allowed = [word.strip().strip("'") for word in context["expected"].replace(" or ", ",").split(",")]
        message = f"{_shown(given)} is not allowed{did_you_mean(str(given), allowed)} (allowed: {', '.join(allowed)})"
    elif kind == "value_error":
        message = f"{context['error']}{raised_at(context['error'])}"
    elif kind in MUST_BE:
        numbers = {name: f"{x:.0f}" if x == round(x) else f"{x:g}" for name, x in context.items() if _is_number(x)}
        message = f"must be {MUST_BE[kind].format(**context | numbers)}, got {_shown(given)}"
    else:
        message = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, got {_shown(given)}"
    return Problem(document.file, ".".join(map(str, key)), message, document.line(key))


@contextmanager
def blamed(document: Document) -> Iterator[None]:
    """Turn what a plugin outside of the package raises by mistake into one line that says where.

    Raises:
        ConfigError: it raised something else than an error that is meant for people.
    """
    try:
        yield
    except (ReedbenchError, ValidationError):
        raise
    except Exception as error:
        if not (where := raised_at(error)):
            raise  # our own fault: the traceback is wanted
        message = f"a plugin failed: {type(error).__name__}: {' '.join(str(error).split())}{where}"
        raise ConfigError([Problem(document.file, "", message)]) from error


def raised_at(error: BaseException) -> str:
    """` (plugins/metrics/mine.py:12)`: where code outside of the package raised an error; nothing for our own."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_outside(frame.filename)]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def _is_outside(file: str) -> bool:
    """Whether a file belongs to a plugin folder of the user's."""
    return any(Path(file).resolve().is_relative_to(folder.resolve()) for folder in plugins.outside())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _not_allowed(what: str, word: str, allowed: Iterable[str], where: str = "allowed") -> str:
    allowed = sorted(allowed)
    return f"{what} '{word}'{did_you_mean(word, allowed)} ({where}: {', '.join(allowed)})"


def _shown(given: Any) -> str:
    """A value as the user may have written it, on one line and not too long."""
    text = "nothing" if given is None else str(given).lower() if isinstance(given, bool) else repr(given)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _as_written(location: Iterable[str | int], values: Any) -> Key:
    """pydantic puts the chosen plugin of a union and `[key]` into its locations; the user's file has no such keys."""
    written: list[str | int] = []
    for part in location:
        inside = isinstance(values, dict) and part in values
        inside |= isinstance(values, list) and isinstance(part, int) and part < len(values)
        if inside:
            written.append(part)
            values = values[part]
        elif part == "[key]" or (isinstance(values, dict) and values.get("uses") == part):
            continue
        else:
            written.append(part)
            values = None
    return tuple(written)


def _fields_at(model: Any, location: tuple[str | int, ...]) -> list[str]:
    """Names of the fields of the model that `location` leads to."""
    here = _at(model, location)
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _plugins_at(model: Any, location: tuple[str | int, ...]) -> list[str]:
    """Names of the plugins among which `uses` chooses at `location`."""
    return sorted(plugin.plugin_name() for plugin in _members(_at(model, location)))


def _at(model: Any, location: tuple[str | int, ...]) -> Any:
    here: Any = model
    for part in location:
        here = _step_into(here, part)
    return _strip(here)


def _step_into(annotation: Any, part: str | int) -> Any:
    annotation = _strip(annotation)
    if (chosen := next((plugin for plugin in _members(annotation) if plugin.plugin_name() == part), None)) is not None:
        return chosen
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return None if field is None else field.annotation
    options = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((option for option in options if option is not type(None)), None)
    if typing.get_origin(annotation) in (dict, tuple, list):
        return options[-1] if typing.get_origin(annotation) is dict else options[0]
    return annotation


def _members(annotation: Any) -> list[type[plugins.Plugin]]:
    """Plugins of a union; a union of one is that plugin itself."""
    inside = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    options = map(_strip, typing.get_args(annotation)) if inside else [annotation]
    return [option for option in options if isinstance(option, type) and issubclass(option, plugins.Plugin)]


def _strip(annotation: Any) -> Any:
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation
