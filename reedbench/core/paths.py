"""Every path under the working directory, once. A path is a function of names, never of the time.

All functions accept Snakemake wildcards (`"{b}"`) as well as values; `step` is written with seven digits.
"""

from pathlib import Path

RESULTS = "results"
CONFIG = "config/config.yaml"
WORK = "work"


def step_name(step: int | str) -> str:
    """`step-0000400`; a wildcard stays as it is."""
    return f"step-{step:07d}" if isinstance(step, int) else f"step-{step}"


def data(dataset: str) -> str:
    """Folder of a dataset: index.json, manifest.parquet, shards/."""
    return f"{RESULTS}/data/{dataset}"


def captions(dataset: str, captioner: str) -> str:
    """Captions of a dataset, one row per datum: id, text."""
    return f"{RESULTS}/captions/{dataset}/{captioner}/captions.parquet"


def encoder(dataset: str, name: str) -> str:
    """Folder of an encoder: weights.safetensors, card.json."""
    return f"{RESULTS}/encoders/{dataset}/{name}"


def representation(dataset: str, name: str) -> str:
    """Folder of the representations of the training split: index.json, shards/."""
    return f"{RESULTS}/representations/{dataset}/{name}"


def statistics(dataset: str, extractor: str) -> str:
    """Reference features and moments of the training split under an extractor."""
    return f"{RESULTS}/statistics/{dataset}/{extractor}.npz"


def run(benchmark: str, method: str, seed: int | str) -> str:
    """Folder of a run: config.json (its recipe) and segments."""
    return f"{RESULTS}/runs/{benchmark}/{method}/seed{seed}"


def recipe(benchmark: str, method: str, seed: int | str) -> str:
    """What changes the weights of a run, and nothing else."""
    return f"{run(benchmark, method, seed)}/config.json"


def segment(benchmark: str, method: str, seed: int | str, index: int | str) -> str:
    """Folder of a segment: EMA weights on the save grid and curve.csv."""
    return f"{run(benchmark, method, seed)}/segment-{index}"


def receipt(benchmark: str, method: str, seed: int | str, index: int | str) -> str:
    """The small deterministic file that says that a segment is done."""
    return f"{segment(benchmark, method, seed, index)}.json"


def store(benchmark: str, method: str, seed: int | str, key: str) -> str:
    """Private folder of a run's resumable training state; never declared to Snakemake."""
    return f"{WORK}/{benchmark}/{method}/seed{seed}/{key}"


def samples(benchmark: str, method: str, seed: int | str, step: int | str, sampler: str) -> str:
    """Folder of the samples of one cell."""
    return f"{RESULTS}/samples/{benchmark}/{method}/seed{seed}/{step_name(step)}/{sampler}"


def metrics(benchmark: str, method: str, seed: int | str, step: int | str, sampler: str) -> str:
    """Metric records of one cell."""
    return f"{RESULTS}/metrics/{benchmark}/{method}/seed{seed}/{step_name(step)}/{sampler}.json"


def floor(benchmark: str) -> str:
    """Metric records of real data against real data: what a perfect model would score."""
    return f"{RESULTS}/metrics/{benchmark}/floor.json"


def table(benchmark: str) -> str:
    """The comparison table of a benchmark."""
    return f"{RESULTS}/tables/{benchmark}.csv"


def ablation(benchmark: str, name: str) -> str:
    """The rows of one ablation."""
    return f"{RESULTS}/ablations/{benchmark}/{name}.csv"


def figures(benchmark: str) -> str:
    """Folder of a benchmark's figures."""
    return f"{RESULTS}/figures/{benchmark}"


def cache(benchmark: str) -> str:
    """Folder of the committed numbers from which tables and figures are rebuilt."""
    return f"{RESULTS}/cache/{benchmark}"


def from_cache(benchmark: str) -> str:
    """Folder of the tables and figures rebuilt from the committed cache (git-ignored)."""
    return f"{RESULTS}/from-cache/{benchmark}"


def log(rule: str, *names: str) -> str:
    """Log file of one job."""
    return f"logs/{rule}/{'/'.join(names)}.log"


def siblings(path: str, *suffixes: str) -> list[str]:
    """The same file with other suffixes: `x.csv` -> `x.md`, `x.tex`."""
    return [str(Path(path).with_suffix(suffix)) for suffix in suffixes]
