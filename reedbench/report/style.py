"""One look for all figures: sizes in centimetres, a method's colour, marker and dashes, files of the same bytes."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reedbench.core import io, paths

CENTIMETRE = 1 / 2.54
WIDTH = 17.5  # centimetres, two columns of a paper
SUFFIXES = (".pdf", ".svg", ".png")
DPI = 300

# Twelve colours that stay apart in normal sight and under both kinds of red-green blindness: each was chosen as far as
# can be, in OKLab, from those before it. Tested in tests/report/test_style.py.
COLOURS: Final = (
    "#0173B2", "#DE8F05", "#029E73", "#D285C8", "#690000", "#3C0087", "#0000FF", "#875A00", "#96D296", "#962D69",
    "#8769FF", "#A5C3FF",
)  # fmt: skip
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h", "d")
DASHES: Final = ((), (6, 1.2), (4, 1, 1, 1), (9, 1.5), (4, 1, 1, 1, 1, 1))
GREY = "0.35"  # what is no method: targets, limits, bands in general
REFERENCE_DASHES: Final = ((3.5, 2), (1.2, 1.2, 3.5, 1.2), (6, 3))
LINE_HEIGHT, LETTER, HANDLE = 0.42, 0.122, 1.6  # centimetres of a legend's text of 7 points, and of the mark before it


@dataclass(frozen=True)
class Look:
    """How a method is drawn, everywhere the same."""

    colour: str
    marker: str
    dashes: tuple[float, ...]

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of a line with markers."""
        return {**self.plain_line, "marker": self.marker, "markersize": 3.6}

    @property
    def plain_line(self) -> dict[str, Any]:
        """Keywords of a line."""
        style = (0, self.dashes) if self.dashes else "-"
        return {"color": self.colour, "linestyle": style, "linewidth": 1.3}


def look(place: int) -> Look:
    """The look of the method at a place of the benchmark file: the colours repeat after 12, the looks never do."""
    return Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)])


@contextmanager
def styled() -> Iterator[Any]:
    """pyplot with the house style, on a backend that needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    settings = {
        "svg.hashsalt": "reedbench",
        "pdf.fonttype": 42,
        "text.parse_math": False,  # a label is a user's text: `$` is a dollar
        "font.size": 8,
        "axes.titlesize": 8,
        "figure.titlesize": 9,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "legend.handlelength": 3.2,
        "axes.linewidth": 0.8,
        "xtick.major.width": 0.8,
        "ytick.major.width": 0.8,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "ytick.minor.size": 2,
        "ytick.minor.width": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
    with sns.axes_style("ticks"), sns.plotting_context("paper"), plt.rc_context(settings):
        yield plt
        plt.close("all")


def broken(text: str, letters: int) -> str:
    """A text in lines of so many letters."""
    return "\n".join(textwrap.wrap(text, letters, break_on_hyphens=False)) or text


@dataclass(frozen=True)
class Legend:
    """What stands below the axes: a mark and a text each, in as many columns as fit."""

    entries: Sequence[tuple[Any, str]]
    width: float = WIDTH

    @property
    def texts(self) -> list[str]:
        """The texts, broken where one is too long for the page."""
        letters = int((self.width - HANDLE) / LETTER)
        return [broken(text, letters) for _, text in self.entries]

    @property
    def columns(self) -> int:
        """As many as fit, three at most; every column is as wide as its longest line."""
        longest = [max(map(len, text.split("\n"))) for text in self.texts]
        for columns in (3, 2):
            rows = -(-len(longest) // columns)
            widest = [max(longest[i : i + rows]) for i in range(0, len(longest), rows)]
            if len(longest) >= columns and sum(widest) * LETTER + columns * HANDLE <= self.width:
                return columns
        return 1

    @property
    def height(self) -> float:
        """Centimetres."""
        lines = [text.count("\n") + 1 for text in self.texts]
        rows = -(-len(lines) // self.columns)
        deepest = max((sum(lines[i * rows : (i + 1) * rows]) for i in range(self.columns)), default=0)
        return 0.25 + LINE_HEIGHT * deepest

    def draw(self, holder: Any) -> None:
        """Below everything in a figure or subfigure."""
        handles = [handle for handle, _ in self.entries]
        drawn = holder.legend(
            handles, ["-"] * len(handles), loc="outside lower center", ncols=self.columns, borderaxespad=0.2
        )
        for text, words in zip(drawn.get_texts(), self.texts, strict=True):
            text.set_text(words)  # a label that begins with `_` would be left out above


def save(figure: Any, file: Path | str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write the figure as pdf, svg and png and the plotted numbers as csv; returns the files, the PDF first.

    The suffix of `file` is replaced by each of theirs. A number that is missing (NaN) is an empty cell.
    """
    pictures = paths.siblings(str(file), *SUFFIXES)
    for picture in pictures:
        kind = Path(picture).suffix[1:]
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}[kind]
        with io.atomic(picture) as part:
            figure.savefig(part, format=kind, dpi=DPI, metadata=metadata)
    numbers = str(Path(file).with_suffix(".csv"))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    io.write_csv(numbers, ({key: value for key, value in row.items() if value == value} for row in rows), columns)
    return [*pictures, numbers]
