"""What published ProteinMPNN weights recover of real chains, from the structure alone and without a draw.

    python tests/parity/recovered.py v_48_020.pt [protein_chains.jsonl.gz] [--split test | --chains 50]

Every residue gets the likeliest letter of the unconditional network. Residues count where N, CA, C and O are there and
the native letter is known. Prints recovery pooled over residues, as mean and median over chains, and with one vote per
cluster; and perplexity.
"""

import argparse
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from reedbench.datasets.chains_jsonl import ChainsJsonl
from reedbench.domains import protein
from reedbench.domains.rows import Rows
from reedbench.nn.backbones.stock_mpnn import StockMPNN
from reedbench.nn.residues import UNKNOWN


class Score(NamedTuple):
    """Of one chain: residues that count, how many of them got their native letter, and the sum of -log p of it."""

    counted: int
    right: int
    nll: float


def published(file: str) -> StockMPNN:
    """The network with the weights of a file of ProteinMPNN's."""
    network = StockMPNN()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["model_state_dict"])
    return network.eval()


@torch.no_grad()
def scores(network: StockMPNN, rows: Rows) -> Iterator[Score]:
    """One by one, so that no chain is padded."""
    for i in range(len(rows)):
        batch = protein.padded(rows.take(np.array([i])).arrays)
        native = batch.pop("tokens")[0]
        log_probs = network.unconditional(**batch)[0].double()
        counts = batch["mask"][0].bool() & (native != UNKNOWN)
        right = (log_probs.argmax(-1) == native)[counts].sum()
        yield Score(int(counts.sum()), int(right), -float(log_probs.gather(-1, native[:, None])[counts].sum()))


def summary(found: Iterable[Score], clusters: Iterable[int]) -> dict[str, float]:
    """Recovery in four ways, and perplexity over all residues."""
    counted, right, nll = np.array(list(found), np.float64).T
    of_chain, clusters = right / counted, np.asarray(clusters)
    votes = [of_chain[clusters == cluster].mean() for cluster in np.unique(clusters)]
    return {
        "chains": len(counted),
        "residues": counted.sum(),
        "pooled": right.sum() / counted.sum(),
        "mean": of_chain.mean(),
        "median": float(np.median(of_chain)),
        "one vote per cluster": float(np.mean(votes)),
        "perplexity": float(np.exp(nll.sum() / counted.sum())),
    }


def main() -> None:
    """Print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("file", nargs="?", default="protein_chains.jsonl.gz")
    parser.add_argument(
        "--split", choices=["train", "valid", "test"], help="of the benchmark `chains`; all if left out"
    )
    parser.add_argument("--chains", type=int, help="the first so many")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = ChainsJsonl(name="chains", file=asked.file, max_length=256, min_length=30).rows()
    chosen = np.array([i for i, split in enumerate(rows.split) if asked.split in (None, split)])[: asked.chains]
    rows = rows.take(chosen)
    for name, value in summary(scores(published(asked.weights), rows), rows.arrays["cluster"]).items():
        print(f"{name:22} {value:,.0f}" if value > 100 else f"{name:22} {value:.3f}")


if __name__ == "__main__":
    main()
