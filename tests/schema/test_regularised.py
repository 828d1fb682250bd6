"""Settings of losses on hidden states, contrasted velocities and RARE that make no sense are one line."""

from typing import Any

import pytest
from pydantic import ValidationError

from reedbench.core import plugins

CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a hinge without a margin": ("dispersive", {"depth": 1, "variant": "hinge"}, "variant: hinge needs a margin: say"),
    "a group of one": ("dispersive", {"depth": 1, "group": 1}, "greater than or equal to 2"),
    "one chain": ("protein-dispersive", {"depth": 1, "group": 1}, "group: 1 has no pairs: give 2 or more, or 0"),
    "a deep block that is pulled": ("layersync", {"pairs": [[2, 1]]}, r"pairs: \[2, 1\] must be two blocks 1 <= k < l"),
    "a block pulled to itself": ("protein-layersync", {"pairs": [[1, 2], [2, 2]]}, r"pairs: \[2, 2\] must be two"),
    "a pair twice": ("layersync", {"pairs": [[1, 2], [1, 2]]}, "one stands there twice; raise weight"),
    "a deep layer that is pulled by a shallow one": (
        "protein-self-aligned",
        {"student_depth": 2, "teacher_depth": 1},
        "student 2 lies behind teacher 1: the deeper one teaches",
    ),
    "no pair": ("layersync", {"pairs": []}, "at least 1 item"),
    "a negative that weighs as much": ("contrastive-flow", {"weight": 1.0}, "less than 1"),
    "averages that are one": (
        "rare",
        {"encoder": "e", "depth": 1, "fast": 0.99995},
        "must be smaller than slow 0.99995",
    ),
    "a ramp that is over before rows are drawn": ("rare", {"encoder": "e", "depth": 1, "ramp": 2}, "equal to 3"),
}


@pytest.mark.parametrize(("name", "settings", "words"), CASES.values(), ids=CASES.keys())
def test_settings_that_make_no_sense_are_one_line(name, settings, words):
    with pytest.raises(ValidationError, match=words):
        plugins.discover("objectives")[name](label="-", **settings)


def test_several_pairs_all_count():
    method = plugins.discover("objectives")["layersync"](label="-", pairs=[(2, 4), (1, 3), (1, 2)])
    assert method.depths() == (1, 2, 3, 4)
    assert method.further() == {"layersync@2-4": 0.2, "layersync@1-3": 0.2, "layersync@1-2": 0.2}
