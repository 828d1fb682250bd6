"""Whether the parts of a benchmark fit each other: every network is built, without memory, on the shapes of the data.

Shapes come from the dataset, which may know them without its data, or from what `prepare` and `represent` have left.
What nothing tells yet is not judged. Torch is imported here alone, so that only `reedbench check` and `plan` wait for
it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reedbench.core import paths, provenance, seeds
from reedbench.core.errors import ConfigError, MissingArtefact, Problem
from reedbench.domains import rows
from reedbench.encoders import STAND_INS, of_datum
from reedbench.schema import encoder_names
from reedbench.schema.loading import Document, Key
from reedbench.schema.problems import blamed
from reedbench.schema.runs import Benchmark

Finding = tuple[Key, str]
Shapes = dict[str, tuple[int, ...]]


class Untold(Exception):
    """A fact about the data that is known only when they are prepared."""


class NeedsValues(Exception):
    """A network looks at its numbers while it is built, and on `meta` there are none."""


class Facts(dict[str, Any]):
    """What is known of a dataset."""

    def __missing__(self, key: str) -> Any:
        raise Untold(key)


def check_fit(benchmark: Benchmark, document: Document) -> list[Problem]:
    """All problems that show when the networks of a benchmark are built."""
    with blamed(document):
        return [document.problem(key, message) for key, message in _findings(benchmark)]


def backbone_of(benchmark: Benchmark) -> Any:
    """The backbone on the shapes of the data, without memory; None where nothing tells these yet.

    Raises:
        ConfigError: it does not fit the data.
    """
    spec, facts = benchmark.spec, known_facts(benchmark)
    try:
        return network(spec.backbone, spec.codec.shape(facts), facts)
    except (Untold, NeedsValues):
        return None
    except ValueError as error:
        raise ConfigError(f"backbone {spec.backbone.name()} does not fit {benchmark.dataset}: {error}") from error


def _findings(benchmark: Benchmark) -> Iterator[Finding]:
    spec, facts = benchmark.spec, known_facts(benchmark)
    try:
        spec.codec.check_asked(facts, spec.sampling.count, spec.sampling.streams)
    except ConfigError as error:
        yield ("sampling", "count"), str(error)
    except Untold:
        pass
    yield from _pools(benchmark, facts.get("classes"))
    try:
        shape = spec.codec.shape(facts)
    except Untold:
        return
    except (ConfigError, ValueError) as error:
        yield ("codec",), f"does not fit {benchmark.dataset}: {error}"
        return
    try:
        network(spec.backbone, shape, facts)
    except (Untold, NeedsValues):
        return
    except (ConfigError, ValueError) as error:
        yield ("backbone",), f"does not fit {benchmark.dataset}: {error}"
        return
    for name, sampler in spec.samplers.items():
        if (misfit := sampler.misfit(shape)) is not None:
            yield ("samplers", name), misfit
    shapes = known_shapes(benchmark, facts, stand_ins=True)
    faults: dict[str, list[str]] = {}  # methods by what is wrong with them: a patch is wrong for all in the same way
    for m, objective in spec.methods.items():
        if objective.own_step() is not None:  # nothing is built to train
            continue
        targets = {name: shapes[name] for name in objective.targets() if name in shapes}
        if len(targets) < len(objective.targets()):
            continue
        try:
            built = learner(objective, network(spec.backbone, shape, facts), targets)
        except NeedsValues:
            continue
        except (ConfigError, ValueError) as error:
            faults.setdefault(str(error), []).append(m)
        else:
            misfit = _misfit(benchmark, built)
            if misfit is None and objective.init == "teacher":
                misfit = _uninherited(benchmark, m, built, network(spec.backbone, shape, facts))
            if misfit is not None:
                faults.setdefault(misfit, []).append(m)
    for message, (first, *others) in faults.items():
        yield ("methods", first), message + (f" (also {', '.join(others)})" if others else "")


def _pools(benchmark: Benchmark, classes: int | None) -> Iterator[Finding]:
    """Samples that a method learns from, too few for the classes."""
    for m in benchmark.spec.methods:
        pool = benchmark.run(m, benchmark.spec.seeds[0]).pool
        if pool is not None and classes is not None and (count := pool.run.benchmark.spec.sampling.count) < classes:
            where = f"sampling.count of benchmark {pool.run.benchmark.name} is {count}"
            yield ("methods", m, "pool"), f"must hold samples of all {classes} classes, and {where}: raise it"


def known_facts(benchmark: Benchmark) -> Facts:
    """The index of the dataset, or what it says without its data."""
    try:
        provenance.require(paths.index(benchmark.data), benchmark.data_key)
        return Facts(rows.index(benchmark.data))
    except MissingArtefact:
        return Facts(benchmark.spec.dataset.declared())


def known_shapes(benchmark: Benchmark, facts: Facts, *, stand_ins: bool = False) -> Shapes:
    """Shape of one representation per encoder, as `AbstractObjective.build` takes it, where it is known.

    With `stand_ins` others have some width, which is enough to see whether networks fit.
    """
    spec = benchmark.spec
    shapes: Shapes = {}
    # Encoders that read others come after them.
    for name, encoder in sorted(spec.encoders.items(), key=lambda item: bool(item[1].reads_encoders())):
        filed = encoder_names.filed(name, spec.seeds[0]) if encoder.per_seed else name
        folder = paths.representation(benchmark.dataset, filed)
        try:
            provenance.require(paths.index(folder), benchmark.encoder_key(filed))
            shapes[name] = of_datum(encoder.kind, rows.index(folder)["shape"])
        except MissingArtefact:
            try:
                known = encoder.shape(facts, shapes)
            except Untold:
                known = None
            if known is None and stand_ins:
                known = STAND_INS.get(encoder.kind)
            if known is not None:
                shapes[name] = known
    return shapes


def network(backbone: Any, shape: tuple[int, ...], facts: Facts) -> Any:
    """A network whose parameters have shapes and no memory."""
    with _without_memory():
        return backbone.build(shape, facts)


def sampled(objective: Any, backbone: Any) -> Any:
    """What samples are drawn from: the backbone, or the network around it, without memory either."""
    with _without_memory():
        return objective.network(backbone)


def _misfit(benchmark: Benchmark, learner: Any) -> str | None:
    """What the learner has against the batches of the benchmark."""
    train, asked = benchmark.spec.train, benchmark.resources("train")
    reason: str | None = learner.misfit(
        train.batch, asked.nodes * asked.tasks_per_node, train.accumulation, packed=train.tokens is not None
    )
    return reason


def _uninherited(benchmark: Benchmark, method: str, learner: Any, backbone: Any) -> str | None:
    """Why a learner cannot take up its teacher's weights; both have one backbone."""
    from reedbench.nn.inherited import inherit

    teacher = benchmark.run(method, benchmark.spec.seeds[0]).teacher
    assert teacher is not None  # or there were no init: teacher
    try:
        of_teacher = sampled(teacher.run.objective, backbone)
        inherit(learner, of_teacher.state_dict(), benchmark.spec.methods[method].inherited)
    except NeedsValues:
        return None
    except ValueError as error:
        return f"cannot start from its teacher {teacher.run.method}: {error}"
    return None


def learner(objective: Any, backbone: Any, targets: Shapes) -> Any:
    """Build a learner; its parameters on `meta` take no values."""
    with _without_memory():
        return objective.build(backbone, targets, lambda name: seeds.stream("check", name))


@contextmanager
def _without_memory() -> Iterator[None]:
    import torch

    try:
        with torch.device("meta"):
            yield
    except (RuntimeError, TypeError) as error:
        if "meta" in str(error).lower():
            raise NeedsValues from error
        raise
