"""Weights from outside as a run of the suite, and what `reedbench import-checkpoint` says of a file.

Which files there are, and what is in them, the backbones know.
"""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from reedbench.core import io, paths, pins, plugins, provenance
from reedbench.core.checkpoint import tensors
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.nn.backbones.published import Foreign, Published, check_fit, some
from reedbench.objectives import ImportedMethod
from reedbench.schema import fitting
from reedbench.schema.runs import Benchmark, Run
from reedbench.steps.material import require_pinned
from reedbench.training.checkpoint import save_tensors

HOW = "take it again from where its authors have published it"
ALONE = (
    "where you trust it, and that type is installed, keep its weights alone: torch.save(torch.load(FILE, "
    "weights_only=False)[KEY], NEW), KEY being 'state_dict' of Lightning's files and 'ema' of SiT's, REPA's and REED's"
)
ASKED = "unknown  # the file does not say it: put what its authors say"
Backbone = type[Any]


def publish(run: Run, segment: int) -> Made:
    """Convert the weights that a method names into our form and time, and publish them as a trained segment is.

    Raises:
        MissingArtefact: the file is not there, or the data have not been prepared.
        ConfigError: the file holds something else than the method says, or than the backbone takes.
    """
    objective, benchmark = run.objective, run.benchmark
    if not run.course.has(segment):
        raise ConfigError(f"{run.title}: weights from outside are segment 0 alone, and segment {segment} is asked for")
    require_pinned(benchmark.suite, objective)
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    file, _, published = read(objective.weights, [type(benchmark.spec.backbone)])
    method = objective.plain()
    if (why := published.contradicts({"method": method, **_sections(benchmark)})) is not None:
        raise ConfigError(f"{file}: {why}")
    network = _network(benchmark)
    try:
        weights = published.for_network(network, method)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
    name = f"{paths.step_name(objective.step)}.safetensors"
    with io.atomic_directory(run.segment(segment)) as folder:
        save_tensors(folder / name, weights)
        digest = io.sha256(folder / name)
    start, stop = run.course.span(segment)
    receipt = {
        "key": run.key,
        "start": start,
        "stop": stop,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weights": {name: digest},
        "imported": {
            "file": objective.weights,
            "sha256": io.sha256(file),
            "layout": published.layout,
            **published.record(method),
        },
    }
    io.write_json(run.receipt(segment), receipt)
    notes = {"key": run.key, "imported": receipt["imported"]}
    return Made([run.receipt(segment), run.segment(segment)], [run.recipe_file, data, str(file)], notes=notes)


def read(text: str, backbones: Iterable[Backbone]) -> tuple[Path, Backbone, Published]:
    """The file that a name or a path means, the backbone of which it is one, and what it holds.

    Args:
        text: name or path.
        backbones: whose files are looked for.

    Raises:
        MissingArtefact: it is not there.
        ConfigError: it is no file of theirs, or something is wrong with it.
    """
    file = pins.file(text)
    found = tensors(file, HOW, [Namespace], mapped=True, alone=ALONE)  # REPA and REED keep arguments of their training
    foreign: list[Foreign] = []
    wrong: ValueError | None = None
    for backbone in backbones:
        try:
            return file, backbone, backbone.published(found)
        except Foreign as error:
            foreign.append(error)
        except ValueError as error:
            wrong = wrong or error
    if wrong is None and len(foreign) > 1:
        wanted = ", ".join(error.wanted for error in foreign if error.wanted)
        raise ConfigError(f"{file}: is no checkpoint that is known here: it has {some(found)}; expected one {wanted}")
    raise ConfigError(f"{file}: {wrong or foreign[0]}")


@dataclass(frozen=True)
class Description:
    """What is said of a file: lines for people, and the entry of a benchmark file that imports it."""

    lines: list[str]
    entry: str


def describe(text: str, benchmark: Benchmark | None = None) -> Description:
    """Say what a file is, and whether it is one for a benchmark.

    Raises:
        MissingArtefact: it is not there.
        ConfigError: it is no checkpoint that a backbone knows, or that of the benchmark takes no such weights.
    """
    every = plugins.discover("backbones").values()
    file, backbone, published = read(text, every if benchmark is None else [type(benchmark.spec.backbone)])
    try:
        model, needs = backbone.named(published.sizes), _needs(backbone, published)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{key}: " for key in first["loc"])
        raise ConfigError(f"{file}: has sizes that no {backbone.plugin_name()} has: {where}{first['msg']}") from error
    lines = [
        f"{file}: {published.layout}",
        f"network: {model}, {published.details}",
        *(f"{name}: {_flow(settings)}" for name, settings in needs.items()),
        f"left out: {' and '.join(published.left_out) or 'nothing'}",
        *(f"{name}: {'the file does not say' if value is None else value}" for name, value in published.told().items()),
        f"sha256: {io.sha256(file)}",
    ]
    if benchmark is not None:
        if (why := published.contradicts(_sections(benchmark))) is not None:
            raise ConfigError(f"{file}: {why}")
        try:
            check_fit(published.weights, _network(benchmark))
        except ValueError as error:
            raise ConfigError(f"{file}: {error}") from error
        lines.append(f"benchmark {benchmark.name}: fits {benchmark.spec.backbone.name()}")
    return Description(lines, _entry(text, model, published, _importing(backbone)))


def _importing(backbone: Backbone) -> type[ImportedMethod]:
    """The method that imports files of a backbone.

    Raises:
        ConfigError: there is none.
    """
    for method in plugins.discover("objectives").values():
        if issubclass(method, ImportedMethod) and method.domain == backbone.domain:
            return method
    raise ConfigError(f"no objective imports weights of domain '{backbone.domain}'")


def _entry(text: str, model: str, published: Published, method: type[ImportedMethod]) -> str:
    """The method as YAML; what the file does not say is left to be filled in, and refused until it is."""
    values = {
        "uses": method.plugin_name(),
        "label": f"{model} (published)",
        "weights": text if pins.is_name(text) or "/" in text else f"./{text}",
    }
    for name, value in published.told().items():
        field = method.model_fields[name]
        if field.is_required():
            values[name] = value or ASKED
        elif value not in (None, field.default):
            values[name] = value
    return "\n".join(["methods:", "  published:", *(f"    {name}: {value}" for name, value in values.items())])


def _needs(backbone: Backbone, published: Published) -> dict[str, dict[str, Any]]:
    """What a benchmark's sections have to say, where that is not the default."""
    found = {name: dict(settings) for name, settings in published.needs().items() if settings}
    if "backbone" in found:
        own = backbone(**found["backbone"]).identity()
        found["backbone"] = {name: value for name, value in own.items() if name not in ("version", "code")}
    return found


def _flow(settings: Mapping[str, Any]) -> str:
    """As YAML in one line."""
    return yaml.safe_dump(settings, default_flow_style=True, sort_keys=False, width=10_000).strip()


def _sections(benchmark: Benchmark) -> dict[str, dict[str, Any]]:
    """What files are compared with, as plain values."""
    return {"backbone": benchmark.spec.backbone.plain(), "codec": benchmark.spec.codec.plain()}


def _network(benchmark: Benchmark) -> Any:
    network = fitting.backbone_of(benchmark)
    if network is None:
        raise ConfigError(
            f"{benchmark.name}: the shapes of its data are not known yet: prepare them "
            f"(snakemake {paths.index(benchmark.data)})"
        )
    return network
