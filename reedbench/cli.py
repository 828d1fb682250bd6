"""The `reedbench` command. Prose goes to standard error, data to standard output; exit codes as in core.errors."""

import os
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from reedbench import __version__
from reedbench.core import console, paths, plugins, provenance
from reedbench.core.errors import ConfigError, ReedbenchError, unknown

app = typer.Typer(
    help="Train, sample and score diffusion models with and without representation guidance.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
cache_app = typer.Typer(help="The committed numbers from which tables and figures are rebuilt.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")

Config = Annotated[str, typer.Option("--config", help="The suite's configuration.")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command()
def check(
    what: Annotated[
        list[str] | None, typer.Argument(help="Benchmarks, by name or by file; all of them where none is named.")
    ] = None,
    config: Config = paths.CONFIG,
) -> None:
    """Check the configuration; print all problems at once."""
    from reedbench.schema.inspection import inspect

    for line in inspect(config, what or ()):
        console.say(line)


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(help="benchmarks, methods, targets, or a kind of plugin (encoders, metrics, ...)")
    ],
    words: Annotated[list[str] | None, typer.Argument(help="Only lines that contain all of these.")] = None,
    config: Config = paths.CONFIG,
) -> None:
    """List benchmarks, methods, targets or plugins; `reedbench method NAME` says what a method is."""
    from reedbench.schema import listing

    if what in plugins.KINDS:
        lines = listing.plugin_lines(what)
    elif what in listing.OF_SUITE:
        from reedbench.schema.suite import load

        lines = listing.OF_SUITE[what](load(config))
    else:
        raise ConfigError(unknown("thing to list", what, [*listing.OF_SUITE, *plugins.KINDS]))
    for line in lines:
        if all(word in line for word in words or ()):
            print(line)


