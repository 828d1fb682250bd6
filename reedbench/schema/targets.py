"""What Snakemake can be asked for, and what a target that it cannot make was meant to be."""

import difflib
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reedbench.core import io, paths
from reedbench.core.errors import ConfigError
from reedbench.schema import encoder_names, papers, pool_names, reports, runs, versions
from reedbench.schema.course import Course
from reedbench.schema.runs import Benchmark
from reedbench.schema.suite import Suite

FIGURES = (".pdf", ".svg", ".png", ".csv")
SHOWN = 8  # allowed names that a message repeats
CLOSE = 0.6  # least similarity of what is offered as what was meant
LIST = "reedbench list targets"


@dataclass(frozen=True)
class Pattern:
    """Files that differ in numbers alone: `results/runs/digits/sit/seed{k}/segment-{i}.json`.

    Attributes:
        text: the path, with `{k}` for a seed, `{step}` for a training step and `{i}` for a segment.
        benchmark: whose seeds are meant.
        course: whose steps and segments are meant.
    """

    text: str
    benchmark: Benchmark | None = None
    course: Course | None = None

    @property
    def parts(self) -> list[str]:
        """Names along the path."""
        return self.text.split("/")

    def fits(self, part: int, name: str) -> bool:
        """Whether `name` can stand at this place: any seed, and steps and segments that there can be."""
        wanted = self.parts[part]
        if "{" not in wanted:
            return name == wanted
        found = re.fullmatch(re.sub(r"\\{\w+\\}", r"(\\d+)", re.escape(wanted)), name)
        if found is None or self.course is None or "{k}" in wanted:
            return found is not None
        number = int(found[1])
        if "{i}" in wanted:
            return self.course.has(number)
        return name == paths.step_name(number) and self.course.saves(number)

    def examples(self, part: int) -> list[str]:
        """What stands at this place in the benchmark's own tables."""
        wanted = self.parts[part]
        if self.benchmark is None or "{" not in wanted:
            return [wanted]
        numbers: dict[str, Iterable[int]] = {"{k}": self.benchmark.spec.seeds}
        if self.course is not None:
            numbers["{i}"] = range(self.course.segments)
            if "{step}" in wanted:
                return [paths.step_name(step) for step in self.course.evaluated]
        place = next(name for name in numbers if name in wanted)
        return [wanted.replace(place, str(number)) for number in numbers[place]]

    def expanded(self) -> Iterator[str]:
        """The files of the benchmark's own tables."""
        choices = [self.examples(place) for place in range(len(self.parts))]
        yield from map("/".join, itertools.product(*choices))


def patterns(suite: Suite) -> Iterator[Pattern]:
    """Every kind of file that some rule makes: what people ask for first, then what that is made of."""
    benchmarks = {b: runs.benchmark(suite, b) for b in suite.benchmarks}
    for benchmark in benchmarks.values():
        yield from _reports(benchmark, tuple(benchmark.spec.ablations), paths.table, paths.ablation, paths.figure)
    for b in cached(suite):
        made = (paths.cached_table, paths.cached_ablation, paths.cached_figure)
        yield from _reports(benchmarks[b], cached_ablations(b), *made)
    for b, benchmark in benchmarks.items():
        yield Pattern(paths.floor(b))
        for m in benchmark.spec.methods:
            run = benchmark.run(m, benchmark.spec.seeds[0])
            course = run.course
            for s in benchmark.spec.samplers:
                if not (steps := run.drawn_at(s)):
                    continue
                drawn = replace(course, evaluated=steps)
                yield Pattern(paths.metrics(b, m, "{k}", "{step}", s), benchmark, drawn)
                yield Pattern(paths.samples(b, m, "{k}", "{step}", s), benchmark, drawn)
                if benchmark.spec.codec.pools_by == "rows":
                    yield Pattern(paths.samples(b, m, "{k}", "{step}", pool_names.named(s)), benchmark, drawn)
            yield Pattern(paths.run_card(b, m, "{k}"), benchmark)
            yield Pattern(paths.receipt(b, m, "{k}", "{i}"), benchmark, course)
            yield Pattern(paths.segment(b, m, "{k}", "{i}"), benchmark, course)
    yield from map(Pattern, papers.outputs())
    for name in suite.weights:
        yield from map(Pattern, (paths.card(paths.pinned(name)), paths.pinned_files(name)))
    shared = (pattern for benchmark in benchmarks.values() for pattern in _of_dataset(benchmark))
    yield from {pattern.text: pattern for pattern in shared}.values()


