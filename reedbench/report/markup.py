"""A digest as a Markdown document and as LaTeX. Labels, titles and notes are users' words: all of them are escaped."""

import re
from collections.abc import Iterable, Sequence

from reedbench.report.digest import Digest

MARKDOWN = re.compile(r"[\\`*_|<~$]|&(?=\w)|(?<=\])\(")  # what Markdown (GFM) may read as markup, and links
LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "|": r"$|$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "≥": r"$\geq$", "–": "--", "−": "$-$",
    **{sign: f"\\{sign}" for sign in "_%&#${}"},
}  # fmt: skip


def markdown(shown: Digest, title: str, lines: Sequence[str]) -> str:
    """The digest as a Markdown document: values, differences, notes."""

    def bold(row: int, column: int, word: str) -> str:
        return f"**{word}**" if (row, column) in shown.best else word

    rows = [[bold(i, j, _md(word)) for j, word in enumerate(row)] for i, row in enumerate(shown.rows)]
    rows += [[_md(word) for word in row] for row in shown.limits]
    parts = [f"# {_md(title)}", _grid(shown.columns, rows)]
    if shown.differences:
        filled = [j for j in range(len(shown.columns)) if any(row[j] for row in shown.differences)]
        heads = [shown.columns[j] for j in filled]
        below = [[_md(row[j]) for j in filled] for row in shown.differences]
        parts += [f"## {_md(shown.heading)}", _grid(heads, below)]
    return "\n\n".join([*parts, "\n".join(f"- {_md(line)}" for line in lines)]) + "\n"


def _grid(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = [_md(name) for name in heads]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def _md(word: object) -> str:
    return MARKDOWN.sub(lambda found: f"\\{found[0]}", " ".join(str(word).split()))


def latex(shown: Digest, lines: Sequence[str]) -> str:
    """The digest as a LaTeX tabular (package booktabs), differences below the values, and the notes below all.

    The notes are typeset, not comments: they belong to the numbers and reach the paper with them.
    """

    def bold(row: int, column: int, word: str) -> str:
        return rf"\textbf{{{word}}}" if (row, column) in shown.best else word

    width = len(shown.columns)
    body = [_line(bold(i, j, _tex(word)) for j, word in enumerate(row)) for i, row in enumerate(shown.rows)]
    if shown.limits:
        body += [r"\midrule", *(_line(_tex(word) for word in row) for row in shown.limits)]
    if shown.differences:
        body += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{{_tex(shown.heading)}}}}} \\"]
        body += [_line(_tex(word) for word in row) for row in shown.differences]
    table = [
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"\toprule",
        _line(_tex(name) for name in shown.columns),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
             *(rf"{_tex(line)}\par" for line in lines), r"\end{minipage}"]  # fmt: skip
    return "\n".join([*table, *(notes if lines else [])]) + "\n"


def _line(words: Iterable[str]) -> str:
    return " & ".join(words) + r" \\"


def _tex(word: object) -> str:
    text = "".join(LATEX.get(letter, letter) for letter in " ".join(str(word).split()))
    # At the start of a row these would be arguments of the line break before it.
    return f"{{{text[0]}}}{text[1:]}" if text.startswith(("[", "*")) else text
