"""What an artefact stands on, and the papers behind that: by what was used, keys of the bibliography.

A sidecar holds it as `citations`, so that `reedbench cite` reads it there, whatever made the artefact. No key of a run
does: who is cited changes no number.
"""

from collections.abc import Iterable, Iterator, Mapping

from reedbench.core import pins
from reedbench.core.plugins import Plugin
from reedbench.schema import encoder_names
from reedbench.schema.cells import Cell
from reedbench.schema.lineage import pools
from reedbench.schema.runs import Benchmark, Run
from reedbench.schema.scoring import Scoring
from reedbench.schema.suite import Suite

Citations = dict[str, list[str]]
"""By what was used (`encoder dinov2`), keys; none of what is our own."""
Used = Iterator[tuple[str, Plugin]]


def of_dataset(suite: Suite, name: str) -> Citations:
    """The data."""
    return _cited(suite, _data(suite, name))


def of_captioner(suite: Suite, dataset: str, name: str) -> Citations:
    """Captions of a data set."""
    return _cited(suite, [*_data(suite, dataset), (f"captioner {name}", suite.captioner(dataset, name))])


def of_encoder(suite: Suite, dataset: str, name: str) -> Citations:
    """An encoder or extractor of a data set, and its representations."""
    return _cited(suite, [*_data(suite, dataset), *_encoder(suite, dataset, name)])


def of_codec(suite: Suite, dataset: str, name: str) -> Citations:
    """Latents of a data set."""
    return _cited(suite, [*_data(suite, dataset), ("codec", suite.codec(dataset, name))])


def of_weights(suite: Suite, name: str) -> Citations:
    """Weights from outside."""
    return _weights(suite, name)


def of_run(run: Run) -> Citations:
    """Trained weights."""
    return _cited(run.benchmark.suite, _trained([run]))


def of_cell(cell: Cell) -> Citations:
    """Samples."""
    return _cited(cell.run.benchmark.suite, [*_trained([cell.run]), _sampler(cell.run, cell.sampler)])


def of_scores(of: Benchmark, runs: Iterable[Run]) -> Citations:
    """Metric records of runs, of what their tables and figures are made; those of the floor where there are no runs."""
    runs = list(runs)
    drawn = [_sampler(run, s) for run in runs for s in of.spec.samplers if run.drawn_at(s)]
    alone = () if runs else [*_data(of.suite, of.dataset), ("codec", of.spec.codec)]
    return _cited(of.suite, [*_trained(runs), *drawn, *alone, *_scoring(of.scoring)])


def together(several: Iterable[Mapping[str, Iterable[str]]]) -> Citations:
    """Those of several artefacts as one."""
    found: dict[str, dict[str, None]] = {}
    for citations in several:
        for what, keys in citations.items():
            found.setdefault(what, {}).update(dict.fromkeys(keys))
    return {what: list(keys) for what, keys in found.items()}


def by_key(citations: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Keys in alphabetical order, and what each is cited for."""
    keys = sorted({key for several in citations.values() for key in several}, key=str.lower)
    return {key: [what for what, several in citations.items() if key in several] for key in keys}


def _data(suite: Suite, name: str) -> Used:
    yield f"data set {name}", suite.dataset(name)


def _encoder(suite: Suite, dataset: str, filed: str) -> Used:
    """With the captioner and the encoders that it reads."""
    plugin = suite.encoder(dataset, filed)
    name, _ = encoder_names.parted(filed)
    yield f"{'extractor' if suite.is_extractor(dataset, name) else 'encoder'} {name}", plugin
    if (captioner := plugin.reads_captions_of()) is not None:
        yield f"captioner {captioner}", suite.captioner(dataset, captioner)
    for other in suite.read_by(dataset, filed).values():
        yield from _encoder(suite, dataset, other)


def _trained(runs: Iterable[Run]) -> Used:
    """What weights were made with, and those that they were taught by, the samples of these among it."""
    every = dict.fromkeys(one for run in runs for one in (*(teacher.run for teacher in run.lineage), run))
    for run in every:
        own, spec = run.benchmark, run.benchmark.spec
        yield from _data(own.suite, own.dataset)
        yield f"codec {spec.codec.uses}", spec.codec
        yield f"backbone {spec.backbone.name()}", spec.backbone
        yield f"method {run.objective.label}", run.objective
        for filed in run.encoders.values():
            yield from _encoder(own.suite, own.dataset, filed)
    for pool in pools(every):
        yield _sampler(pool.run, pool.sampler)


def _sampler(run: Run, name: str) -> tuple[str, Plugin]:
    return f"sampler {name}", run.benchmark.spec.samplers[name]


def _scoring(scoring: Scoring) -> Used:
    for metric in scoring.spec.metrics:
        yield f"metric {metric.family}", metric
    for name in scoring.extractors:
        yield from _encoder(scoring.suite, scoring.dataset, name)
    for name in scoring.folders:
        yield f"folder {name}", scoring.spec.folders[name]


def _cited(suite: Suite, used: Iterable[tuple[str, Plugin]]) -> Citations:
    found: list[Citations] = []
    for what, plugin in used:
        found += [{what: list(plugin.cited())}, *(_weights(suite, name) for name in pins.names(plugin))]
    return together(found)


def _weights(suite: Suite, name: str) -> Citations:
    """Where nobody has given keys, the words of the citation stand in what was used."""
    weight = suite.weight(name)
    return {f"weights {name}" + ("" if weight.cites else f" ({weight.citation})"): list(weight.cites)}
