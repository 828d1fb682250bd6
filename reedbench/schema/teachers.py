"""Runs that methods name as teachers: there, trained to that step, on the same data, and in no circle."""

from collections.abc import Iterator, Mapping
from typing import Any

from reedbench.core.errors import Problem, unknown
from reedbench.schema.course import course_of, drawn_at
from reedbench.schema.loading import Document, Key

Finding = tuple[Key, str]
Place = tuple[str, str]  # benchmark and method


def check_teachers(benchmarks: Mapping[str, Any], documents: Mapping[str, Document]) -> list[Problem]:
    """All problems of what methods name; those of benchmarks that have problems of their own are not judged."""
    problems: list[Problem] = []
    for b, benchmark in benchmarks.items():
        for m, method in benchmark.methods.items():
            if method.taught_by() is not None:
                found = _findings(benchmarks, documents, (b, m))
                problems += [documents[b].problem(("methods", m, *key), message) for key, message in found]
    return problems


def _named(benchmarks: Mapping[str, Any], place: Place) -> Place | None:
    """Where a method's teacher is."""
    b, m = place
    if b not in benchmarks or m not in benchmarks[b].methods:
        return None
    said = benchmarks[b].methods[m].taught_by()
    return None if said is None else (said.benchmark or b, said.method)


def _findings(benchmarks: Mapping[str, Any], documents: Mapping[str, Document], place: Place) -> Iterator[Finding]:
    own, said = benchmarks[place[0]], benchmarks[place[0]].methods[place[1]].taught_by()
    b, m = said.benchmark or place[0], said.method
    if b not in benchmarks:
        if b not in documents:  # else it has problems of its own, which are said
            yield ("teacher", "benchmark"), unknown("benchmark", b, benchmarks)
        return
    if said.benchmark == place[0]:
        yield ("teacher", "benchmark"), "is the benchmark itself: leave it out"
    there = benchmarks[b]
    if m not in there.methods:
        yield ("teacher", "method"), unknown("method", m, there.methods)
        return
    if (circle := _circle(benchmarks, place)) is not None:
        yield ("teacher",), f"goes round in a circle: {' -> '.join(circle)}"
        return
    if there.dataset.id != own.dataset.id:
        yield (
            ("teacher",),
            f"{said.place} is trained on dataset {there.dataset.id}, and this method on {own.dataset.id}",
        )
    elif there.codec.recipe() != own.codec.recipe():
        yield ("teacher",), f"{said.place} is trained behind another codec; make codec: equal in both benchmarks"
    elif (why := _off(there, there.methods[m], said)) is not None:
        yield ("teacher", "step"), why
    else:
        method = benchmarks[place[0]].methods[place[1]]
        yield from _unfit(own, there, method, there.methods[m])
        if (pool := method.pooled()) is not None:
            if why := _undrawn(there, there.methods[m], said, pool.sampler):
                yield ("pool", "sampler"), why
            elif why := method.unpooled(there.samplers[pool.sampler]):
                yield ("pool", "sampler"), f"{pool.sampler} {why}"


def _circle(benchmarks: Mapping[str, Any], place: Place) -> list[str] | None:
    """The way from a method back to itself over teachers; none for one that merely leads into a circle of others."""
    way, here = [place], _named(benchmarks, place)
    while here is not None and here not in way:
        way.append(here)
        here = _named(benchmarks, here)
    if here != place:
        return None
    several = len({b for b, _ in way}) > 1
    return [f"{b}/{m}" if several else m for b, m in [*way, place]]


def _off(there: Any, teacher: Any, said: Any) -> str | None:
    """Why it has no weights of the step."""
    own, course = teacher.own_step(), course_of(there, teacher)
    if own is not None:
        return None if said.step == own else f"{said.place} is imported: there are weights of step {own} alone"
    if said.step > course.total:
        how = "evaluate it there" if teacher.length() is None else "take one of these, or raise its `steps`"
        return f"{said.place} is trained {course.total} steps, and step {said.step} is asked for; {how}"
    if not course.saves(said.step):
        every = f"train.save_every ({there.train.save_every})"
        return f"step {said.step} is off the grid of {said.place}, whose weights are saved at multiples of {every}"
    return None


def _undrawn(there: Any, teacher: Any, said: Any, sampler: str) -> str | None:
    """Why there are no samples of a teacher at its step by a sampler of its benchmark."""
    if sampler not in there.samplers:
        return unknown("sampler", sampler, there.samplers)
    if said.step in (steps := drawn_at(there, teacher, sampler)):
        return None
    drawing = [name for name in there.samplers if said.step in drawn_at(there, teacher, name)]
    how = f"take {' or '.join(drawing)}" if drawing else "evaluate it there, or take another step"
    if not steps:
        return f"{sampler} does not draw from {said.place}: {how}"
    at = f"step{'s' * (len(steps) > 1)} {', '.join(map(str, steps))}"
    return f"{sampler} draws from {said.place} at {at}, and not at the teacher's step {said.step}: {how}"


def _unfit(own: Any, there: Any, method: Any, teacher: Any) -> Iterator[Finding]:
    if teacher.domain != method.domain:
        return  # is said of the method that is of another domain than the data
    if method.init == "teacher" and there.backbone.identity() != own.backbone.identity():
        one, other = there.backbone.name(), own.backbone.name()
        how = f"{one} and {other}" if one != other else f"{one}, with other settings"
        yield ("init",), f"teacher: student and teacher must have one backbone, and have {how}"
    elif (why := method.untaught(teacher)) is not None:
        yield ("teacher",), why
