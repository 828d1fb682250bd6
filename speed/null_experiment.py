"""Does the speed-up say what is true? Draws benchmarks whose true ratio is known and reads them with the real engine.

The true curve is fitted to the mean curve of `--method` in a committed cache (a Hill curve with a floor, so that it is
not made of the pieces that the engine interpolates with): a method with a true speed-up r has, at step s, the value
that the baseline has at step r s. Evaluation steps are the cache's (digits: 200, 400, 600, 800). Noise is Gaussian on
the log scale with the covariance over steps that the cache's runs have around their method's mean: one part shared by
all methods of a seed (which pairing takes out), one of each run alone; `--unpaired` gives each run both parts anew.

On a plateau only noise says which run is further. So identical methods are drawn also as if trained much longer: their
last values overlap within the noise.

    python speed/null_experiment.py             # a line per true ratio and number of seeds; exit 1 if a claim fails
"""

import argparse
import sys
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from reedbench.report import source as sources
from reedbench.report.source import Source
from reedbench.report.speedup import speedups

SHOWN = {1.0: 0.01, 0.77: 0.02, 2.0: 0.03}  # true ratio -> how far the mean of those shown may be off
LONGER = 8  # times as long as the cache's runs: digits then falls by 57, 12 and 2 % between evaluations, to its floor
EXCLUDED = 0.07  # of intervals of identical methods, the most that may exclude 1


@dataclass(frozen=True)
class World:
    """What benchmarks are drawn from: evaluation `steps`, the true curve, and roots of the two noise covariances."""

    steps: np.ndarray
    curve: np.ndarray  # log of floor, height, midpoint, power
    shared: np.ndarray
    own: np.ndarray

    def mean(self, steps: np.ndarray) -> np.ndarray:
        """The true log value at some steps."""
        return hill(self.curve, steps)

    def plateau(self) -> "World":
        """The same, trained `LONGER` times as long between evaluations: it is level before its end."""
        floor, height, midpoint, power = self.curve
        return replace(self, curve=np.array([floor, height, midpoint - np.log(LONGER), power]))


