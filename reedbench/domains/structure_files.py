"""Files of structures: which there are in a folder, and what they hold, packed or not and in whatever encoding."""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from reedbench.domains import mmcif, pdb_records
from reedbench.domains.pdb_records import BadStructure, Records

PACKED = ".gz"
PDB, CIF, BINARY = "PDB", "mmCIF", "binary CIF"
KINDS = {".pdb": PDB, ".ent": PDB, ".cif": CIF, ".mmcif": CIF, ".bcif": BINARY}
ASSEMBLY = re.compile(r"\.pdb\d+")  # .pdb1, .pdb2, ...
UTF_8_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
READ = "pdb, ent, pdb1, cif, mmcif or bcif, or one of these with .gz"


def kind_of(file: Path) -> str | None:
    """The format that a file's name promises; None for files of another kind."""
    suffix = _unpacked(file).suffix.lower()
    return PDB if ASSEMBLY.fullmatch(suffix) else KINDS.get(suffix)


def stem(file: Path) -> str:
    """The name without what says the format."""
    return _unpacked(file).stem


def found(folder: Path, leave_out: Collection[Path] = ()) -> tuple[list[Path], Counter[str]]:
    """Files of structures in a folder and those below it, by path; and the endings of all others but hidden ones."""
    files: list[Path] = []
    others: Counter[str] = Counter()
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if not file.is_file() or hidden or file in leave_out:
            continue
        if kind_of(file):
            files.append(file)
        else:
            others["".join(file.suffixes[-2:]) if file.suffix == PACKED else file.suffix or "no ending"] += 1
    return files, others


def content(file: Path) -> bytes:
    """What a file holds, unpacked.

    Raises:
        BadStructure: it is damaged or cut short, or cannot be opened.
    """
    try:
        data = file.read_bytes()
        return gzip.decompress(data) if file.suffix.lower() == PACKED else data
    except (OSError, EOFError, zlib.error) as error:
        raise BadStructure(f"cannot be read ({error})") from error


def text(data: bytes) -> str:
    """Characters of a file in UTF-8, UTF-16 with its mark, or Latin-1, which reads anything."""
    try:
        return data.decode("utf-16" if data[:2] in UTF_16 else "utf-8-sig")
    except UnicodeDecodeError:
        return data.removeprefix(UTF_8_MARK).decode("latin-1")


def read(file: Path) -> Records:
    """Atoms of a file, by the format that its name promises.

    Raises:
        BadStructure: it holds no structure that could be read.
    """
    data, kind = content(file), kind_of(file)
    if not data.strip():
        raise BadStructure("holds no atoms")
    if kind == BINARY:
        return mmcif.read_binary(data)
    return (mmcif.read if kind == CIF else pdb_records.read)(text(data))


def _unpacked(file: Path) -> Path:
    return file.with_suffix("") if file.suffix.lower() == PACKED else file
