"""`reedbench check`: everything that can be said of the configuration before data are there."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from reedbench.core import paths, plugins
from reedbench.core.errors import ConfigError, Problem, did_you_mean, unknown
from reedbench.schema import paper, runs
from reedbench.schema import suite as suites
from reedbench.schema.fitting import check_fit
from reedbench.schema.suite import Suite

SUFFIX = ".yaml"


def inspect(config_file: str, chosen: Sequence[str] = ()) -> list[str]:
    """Lines that say what is right, and which files nobody reads.

    Args:
        config_file: the suite's file.
        chosen: benchmarks by name, or files, which may lie anywhere; all benchmarks where nothing is chosen.

    Raises:
        ConfigError: with every problem of the chosen benchmarks.
    """
    folder = suites.benchmark_folder(config_file)
    files = suites.benchmark_files(config_file)
    asked = {file.stem: file for file in (_file(name, folder, files) for name in chosen)} or files
    # The chosen ones come last: what they say differently from others is their problem.
    reading = suites.read({**{name: file for name, file in files.items() if name not in asked}, **asked}, config_file)
    suite = Suite(reading.benchmarks, reading.weights)
    others = {str(file) for file in files.values()} - {str(file) for file in asked.values()}
    problems = [problem for problem in reading.problems if problem.file not in others]
    for name in asked:
        if name in reading.benchmarks:
            problems += _fit(suite, name, reading)
    problems += [] if chosen or not Path(paths.PAPER).exists() else paper.check(paths.PAPER, suite.benchmarks, files)
    unread = [] if chosen else [*_unread_benchmarks(folder), *_unread_plugins()]
    problems += [problem for problem, is_mistake in unread if is_mistake]
    if problems:
        raise ConfigError(problems)
    notes = [f"note: {problem}" for problem, _ in unread]
    benchmarks = ((name, suite.benchmark(name)) for name in sorted(asked))
    return [*notes, *(f"{name}: ok ({len(b.methods)} methods, {len(b.seeds)} seeds)" for name, b in benchmarks)]


def _fit(suite: Suite, name: str, reading: suites.Reading) -> list[Problem]:
    try:
        return check_fit(runs.benchmark(suite, name), reading.documents[name])
    except ConfigError as error:
        return error.problems or [Problem(reading.documents[name].file, "", str(error))]


def _file(name: str, folder: Path, files: dict[str, Path]) -> Path:
    """The file that is meant by a name or a path.

    Raises:
        ConfigError: there is none.
    """
    if "/" not in name and not name.endswith(SUFFIX):
        if name not in files:
            raise ConfigError(unknown("benchmark", name, files))
        return files[name]
    file = Path(name)
    if file.is_dir() or file.suffix != SUFFIX:
        raise ConfigError(f"{name}: no benchmark file: give files that end in {SUFFIX}, or names of benchmarks")
    return folder / file.name if file.exists() and file.resolve().parent == folder.resolve() else file


Unread = Iterator[tuple[Problem, bool]]  # what is said, and whether it can only be a mistake


def _unread_benchmarks(folder: Path) -> Unread:
    for file in sorted(folder.iterdir()):
        if (file.suffix == SUFFIX and file.is_file()) or file.name.startswith("."):
            continue
        mistaken = file.suffix.lower() in (".yml", SUFFIX)
        how = f"; rename it to {file.stem}{SUFFIX}" if mistaken and file.is_file() else ""
        yield (
            Problem(str(file), "", f"is not read: benchmarks are files in {folder}/ that end in {SUFFIX}{how}"),
            mistaken,
        )


def _unread_plugins() -> Unread:
    kinds = ", ".join(plugins.KINDS)
    for folder in plugins.outside():
        for file in sorted(folder.glob("*.py")):
            yield Problem(str(file), "", f"is not read: put it in the folder of its kind ({kinds})"), True
        for inside in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in plugins.KINDS):
            if not inside.name.startswith(("_", ".")) and any(inside.glob("*.py")):
                near = did_you_mean(inside.name, plugins.KINDS)
                yield Problem(str(inside), "", f"is not read: it is no kind of plugin{near} ({kinds})"), bool(near)
