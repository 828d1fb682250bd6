"""Users' words inside Markdown."""

import re
from collections.abc import Iterable, Sequence

MARKDOWN = re.compile(r"[\\`*_|<~$]|&(?=\w)|(?<=\])\(")  # what Markdown (GFM) may read as markup, and links


def escaped(word: object) -> str:
    """One line in which nothing is markup."""
    return MARKDOWN.sub(lambda found: f"\\{found[0]}", " ".join(str(word).split()))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; its cells are escaped already."""
    return ["| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows)]
