"""What a benchmark will take, before it is run: device-hours and disk, from shapes alone.

What nothing tells yet is said to be unknown, and a sum over it is `at least`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.domains.rows import SPARE, TEST, TRAIN
from reedbench.schema import fitting, lineage, planning
from reedbench.schema.cells import Cell
from reedbench.schema.fitting import Shapes
from reedbench.schema.runs import Benchmark, Run
from reedbench.training import outline
from reedbench.training.checkpoint import KEPT_WHILE_TRAINING

HALF, FULL, COUNT = 2, 4, 8  # bytes of a number: in representations, in weights, of a label
CLASSES = 1  # where nobody knows yet: looking up a label is no operation


@dataclass(frozen=True)
class Amount:
    """A sum of which a part may not be known."""

    known: float = 0.0
    complete: bool = True

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.known + other.known, self.complete and other.complete)

    def times(self, factor: float) -> "Amount":
        """So many of it."""
        return Amount(self.known * factor, self.complete)

    def said(self, words: Callable[[float], str]) -> str:
        """In words: `unknown`, or `at least` what is known."""
        if not self.known and not self.complete:
            return "unknown"
        return words(self.known) if self.complete else f"at least {words(self.known)}"


UNKNOWN = Amount(complete=False)


def added(amounts: Iterable[Amount]) -> Amount:
    """Their sum."""
    return sum(amounts, Amount())


class Outlook:
    """Floating-point operations and bytes of a benchmark's table and figures."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark, self.spec, self.suite = benchmark, benchmark.spec, benchmark.suite
        self.facts = fitting.known_facts(benchmark)
        self.shapes = fitting.known_shapes(benchmark, self.facts)
        # With some width where it is not known: that of a target decides the size of a projector's last layer alone.
        self.sketched = fitting.known_shapes(benchmark, self.facts, stand_ins=True)
        self._others: dict[str, Outlook] = {}
        self._sizes: dict[str, outline.Sizes | None] = {}
        self._learners: dict[str, Any] = {}  # those that have phases
        self._priced: dict[str, dict[int, float] | None] = {}
        self._evaluated: dict[str, Amount] = {}

    @cached_property
    def rows(self) -> int | None:
        """Of the training split."""
        return dict(self.facts).get("splits", {}).get(TRAIN)

    @cached_property
    def shape(self) -> tuple[int, ...] | None:
        """Of what the backbone models, where all rows have one."""
        try:
            shape = self.spec.codec.shape(self.facts)
        except (fitting.Untold, ConfigError):
            return None
        return None if min(shape) < 0 else tuple(shape)

    @cached_property
    def wanted(self) -> dict[Run, int]:
        """Runs of the table and those that they learn from, with the segments that are wanted of each."""
        return lineage.with_teachers(self.benchmark.runs(self.benchmark.shown()))

    @cached_property
    def _cells(self) -> list[Cell]:
        """Of the table, and those whose samples its runs learn from."""
        cells = self.benchmark.cells(self.benchmark.shown())
        return list(dict.fromkeys([*cells, *lineage.pools(self.wanted)]))

    @cached_property
    def runs(self) -> list[Run]:
        """Those of them that are trained."""
        return [run for run in self.wanted if run.trained]

    def _at(self, run: Run) -> "Outlook":
        """The outlook that knows a run's backbone: its own benchmark's."""
        if run.benchmark == self.benchmark:
            return self
        return self._others.setdefault(run.benchmark.name, Outlook(run.benchmark))

    @cached_property
    def methods(self) -> list[str]:
        """Of the runs, as far as they are its own."""
        return list(dict.fromkeys(run.method for run in self.runs if run.benchmark == self.benchmark))

    @cached_property
    def _backbone_facts(self) -> Mapping[str, Any]:
        return fitting.Facts({"classes": CLASSES, **self.facts})

    @property
    def stand_ins(self) -> list[str]:
        """Encoders of its runs whose width is not known yet, and is taken for a small one."""
        used = dict.fromkeys(name for method in self.methods for name in self.spec.methods[method].targets())
        return [name for name in used if name in self.sketched and name not in self.shapes]

    def _known(self, method: str) -> bool:
        """Whether the width of all targets is."""
        return not set(self.stand_ins).intersection(self.spec.methods[method].targets())

    def _targets(self, objective: Any) -> Shapes | None:
        found = {name: self.sketched[name] for name in objective.targets() if name in self.sketched}
        return found if len(found) == len(objective.targets()) else None

    def _learner(self, method: str) -> tuple[Any, Shapes] | None:
        """A learner without memory and the shapes of its targets, where both are known."""
        objective = self.spec.methods[method]
        targets = self._targets(objective)
        try:
            shape = self.spec.codec.shape(self.facts)
            if targets is None:
                return None
            backbone = fitting.network(self.spec.backbone, shape, self._backbone_facts)
            return fitting.learner(objective, backbone, targets), targets
        except (fitting.Untold, fitting.NeedsValues, ConfigError, ValueError):
            return None

    def _network(self, method: str) -> Any:
        """What is sampled of a method, without memory.

        Raises:
            Untold: the shapes of the data are not known.
            NeedsValues: a network looks at its numbers.
            ConfigError: the backbone does not fit the data, or the method the backbone.
        """
        shape = self.spec.codec.shape(self.facts)
        backbone = fitting.network(self.spec.backbone, shape, self._backbone_facts)
        return fitting.sampled(self.spec.methods[method], backbone)

    def operations(self) -> dict[str, Amount]:
        """By the output that says that a job is done; jobs that are absent are not known, or light."""
        found: dict[str, Amount] = {}
        for run, segments in self.wanted.items():
            for i in range(segments):
                found[run.receipt(i)] = self._at(run).training(run, *run.course.span(i)) if run.trained else Amount()
        for cell in self._cells:
            found[cell.samples] = self._at(cell.run).drawing(cell, cell.drawer.nfe(cell.run.objective))
        for name in self._kept_encoders():
            folder = paths.representation(self.benchmark.dataset, name)
            found[paths.index(folder)] = self._times_rows(self._encoding(name))
        if self.benchmark.latents is not None:
            found[paths.index(self.benchmark.latents)] = self._times_rows(self._compressing)
        *_, encoders = planning.encoders(self.benchmark)
        return found | {paths.weights(paths.encoder(self.benchmark.dataset, n)): self._pretraining(n) for n in encoders}

    def training(self, run: Run, start: int, stop: int) -> Amount:
        """Of steps of a run of this benchmark."""
        phases = self._phases(run)
        if phases is None:
            return UNKNOWN
        total = Amount(complete=self._known(run.method))
        for begin, steps in self._learners[run.method].steps_by_phase(start, stop).items():
            asked = added(self._encoding(filed) for n, filed in run.online.items() if self._asks(run.method, n, begin))
            total += (Amount(phases[begin]) + asked.times(self.spec.train.batch)).times(steps)
        return total

    def drawing(self, cell: Cell, nfe: float | None) -> Amount:
        """Of all samples of a cell of this benchmark, given how often the network is asked for each of them.

        Nothing tells it of a sampler that asks as often as its steps turn out to need.
        """
        each = UNKNOWN if nfe is None else self._evaluation(cell.run.method).times(nfe)
        return self._times_rows(each) if cell.of_training else each.times(self.spec.sampling.count)

    def _asks(self, method: str, encoder: str, step: int) -> bool:
        """Whether the loss needs an encoder's representations at a step."""
        learner = self._learners[method]
        learner.begin(step)
        names = learner.reads()
        return names is None or encoder in names

    def _phases(self, run: Run) -> dict[int, float] | None:
        """Operations of a step of every phase; methods have the same under every seed."""
        if run.method not in self._priced:
            self._priced[run.method] = self._price(run)
        return self._priced[run.method]

    def _price(self, run: Run) -> dict[int, float] | None:
        built = None if self.shape is None else self._learner(run.method)
        if built is None or self.shape is None:
            return None
        self._learners[run.method] = built[0]
        teacher = run.teacher if run.objective.asks_teacher else None
        try:
            network = None if teacher is None else self._at(teacher.run)._network(teacher.run.method)
            return outline.phases(built[0], self.shape, built[1], run.training, network, pooled=run.pool is not None)
        except (fitting.Untold, fitting.NeedsValues, ConfigError):
            return None
        except (RuntimeError, TypeError, ValueError, KeyError):  # a loss that looks at values
            return None

    def _evaluation(self, method: str) -> Amount:
        """Of the network of a method, for one sample."""
        if method not in self._evaluated:
            self._evaluated[method] = self._evaluate(method)
        return self._evaluated[method]

    def _evaluate(self, method: str) -> Amount:
        if self.shape is None:
            return UNKNOWN
        try:
            network, companions = self._network(method), self.spec.methods[method].companions(self.shape)
            more = sum(math.prod(shape) for shape in companions.values())
            given = (math.prod(self.shape) + more,) if companions else self.shape
            return Amount(outline.evaluation(network, given))
        except (fitting.Untold, fitting.NeedsValues, ConfigError, RuntimeError, TypeError, ValueError):
            return UNKNOWN

    @property
    def _compressing(self) -> Amount:
        """Of one row."""
        counted = None if self.shape is None else self.spec.codec.compressing_flops(self.facts)
        return UNKNOWN if counted is None else Amount(counted)

    def _pretraining(self, filed: str) -> Amount:
        splits = dict(self.facts).get("splits", {})
        if TRAIN not in splits:
            return UNKNOWN
        encoder = self.suite.encoder(self.benchmark.dataset, filed)
        spare = splits.get(SPARE, 0) if self.suite.is_extractor(self.benchmark.dataset, filed) else 0
        counted = encoder.pretraining_flops(self.facts, splits[TRAIN] + spare, splits.get(TEST, 0))
        return UNKNOWN if counted is None else Amount(counted)

    def _encoding(self, filed: str) -> Amount:
        """Of one representation."""
        counted = self.suite.encoder(self.benchmark.dataset, filed).flops(self.facts)
        return UNKNOWN if counted is None else Amount(counted)

    def _kept_encoders(self) -> list[str]:
        return list(dict.fromkeys(filed for run in self.runs for filed in run.cached.values()))

    def _times_rows(self, each: Amount) -> Amount:
        return UNKNOWN if self.rows is None else each.times(self.rows)

    def disk(self) -> list[tuple[str, Amount, list[str]]]:
        """What is kept in the end, what lies where: (what, bytes, folders)."""
        benchmark, d = self.benchmark, self.benchmark.dataset
        found = [("data set", self._times_rows(self._row), [benchmark.data])]
        if benchmark.latents is not None:
            kept = self.spec.codec.kept(self.facts) if self.shape is not None else None
            each = UNKNOWN if kept is None else Amount(kept)
            found.append(("latents", self._times_rows(each), [benchmark.latents]))
        for name in self._kept_encoders():
            each = self._representation(name)
            found.append((f"representations: {name}", self._times_rows(each), [paths.representation(d, name)]))
        found += [
            ("training states, the last of each run", added(self._states()), [str(r.store.states) for r in self.runs]),
            ("weights at save points", added(self._weights()), [run.folder for run in self.runs]),
            ("samples", self._samples(), [cell.samples for cell in self._cells]),
        ]
        return found

    @property
    def _row(self) -> Amount:
        """Bytes of a row of images as it is without compression."""
        images = dict(self.facts).get("shapes", {}).get("images")
        return UNKNOWN if images is None else Amount(math.prod(images) + COUNT)

    def _representation(self, filed: str) -> Amount:
        name = next(name for run in self.runs for name, other in run.cached.items() if other == filed)
        shape = self.shapes.get(name, (-1,))
        return UNKNOWN if min(shape) < 0 else Amount(HALF * math.prod(shape))

    def _amount(self, method: str, which: str) -> Amount:
        if method not in self._sizes:
            built = self._learner(method)
            self._sizes[method] = built and outline.sizes(built[0])
        if (sizes := self._sizes[method]) is None:
            return UNKNOWN
        complete = self._known(method) and ("classes" in self.facts or self.shape is None)
        return Amount(getattr(sizes, which), complete)

    def _states(self) -> Iterator[Amount]:
        for run in self.runs:
            yield self._at(run)._amount(run.method, "state")

    def _weights(self) -> Iterator[Amount]:
        for run in self.runs:
            points = sum(len(run.course.save_points(i)) for i in range(self.wanted[run]))
            yield self._at(run)._amount(run.method, "weights").times(points)

    def _samples(self) -> Amount:
        counts = (cell.run.benchmark.spec.sampling.count for cell in self._cells)
        return self._row.times(sum(counts))

    def while_training(self) -> Amount:
        """Of the states of one run at most: those that are kept, and the one that is being written."""
        largest = max((self._at(run)._amount(run.method, "state") for run in self.runs), key=lambda one: one.known)
        return largest.times(KEPT_WHILE_TRAINING + 1)
