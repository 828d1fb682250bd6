"""What a result is called stays: golden keys, fields that may come, defaults that may not change unsaid.

After an intended change: `WRITE_GOLDEN=1 pytest tests/schema/test_keys.py`, and read the difference.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import create_model
from pydantic_core import PydanticUndefined

from reedbench.core import plugins
from reedbench.core.frozen import Frozen
from reedbench.objectives._schedule import Schedule
from reedbench.schema import runs, settings, suite
from reedbench.schema.benchmark import Optimiser, Training
from reedbench.schema.versions import VERSIONS

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
WRITE = bool(os.environ.get("WRITE_GOLDEN"))


def golden(name: str, found: Any) -> Any:
    """What is written down under this name; first written down as found, if asked."""
    file = HERE / f"{name}.json"
    if WRITE:
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_keys_of_the_shipped_benchmarks_stay(shipped):
    found = {
        b: {
            "recipes": {m: runs.of(shipped, b, m, 0).key for m in benchmark.methods},
            "sampling": {s: settings.key(runs.benchmark(shipped, b).sampling(s)) for s in benchmark.samplers},
            "evaluation": runs.benchmark(shipped, b).scoring.key,
            "floor": runs.benchmark(shipped, b).scoring.floor_key,
        }
        for b, benchmark in shipped.benchmarks.items()
    }
    assert found == golden("golden_keys", found), "results that people have would be made again: is that meant?"


# Fields may come


def grown(model: Any, value: int = 0) -> Any:
    """The same configuration in a later version of its class, with one more field that has a default."""
    later = create_model(type(model).__name__, __base__=type(model), later_field=(int, 0))
    return later.model_construct(**{name: getattr(model, name) for name in type(model).model_fields}, later_field=value)


def with_grown(benchmark: Any, place: str, value: int) -> Any:
    """The benchmark with one part of a later class."""
    reed = benchmark.methods["reed"]
    tap = grown(reed.alignments[0], value)
    optimiser = benchmark.train.model_copy(update={"optimiser": grown(benchmark.train.optimiser, value)})
    encoders = {name: grown(encoder, value) for name, encoder in benchmark.encoders.items()}
    changed = {
        "optimiser": {"train": optimiser},
        "training": {"train": grown(benchmark.train, value)},
        "backbone": {"backbone": grown(benchmark.backbone, value)},
        "codec": {"codec": grown(benchmark.codec, value)},
        "dataset": {"dataset": grown(benchmark.dataset, value)},
        "encoders": {"encoders": encoders},
        "objective": {"methods": {**benchmark.methods, "reed": grown(reed, value)}},
        "alignment": {
            "methods": {
                **benchmark.methods,
                "reed": reed.model_copy(update={"alignments": (tap, *reed.alignments[1:])}),
            }
        },
        "schedule": {
            "methods": {**benchmark.methods, "reed": reed.model_copy(update={"denoise": grown(reed.denoise, value)})}
        },
        "sampler": {"samplers": {"ode": grown(benchmark.samplers["ode"], value)}},
        "metric": {"metrics": tuple(grown(metric, value) for metric in benchmark.metrics)},
    }
    return benchmark.model_copy(update=changed[place])


def keys(benchmark: Any) -> list[str]:
    one = suite.Suite({"digits": benchmark})
    return [
        runs.of(one, "digits", "reed", 0).key,
        settings.key(runs.benchmark(one, "digits").sampling("ode")),
        runs.benchmark(one, "digits").scoring.key,
    ]


PLACES = ("optimiser", "training", "backbone", "codec", "dataset", "encoders", "objective", "alignment", "schedule",
          "sampler", "metric")  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_new_field_with_a_default_moves_no_key_until_it_is_used(shipped, place):
    benchmark = shipped.benchmark("digits")
    assert keys(with_grown(benchmark, place, 0)) == keys(benchmark)
    assert keys(with_grown(benchmark, place, 1)) != keys(benchmark)


def test_the_version_of_a_plugin_is_part_of_its_keys(shipped, monkeypatch):
    benchmark = shipped.benchmark("digits")
    before = keys(benchmark)
    for plugin in (benchmark.backbone, benchmark.methods["reed"], benchmark.samplers["ode"], benchmark.metrics[0]):
        monkeypatch.setattr(type(plugin), "version", 99)
        assert keys(benchmark) != before
        monkeypatch.undo()
        assert keys(benchmark) == before


# Defaults may not change unsaid


def defaults_of(model: type[Frozen]) -> dict[str, Any]:
    """Defaults of all fields that have one, as plain values."""
    found = {}
    for name, field in model.model_fields.items():
        value = field.get_default(call_default_factory=True)
        if value is not PydanticUndefined:
            found[name] = json.loads(json.dumps(value, default=lambda x: x.identity() if isinstance(x, Frozen) else x))
    return found


def models() -> Iterator[tuple[str, int, type[Frozen]]]:
    """Everything that keys are made of: its name, the version that stands for it, and its class."""
    for kind in plugins.KINDS:
        for name, plugin in plugins.discover(kind).items():
            if plugin.code is None:
                yield f"{kind}/{name}", plugin.version, plugin
                for part in parts_of(plugin):
                    yield f"{kind}/{name}/{part.__name__}", plugin.version, part
    for part in (Training, Optimiser):
        yield f"train/{part.__name__}", VERSIONS["train"], part


def parts_of(plugin: type[Frozen]) -> list[type[Frozen]]:
    """Models inside a plugin's fields."""
    words = " ".join(str(field.annotation) for field in plugin.model_fields.values())
    return [part for part in every_model(Frozen) if f"{part.__module__}.{part.__qualname__}" in words]


