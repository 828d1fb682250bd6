"""Weights from outside as a run of the suite, and what `reedbench import-checkpoint` says of a file."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reedbench.backbones.sit import SIZES
from reedbench.core import io, paths, pins, provenance
from reedbench.core.checkpoint import tensors
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.nn.backbones.checkpoints import Published, recognise
from reedbench.schema import fitting
from reedbench.schema.runs import Benchmark, Run
from reedbench.steps.material import require_pinned
from reedbench.training.checkpoint import save_tensors

HOW = "take it again from where its authors have published it"
ASKED = "unknown  # the file does not say it: put what its authors say"


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
    file, published = read(objective.weights)
    if (why := published.contradicts(step=objective.step, time=objective.time, path=objective.path)) is not None:
        raise ConfigError(f"{file}: {why}")
    network = _network(benchmark)
    weights = _fitted(file, published, network, objective.time)
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
            "time": objective.time,
            "variances_left_out": published.variances,
            "projectors_left_out": len(published.projectors),
        },
    }
    io.write_json(run.receipt(segment), receipt)
    notes = {"key": run.key, "imported": receipt["imported"]}
    return Made([run.receipt(segment), run.segment(segment)], [run.recipe_file, data, str(file)], notes=notes)


def read(text: str) -> tuple[Path, Published]:
    """The file that a name or a path means, and what it holds.

    Raises:
        MissingArtefact: it is not there.
        ConfigError: it is no checkpoint of SiT, REPA or REED.
    """
    file = pins.file(text)
    found = tensors(file, HOW, [Namespace], mapped=True)  # REPA and REED keep the arguments of their training
    try:
        return file, recognise(found)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error


@dataclass(frozen=True)
class Description:
    """What is said of a file: lines for people, and the entry of a benchmark file that imports it."""

    lines: list[str]
    entry: str


def describe(text: str, benchmark: Benchmark | None = None) -> Description:
    """Say what a file is, and whether it is one for a benchmark.

    Raises:
        MissingArtefact: it is not there.
        ConfigError: it is no checkpoint of SiT, REPA or REED, or the benchmark's backbone takes no such weights.
    """
    file, published = read(text)
    sizes, model = published.sizes, _model(published)
    dropped = [
        *(["the half of the head for variances"] if published.variances else []),
        *([f"{len(published.projectors)} projector(s) to {published.projectors}"] if published.projectors else []),
    ]
    told = {"step": published.step, "time": published.time, "path": published.path}
    lines = [
        f"{file}: {published.layout}",
        f"network: {model}, {sizes['channels']} channels of {sizes['side']} x {sizes['side']}, "
        f"{sizes['classes']} classes",
        f"left out: {' and '.join(dropped) or 'nothing'}",
        *(f"{name}: {'the file does not say' if value is None else value}" for name, value in told.items()),
        f"sha256: {io.sha256(file)}",
    ]
    if benchmark is not None:
        _fitted(file, published, _network(benchmark), published.time or "sit")
        lines.append(f"benchmark {benchmark.name}: fits {benchmark.spec.backbone.name()}")
    return Description(lines, _entry(text, model, published))


def _entry(text: str, model: str, published: Published) -> str:
    """The method as YAML; what the file does not say is left to be filled in, and refused until it is."""
    values = {
        "uses": "imported",
        "label": f"{model} (published)",
        "weights": text if pins.is_name(text) or "/" in text else f"./{text}",
        "step": published.step or ASKED,
        "time": published.time or ASKED,
        **({"path": published.path} if published.path not in (None, "linear") else {}),
    }
    return "\n".join(["methods:", "  published:", *(f"    {name}: {value}" for name, value in values.items())])


def _model(published: Published) -> str:
    """`SiT-XL/2` where width and depth are those of a published size; how many heads there are, no file says."""
    sizes = published.sizes
    shape = sizes["width"], sizes["depth"]
    named = next((name for name, (width, depth, _) in SIZES.items() if (width, depth) == shape), None)
    return f"SiT-{named or f'{shape[0]}x{shape[1]}'}/{sizes['patch']}"


def _network(benchmark: Benchmark) -> Any:
    network = fitting.backbone_of(benchmark)
    if network is None:
        raise ConfigError(
            f"{benchmark.name}: the shapes of its data are not known yet: prepare them "
            f"(snakemake {paths.index(benchmark.data)})"
        )
    return network


def _fitted(file: Path, published: Published, network: Any, time: str) -> dict[str, Any]:
    try:
        return published.for_network(network, time)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