@app.command()
def method(
    name: Annotated[
        str, typer.Argument(help="An objective (dispersive), or a benchmark's method with its settings (digits/reed).")
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", help="A Markdown table of the methods of all tables instead.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a section of a Markdown page.")] = False,
    write: Annotated[bool, typer.Option("--write", help="With --all: write the table into docs/methods.md.")] = False,
    config: Config = paths.CONFIG,
) -> None:
    """Say what a method is: formula, source, tier, our choices, cost, settings, and its citation as BibTeX."""
    from pathlib import Path

    from reedbench.core import io
    from reedbench.report import cards
    from reedbench.schema.suite import load

    if bool(name) == every:
        raise ConfigError("name an objective or a benchmark's method (reedbench list methods), or give --all alone")
    if write and not every:
        raise ConfigError("--write goes with --all")
    suite = load(config) if every or "/" in name or Path(config).exists() else None
    if suite is not None and every:
        lines = cards.overview(suite)
    else:
        page = cards.named(name, suite)
        lines = cards.markdown(page) if markdown else cards.text(page)
    if write:
        guide = io.require(paths.METHODS).read_text(encoding="utf-8")
        io.write_text(paths.METHODS, cards.with_overview(guide, lines))
    else:
        print("\n".join(lines))


@app.command()
def reference(
    method: Annotated[
        list[str] | None, typer.Option(help="Only of this method; this and others may be repeated.")
    ] = None,
    backbone: Annotated[list[str] | None, typer.Option(help="Only of this network (SiT-XL/2).")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Only this metric (fid, recovery).")] = None,
    data: Annotated[list[str] | None, typer.Option(help="Only on these data (imagenet-256, pdb, geom-drugs).")] = None,
    steps: Annotated[list[int] | None, typer.Option(help="Only after this many training steps (400000).")] = None,
    guidance: Annotated[list[str] | None, typer.Option(help="Only under this scale (1.8), none, or guided.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only claim, rerun or copy.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only what was read in this way: P, T, G, C.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="All columns, as the files have them.")] = False,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Instead, the sources of what would be shown.")] = False,
) -> None:
    """List the papers' numbers with their protocol and source; docs/reference.md says what the columns mean."""
    from reedbench.report import bibliography, published
    from reedbench.schema.published import select

    if as_csv and bibtex:
        raise ConfigError("--csv prints the numbers and --bibtex their sources: give one of them")
    everything = published.load()
    wanted = {"method": method, "backbone": backbone, "metric": metric, "data": data, "steps": steps}
    wanted |= {"guidance": guidance, "kind": kind, "tag": tag}
    asked = {name: values for name, values in wanted.items() if values}
    rows = select(everything, **asked)
    if not rows:
        words = "; ".join(f"{name} {' or '.join(map(str, values))}" for name, values in asked.items())
        raise ConfigError(f"no number has all of these at once: {words}; leave one out")
    if as_csv:
        print(published.as_csv(rows), end="")
    elif bibtex:
        print("\n\n".join(bibliography.bibtex(published.sources(rows))[0]))
    else:
        common, lines = published.table(rows, everything)
        if common:
            console.console().print(common, markup=False)
        console.console().print(_as_rich(lines))
    console.say(published.summary(rows, everything))


@app.command()
def cite(
    files: Annotated[
        list[str], typer.Argument(help="Tables, figures, samples, metrics, cards, ...: whatever a step has made.")
    ],
    config: Config = paths.CONFIG,
) -> None:
    """Print the BibTeX of exactly what artefacts stand on: methods, data, encoders, samplers, metrics, weights."""
    from reedbench.report import bibliography
    from reedbench.schema.citations import by_key, together
    from reedbench.steps.cited import of_file

    found = together(of_file(file, config) for file in files)
    keys = by_key(found)
    console.say(f"{', '.join(files)}: {len(keys)} to cite")
    for key, uses in keys.items():
        console.say(f"  {key}: {', '.join(uses)}")
    if own := [what for what, cited in found.items() if not cited]:
        console.say(f"  without a paper of their own: {', '.join(own)}")
    print("\n".join(bibliography.printed(keys)))


@app.command()
def card(
    run: Annotated[str, typer.Argument(help="A run: its folder, or benchmark/method/seed0.")],
    config: Config = paths.CONFIG,
) -> None:
    """Print what there is to know of a run: settings, curve, samples, metrics, cost, numerics, provenance, papers."""
    from reedbench.schema.suite import load
    from reedbench.steps.card import RunCard, named

    print("\n".join(RunCard(named(load(config), run)).lines()))


@app.command()
def schema(
    write: Annotated[
        bool, typer.Option("--write", help="Write config/*.schema.json and the reference in config/README.md.")
    ] = False,
) -> None:
    """Print the JSON Schema of benchmark files."""
    from reedbench.core import io
    from reedbench.schema.reference import with_reference
    from reedbench.schema.suite import schema_texts

    if write:
        guide = io.require(paths.GUIDE).read_text(encoding="utf-8")
        for file, text in schema_texts().items():
            io.write_text(file, text)
        io.write_text(paths.GUIDE, with_reference(guide))
    else:
        print(schema_texts()[paths.SCHEMA], end="")


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Weights, by their names in config/weights.yaml.")] = None,
    benchmark: Annotated[str, typer.Option(help="All that this benchmark reads.")] = "",
    config: Config = paths.CONFIG,
) -> None:
    """Take weights from outside to results/weights/, where there is a network; what is there and whole stays."""
    from reedbench import steps
    from reedbench.schema import runs
    from reedbench.schema.suite import load

    suite = load(config)
    wanted = [*(names or ()), *(runs.benchmark(suite, benchmark).weights if benchmark else ())]
    if not (names or benchmark):
        raise ConfigError(f"name weights ({', '.join(suite.weights) or 'there are none'}), or a benchmark: --benchmark")
    for name in wanted:
        suite.weight(name)
    for name in dict.fromkeys(wanted):
        card = paths.card(paths.pinned(name))
        words = ["--weights", name, "--config", config, "--unless-fresh", card]
        if code := steps.main(["fetch", *words]):
            raise typer.Exit(code)
        console.say(f"{card}: here")


@app.command()
def weights(config: Config = paths.CONFIG) -> None:
    """List the weights from outside: what they are for, their size and licence, and whether they are here."""
    from reedbench.schema import listing
    from reedbench.schema.suite import load

    console.console().print(_as_rich(listing.weights(load(config))))


@app.command("import-checkpoint")
def import_checkpoint(
    file: Annotated[str, typer.Argument(help="A file of weights, or a name in config/weights.yaml.")],
    benchmark: Annotated[str, typer.Option(help="Say whether the weights are for this benchmark's backbone.")] = "",
    config: Config = paths.CONFIG,
) -> None:
    """Say what a published checkpoint is (SiT, REPA, REED, SemlaFlow, EDM), and print the method that imports it."""
    from reedbench.schema import runs
    from reedbench.schema.suite import load
    from reedbench.steps.imported import describe

    said = describe(file, runs.benchmark(load(config), benchmark) if benchmark else None)
    for line in said.lines:
        console.say(line)
    print(said.entry)


@app.command(context_settings=PASS_ON, add_help_option=False)
def step(context: typer.Context) -> None:
    """Run one step here, without Snakemake."""
    from reedbench import steps

    raise typer.Exit(steps.main(context.args))


@app.command()
def plan(
    benchmark: Annotated[str, typer.Argument(help="Name of a benchmark.")],
    script: Annotated[
        bool, typer.Option("--script", help="Print the commands in order, for a box without Snakemake.")
    ] = False,
    peak: Annotated[
        str, typer.Option("--peak", help="Of a GPU: a device (h100, a100, h200, ...), or dense bf16 TFLOP/s.")
    ] = "h100",
    mfu: Annotated[
        float, typer.Option("--mfu", min=0.001, max=1, help="Share of the peak that steps reach: an assumption.")
    ] = 0.4,
    config: Config = paths.CONFIG,
) -> None:
    """Count the jobs of a benchmark, its GPU-hours and disk, and say what an edit trains anew; or print a script."""
    from reedbench.schema import planning, retraining, runs
    from reedbench.schema.suite import load

    asked = runs.benchmark(load(config), benchmark)
    jobs = planning.jobs(asked)
    if script:
        print(planning.script(benchmark, jobs, config), end="")
    else:
        from reedbench.steps import overview

        steps, disk, notes = overview.overview(asked, jobs, overview.Pace.of(peak, mfu))
        for table in (steps, disk):
            console.console().print(_as_rich(table))
        for line in [*notes, *retraining.lines(retraining.retrained(asked)), *planning.walk_backs(asked)]:
            console.console().print(line, markup=False)


@app.command()
def status(
    benchmark: Annotated[str, typer.Argument(help="Only this benchmark.")] = "",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="A list of objects: kind (run or job), name, state, step, total, rate, eta_seconds, launcher, job, "
            "node, gpu_memory_mb, line; unknown values are null.",
        ),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.5, help="Seconds between two looks of --watch.")] = 5,
    config: Config = paths.CONFIG,
) -> None:
    """Show what every run is doing: state, step, rate, time left, node, GPU memory, last words."""
    import json
    from dataclasses import asdict

    from reedbench.launch import status_table
    from reedbench.launch.status import Status
    from reedbench.schema.suite import load

    if as_json and watch:
        raise ConfigError("--json looks once and --watch again and again: give one of them")
    status = Status(load(config), benchmark)
    if watch:
        status_table.watch(status, every, console.console())
    elif as_json:
        print(json.dumps([asdict(row) for row in status.now().rows], indent=1))
    else:
        console.console().print(status_table.overview(status.now()))


