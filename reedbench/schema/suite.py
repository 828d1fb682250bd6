"""The suite: all benchmark files of a working directory, checked against each other."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from reedbench.core import io, paths, plugins
from reedbench.core.errors import ConfigError, Problem, unknown
from reedbench.core.frozen import Frozen
from reedbench.schema import benchmark as models
from reedbench.schema import encoder_names, paper, rounds
from reedbench.schema import weights as pinned
from reedbench.schema.checks import check_benchmark, check_pins, check_shared_names, check_shared_steps
from reedbench.schema.loading import Document
from reedbench.schema.problems import MUST_BE, blamed, explain, read_as
from reedbench.schema.teachers import check_teachers
from reedbench.schema.weights import Weight


class SuiteConfig(Frozen):
    """config/config.yaml: where benchmarks lie and how steps run."""

    benchmarks: str = "config/benchmarks"
    """Folder of benchmark files; <name>.yaml is benchmark <name>."""
    weights: str = paths.PINS
    """File of the weights from outside that benchmarks may name; there need be none under this name."""
    launcher: Literal["inline", "local", "slurm"] = "inline"
    """Where heavy steps run: in the process that Snakemake starts, in one of its own on this machine (GPUs are dealt
    out), or as Slurm jobs. `--profile slurm` sets it; results do not depend on it."""


class Suite:
    """Benchmarks by name, and the datasets, encoders and captioners that they share."""

    def __init__(self, benchmarks: Mapping[str, Any], weights: Mapping[str, Weight] | None = None) -> None:
        self.benchmarks = dict(benchmarks)
        self.weights = dict(weights or {})

    def benchmark(self, name: str) -> Any:
        """The benchmark called `name`.

        Raises:
            ConfigError: there is none.
        """
        if name not in self.benchmarks:
            raise ConfigError(unknown("benchmark", name, self.benchmarks))
        return self.benchmarks[name]

    def weight(self, name: str) -> Weight:
        """The pinned weights called `name`.

        Raises:
            ConfigError: there are none.
        """
        if name not in self.weights:
            raise ConfigError(unknown("weights", name, self.weights))
        return self.weights[name]

    def of_dataset(self, dataset: str) -> Iterator[Any]:
        """Benchmarks on a dataset.

        Raises:
            ConfigError: there is none.
        """
        users = [b for b in self.benchmarks.values() if b.dataset.id == dataset]
        if not users:
            raise ConfigError(unknown("dataset", dataset, {b.dataset.id for b in self.benchmarks.values()}))
        yield from users

    def dataset(self, name: str) -> Any:
        """The dataset called `name`."""
        return next(self.of_dataset(name)).dataset

    def encoder(self, dataset: str, name: str) -> Any:
        """The encoder or extractor called `name` on a dataset; `<name>.seed<k>` is the one of a training seed."""
        base, seed = encoder_names.parted(name)
        found = self._named(dataset, "encoder", base, lambda b: {**b.encoders, **b.extractors})
        if (seed is not None) != found.per_seed:
            as_it_is = f"{base}.seed0 and so on" if found.per_seed else base
            raise ConfigError(f"encoder '{name}': per_seed is {str(found.per_seed).lower()}, its name is {as_it_is}")
        return found

    def is_extractor(self, dataset: str, name: str) -> bool:
        """Whether metrics of a dataset look through it."""
        return any(name in benchmark.extractors for benchmark in self.of_dataset(dataset))

    def encoder_of(self, dataset: str, name: str, seed: int | None) -> str:
        """How the encoder `name` of a benchmark file is filed for a training seed."""
        known = self._named(dataset, "encoder", name, lambda b: {**b.encoders, **b.extractors})
        return encoder_names.filed(name, seed) if known.per_seed else name

    def read_by(self, dataset: str, name: str) -> dict[str, str]:
        """The encoders that an encoder reads: as it calls them, and as they are filed."""
        _, seed = encoder_names.parted(name)
        return {other: self.encoder_of(dataset, other, seed) for other in self.encoder(dataset, name).reads_encoders()}

    def codec(self, dataset: str, name: str) -> Any:
        """The codec that keeps encoded rows of a dataset under `name`."""
        return self._named(dataset, "codec", name, lambda b: {b.codec.filed(): b.codec} if b.codec.compresses else {})

    def captioner(self, dataset: str, name: str) -> Any:
        """The captioner called `name` on a dataset."""
        return self._named(dataset, "captioner", name, lambda b: b.captioners)

    def _named(self, dataset: str, what: str, name: str, entries: Any) -> Any:
        known: dict[str, Any] = {}
        for benchmark in self.of_dataset(dataset):
            known |= entries(benchmark)
        if name not in known:
            raise ConfigError(unknown(what, name, known))
        return known[name]


@dataclass(frozen=True)
class Reading:
    """What some benchmark files say.

    Attributes:
        benchmarks: those without a problem of their own, by name.
        documents: those that are YAML, by name.
        problems: of each file, and of files that contradict each other.
        weights: those that can be named; none if their file has problems.
    """

    benchmarks: Mapping[str, Any]
    documents: Mapping[str, Document]
    problems: Sequence[Problem]
    weights: Mapping[str, Weight]


@cache
def load(config_file: str = paths.CONFIG) -> Suite:
    """Read and check everything.

    Raises:
        ConfigError: with every problem of every file.
    """
    reading = read(benchmark_files(config_file), config_file)
    if reading.problems:
        raise ConfigError(reading.problems)
    return Suite(reading.benchmarks, reading.weights)


def benchmark_folder(config_file: str) -> Path:
    """Where the suite's benchmark files lie.

    Raises:
        ConfigError: the suite's file is faulty.
    """
    return Path(read_as(SuiteConfig, config_file).benchmarks)


def benchmark_files(config_file: str) -> dict[str, Path]:
    """Benchmark files by the name of the benchmark.

    Raises:
        ConfigError: there is none.
    """
    folder = benchmark_folder(config_file)
    files = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if not files:
        raise ConfigError([Problem(config_file, "benchmarks", f"no benchmark file (*.yaml) in {folder}/")])
    return files


def read(files: Mapping[str, Path], config_file: str) -> Reading:
    """Read benchmark files, by name, and the suite's weights; check them alone and against each other.

    Raises:
        ConfigError: a plugin is faulty.
    """
    models.model()  # a faulty plugin is no fault of the files: say so before reading them
    problems: list[Problem] = []
    loaded: dict[str, Any] = {}
    documents: dict[str, Document] = {}
    for name, file in files.items():
        if not re.fullmatch(plugins.NAME, name):
            problems.append(Problem(str(file), "", f"the file's name must be {MUST_BE['string_pattern_mismatch']}"))
        try:
            documents[name] = document = Document(file)
            loaded[name] = read_benchmark(document)
        except ConfigError as error:
            problems += error.problems or [Problem(str(file), "", str(error))]
    problems += check_shared_names(loaded, documents) + check_shared_steps(loaded, documents)
    problems += check_teachers(loaded, documents)
    weights: dict[str, Weight] = {}
    try:
        weights = _weights(config_file)
        problems += check_pins(loaded, documents, weights)
    except ConfigError as error:  # names that it has are then not said to be unknown
        problems += error.problems
    return Reading(loaded, documents, problems, weights)


def _weights(config_file: str) -> dict[str, Weight]:
    """The suite's weights; none where nobody says that there is a file of them."""
    config = read_as(SuiteConfig, config_file)
    said = "weights" in config.model_fields_set
    return pinned.read(config.weights) if said or Path(config.weights).exists() else {}


def read_benchmark(document: Document) -> Any:
    """One benchmark file as a model.

    Raises:
        ConfigError: with every problem of the file.
    """
    unresolved = rounds.resolve(document, "methods")
    problems = document.problems + unresolved
    with blamed(document):
        try:
            benchmark = models.model().model_validate(document.values)
        except ValidationError as error:
            raise ConfigError(problems + explain(error, models.model(), document)) from error
        if not unresolved:  # a method that was left out would be reported again wherever it is named
            problems += check_benchmark(benchmark, document)
    if problems:
        raise ConfigError(problems)
    return benchmark


def schema_texts() -> dict[str, str]:
    """The JSON Schemas as they are checked in, by file: of every kind of YAML file in config/."""
    own = {**SuiteConfig.model_json_schema(), "$schema": models.DIALECT, "title": "reedbench suite"}
    found = {paths.SCHEMA: models.json_schema(), paths.SUITE_SCHEMA: own, paths.PINS_SCHEMA: pinned.json_schema()}
    found[paths.PAPER_SCHEMA] = paper.json_schema()
    return {file: io.canonical_json(schema) for file, schema in found.items()}
