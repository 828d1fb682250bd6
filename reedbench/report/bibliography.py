"""The papers behind plugins, weights and numbers: BibTeX by key, from the package and from folders of plugins."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from reedbench.core import plugins
from reedbench.core.errors import ConfigError

FILE = "bibliography.bib"
OWN = Path(__file__).with_name(FILE)
_ENTRY = re.compile(r"^@(\w+)\{([^,\s]+),\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*[{\"](.*?)[}\"],?$", re.MULTILINE)

_ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303"}
_ACCENT = re.compile(r"""\\(["'`^~])\{?([A-Za-z])\}?""")


@dataclass(frozen=True)
class Entry:
    """One paper.

    Attributes:
        key: by which `cites` names it.
        text: the entry as BibTeX has it.
    """

    key: str
    text: str

    @cached_property
    def fields(self) -> Mapping[str, str]:
        """Its fields in lower case, as they are written."""
        return {name.lower(): value for name, value in _FIELD.findall(self.text)}

    @property
    def short(self) -> str:
        """`Yu et al. 2025, arXiv:2410.06940`."""
        names = self.fields["author"].split(" and ")
        first = _family(names[0])
        who = f"{first} et al." if len(names) > 2 or names[-1] == "others" else " and ".join(map(_family, names))
        return ", ".join([f"{who} {self.fields['year']}", *([self.where] if self.where else [])])

    @property
    def where(self) -> str:
        """`arXiv:2410.06940`, `doi:10.1126/science.add2187`, or the address of a page."""
        if eprint := self.fields.get("eprint"):
            return f"arXiv:{eprint}"
        return f"doi:{self.fields['doi']}" if "doi" in self.fields else self.fields.get("url", "")

    @property
    def link(self) -> str:
        """The address of the paper; empty where the entry has none."""
        if eprint := self.fields.get("eprint"):
            return f"https://arxiv.org/abs/{eprint}"
        return f"https://doi.org/{quote(self.fields['doi'])}" if "doi" in self.fields else self.fields.get("url", "")


def _family(name: str) -> str:
    return plain(name.split(",")[0] if "," in name else name.split()[-1])


def plain(text: str) -> str:
    """BibTeX's accents as letters, and no braces: `Kynk{\\"a}{\\"a}nniemi` is Kynkäänniemi."""
    accented = _ACCENT.sub(lambda found: unicodedata.normalize("NFC", found[2] + _ACCENTS[found[1]]), text)
    return accented.replace(r"\l", "ł").replace("{", "").replace("}", "")


def entries() -> dict[str, Entry]:
    """All entries by key: the package's, and those of `bibliography.bib` in folders of plugins.

    Raises:
        ConfigError: a file has something that is no entry, or a key twice.
    """
    found: dict[str, Entry] = {}
    for file in (OWN, *(folder / FILE for folder in plugins.outside())):
        if file.exists():
            for entry in read(file):
                if found.setdefault(entry.key, entry).text != entry.text:
                    raise ConfigError(f"{file}: {entry.key} is defined twice, differently; rename one")
    return found


def read(file: Path) -> list[Entry]:
    """The entries of a file: one field a line, and the closing brace on a line of its own.

    Raises:
        ConfigError: something in it is no entry, or one lacks what reports say of it.
    """
    text = "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("%"))
    found = [Entry(match[2], match[0]) for match in _ENTRY.finditer(text)]
    if rest := _ENTRY.sub("", text).split():
        raise ConfigError(f"{file}: no BibTeX entry at '{rest[0]}': a field a line, and }} on a line of its own")
    for entry in found:
        if lacks := [name for name in ("title", "author", "year") if name not in entry.fields]:
            raise ConfigError(f"{file}: {entry.key} lacks its {' and '.join(lacks)}")
    return found


def short(keys: Iterable[str]) -> str:
    """`Ma et al. 2024, arXiv:2401.08740; Yu et al. 2025, arXiv:2410.06940`; of a key without an entry the key."""
    known = entries()
    return "; ".join(known[key].short if key in known else key for key in keys)


def printed(keys: Iterable[str]) -> list[str]:
    """Lines of BibTeX: the entries, and a comment for each key that has none."""
    found, absent = bibtex(keys)
    more = [f"% no entry for {key}: put one into {FILE} in the folder of plugins" for key in absent]
    return "\n\n".join([*found, *more]).splitlines() or ["% it cites nothing"]


def bibtex(keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """BibTeX entries, and the keys that have none."""
    known, keys = entries(), list(keys)
    return [known[key].text for key in keys if key in known], [key for key in keys if key not in known]
