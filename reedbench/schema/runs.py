"""What the suite asks for as values, resolved once and handed down whole: a benchmark, a run of it, a cell of a run.

`benchmark`, `of` and `cell` build them and refuse names that the configuration does not have. Who holds one knows its
settings, keys and files, and asks the suite for nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reedbench.core import paths, pins, stores
from reedbench.core.errors import ConfigError, unknown
from reedbench.domains.rows import TRAIN
from reedbench.schema import pool_names, settings
from reedbench.schema.benchmark import Resources, Training
from reedbench.schema.cells import Cell, Checkpoint
from reedbench.schema.course import Course, course_of, drawn_at, shared_course
from reedbench.schema.scoring import Scoring
from reedbench.schema.settings import Settings
from reedbench.schema.suite import Suite
from reedbench.schema.versions import VERSIONS


@dataclass(frozen=True)
class Benchmark:
    """A benchmark of a suite: what all its runs share."""

    suite: Suite = field(repr=False)
    name: str
    spec: Any = field(repr=False, compare=False)
    """What its file says."""

    @property
    def dataset(self) -> str:
        """Name of its dataset."""
        return str(self.spec.dataset.id)

    @property
    def data(self) -> str:
        """Folder of its dataset."""
        return paths.data(self.dataset)

    @property
    def data_key(self) -> str:
        """Under which its dataset must have been prepared."""
        return settings.key(settings.dataset(self.suite, self.dataset))

    @property
    def latents(self) -> str | None:
        """Folder of its training rows as its codec keeps them, if it does."""
        codec = self.spec.codec
        return paths.latents(self.dataset, codec.filed()) if codec.compresses else None

    @property
    def latents_key(self) -> str:
        """Under which its training rows must have been compressed."""
        return settings.key(settings.latents(self.suite, self.dataset, self.spec.codec.filed()))

    def encoder_key(self, filed: str) -> str:
        """Under which an encoder or extractor must have been made."""
        return settings.key(settings.encoder(self.suite, self.dataset, filed))

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of the table and of every ablation, each once, in file order."""
        wanted = set(self.spec.table).union(*(a.methods for a in self.spec.ablations.values()))
        return tuple(name for name in self.spec.methods if name in wanted)

    def shown(self, ablation: str | None = None) -> tuple[str, ...]:
        """Methods of the table, or of an ablation.

        Raises:
            ConfigError: there is no such ablation.
        """
        if ablation is None:
            return tuple(self.spec.table)
        if ablation not in self.spec.ablations:
            raise ConfigError(unknown("ablation", ablation, self.spec.ablations))
        return tuple(self.spec.ablations[ablation].methods)

    def run(self, method: str, seed: int) -> "Run":
        """A run, of any seed.

        Raises:
            ConfigError: there is no such method.
        """
        if method not in self.spec.methods:
            raise ConfigError(unknown("method", method, self.spec.methods))
        return self._known.setdefault((method, seed), Run(self, method, seed))

    @cached_property
    def _known(self) -> "dict[tuple[str, int], Run]":
        """Runs that were asked for, with their keys: each of a chain of rounds asks for that of the one before."""
        return {}

    def runs(self, methods: Iterable[str]) -> Iterator["Run"]:
        """Runs of some methods under every seed, in table order."""
        return (self.run(m, k) for m in methods for k in self.spec.seeds)

    def cells(self, methods: Iterable[str]) -> list[Cell]:
        """Cells of some methods, in table order: by method, seed, step and sampler."""
        steps = ((run, step) for run in self.runs(methods) for step in run.course.evaluated)
        return [run.cell(step, s) for run, step in steps for s in self.spec.samplers if step in run.drawn_at(s)]

    def cell(self, method: str, seed: int, step: int, sampler: str) -> Cell:
        """A cell.

        Raises:
            ConfigError: there is no such method or sampler.
        """
        return self.run(method, seed).cell(step, sampler)

    @cached_property
    def course(self) -> Course:
        """How the runs are cut that are trained here."""
        return shared_course(self.spec)

    def resources(self, step: str) -> Resources:
        """Resources of a step; training and sampling get at least the threads of the recipe."""
        given: Resources = self.spec.resources.get(step, Resources())
        threads = self.spec.train.threads if step in ("train", "sample") else 1
        return given.model_copy(update={"cpus": max(given.cpus, threads)})

    @property
    def repeats(self) -> int:
        """Samples of each thing that is asked for."""
        return int(self.spec.sampling.streams) if self.spec.codec.repeats else 1

    def sampling(self, sampler: str) -> Settings:
        """Settings of `sample` with a sampler, beside the weights.

        Raises:
            ConfigError: there is no such sampler.
        """
        codec, asked, drawer = self.spec.codec, self.spec.sampling, self.drawer(sampler)
        conditions = {"count": asked.count, **({"streams": asked.streams} if codec.repeats else {})}
        return {
            "step": VERSIONS["sample"],
            "sampler": drawer.identity(),
            **({"rows": TRAIN} if pool_names.of_training(sampler) else conditions),
            **({"batch": asked.batch} if drawer.couples else {}),
            "codec": settings.identity(self.suite, codec),
            **self.unusual,
        }

    def drawer(self, sampler: str) -> Any:
        """Settings of a sampler, by its name or by that under which it draws for the training rows.

        Raises:
            ConfigError: there is no such sampler.
        """
        name = pool_names.drawing(sampler)
        if name not in self.spec.samplers or (name != sampler and self.spec.codec.pools_by != "rows"):
            raise ConfigError(unknown("sampler", sampler, self.spec.samplers))
        return self.spec.samplers[name]

    @property
    def unusual(self) -> Settings:
        """In which precision networks sample, and for which classes, where these are not the neutral ones."""
        neutral = {"precision": "fp32", "labels": "balanced"}
        return {name: value for name in neutral if (value := getattr(self.spec.sampling, name)) != neutral[name]}

    @cached_property
    def scoring(self) -> Scoring:
        """How its cells are scored."""
        return Scoring(self.suite, self.dataset, self.spec, self.repeats)

    @property
    def weights(self) -> list[str]:
        """Names of all pinned weights that its file asks for."""
        spec = self.spec
        sections = (spec.captioners, spec.encoders, spec.extractors, spec.folders, spec.methods)
        return pins.names(spec.codec, *(plugin for section in sections for plugin in section.values()))


