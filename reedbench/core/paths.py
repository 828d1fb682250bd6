"""Every path under the working directory, once. A path is a function of names, never of the time.

All functions accept Snakemake wildcards (`"{b}"`) as well as values; `step` is written with seven digits.
"""

import os
from pathlib import Path

RESULTS = "results"
CONFIG = "config/config.yaml"
SCHEMA = "config/benchmark.schema.json"
SUITE_SCHEMA = "config/suite.schema.json"
PINS = "config/weights.yaml"
PINS_SCHEMA = "config/weights.schema.json"
GUIDE = "config/README.md"
METHODS = "docs/methods.md"
REFERENCE = "config/reference"
PAPER = "config/paper.yaml"
PAPER_SCHEMA = "config/paper.schema.json"
WORK = "work"


def step_name(step: int | str) -> str:
    """`step-0000400`; a wildcard stays as it is."""
    return f"step-{step:07d}" if isinstance(step, int) else f"step-{step}"


def data(dataset: str) -> str:
    """Folder of a dataset: index.json, manifest.parquet, shards/."""
    return f"{RESULTS}/data/{dataset}"


def index(folder: str) -> str:
    """Index of a dataset or representation folder: the file that says that the folder is whole."""
    return f"{folder}/index.json"


def shards(folder: str) -> str:
    """Arrays of a dataset or representation folder."""
    return f"{folder}/shards"


def manifest(folder: str) -> str:
    """Rows of a dataset folder: id, split, label, sha256."""
    return f"{folder}/manifest.parquet"


def pinned(name: str) -> str:
    """Folder of fetched weights: card.json, files/."""
    return f"{RESULTS}/weights/{name}"


def pinned_files(name: str) -> str:
    """Fetched weights as they were published."""
    return f"{pinned(name)}/files"


def captions(dataset: str, captioner: str) -> str:
    """Captions of a dataset, one row per datum: id, text."""
    return f"{RESULTS}/captions/{dataset}/{captioner}/captions.parquet"


def encoder(dataset: str, name: str) -> str:
    """Folder of an encoder: weights.safetensors, card.json."""
    return f"{RESULTS}/encoders/{dataset}/{name}"


def weights(folder: str) -> str:
    """Weights in an encoder's folder."""
    return f"{folder}/weights.safetensors"


def card(folder: str) -> str:
    """Card in an encoder's folder: objective and quality."""
    return f"{folder}/card.json"


def latents(dataset: str, codec: str) -> str:
    """Folder of the training split as a codec keeps it: index.json, shards/."""
    return f"{RESULTS}/latents/{dataset}/{codec}"


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


def run_card(benchmark: str, method: str, seed: int | str) -> str:
    """What there is to know of a run, on a page."""
    return f"{run(benchmark, method, seed)}/card.md"


def segment(benchmark: str, method: str, seed: int | str, index: int | str) -> str:
    """Folder of a segment: EMA weights on the save grid and curve.csv."""
    return f"{run(benchmark, method, seed)}/segment-{index}"


def receipt(benchmark: str, method: str, seed: int | str, index: int | str) -> str:
    """The small deterministic file that says that a segment is done."""
    return f"{segment(benchmark, method, seed, index)}.json"


def store(benchmark: str, method: str, seed: int | str, key: str) -> str:
    """Private folder of a run's resumable training state; never declared to Snakemake."""
    return f"{WORK}/{benchmark}/{method}/seed{seed}/{key}"


def parts(*names: str) -> str:
    """Private folder of the finished parts of a step that has not ended yet."""
    return "/".join((WORK, "parts", *names))


def job(key: str) -> str:
    """Private folder of a launched job: its ticket, and one folder per submission with logs and staged outputs."""
    return f"{WORK}/jobs/{key}"


def samples(benchmark: str, method: str, seed: int | str, step: int | str, sampler: str) -> str:
    """Folder of the samples of one cell: files of the domain's kind, and a preview."""
    return f"{RESULTS}/samples/{benchmark}/{method}/seed{seed}/{step_name(step)}/{sampler}"


