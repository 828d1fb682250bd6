"""The same samples (same noise, same condition) over training, a row per method, below real data of the same kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.report import panels, style
from reedbench.report.source import NAMES, REAL, Source

LEFT, APART, GAP, LINE = 2.4, 0.3, 0.15, 0.36  # centimetres: labels of rows, space between columns and rows, a line
WIDEST, FLAT = 3.7, 1.7  # largest width of a picture, and height of one whose pixels have no shape of their own
LETTER = 0.14  # centimetres, with room for capitals and digits
MOST = 6  # checkpoints side by side
DRAWING = 400  # pixels across from which on a picture is a drawing


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """A column per checkpoint, six at most; what the samples were asked to be stands beside the real data."""
    codec, preview = facts["codec"], source.preview
    methods = [m for m in facts["methods"] if any(name.startswith(f"{m}/") for name in preview)]
    all_steps = sorted({int(name.split("/")[1]) for name in preview if "/" in name})
    steps = _chosen(all_steps, [_steps_of(preview, m)[-1] for m in methods if m in source.elsewhere])
    there = [(m, step) for m in methods for step in steps if f"{m}/{step}" in preview]
    pictures = {(m, step): codec.picture(preview[f"{m}/{step}"]) for m, step in there}
    tall, wide = next(iter(pictures.values())).shape[:2]
    across = min(WIDEST, (style.WIDTH - LEFT) / len(steps) - APART)
    down = FLAT if codec.stretch else across * tall / wide
    width = LEFT + max(2, len(steps)) * (across + APART)  # words stand beside the real data, also over one checkpoint
    title = panels.wrapped(facts["title"], width)
    foot = LINE * (1.5 if codec.colours else 0.3)
    head = 0.3 + 0.42 * (title.count("\n") + 1)
    words = _words(source, facts, int((width - LEFT - across - APART) / LETTER), len(steps) < len(all_steps))
    first = max(down if REAL in preview else 0, LINE * (words.count("\n") + 1)) + GAP
    height = head + first + 1.4 * LINE + len(methods) * (down + GAP) + foot
    with style.styled() as plt, plt.rc_context({"figure.constrained_layout.use": False}):
        figure = plt.figure(figsize=(width * style.CENTIMETRE, height * style.CENTIMETRE), layout=None)
        page = _Page(figure, width, height)
        figure.text(0.5, 1 - 0.15 / height, title, ha="center", va="top", fontsize=9)
        if REAL in preview:
            page.label(head + down / 2, codec.real_are)
            page.show(codec.picture(preview[REAL]), LEFT, head, across, down, codec.stretch)
        page.text(LEFT + (across + APART if REAL in preview else 0), head, words, va="top", fontsize=7)
        top = head + first + 1.4 * LINE
        for j, step in enumerate(steps):
            page.text(LEFT + j * (across + APART) + across / 2, top - 0.1, f"step {step}", ha="center", va="bottom")
            for i, method in enumerate(methods):
                place = (LEFT + j * (across + APART), top + i * (down + GAP), across, down)
                if (method, step) in pictures:  # else it was trained elsewhere, to another step
                    page.show(pictures[method, step], *place, codec.stretch)
        for i, method in enumerate(methods):
            page.label(top + i * (down + GAP) + down / 2, facts["methods"][method]["label"])
        if codec.colours:
            _key(figure, codec.colours)
        return style.save(figure, stem, _rows(source, codec, there))


def _steps_of(preview: Mapping[str, np.ndarray], method: str) -> list[int]:
    return sorted(int(name.split("/")[1]) for name in preview if name.startswith(f"{method}/"))


def _chosen(steps: Sequence[int], kept: Sequence[int]) -> list[int]:
    """Six of the steps, evenly, with those that must be among them, be they more."""
    others = [step for step in steps if step not in kept]
    room = max(0, MOST - len(set(kept)))
    places = np.unique(np.linspace(0, len(others) - 1, room).round().astype(int)) if others and room else []
    return sorted({*kept, *(others[i] for i in places)})


class _Page:
    """Places things by centimetres from the left and from the top."""

    def __init__(self, figure: Any, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def show(self, picture: np.ndarray, x: float, y: float, across: float, down: float, stretch: bool) -> None:
        axis = self.figure.add_axes(
            (x / self.width, 1 - (y + down) / self.height, across / self.width, down / self.height)
        )
        # Pixels of small images are seen as such; of drawings there are more than the page shows.
        smooth = "antialiased" if picture.shape[1] > DRAWING else "nearest"
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation=smooth, aspect="auto" if stretch else "equal")
        axis.set_axis_off()

    def text(self, x: float, y: float, words: str, **how: Any) -> None:
        self.figure.text(x / self.width, 1 - y / self.height, words, **how)

    def label(self, y: float, words: str) -> None:
        """Of a row, at its left."""
        self.text(LEFT - 0.2, y, style.broken(words, int((LEFT - 0.3) / LETTER)), ha="right", va="center", fontsize=7)


def _words(source: Source, facts: Mapping[str, Any], letters: int, thinned: bool) -> str:
    """What is seen: the classes, the seed, the sampler."""
    codec, preview = facts["codec"], source.preview
    lines = []
    if NAMES in preview:
        lines.append(f"{codec.named}: {', '.join(map(str, preview[NAMES].tolist()))}")
    if REAL not in preview:
        lines.append("no real data in this cache: export it again" if facts["cached"] else "no real data: prepare them")
    lines.append(f"seed {facts['seeds'][0]}, sampler {_samplers(source, facts)}; the same noise in every picture")
    if codec.caption:
        lines.append(codec.caption)
    if thinned:
        lines.append("not every checkpoint is shown")
    return "\n".join(style.broken(line, letters) for line in lines)


def _samplers(source: Source, facts: Mapping[str, Any]) -> str:
    """The sampler of the pictures, and which rows have another one: not every sampler draws from every method."""
    methods = [name for name in facts["methods"] if any(key.startswith(f"{name}/") for key in source.preview)]
    by = {name: facts["shown_by"][name] for name in methods}
    usual = next((name for name in facts["protocols"] if name in by.values()), "")
    others = [f"{facts['methods'][name]['label']}: {one}" for name, one in by.items() if one != usual]
    return usual + (f" ({', '.join(others)})" if others else "")


def _key(figure: Any, colours: Mapping[str, str]) -> None:
    """What the colours mean, at the foot."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, linewidth=0) for colour in colours.values()]
    figure.legend(handles, list(colours), loc="lower center", ncols=len(colours), handlelength=1.2, borderaxespad=0.2)


def _rows(source: Source, codec: Any, there: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    names = [str(name) for name in source.preview.get(NAMES, [])]
    rows: list[dict[str, Any]] = []
    shown = [(REAL, None)] if REAL in source.preview else []
    for method, step in [*shown, *there]:
        numbers = codec.numbers(source.preview[REAL if step is None else f"{method}/{step}"])
        asked = [{"asked": name} for name in names] or [{} for _ in numbers]
        rows += [{"method": method, "step": step, **a, **row} for a, row in zip(asked, numbers, strict=True)]
    return rows
