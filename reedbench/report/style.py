"""One look for all figures: sizes in centimetres, one colour per method, files that are the same bytes every time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reedbench.core import io, paths

CENTIMETRE = 1 / 2.54
SUFFIXES = (".pdf", ".svg", ".png")
DPI = 200


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
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.labelsize": 8,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
    with sns.axes_style("ticks"), sns.plotting_context("paper"), plt.rc_context(settings):
        yield plt
        plt.close("all")


def colours(methods: Sequence[str]) -> dict[str, Any]:
    """A colour per method, by its place among those shown; colour-blind safe."""
    import seaborn as sns

    return dict(zip(methods, sns.color_palette("colorblind", max(len(methods), 3)), strict=False))


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
