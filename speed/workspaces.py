"""Scratch working directories with a benchmark of many runs, for the scripts that measure how the workflow grows."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
METHODS, SEGMENTS, CHECKPOINTS = 3, 5, 4
JOBS_PER_SEED = METHODS * (SEGMENTS + 2 * CHECKPOINTS)
EDITS = {"evaluate: [10, 20]": "evaluate: [20, 30, 40, 50]"}


def many_runs(folder: Path, seeds: int) -> None:
    """The tests' tiny benchmark with so many seeds: three runs each, of five segments and four checkpoints."""
    text = (REPOSITORY / "tests" / "tiny.yaml").read_text()
    for old, new in (EDITS | {"seeds: [0]": f"seeds: [{', '.join(map(str, range(seeds)))}]"}).items():
        assert old in text, f"tests/tiny.yaml no longer says '{old}'"
        text = text.replace(old, new)
    benchmarks = folder / "config" / "benchmarks"
    benchmarks.mkdir(parents=True)
    (benchmarks / "tiny.yaml").write_text(text)
    (folder / "config" / "config.yaml").write_text("benchmarks: config/benchmarks\nlauncher: inline\n")
