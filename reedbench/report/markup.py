"""A digest as a Markdown document and as LaTeX. Labels, titles and notes are users' words: all of them are escaped."""

from collections.abc import Iterable, Sequence

from reedbench.report.digest import Digest
from reedbench.report.escaping import escaped, table

LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "|": r"$|$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "≥": r"$\geq$", "–": "--", "−": "$-$",
    **{sign: f"\\{sign}" for sign in "_%&#${}"},
}  # fmt: skip


def markdown(shown: Digest, title: str, lines: Sequence[str]) -> str:
    """The digest as a Markdown document: values, differences, notes."""

    def bold(row: int, column: int, word: str) -> str:
        return f"**{word}**" if (row, column) in shown.best else word

    rows = [[bold(i, j, escaped(word)) for j, word in enumerate(row)] for i, row in enumerate(shown.rows)]
    rows += [[escaped(word) for word in row] for row in shown.limits]
    parts = [f"# {escaped(title)}", _grid(shown.columns, rows)]
    if shown.differences:
        filled = [j for j in range(len(shown.columns)) if any(row[j] for row in shown.differences)]
        heads = [shown.columns[j] for j in filled]
        below = [[escaped(row[j]) for j in filled] for row in shown.differences]
        parts += [f"## {escaped(shown.heading)}", _grid(heads, below)]
    return "\n\n".join([*parts, "\n".join(f"- {escaped(line)}" for line in lines)]) + "\n"


def _grid(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(table([escaped(name) for name in heads], rows))


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