@app.command()
def clean(
    delete: Annotated[bool, typer.Option("--delete", help="Delete what is listed.")] = False,
    config: Config = paths.CONFIG,
) -> None:
    """List what no configuration asks for: states of other recipes, results and jobs of runs that no file names."""
    from reedbench.launch import leftovers
    from reedbench.schema.suite import load

    if not (found := leftovers.leftovers(load(config))):
        console.say("nothing to clean: every file belongs to a run that some configuration asks for")
        return
    rows = [["path", "why", "frees", "last written"], *(one.words() for one in found)]
    console.console().print(_as_rich(rows))
    size = leftovers.size_words(leftovers.total(found))
    if delete:
        leftovers.delete(found)
        console.say(f"deleted; {size} freed")
    else:
        console.say(f"{len(found)} in all, {size}; nothing was deleted: reedbench clean --delete does that")


@cache_app.command("export")
def export(
    benchmark: str,
    keep: Annotated[bool, typer.Option(help="Methods that the cache has and that were not run here stay.")] = False,
    config: Config = paths.CONFIG,
) -> None:
    """Write results/cache/<benchmark>/ from everything of the benchmark that has been evaluated."""
    from reedbench.schema import runs
    from reedbench.schema.suite import load
    from reedbench.steps.export import export as run

    for file in run(runs.benchmark(load(config), benchmark), keep=keep):
        print(file)


@app.command()
def verify(file: Annotated[str, typer.Argument(help="An artefact with a provenance file beside it.")]) -> None:
    """Walk the provenance of a file back to its sources."""
    for line in provenance.verify(file):
        console.say(line)
    console.say(f"{file}: verified")


@app.command()
def summary(
    benchmark: Annotated[str, typer.Argument(help="Name of a benchmark.")],
    cache: Annotated[
        bool,
        typer.Option(
            "--cache",
            help="The table in results/from-cache/, rebuilt from the committed numbers; taken by itself where there is "
            "no table from runs.",
        ),
    ] = False,
    paired: Annotated[
        bool, typer.Option("--paired", help="Instead, a sentence per method and metric: what the paired seeds show.")
    ] = False,
    ablation: Annotated[str | None, typer.Option(help="With --paired: the methods of this ablation.")] = None,
    against: Annotated[str | None, typer.Option(help="With --paired: against this method, not the baseline.")] = None,
    config: Config = paths.CONFIG,
) -> None:
    """Print a benchmark's table, its figures and what it cost; or what its paired seeds show."""
    from reedbench.schema import runs
    from reedbench.schema.suite import load
    from reedbench.steps import summary as words

    if (ablation or against) and not paired:
        raise ConfigError("--ablation and --against go with --paired")
    asked = runs.benchmark(load(config), benchmark)
    if paired:
        tables, lines = [], words.paired(asked, cache=cache, ablation=ablation, against=against)
    else:
        tables, lines = words.summary(asked, cache=cache)
    for table in tables:
        console.console().print(_as_rich(table))
    for line in lines:
        console.console().print(line, markup=False)


def _as_rich(rows: list[list[str]]) -> Table:
    first, *others = rows[0]
    table = Table()
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, overflow="fold")  # on a narrow terminal nothing is lost
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    return table


def _version(wanted: bool) -> None:
    if wanted:
        print(f"reedbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the launcher sets its own; by hand, one job is one thread


def main() -> int:
    """Run the command; returns its exit code."""
    try:
        app()
    except ReedbenchError as error:
        console.say(f"reedbench: {error}")
        return error.exit_code
    except SystemExit as done:
        return int(done.code or 0)
    return 0
