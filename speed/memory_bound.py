"""What every step holds in memory on a data set of many made images, which has to stay below a bound.

    python speed/memory_bound.py [--count 200000] [--side 8] [--channels 1] [--samples 2000]
        [--verbs prepare represent] [--limit 1536]

Each step runs in a process of its own, in a scratch directory that is thrown away. Prints its seconds, its CPU-seconds
and the most that it held (MiB, pages of the files that it read included), and ends with 1 if one is above the limit.
The data set and the encoder are plugins of tests/speed/made, the autoencoder has random weights.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CELL = "--benchmark many --method repa --seed 0"
# In the order of the workflow.
COMMANDS = {
    "prepare": "prepare --dataset made-images",
    "caption": "caption --dataset made-images --captioner measured",
    "compress": "compress --dataset made-images --codec vae",
    "represent": "represent --dataset made-images --encoder tokens",
    "statistics": "represent --dataset made-images --extractor vector",
    "floor": "evaluate --benchmark many --floor",
    "train": f"train {CELL} --segment 0",
    "sample": f"sample {CELL} --step 10 --sampler ode",
    "evaluate": f"evaluate {CELL} --step 10 --sampler ode",
}
BENCHMARK = """
title: Many images
dataset: {{uses: made-images, count: {count}, side: {side}, channels: {channels}}}
codec: {{uses: sd-vae, weights: made/vae, channels: 2, factor: 2}}
captioners:
  measured: {{uses: measured-digits}}
encoders:
  tokens: {{uses: made-tokens}}
extractors:
  vector: {{uses: made-tokens, output: vector, dim: 64}}
backbone: {{uses: sit, patch: {patch}, width: 16, depth: 2, heads: 2}}
train: {{batch: 32, segment: 10, save_every: 10}}
seeds: [0]
evaluate: [10]
methods:
  sit: {{uses: aligned, label: SiT}}
  repa: {{base: sit, label: REPA, alignments: [{{encoder: tokens, depth: 1, projector_width: 16}}]}}
table: [sit, repa]
samplers:
  ode: {{uses: euler, steps: 2}}
sampling: {{count: {samples}, batch: 500, streams: 4}}
metrics:
  - {{uses: fd, extractor: vector}}
  - {{uses: kd, extractor: vector}}
  - {{uses: copying, extractor: vector}}
  - {{uses: precision, extractor: vector, reference: {reference}}}
{recall}speedup: {{metric: fd@vector, baseline: sit}}
"""

# Of many samples all distances between each other: hours on a CPU.
RECALL, MOST_FOR_RECALL = "  - {{uses: recall, extractor: vector, reference: {reference}}}\n", 20_000


def write(folder: Path, asked: argparse.Namespace) -> None:
    """A working directory with the benchmark, and an autoencoder."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "codecs"))
    import tiny_vae

    sizes = {name: getattr(asked, name) for name in ("count", "side", "channels", "samples")}
    sizes["reference"] = min(asked.count // 2, 10_000)
    recall = RECALL.format(**sizes) if asked.samples <= MOST_FOR_RECALL else ""
    (folder / "config" / "benchmarks").mkdir(parents=True)
    (folder / "config" / "benchmarks" / "many.yaml").write_text(
        BENCHMARK.format(**sizes, recall=recall, patch=asked.side // 8)
    )
    (folder / "config" / "config.yaml").write_text("benchmarks: config/benchmarks\nlauncher: inline\n")
    tiny_vae.save(folder / "made" / "vae", images=asked.channels)


def run(folder: Path, verb: str) -> tuple[float, float, float]:
    """Run a step; gives its seconds, its CPU-seconds and the MiB that it held."""
    outside = {"REEDBENCH_PLUGINS": str(REPOSITORY / "tests" / "speed" / "made"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "reedbench", "step", *COMMANDS[verb].split()]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, cwd=folder, env={**os.environ, **outside}, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)}\nexit code {child.returncode}\n{said.read()}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> int:
    """Measure all steps that are asked for."""
    parser = argparse.ArgumentParser()
    for name, default in (("count", 200_000), ("side", 8), ("channels", 1), ("samples", 2000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    without_floor = [verb for verb in COMMANDS if verb != "floor"]  # all distances between halves of the data
    parser.add_argument("--verbs", nargs="+", choices=COMMANDS, default=without_floor)
    parser.add_argument("--limit", type=float, default=1536.0, help="MiB")
    asked = parser.parse_args()
    above = []
    print(f"{asked.count:,} images of {asked.channels}x{asked.side}x{asked.side}\n{'step':<12}    s  CPU-s    MiB")
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        write(Path(name), asked)
        for verb in asked.verbs:
            seconds, cpu, peak = run(Path(name), verb)
            print(f"{verb:<12} {seconds:>4.0f}  {cpu:>5.0f}  {peak:>5.0f}", flush=True)
            above += [verb] if peak > asked.limit else []
    print(f"above {asked.limit:.0f} MiB: {', '.join(above)}" if above else f"all below {asked.limit:.0f} MiB")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
