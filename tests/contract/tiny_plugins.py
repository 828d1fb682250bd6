"""Tiny plugins for the contract tests: the least arguments of each, and ways to run over all of a kind."""

from typing import Any

import pytest
from pydantic import ValidationError

from reedbench.core import plugins

# Constructor arguments that make a plugin tiny, or that it cannot do without.
MINIMAL: dict[tuple[str, str], dict[str, Any]] = {
    ("codecs", "pixels"): {"rounding": "round"},
    ("encoders", "invariant-patches"): {"dim": 8, "steps": 2, "batch": 16},
    ("encoders", "small-classifier"): {"dim": 4, "steps": 3, "batch": 16},
    ("encoders", "caption-and-image"): {"captioner": "measured", "image": "patches", "dim": 4},
    ("backbones", "sit"): {"width": 8, "depth": 2, "heads": 2},
    ("objectives", "aligned"): {
        "label": "REPA",
        "alignments": [{"encoder": "patches", "depth": 1, "projector_width": 8}],
    },
    **{("metrics", name): {"extractor": "eye"} for name in plugins.discover("metrics")},
    **{("samplers", name): {"steps": 20} for name in plugins.discover("samplers")},
}


def each(kind: str, *leave_out: str):
    """Parametrise over the names of the plugins of a kind."""
    return pytest.mark.parametrize("name", [name for name in plugins.discover(kind) if name not in leave_out])


def make(kind: str, name: str, **more: Any) -> Any:
    """A tiny instance of a plugin."""
    arguments = {"uses": name, **MINIMAL.get((kind, name), {}), **more}
    try:
        return plugins.discover(kind)[name](**arguments)
    except ValidationError as error:
        pytest.fail(f"give the least arguments of {kind} plugin '{name}' in MINIMAL: {error}")
