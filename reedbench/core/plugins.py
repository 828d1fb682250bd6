"""Plugins are files: whatever module lies in a plugin folder and defines one final class is a plugin.

Built-in folders are `reedbench/<kind>/`; further ones come from the environment variable REEDBENCH_PLUGINS
(a path list), each with subfolders named after the kinds. The name of a plugin is the default of its `uses` field.
"""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
from abc import ABC
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal, get_args, get_origin

from reedbench.core import io
from reedbench.core.errors import OUTSIDE, ConfigError, did_you_mean
from reedbench.core.frozen import Frozen

VARIABLE = "REEDBENCH_PLUGINS"
NAME = r"[a-z0-9]+(?:[.-][a-z0-9]+)*"  # what may stand in a path: names of benchmarks, methods, encoders, data sets
KINDS = ("datasets", "codecs", "captioners", "encoders", "backbones", "objectives", "samplers", "metrics", "folders")


class Plugin(Frozen, ABC):
    """Base of all plugin configurations; `uses` is narrowed to one literal by each final class.

    Attributes:
        version: to be raised when results change without a change of settings, or when a default changes.
        code: sha256 of the file of a plugin from outside the package, so that an edit of it makes other results.
        cites: keys of the bibliography, of all papers that some of its settings stand on. No key of a run holds them.
        uncited: why it cites none, in a few words.
    """

    version: ClassVar[int] = 1
    code: ClassVar[str | None] = None
    cites: ClassVar[tuple[str, ...]] = ()
    uncited: ClassVar[str] = ""

    stated: ClassVar[tuple[str, ...]] = ()  # names that each final class has, as fields or as constants
    uses: str

    def identity(self) -> dict[str, Any]:
        """Which plugin, in which version, and what differs from its defaults."""
        outside = {} if self.code is None else {"code": self.code}
        return {"uses": self.uses, "version": self.version, **outside, **super().identity()}

    def cited(self) -> tuple[str, ...]:
        """Keys of the bibliography: the papers behind these settings."""
        return self.cites

    @classmethod
    def plugin_name(cls) -> str:
        """The literal that selects this class in YAML."""
        return str(cls.model_fields["uses"].default)


@cache
def discover(kind: str) -> dict[str, type[Any]]:
    """All plugins of a kind by name, in alphabetical order.

    Raises:
        ConfigError: two files claim the same name, or a file defines no plugin or several, or one that lacks a method
            or a constant that its kind must have.
    """
    found: dict[str, tuple[str, type[Any]]] = {}
    for module in _modules(kind):
        plugin = _plugin_of(module)
        name, origin = plugin.plugin_name(), str(module.__file__)
        if not module.__name__.startswith("reedbench."):
            plugin.code = _code_of(plugin)
        if name in found:
            raise ConfigError(f"{origin}: {kind} plugin '{name}' is already defined in {found[name][0]}; rename one")
        if lacks := _lacks(plugin):
            raise ConfigError(f"{origin}: {kind} plugin '{name}' {lacks}")
        found[name] = (origin, plugin)
    return {name: found[name][1] for name in sorted(found)}


def _code_of(plugin: type[Any]) -> str:
    """sha256 of its file, and of those of plugins from outside that it extends."""
    files = [
        str(sys.modules[base.__module__].__file__) for base in plugin.__mro__ if base.__module__.startswith(OUTSIDE)
    ]
    digests = [io.sha256(file) for file in dict.fromkeys(files)]
    return digests[0] if len(digests) == 1 else io.digest_of(digests)


def _lacks(plugin: type[Any]) -> str:
    """What a plugin must still say, or nothing."""
    words = {name: _words(plugin, name) for name in sorted(plugin.__class_vars__)}
    if absent := [name for name in words if not hasattr(plugin, name)]:
        examples = ", ".join(
            f'{name}: ClassVar[str] = "{words[name][0] if words[name] else "image"}"' for name in absent
        )
        return f"does not say its {' and '.join(absent)} ({examples})"
    if absent := [name for name in plugin.stated if name not in plugin.model_fields and not hasattr(plugin, name)]:
        return f"does not say its {' and '.join(absent)}, a field or a constant"
    if taken := _taken(plugin):
        return f"calls a setting {taken}, which all of its kind have, with another meaning; rename it"
    if absent := sorted(plugin.__abstractmethods__):
        return f"lacks what every plugin of this kind must define: {', '.join(absent)}"
    for name, allowed in words.items():
        if isinstance(value := getattr(plugin, name), str) and allowed and value not in allowed:
            return f"says {name} '{value}'{did_you_mean(value, allowed)} (allowed: {', '.join(allowed)})"
    return ""


def _taken(plugin: type[Any]) -> str:
    """A field that a base class keeps out of keys, and to which a class below gives another type and meaning."""
    bases = plugin.__mro__
    for i, base in enumerate(bases):
        for name in sorted(vars(base).get("unkeyed", ())):
            own = _annotations(base).get(name)
            if own is not None and any(_annotations(heir).get(name, own) != own for heir in bases[:i]):
                return str(name)
    return ""


def _words(plugin: type[Any], name: str) -> tuple[str, ...]:
    """Words of which a constant is one, where the kind says them: `ClassVar[Literal["lower", "higher"]]`."""
    for owner in reversed(plugin.__mro__):
        hint = _annotations(owner).get(name)
        if get_origin(hint) is ClassVar and get_origin(inside := get_args(hint)[0]) is Literal:
            return get_args(inside)
    return ()


@cache
def _annotations(owner: type) -> dict[str, Any]:
    return inspect.get_annotations(owner)


def _modules(kind: str) -> list[ModuleType]:
    package = importlib.import_module(f"reedbench.{kind}")
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"reedbench.{kind}.{name}") for name in names if not name.startswith("_")]
    return modules + [
        _import_file(file, kind) for folder in outside() for file in sorted((folder / kind).glob("[!_]*.py"))
    ]


def outside() -> list[Path]:
    """Folders of plugins outside of the package.

    Raises:
        ConfigError: one is not there.
    """
    folders = [Path(entry) for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise ConfigError(f"{VARIABLE}: no such folder: {', '.join(missing)}")
    return folders


def _import_file(file: Path, kind: str) -> ModuleType:
    name = f"reedbench_plugins.{kind}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file}: cannot be imported as a plugin")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{file}: cannot be imported as a plugin ({type(error).__name__}: {error})") from error
    return module


def _plugin_of(module: ModuleType) -> type[Any]:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == module.__name__
    ]
    final = [value for value in own if value.model_fields["uses"].default]
    if len(final) != 1:
        raise ConfigError(
            f"{module.__file__}: a plugin file defines exactly one class with a `uses` name, not {len(final)}"
        )
    return final[0]