def _reports(
    benchmark: Benchmark, ablations: Sequence[str], table: Any, ablation: Any, figure: Any
) -> Iterator[Pattern]:
    """Tables and figures of a benchmark and of its ablations, where these functions file them."""
    b = benchmark.name
    for file in (table(b), *(ablation(b, a) for a in ablations)):
        yield from map(Pattern, [file, *paths.siblings(file, ".md", ".tex")])
    for a in (None, *ablations):
        for name, end in itertools.product(reports.figures(benchmark, a), FIGURES):
            yield Pattern(figure(b, name, end, a))


def _of_dataset(benchmark: Benchmark) -> Iterator[Pattern]:
    """Files that a benchmark shares with others on its dataset."""
    d, folder, spec = benchmark.dataset, benchmark.data, benchmark.spec
    files = [paths.index(folder), paths.manifest(folder), paths.shards(folder)]
    files += [paths.captions(d, name) for name in spec.captioners]
    if benchmark.latents is not None:
        files += [paths.index(benchmark.latents), paths.shards(benchmark.latents)]
    for name, encoder in {**spec.encoders, **spec.extractors}.items():
        filed = encoder_names.filed(name, "{k}") if encoder.per_seed else name
        if encoder.pretrained:
            files += [paths.weights(paths.encoder(d, filed)), paths.card(paths.encoder(d, filed))]
        if name in spec.encoders and not encoder.is_online:
            folder = paths.representation(d, filed)
            files += [paths.index(folder), paths.shards(folder)]
    files += [paths.statistics(d, name) for name in spec.extractors]
    yield from (Pattern(file, benchmark) for file in files)


def cached(suite: Suite) -> list[str]:
    """Benchmarks whose numbers are committed."""
    return [b for b in suite.benchmarks if Path(paths.cache_record(b)).exists()]


def cached_ablations(b: str) -> list[str]:
    """Ablations whose cells are all in the committed cache.

    Raises:
        MissingArtefact: the record of the cache is damaged.
    """
    cure = f"restore it, or run: reedbench cache export {b}"
    return list(io.read_object(paths.cache_record(b), {"ablations": list}, cure=cure)["ablations"])


def check(suite: Suite, targets: Collection[str], rules: Mapping[str, bool]) -> None:
    """Refuse targets that no rule makes, before any job runs.

    Args:
        suite: the suite.
        targets: files and names of rules, as on Snakemake's command line.
        rules: names of rules and files that the workflow spells out, and whether that is a rule with wildcards, which
            can be asked for by its files only.

    Raises:
        ConfigError: with every such target, our guess of what was meant, and what there is.
    """
    asked = [target for target in targets if rules.get(target, True)]
    if not asked:
        return
    known, single = list(patterns(suite)), [rule for rule, has_wildcards in rules.items() if not has_wildcards]
    faults = []
    for target in asked:
        if target in rules:
            faults.append(f"{target}: is a rule that makes many files; ask for one of them")
        elif (fault := _fault(suite, target, known, single)) is not None:
            faults.append(fault)
    if faults:
        raise ConfigError("\n".join([*faults, f"What can be asked for: {LIST}"]))


def fault(suite: Suite, file: str) -> str | None:
    """What is wrong with a file that no rule makes, and what was meant; None where one does."""
    return _fault(suite, file, list(patterns(suite)), [])