PREVIEW = "preview.npz"  # the first few samples of a cell: what figures show


def preview(benchmark: str, method: str, seed: int | str, step: int | str, sampler: str) -> str:
    """The preview in the folder of a cell's samples."""
    return f"{samples(benchmark, method, seed, step, sampler)}/{PREVIEW}"


def metrics(benchmark: str, method: str, seed: int | str, step: int | str, sampler: str) -> str:
    """Metric records of one cell."""
    return f"{RESULTS}/metrics/{benchmark}/{method}/seed{seed}/{step_name(step)}/{sampler}.json"


def floor(benchmark: str) -> str:
    """Metric records of one half of the training split against the other."""
    return f"{RESULTS}/metrics/{benchmark}/floor.json"


def table(benchmark: str) -> str:
    """The comparison table of a benchmark."""
    return f"{RESULTS}/tables/{benchmark}.csv"


def ablation(benchmark: str, name: str) -> str:
    """The rows of one ablation."""
    return f"{RESULTS}/ablations/{benchmark}/{name}.csv"


def figure(benchmark: str, name: str, suffix: str = ".pdf", ablation: str | None = None) -> str:
    """One file of a figure, of the table's methods or of an ablation's."""
    return f"{RESULTS}/figures/{benchmark}/{_of(ablation)}{name}{suffix}"


def _of(ablation: str | None) -> str:
    return "" if ablation is None else f"ablations/{ablation}/"


CACHE_FILES = ("metrics.parquet", "curves.parquet", "preview.npz")


def cache(benchmark: str) -> str:
    """Folder of the committed numbers from which tables and figures are rebuilt."""
    return f"{RESULTS}/cache/{benchmark}"


def cache_files(benchmark: str) -> list[str]:
    """The data files of a cache."""
    return [f"{cache(benchmark)}/{name}" for name in CACHE_FILES]


def cache_record(benchmark: str) -> str:
    """What the cache was made from, and which ablations it holds."""
    return f"{cache(benchmark)}/cache.prov.json"


def cached_table(benchmark: str) -> str:
    """The table, rebuilt from the cache (git-ignored)."""
    return f"{RESULTS}/from-cache/{benchmark}/{benchmark}.csv"


def cached_ablation(benchmark: str, name: str) -> str:
    """An ablation's table, rebuilt from the cache."""
    return f"{RESULTS}/from-cache/{benchmark}/ablations/{name}.csv"


def cached_figure(benchmark: str, name: str, suffix: str = ".pdf", ablation: str | None = None) -> str:
    """One file of a figure, rebuilt from the cache."""
    return f"{RESULTS}/from-cache/{benchmark}/figures/{_of(ablation)}{name}{suffix}"


def paper(name: str) -> str:
    """What `snakemake paper` says of all of it: summary.md, speedups.csv."""
    return f"{RESULTS}/paper/{name}"


def paper_table(name: str) -> str:
    """A table of papers' numbers."""
    return paper(f"tables/{name}.csv")


def paper_figure(name: str, suffix: str = ".pdf") -> str:
    """One file of a figure of papers' numbers."""
    return paper(f"figures/{name}{suffix}")


def image(name: str) -> str:
    """A picture of README."""
    return f"docs/images/{name}"


def smoke() -> str:
    """What a job found at a site."""
    return f"{RESULTS}/smoke/report.txt"


def log(rule: str, *names: str) -> str:
    """Log file of one job."""
    return f"logs/{'/'.join((rule, *names))}.log"


def siblings(path: str, *suffixes: str) -> list[str]:
    """The same file with other suffixes: `x.csv` -> `x.md`, `x.tex`."""
    return [str(Path(path).with_suffix(suffix)) for suffix in suffixes]


def external(path: str) -> Path:
    """A file or folder from outside: as given, or where that is not there below $REEDBENCH_DATA (../shared/data)."""
    here, other = Path(path), Path(os.environ.get("REEDBENCH_DATA", "../shared/data"))
    return here if here.is_absolute() or here.exists() else other / path
