"""Reading a representation of pairs for a training batch: CPU time at neighbours alone, against whole padded squares.

A batch of pdb.yaml is about 78 chains of 256 residues, and AlphaFold3's pairs have 128 channels; a few such chains are
made here. Both ways give the same tensor. The figure is the median ratio over rounds.

    python speed/pair_targets.py [--chains 5] [--rounds 7]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from reedbench.codecs.residues import Residues
from reedbench.core import io, shards
from reedbench.core.ragged import Ragged
from reedbench.domains import rows
from reedbench.domains.rows import TRAIN, Rows
from reedbench.training.loaders import TrainingData

LENGTH, CHANNELS, NEIGHBOURS = 256, 128, 30


def made(chains: int, folder: Path) -> TrainingData:
    """Chains of one length with random pairs."""
    rng = np.random.default_rng(0)
    arrays = {
        "coordinates": Ragged.of([rng.normal(size=(LENGTH, 4, 3)).astype(np.float32) for _ in range(chains)]),
        "tokens": Ragged.of([rng.integers(0, 20, LENGTH).astype(np.uint8) for _ in range(chains)]),
        "chain": Ragged.of([np.ones(LENGTH, np.uint8) for _ in range(chains)]),
    }
    these = Rows([str(i) for i in range(chains)], [TRAIN] * chains, arrays)
    rows.write(folder / "data", these, {})
    pairs = [rng.standard_normal((LENGTH**2, CHANNELS)).astype(np.float16) for _ in range(chains)]
    shards.write(folder / "pairs" / "shards", {"representation": Ragged.of(pairs)})
    io.write_json(folder / "pairs" / "index.json", {"train_ids": rows.ids_digest(these.ids), "kind": "pairs"})
    return TrainingData(folder / "data", {"pairs": folder / "pairs"}, Residues())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="reedbench-speed-") as folder:
        measure(arguments.chains, arguments.rounds, Path(folder))


def measure(n: int, rounds: int, folder: Path) -> None:
    """Print the time of both ways per chain, and their ratio."""
    data, everybody = made(n, folder), np.arange(n)
    near = torch.randint(LENGTH, (n, LENGTH, NEIGHBOURS), generator=torch.Generator().manual_seed(0))

    def squares() -> torch.Tensor:
        whole = data.stores["pairs"].read("representation", everybody)
        square = torch.from_numpy(np.stack([row.reshape(LENGTH, LENGTH, -1) for row in whole]).astype(np.float32))
        return square.gather(2, near[..., None].expand(*near.shape, CHANNELS))

    def neighbours() -> torch.Tensor:
        return data.targets(everybody, everybody, near)["target/pairs"].float()

    assert torch.equal(squares(), neighbours())
    seconds = {way: [_cpu(way) for _ in range(rounds)] for way in (squares, neighbours)}
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    for way, taken in seconds.items():
        print(f"{way.__name__}: {1000 * statistics.median(taken) / n:.1f} ms of CPU per chain")
    print(f"ratio {statistics.median(ratios):.1f} (of {rounds})")


def _cpu(work: Callable[[], torch.Tensor]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