def every_model(base: type[Frozen]) -> list[type[Frozen]]:
    below = [one for sub in base.__subclasses__() for one in (sub, *every_model(sub))]
    return [one for one in below if not issubclass(one, plugins.Plugin)]


def test_schedules_and_alignments_are_among_what_keys_are_made_of():
    names = {name for name, _, _ in models()}
    assert {"objectives/aligned/Alignment", f"objectives/aligned/{Schedule.__name__}", "train/Optimiser"} <= names


def test_a_changed_default_raises_a_version():
    found = {name: {"version": version, "defaults": defaults_of(model)} for name, version, model in models()}
    known = golden("golden_defaults", found)
    for name, then in known.items():
        now = found.get(name)
        if now is None or now["version"] != then["version"]:
            continue
        changed = {f for f, value in then["defaults"].items() if f in now["defaults"] and now["defaults"][f] != value}
        gone = set(then["defaults"]) - set(now["defaults"])
        assert not changed, f"{name}: other defaults of {sorted(changed)}: keys do not see it; raise the version"
        assert not gone, f"{name}: {sorted(gone)} gone or without a default: raise the version"
    assert known == found, "new fields or versions: write them down (see the head of this file)"


# The code of a plugin from outside is part of what it is

FLAT = '''
"""A sampler that returns its noise."""
from typing import ClassVar, Literal
from reedbench.samplers import AbstractSampler

class Still(AbstractSampler):
    """Does nothing."""
    domain: ClassVar[str] = "image"
    guidance: ClassVar[float] = 1.0
    uses: Literal["still"] = "still"

    def nfe(self):
        """None."""
        return 0

    def draw(self, network, condition, streams, objective):
        """The noise."""
        return {"x_1": condition["x_0"]}
'''


def test_an_edit_of_a_plugin_outside_the_package_makes_another_plugin(tmp_path, monkeypatch):
    def identity(text: str) -> dict[str, Any]:
        file.write_text(text)
        plugins.discover.cache_clear()
        return plugins.discover("samplers")["still"]().identity()

    file = tmp_path / "samplers" / "still.py"
    file.parent.mkdir()
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))
    try:
        one, same, other = identity(FLAT), identity(FLAT), identity(FLAT.replace('["x_0"]', '["x_0"] + 1'))
        assert one == same
        assert one["uses"] == other["uses"] == "still"
        assert one["code"] != other["code"]
        assert "code" not in plugins.discover("samplers")["euler"]().identity()
    finally:
        monkeypatch.undo()
        plugins.discover.cache_clear()


def test_an_edit_of_what_an_outside_plugin_extends_makes_another_plugin(tmp_path, monkeypatch):
    folder = tmp_path / "samplers"
    folder.mkdir()
    heir = "from typing import Literal\nfrom reedbench_plugins.samplers.a_still import Still\n\n"
    heir += 'class Stiller(Still):\n    """An heir."""\n    uses: Literal["stiller"] = "stiller"\n'
    (folder / "b_stiller.py").write_text(heir)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))
    codes = []
    try:
        for text in (FLAT, FLAT.replace('["x_0"]', '["x_0"] + 1')):
            (folder / "a_still.py").write_text(text)
            plugins.discover.cache_clear()
            codes.append(plugins.discover("samplers")["stiller"].code)
    finally:
        monkeypatch.undo()
        plugins.discover.cache_clear()
    assert codes[0] != codes[1]