def _fault(suite: Suite, target: str, known: list[Pattern], rules: Collection[str]) -> str | None:
    asked = target.removeprefix(f"{Path.cwd()}/").removeprefix("./").rstrip("/").split("/")
    if _near(asked[0], [paths.RESULTS]) is None:
        return f"{target}: no such target{_meant(_by_last_name(suite, target, known, rules))}"
    guess: list[str] = []
    first = ""  # what is said of the first name that is wrong
    for place, name in enumerate(asked):
        known = [pattern for pattern in known if len(pattern.parts) > place]
        fitting = [pattern for pattern in known if pattern.fits(place, name)]
        if not fitting:
            names = list(dict.fromkeys(n for pattern in known for n in pattern.examples(place)))
            first = first or _wrong(suite, asked, place, names)
            if (near := _near(name, names)) is None or Path(name).stem in versions.FIGURES:
                return f"{target}: {first}"
            name = near
            fitting = [pattern for pattern in known if pattern.fits(place, name)]
        guess.append(name)
        known = fitting
    if not any(len(pattern.parts) == len(asked) for pattern in known):
        inside = list(dict.fromkeys(n for p in known if len(p.parts) > len(asked) for n in p.examples(len(asked))))
        return f"{target}: {first or f'is a folder of targets; ask for one of them ({_some(inside)})'}"
    meant = "/".join(guess)
    return None if meant == target else f"{target}: {first or 'is not how a target is written'}{_meant([meant])}"


def _wrong(suite: Suite, asked: list[str], place: int, names: list[str]) -> str:
    """What is said of the first name along a path that leads nowhere."""
    name, benchmark = asked[place], asked[2] if len(asked) > 2 else ""
    same = [other for other in names if Path(other).suffix == Path(name).suffix]
    if Path(name).stem in versions.FIGURES and same:
        return f"benchmark {benchmark} has no such figure (it has {_some(same)})"
    if asked[1:2] == ["from-cache"] and place == 2 and name in suite.benchmarks:
        return f"benchmark {name} has no committed numbers: `reedbench cache export {name}` writes them once it has run"
    known = suite.benchmarks[benchmark].methods if benchmark in suite.benchmarks else {}
    method = known.get(asked[3] if len(asked) > 3 else "")
    if name.startswith("step-") and known and (method is None or method.own_step() is None):
        every = suite.benchmark(benchmark).train.save_every
        return (
            f"no weights at '{name}': steps have seven digits and are multiples of train.save_every ({every}), as in "
            f"{_some(names)}"
        )
    return (
        f"there is no '{name}' here (there is {_some(same or names)})"
        if names
        else f"'{asked[place - 1]}' is no folder"
    )


def _near(name: str, names: list[str]) -> str | None:
    """The name that was meant: the same number, or the most similar text."""
    if found := re.fullmatch(r"step-?_?0*(\d+)", name):
        same = [other for other in names if other == paths.step_name(int(found[1]))]
        return same[0] if same else None
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=CLOSE)), None)


def _by_last_name(suite: Suite, target: str, known: list[Pattern], rules: Collection[str]) -> list[str]:
    """Rules and files that may be meant by a name without its folders."""
    if target in suite.benchmarks:
        return [paths.table(target)]
    if (whole := f"{paths.RESULTS}/{target}") in {pattern.text for pattern in known}:
        return [whole]
    by_name: dict[str, list[str]] = {rule: [rule] for rule in rules}
    for pattern in known:
        if "{" not in pattern.text:
            by_name.setdefault(pattern.parts[-1], []).append(pattern.text)
    by_name |= {Path(name).stem: files for name, files in by_name.items() if Path(name).stem not in by_name}
    near = difflib.get_close_matches(target.rsplit("/", 1)[-1], by_name, n=1, cutoff=CLOSE)
    folders = target.split("/")[:-1]
    found = [file for name in near for file in by_name[name]]
    return [file for file in found if all(part in file.split("/") for part in folders)] or found


def _meant(guesses: list[str]) -> str:
    return f"; did you mean {' or '.join(guesses[:3])}?" if guesses else ""


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
