"""Ancestral unmasking: what lazy evaluation saves, and whether a batch changes any sample.

A denoiser with fixed random weights designs made backbones on one thread. First, one chain at a time, the lazy loop
against the plain one: equal tokens, and the ratios of evaluations and of CPU seconds in this run. Then seeded chains in
batches against the same chains alone. A network rounds differently in another batch, so tokens may differ where the
sampler's race ends in a tie: for each chain that differs, the first difference is traced to its race, and the script
fails unless the relative gap between the two best scores there is below 1e-5. What follows a tie differs by right.

    python speed/unmasking_sampler.py [--chains 200] [--batch 16] [--length 100] [--steps 500] [--width 128] ...
"""

import argparse
import os
import time
from dataclasses import dataclass, field
from itertools import islice, zip_longest

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch import Tensor

from reedbench.core import seeds
from reedbench.domains.made_backbones import make
from reedbench.nn.backbones.mpnn import Encoded, ProteinMPNN
from reedbench.nn.residues import MASK, UNKNOWN, VOCABULARY
from reedbench.nn.unmasking_samplers import Unmasked, ancestral, race, tempered, unmasking_grid

TIE = 1e-5
TEMPERATURE = 0.1


@dataclass(frozen=True)
class Evaluation:
    """One network evaluation of a chain: before which transition, of which tokens (L,), log p (L, 22)."""

    transition: int
    tokens: Tensor
    log_p: Tensor


@dataclass
class Run:
    """Sampling of some chains (numbers), with a record of all evaluations of each."""

    network: ProteinMPNN
    structures: Encoded
    chains: list[int]
    steps: int
    transition: int = 0
    record: list[list[Evaluation]] = field(default_factory=list)

    def sample(self, *, lazy: bool = True) -> Unmasked:
        """Design the chains; everything random about a chain comes from its own stream."""
        self.record = [[] for _ in self.chains]
        self.streams = seeds.rows(self.chains, "sample", "speed")
        weight = self.structures.mask
        return ancestral(self.predict, weight, self.draw, steps=self.steps, temperature=TEMPERATURE, lazy=lazy)

    def predict(self, noisy: Tensor, rows: Tensor) -> Tensor:
        """Log-probabilities of some chains."""
        logits, _ = self.network.decode(self.structures.take(rows), noisy)
        log_p = logits.log_softmax(-1)
        for row, tokens, said in zip(rows.tolist(), noisy, log_p, strict=True):
            self.record[row].append(Evaluation(self.transition, tokens, said))
        return log_p

    def draw(self, i: int) -> Tensor:
        """Uniform numbers of transition i."""
        self.transition = i + 1
        length = self.structures.mask.shape[1]
        return torch.from_numpy(self.streams.uniform(length, VOCABULARY))


def denoiser(width: int, layers: int, neighbours: int) -> ProteinMPNN:
    """A network whose weights depend on their names alone."""
    network = ProteinMPNN(width=width, encoder_layers=layers, decoder_layers=layers, neighbours=neighbours)
    network.initialise(lambda name: seeds.stream("init", "speed", name))
    return network.eval()


def encoded(network: ProteinMPNN, chains: list[int], length: int) -> Encoded:
    """Made backbones after the encoder."""
    backbones = np.stack([make(length, 10.0, seeds.stream("backbone", "speed", chain)) for chain in chains])
    shape = (len(chains), length)
    index, one = torch.arange(length).expand(shape), torch.ones(shape)
    return network.encode(torch.from_numpy(backbones).float(), one, index, one.long())