def hill(logs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """log(floor + height / (1 + (step / midpoint) ** power))."""
    floor, height, midpoint, power = np.exp(logs)
    found: np.ndarray = np.log(floor + height / (1 + (steps / midpoint) ** power))
    return found


def world_of(cache: Source, family: str, method: str) -> World:
    """Fit the true curve to a method's mean, and the noise to all runs."""
    rows = cache.metrics[(cache.metrics["family"] == family) & (cache.metrics["step"] >= 0)]
    runs = np.log(rows.pivot(index=["method", "seed"], columns="step", values="value"))
    steps = runs.columns.to_numpy(np.float64)
    mean = runs.loc[method].mean().to_numpy()
    start = np.log([np.exp(mean[-1]) / 2, np.exp(mean[0]), np.median(steps), 3.0])
    curve = least_squares(lambda logs: hill(logs, steps) - mean, start).x
    around = runs - runs.groupby("method").transform("mean")
    methods, seeds = (runs.index.get_level_values(name).nunique() for name in ("method", "seed"))
    shared = around.groupby("seed").mean()
    own = (around - around.groupby("seed").transform("mean")).to_numpy() * np.sqrt(methods / (methods - 1))
    unbiased = np.sqrt(seeds / (seeds - 1))
    return World(steps, curve, _root(shared.to_numpy() * unbiased), _root(own * unbiased))


def _root(rows: np.ndarray) -> np.ndarray:
    """A root of the covariance of rows of mean 0."""
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    found: np.ndarray = vectors * np.sqrt(values.clip(0))
    return found


def draw(world: World, true: float, seeds: int, draws: int, rng: np.random.Generator, *, paired: bool) -> Source:
    """So many benchmarks, one per sampler name, of a method `ours` with a true speed-up over `base`."""
    shape = (draws, seeds, len(world.steps))
    shared = rng.standard_normal(shape) @ world.shared.T
    again = shared if paired else rng.standard_normal(shape) @ world.shared.T
    alone = [rng.standard_normal(shape) @ world.own.T for _ in range(2)]
    # A faster method is further in its training: it has the noise of where it is, not of the step.
    here, there = np.log(world.steps), np.log(np.clip(true * world.steps, world.steps[0], world.steps[-1]))
    weights = np.stack([np.interp(there, here, unit) for unit in np.eye(len(here))])
    values = {
        "base": world.mean(world.steps) + shared + alone[0],
        "ours": world.mean(true * world.steps) + (again + alone[1]) @ weights,
    }
    index = pd.MultiIndex.from_product([range(draws), range(seeds), world.steps], names=["sampler", "seed", "step"])
    parts = [pd.DataFrame({"method": m, "value": np.exp(v).ravel()}, index).reset_index() for m, v in values.items()]
    metrics = pd.concat(parts).assign(family="m", direction="lower")
    run = pd.DataFrame({"step": world.steps})
    run = run.assign(**dict.fromkeys(("samples_seen", "device_seconds", "cpu_seconds", "flops"), run["step"]))
    curves = pd.concat([run.assign(method=m, seed=k) for m in values for k in range(seeds)])
    return Source(metrics, curves, {})


@dataclass(frozen=True)
class Outcome:
    """What is shown where a ratio is true: the mean of it, how often the interval excludes 1, and misses the truth."""

    true: float
    seeds: int
    mean: float
    excludes_one: float
    misses: float
    bounds: int

    @property
    def failure(self) -> str:
        """What is claimed and does not hold, empty if all does."""
        if abs(self.mean - self.true) > SHOWN[self.true]:
            return f"a true {self.true:g}x is shown as {self.mean:.3f}x on average"
        if self.true == 1 and self.excludes_one > EXCLUDED:
            return f"{self.excludes_one:.1%} of intervals of identical methods exclude 1"
        return ""


def run(world: World, true: float, seeds: int, draws: int, *, paired: bool = True, number: int = 0) -> Outcome:
    """Draw benchmarks with the seed `number` and show their speed-ups in steps."""
    rng = np.random.default_rng([number, seeds, round(true * 100), paired])
    drawn = draw(world, true, seeds, draws, rng, paired=paired)
    found = [one.ratio for one in speedups(drawn, "m", "base", ["ours"]) if one.axis == "steps"]
    whole = [one for one in found if one.kind == "t95"]

    def outside(value: float) -> float:
        return float(np.mean([not one.low <= value <= one.high for one in whole]))

    mean = float(np.mean([one.value for one in whole]))
    return Outcome(true, seeds, mean, outside(1.0), outside(true), len(found) - len(whole))


def main() -> int:
    """Print all outcomes; 1 if one breaks a claim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", default="digits", help="benchmark with a committed cache")
    parser.add_argument("--metric", default="fd@digits-clf", help="a metric of it that is positive, lower is better")
    parser.add_argument("--method", default="sit", help="method whose mean curve is the true one")
    parser.add_argument("--draws", type=int, default=1000, help="benchmarks per line")
    parser.add_argument("--unpaired", action="store_true", help="no noise is shared by methods of a seed")
    asked = parser.parse_args()
    world = world_of(sources.read_cache(asked.cache), asked.metric, asked.method)
    cases = [("", world, true) for true in SHOWN] + [(" on a plateau", world.plateau(), 1.0)]
    failures = []
    for where, drawn_from, true in cases:
        for seeds in (3, 5):
            found = run(drawn_from, true, seeds, asked.draws, paired=not asked.unpaired)
            print(
                f"true {true:.2f}x{where}, {seeds} seeds: shown {found.mean:.3f}x on average, interval excludes 1 in "
                f"{found.excludes_one:.1%}, the truth in {found.misses:.1%}, a bound in {found.bounds}",
                flush=True,
            )
            failures.append(found.failure and f"{found.failure}{where}")
    for failure in filter(None, failures):
        print(f"does not hold: {failure}", file=sys.stderr)
    return int(any(failures))


if __name__ == "__main__":
    sys.exit(main())
