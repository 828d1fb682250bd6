"""Edits of a valid suite, of which each makes a mistake."""

import copy
from typing import Any

TINY = "benchmarks/tiny.yaml"
ONLINE = {"uses": "vit", "weights": "some/dinov2.pth", "mode": "online"}
ALIGN = {"encoder": "patches", "depth": 1, "projector_width": 16}


def put(key: str, value: Any):
    """The edit that sets one key, parts separated by slashes; `...` removes it."""
    return lambda files: files.set(key, value)


def text(content: str | bytes):
    """The edit that replaces the whole benchmark file."""
    return lambda files: files.benchmarks.update(tiny=content)


def config(value: Any):
    """The edit that replaces config/config.yaml; None leaves it out."""
    return lambda files: setattr(files, "config", value)


def twin(key: str, value: Any):
    """The edit that adds a second benchmark, equal to the first one but for a key."""

    def edit(files) -> None:
        files.benchmarks["zwilling"] = copy.deepcopy(files.benchmarks["tiny"])
        files.set(key, value, "zwilling")

    return edit


def both(*edits):
    """Several edits that together make one mistake."""
    return lambda files: [edit(files) for edit in edits]