def gaps(one: list[Evaluation], other: list[Evaluation], chain: int, steps: int) -> list[float]:
    """Relative gaps of the races in which two runs of a chain first drew different tokens; none if none did."""
    same = 0
    for a, b in zip_longest(one, other):
        if a is None or b is None or a.transition != b.transition or not torch.equal(a.tokens, b.tokens):
            break
        same += 1
    after = [run[same].transition if same < len(run) else steps - 1 for run in (one, other)]
    transition = min(after) - 1  # the last one, whose result nothing evaluates, if neither run has more
    own, length = seeds.rows([chain], "sample", "speed"), len(one[0].tokens)
    u = torch.from_numpy(next(islice((own.uniform(length, VOCABULARY)[0] for _ in range(steps)), transition, None)))
    scores = [_scores(run[same - 1].log_p, u, transition, steps) for run in (one, other)]
    differ = (one[same - 1].tokens == MASK) & (scores[0].argmax(-1) != scores[1].argmax(-1))
    best, second = scores[0][differ].topk(2).values.unbind(-1)
    return ((best - second) / best).tolist()


def _scores(log_p: Tensor, u: Tensor, transition: int, steps: int) -> Tensor:
    now, after = unmasking_grid(steps)[transition : transition + 2]
    log_p = log_p.clone()
    log_p[:, [UNKNOWN, MASK]] = -torch.inf
    rates = tempered(log_p, TEMPERATURE) * (after - now)
    rates[:, MASK] = 1 - after
    return race(rates, u)


def lazy_against_naive(network: ProteinMPNN, chain: int, length: int, steps: int) -> None:
    """Print what lazy evaluation saves for one chain."""
    structures, seconds, found = encoded(network, [chain], length), [], []
    for lazy in (True, False):
        began = time.process_time()
        found.append(Run(network, structures, [chain], steps).sample(lazy=lazy))
        seconds.append(time.process_time() - began)
    lazily, naively = found
    if not (torch.equal(lazily.tokens, naively.tokens) and torch.equal(lazily.argmax, naively.argmax)):
        raise SystemExit(f"chain {chain}: lazy evaluation changed the sample")
    few, many = int(lazily.evaluations), int(naively.evaluations)
    print(
        f"chain {chain}: equal tokens; evaluations {many} naive, {few} lazy ({many / few:.2f} times fewer); "
        f"CPU seconds {seconds[1]:.1f} naive, {seconds[0]:.1f} lazy ({seconds[1] / seconds[0]:.2f} times less)",
        flush=True,
    )


def batch_against_alone(network: ProteinMPNN, chains: list[int], length: int, steps: int) -> tuple[int, int]:
    """Chains and tokens that differ between a batch and the same chains alone; each must be a tie."""
    together = Run(network, encoded(network, chains, length), chains, steps)
    batch, chains_differ, tokens_differ = together.sample(), 0, 0
    for row, chain in enumerate(chains):
        alone = Run(network, encoded(network, [chain], length), [chain], steps)
        differ = int((alone.sample().tokens[0] != batch.tokens[row]).sum())
        if differ == 0:
            continue
        found = gaps(alone.record[0], together.record[row], chain, steps)
        print(f"chain {chain}: {differ} tokens differ; gaps of the first races that do: {found}", flush=True)
        if not found or max(found) >= TIE:
            raise SystemExit(f"chain {chain}: the difference is no tie")
        chains_differ, tokens_differ = chains_differ + 1, tokens_differ + differ
    return chains_differ, tokens_differ


@torch.no_grad()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=200, help="chains that are sampled in batches and alone")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3, help="of the encoder, and of the decoder")
    parser.add_argument("--neighbours", type=int, default=30)
    parser.add_argument("--timed", type=int, default=3, help="chains that are also sampled without laziness")
    given = parser.parse_args()
    torch.set_num_threads(1)
    network = denoiser(given.width, given.layers, given.neighbours)
    for chain in range(given.timed):
        lazy_against_naive(network, chain, given.length, given.steps)
    chains_differ = tokens_differ = 0
    for start in range(0, given.chains, given.batch):
        chains = list(range(start, min(start + given.batch, given.chains)))
        more_chains, more_tokens = batch_against_alone(network, chains, given.length, given.steps)
        chains_differ, tokens_differ = chains_differ + more_chains, tokens_differ + more_tokens
        done = start + len(chains)
        print(
            f"{done} chains in batches of {given.batch} against alone: {chains_differ} chains and {tokens_differ} of "
            f"{done * given.length} tokens differ, every first difference a tie below {TIE:g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
