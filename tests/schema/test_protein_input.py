"""What can be wrong in a benchmark of proteins alone: its own line, file and key, before anything is computed."""

import pytest

from reedbench.schema import runs, settings, suite

TINY = "benchmarks/tiny.yaml"
NODE = "methods/reed/alignments/0"
SAID = "methods.reed.alignments.0"

# name: key, value, key of the message, words of the message
CASES = {
    "pairs at a node": (f"{NODE}/encoder", "pairs", f"{SAID}.encoder", ["'pairs' gives pairs", "takes residues"]),
    "residues at an edge": (f"{NODE}/site", "edge", f"{SAID}.encoder", ["takes pairs"]),
    "a layer that is not there": (f"{NODE}/depth", 9, f"{SAID}.depth", ["9 is beyond the backbone"]),
    "a depth at the structure": (
        NODE,
        {"encoder": "residues", "site": "structure", "depth": 2},
        SAID,
        ["depth has no effect at site: structure: take it out"],
    ),
    "a batch beside tokens": ("train/batch", 32, "train.batch", ["no effect beside train.tokens"]),
    "a sampler of images": (
        "samplers/flow",
        {"uses": "euler"},
        "samplers.flow",
        ["for domain 'image'", "the dataset is 'protein'"],
    ),
    "an extractor of residues": (
        "extractors",
        {"x": {"uses": "masked-residues"}},
        "extractors.x",
        ["gives residues", "tokens or vector"],
    ),
    "a time that nothing scores": (
        "samplers/ancestral",
        {"uses": "ancestral", "scored_at": [0.2]},
        "metrics.0",
        ["masked-perplexity@0.5"],
    ),
    "classes of chains": (
        "sampling/labels",
        "random",
        "sampling.labels",
        ["random is for samples of classes", "residues asks for none"],
    ),
}  # fmt: skip


@pytest.fixture
def proteins(files):
    """The suite with its benchmark replaced by a small one of proteins."""
    files.benchmarks["tiny"] = {
        "title": "Tiny",
        "dataset": {"uses": "backbones"},
        "codec": {"uses": "residues"},
        "encoders": {name: {"uses": "masked-residues", "output": name} for name in ("residues", "pairs")},
        "extractors": {},
        "backbone": {"uses": "protein-mpnn", "encoder_layers": 1, "decoder_layers": 1},
        "train": {"tokens": 500, "segment": 4, "save_every": 2},
        "seeds": [0],
        "evaluate": [4],
        "methods": {
            "discrete": {"uses": "masked-diffusion", "label": "Discrete"},
            "reed": {"uses": "masked-diffusion", "label": "REED", "alignments": [{"encoder": "residues", "depth": 1}]},
        },
        "table": ["discrete", "reed"],
        "samplers": {"ancestral": {"uses": "ancestral"}},
        "sampling": {"count": 6, "streams": 2},
        "metrics": [{"uses": "masked-perplexity", "at": 0.5}, {"uses": "recovery"}],
        "speedup": {"metric": "recovery@state", "baseline": "discrete"},
    }
    return files


@pytest.mark.parametrize(("key", "value", "said", "words"), CASES.values(), ids=CASES.keys())
def test_one_mistake_is_one_line_with_key_and_what_is_allowed(proteins, reedbench, capsys, key, value, said, words):
    proteins.set(key, value)
    proteins.write()
    assert reedbench("check") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if f": {said}: " in line]
    assert f"{TINY}:" in line
    assert [word for word in words if word not in line] == []


def sampling_keys(files, sampler: str) -> set[str]:
    """Keys of `sample` with two and with four streams."""
    keys = set()
    for streams in (2, 4):
        files.set("sampling", {"count": 64, "streams": streams})
        files.write()
        suite.load.cache_clear()
        keys.add(settings.key(runs.benchmark(suite.load(), "tiny").sampling(sampler)))
    return keys


def test_the_number_of_streams_changes_which_chains_are_designed(proteins):
    assert len(sampling_keys(proteins, "ancestral")) == 2


def test_the_number_of_streams_changes_no_image(files):
    assert len(sampling_keys(files, "ode")) == 1


def test_of_batch_and_tokens_only_the_one_that_counts_is_in_the_recipe():
    from reedbench.schema.benchmark import Training

    said = {"segment": 1, "save_every": 1}
    assert Training(tokens=5, **said).identity() == {"tokens": 5}
    assert Training(batch=64, **said).identity() == {"batch": 64}
