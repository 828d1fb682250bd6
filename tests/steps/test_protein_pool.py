"""Rounds of self-play on proteins: pools are designs for the training chains, of the weights that the teacher has."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from reedbench import steps
from reedbench.core import io, paths, provenance
from reedbench.core.errors import ConfigError
from reedbench.domains import protein, rows
from reedbench.domains.rows import TRAIN
from reedbench.nn.backbones.mpnn import ProteinMPNN
from reedbench.schema import planning, runs, suite, targets
from reedbench.steps import designing, gather

BENCHMARK = {
    "title": "Tiny self-play",
    "dataset": {"uses": "backbones", "chains": 12, "test_chains": 3, "min_length": 20, "max_length": 26},
    "codec": {"uses": "residues"},
    "backbone": {"uses": "protein-mpnn", "width": 8, "encoder_layers": 1, "decoder_layers": 1, "neighbours": 6},
    "train": {"tokens": 80, "segment": 4, "save_every": 2, "ema_decay": 0.5},
    "bookkeeping": {"log_every": 2},
    "seeds": [0],
    "evaluate": [4],
    "methods": {
        "discrete": {"uses": "masked-diffusion", "label": "Discrete"},
        "spin": {
            "rounds": {
                "times": 2,
                "first": {"method": "discrete", "step": 4},
                "of": {"uses": "protein-self-play", "label": "SPIN", "pool": {"sampler": "own"}, "steps": 2},
            }
        },
    },
    "table": ["discrete", "spin.2"],
    "samplers": {
        "ancestral": {"uses": "ancestral", "steps": 6},
        "own": {"uses": "ancestral", "steps": 6, "temperature": 1.0},
    },
    "sampling": {"count": 6, "streams": 2, "batch": 4},
    "metrics": [{"uses": "recovery", "of": "state"}],
    "speedup": {"metric": "recovery@state", "baseline": "discrete"},
}
POOL = "results/samples/playing/{}/seed0/step-000000{}/own.train"


@pytest.fixture
def benchmark(workspace) -> runs.Benchmark:
    """In a workspace of its own; nothing has been made."""
    return edited({})


def edited(more: dict) -> runs.Benchmark:
    Path("config/benchmarks/playing.yaml").write_text(yaml.safe_dump({**BENCHMARK, **more}))
    suite.load.cache_clear()
    return runs.benchmark(suite.load(), "playing")


def do(verb: str, method: str, *more: str) -> int:
    return steps.main([verb, "--benchmark", "playing", "--method", method, "--seed", "0", *more])


def train(method: str) -> int:
    return do("train", method, "--segment", "0")


def draw(method: str, step: int) -> int:
    return do("sample", method, "--step", str(step), "--sampler", "own.train")


def chain(length: int, encoder: int = 0, decoder: int = 0) -> float:
    """Operations for a chain, two per multiply-add, by hand: of its structure, or of a look at its sequence."""
    near, width = 6, 8
    structure = near * (1 + 5) * width**2 + 13 * width**2 + near * 416 * width
    look = (11 + 3 * near) * width**2 + 22 * width
    return 2.0 * length * (encoder * structure + decoder * look)


@pytest.mark.parametrize("length", [3, 6, 50])
def test_every_residue_costs_alike_from_as_many_as_it_has_neighbours_on(length):
    network = ProteinMPNN(width=8, encoder_layers=1, decoder_layers=1, neighbours=6)
    ((encoding, looking),) = designing.costs(network, [length]).values()
    direct = designing.costs(ProteinMPNN(width=8, encoder_layers=1, decoder_layers=1, neighbours=6), [length, 50, 9])
    assert direct[length] == (encoding, looking)
    if length >= 6:
        assert (encoding, looking) == (chain(length, encoder=1), chain(length, decoder=1))
    else:
        assert encoding < chain(length, encoder=1)


def test_a_plan_draws_for_the_training_chains_between_the_rounds(benchmark):
    done = [job.done for job in planning.jobs(benchmark) if job.verb in ("train", "sample")]
    wanted = [
        "results/runs/playing/discrete/seed0/segment-0.json",
        POOL.format("discrete", 4),
        "results/runs/playing/spin.1/seed0/segment-0.json",
        POOL.format("spin.1", 2),
        "results/runs/playing/spin.2/seed0/segment-0.json",
    ]
    assert [file for file in done if file in wanted] == wanted
    assert "results/samples/playing/spin.2/seed0/step-0000002/ancestral" in done
    targets.check(benchmark.suite, [POOL.format("discrete", 4)], {})
    with pytest.raises(ConfigError):
        targets.check(benchmark.suite, [POOL.format("discrete", 4).replace("train", "test")], {})


def test_the_pools_settings_are_part_of_a_recipe_and_what_is_scored_is_not(benchmark):
    key, pool = benchmark.run("spin.1", 0).key, benchmark.run("spin.1", 0).pool
    assert pool.sampling["rows"] == TRAIN
    assert pool.sampling.keys().isdisjoint({"count", "streams"})
    assert benchmark.run("spin.1", 0).recipe["pool"] == pool.sampling
    assert edited({"sampling": {"count": 3, "streams": 1}}).run("spin.1", 0).key == key
    samplers = {**BENCHMARK["samplers"], "own": {"uses": "ancestral", "steps": 7, "temperature": 1.0}}
    assert edited({"samplers": samplers}).run("spin.1", 0).key != key


def test_rounds_are_trained_on_designs_of_the_round_before(benchmark, capsys):
    assert steps.main(["prepare", "--dataset", "backbones"]) == 0
    assert train("discrete") == 0
    assert train("spin.1") == 3  # its pool first
    assert "own.train" in capsys.readouterr().err
    assert draw("discrete", 4) == 0
    pool, data = POOL.format("discrete", 4), rows.read(benchmark.data, TRAIN)
    designs = protein.read_samples(pool)
    assert list(designs.ids) == list(data.ids)
    lengths = data.take(np.arange(len(data))).arrays["tokens"].lengths
    assert designs.arrays["tokens"].lengths.tolist() == lengths.tolist()
    assert train("spin.1") == 0
    assert provenance.read(paths.receipt("playing", "spin.1", 0, 0))["inputs"].keys() >= {pool}
    assert (draw("spin.1", 2), train("spin.2")) == (0, 0)
    first, second = (gather._one_off(benchmark.run(method, 0)) for method in ("spin.1", "spin.2"))
    assert second["oneoff_device_seconds"] > first["oneoff_device_seconds"]
    looks = designs.arrays["evaluations"] + 5  # and native sequences are scored at five times
    design = sum(chain(n, encoder=1) + often * chain(n, decoder=1) for n, often in zip(lengths, looks, strict=True))
    trained = pd.read_csv("results/runs/playing/discrete/seed0/segment-0/curve.csv")["flops"].iloc[-1]
    assert first["oneoff_flops"] == pytest.approx(trained + design, rel=1e-12)
    for method, step in (("discrete", 4), ("spin.2", 2)):
        cell = ["--step", str(step), "--sampler", "ancestral"]
        assert (do("sample", method, *cell), do("evaluate", method, *cell)) == (0, 0)
    scored = io.read_json("results/metrics/playing/spin.2/seed0/step-0000002/ancestral.json")
    assert 0 <= scored["records"][0]["value"] <= 1


def test_a_design_of_a_training_chain_shares_no_numbers_with_that_of_a_test_chain(benchmark):
    """Both are the first of their kind: with one stream for both, equal chains would have equal designs."""
    from reedbench.steps.asked import streams_of

    run = benchmark.run("discrete", 0)
    one, other = (streams_of(run, [0], what)("design").uniform(5) for what in ("sample", "pool"))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"samplers": {**BENCHMARK["samplers"], "purity.train": {"uses": "purity", "steps": 4}}},
            "samplers.purity.train: may not end in .train, as pools of training rows do: rename it",
        ),
        (
            {"samplers": {**BENCHMARK["samplers"], "own": {"uses": "ancestral", "steps": 6}}},
            "methods.spin.1.pool.sampler: own draws at temperature 0.1, and a pool is of the teacher's own law: take a",
        ),
        (
            {"methods": {**BENCHMARK["methods"], "tdc": {"uses": "protein-grouped", "label": "T"},
             "s": {**BENCHMARK["methods"]["spin"]["rounds"]["of"], "teacher": {"method": "tdc", "step": 4}}}},
            "methods.s.teacher: protein-grouped has several networks: take a teacher with one",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(benchmark, more, words):
    with pytest.raises(ConfigError) as caught:
        edited(more)
    assert words in str(caught.value)


def test_samples_of_training_rows_are_for_chains_alone(workspace):
    tiny = runs.benchmark(suite.load(), "tiny")
    with pytest.raises(ConfigError, match=r"unknown sampler 'ode\.train'"):
        tiny.cell("sit", 0, 10, "ode.train")