@dataclass(frozen=True)
class Run:
    """A method of a benchmark, trained under a seed."""

    benchmark: Benchmark
    method: str
    seed: int

    @property
    def names(self) -> tuple[str, str, int]:
        """Benchmark, method and seed, as functions of `core.paths` and `schema.words` take them."""
        return self.benchmark.name, self.method, self.seed

    @property
    def title(self) -> str:
        """`digits/reed/seed0`."""
        return f"{self.benchmark.name}/{self.method}/seed{self.seed}"

    @property
    def objective(self) -> Any:
        """The method's settings."""
        return self.benchmark.spec.methods[self.method]

    @property
    def trained(self) -> bool:
        """Whether it is trained here; else its weights are those of a checkpoint from outside."""
        return self.objective.own_step() is None

    @property
    def course(self) -> Course:
        """How it is cut."""
        return course_of(self.benchmark.spec, self.objective)

    def drawn_at(self, sampler: str) -> tuple[int, ...]:
        """Evaluated steps at which a sampler draws."""
        return drawn_at(self.benchmark.spec, self.objective, sampler)

    @property
    def training(self) -> Training:
        """How it is trained: as its benchmark says, and its method in place of that."""
        found: Training = self.objective.own_training(self.benchmark.spec.train)
        return found

    @property
    def teacher(self) -> Checkpoint | None:
        """The weights from which it starts, or which its loss asks: of the same seed."""
        if (said := self.objective.taught_by()) is None:
            return None
        own = benchmark(self.benchmark.suite, said.benchmark) if said.benchmark else self.benchmark
        return Checkpoint(own.run(said.method, self.seed), said.step)

    @property
    def pool(self) -> Cell | None:
        """The samples of its teacher that its loss sets against data."""
        said, teacher = self.objective.pooled(), self.teacher
        if said is None or teacher is None:
            return None
        by_rows = teacher.run.benchmark.spec.codec.pools_by == "rows"
        return teacher.run.cell(teacher.step, pool_names.named(said.sampler) if by_rows else said.sampler)

    @property
    def lineage(self) -> list[Checkpoint]:
        """Its teacher, that one's teacher, and so on: the first one of them comes first."""
        teacher = self.teacher
        return [] if teacher is None else [*teacher.run.lineage, teacher]

    @property
    def shown_by(self) -> str:
        """The sampler whose samples figures show: the first of those that draw from it at most steps."""
        samplers: list[str] = list(self.benchmark.spec.samplers)
        return max(samplers, key=lambda sampler: len(self.drawn_at(sampler)))

    @property
    def resources(self) -> Resources:
        """Of the step that makes its weights: one process without a GPU where these come from outside."""
        asked = self.benchmark.resources("train")
        return asked if self.trained else asked.model_copy(update={"gpus": 0, "nodes": 1, "tasks_per_node": 1})

    @property
    def latents(self) -> str | None:
        """Folder of the training rows that it reads, where the codec keeps them."""
        return self.benchmark.latents if self.trained else None

    @property
    def pinned(self) -> list[str]:
        """Cards of the pinned weights that its method names."""
        return settings.pinned(self.objective)

    @property
    def encoders(self) -> dict[str, str]:
        """The encoders that it asks: as its method calls them, and as they are filed."""
        return self._filed(self.objective.encoders())

    @property
    def cached(self) -> dict[str, str]:
        """Those of them whose representations are made before training and kept."""
        targets = self._filed(self.objective.targets())
        return {name: filed for name, filed in targets.items() if not self._encoder(filed).is_online}

    @property
    def online(self) -> dict[str, str]:
        """Those of them that training asks about its rows in every step."""
        targets = self._filed(self.objective.targets())
        return {name: filed for name, filed in targets.items() if self._encoder(filed).is_online}

    @property
    def judges(self) -> dict[str, str]:
        """Those of them that training asks about samples, and of which it needs the weights alone."""
        return self._filed(self.objective.judges())

    def _filed(self, names: Iterable[str]) -> dict[str, str]:
        suite, dataset = self.benchmark.suite, self.benchmark.dataset
        return {name: suite.encoder_of(dataset, name, self.seed) for name in names}

    def _encoder(self, filed: str) -> Any:
        return self.benchmark.suite.encoder(self.benchmark.dataset, filed)

    @property
    def recipe(self) -> Settings:
        """Exactly what changes its weights: not its name, length, grid, evaluation, resources or labels.

        Made anew each time: a workflow that plans thousands of runs keeps their keys alone.
        """
        suite, dataset, spec = self.benchmark.suite, self.benchmark.dataset, self.benchmark.spec
        always = {
            "step": VERSIONS["train"],
            "backbone": spec.backbone.identity(),
            "objective": settings.identity(suite, self.objective),
        }
        if not self.trained:  # data and seed change nothing in weights from outside
            return always
        teacher, pool = self.teacher, self.pool
        taught = {} if teacher is None else {"teacher": {"recipe": teacher.run.key, "step": teacher.step}}
        return {
            **always,
            **taught,
            **({} if pool is None else {"pool": pool.sampling}),
            "seed": self.seed,
            "dataset": settings.dataset(suite, dataset),
            "codec": settings.codec(suite, spec.codec),
            "encoders": {name: settings.encoder(suite, dataset, filed) for name, filed in self.encoders.items()},
            "train": self.training.identity(),
        }

    @cached_property
    def key(self) -> str:
        """Twelve digits that name its recipe."""
        return settings.key(self.recipe)

    @property
    def folder(self) -> str:
        """Where its recipe and segments lie."""
        return paths.run(*self.names)

    @property
    def recipe_file(self) -> str:
        """Where its recipe is written."""
        return paths.recipe(*self.names)

    @property
    def store(self) -> stores.Folder:
        """Where its training keeps its state."""
        return stores.Folder(paths.store(*self.names, self.key))

    def segment(self, i: int) -> str:
        """Folder of a segment."""
        return paths.segment(*self.names, i)

    def receipt(self, i: int) -> str:
        """What says that a segment is done."""
        return paths.receipt(*self.names, i)

    @property
    def receipts(self) -> list[str]:
        """Receipts of all its segments."""
        return [self.receipt(i) for i in range(self.course.segments)]

    @property
    def curves(self) -> list[str]:
        """Curves of all its segments; none of weights from outside."""
        if not self.trained:
            return []
        return [f"{self.segment(i)}/curve.csv" for i in range(self.course.segments)]

    def cell(self, step: int, sampler: str) -> Cell:
        """A cell of the run.

        Raises:
            ConfigError: there is no such sampler.
        """
        self.benchmark.drawer(sampler)
        return Cell(self, step, sampler)


def benchmark(suite: Suite, b: str) -> Benchmark:
    """A benchmark of a suite.

    Raises:
        ConfigError: there is none of this name.
    """
    return Benchmark(suite, b, suite.benchmark(b))


def of(suite: Suite, b: str, m: str, k: int) -> Run:
    """A run: benchmark, method and seed.

    Raises:
        ConfigError: there is no such benchmark or method.
    """
    return benchmark(suite, b).run(m, k)


def cell(suite: Suite, b: str, m: str, k: int, step: int, s: str) -> Cell:
    """A cell: a run, a step and a sampler.

    Raises:
        ConfigError: there is no such benchmark, method or sampler.
    """
    return benchmark(suite, b).cell(m, k, step, s)


def first_on(suite: Suite, dataset: str) -> Benchmark:
    """The first benchmark on a dataset: its resources serve the steps that several benchmarks share."""
    return next(benchmark(suite, b) for b, spec in suite.benchmarks.items() if spec.dataset.id == dataset)
