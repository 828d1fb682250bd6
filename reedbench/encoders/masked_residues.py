"""A residue encoder trained self-supervised on the training split: it predicts masked residues from the rest.

It plays ESM's part where no weights are at hand, and sees the backbone too. With `steps: 0` it stays random: the
control that asks whether the *content* of a representation matters. Objective after BERT, arXiv:1810.04805.
"""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import seeds
from reedbench.core.ragged import Ragged
from reedbench.domains.protein import padded
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode, Kind, Material, PreparedEncoder, Pretrained
from reedbench.encoders._chains import batches, collected, on_device_of, passes
from reedbench.encoders._descent import descend
from reedbench.nn.residues import AMINO_ACIDS

PAIRS = 2**19  # padded pairs of residues that one pass holds; memory grows with them
SHARES = (0.15, 0.5)  # of a chain's residues that are masked in training, drawn uniformly per chain
SCORED = 0.15  # share that is masked for the accuracy of the card
MOMENTS = ("mean", "std")


class MaskedResidues(PreparedEncoder):
    """Hidden states of residues or attention maps, from native sequence and structure, standardised over training."""

    domain: ClassVar[str] = "protein"
    on_gpu: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("devlin2019bert",)
    uses: Literal["masked-residues"] = "masked-residues"

    output: Literal["residues", "pairs"] = "residues"
    """Hidden states of residues, or the logarithm of attention between pairs of them, a channel per layer and head."""
    layer: int = Field(-1, ge=-1)
    """Layer whose hidden states are given: 0 is before the first one, -1 the last one, which is normalised."""
    dim: int = Field(64, ge=4)
    """Width of hidden states, a multiple of `heads`."""
    layers: int = Field(2, ge=1)
    """Number of layers."""
    heads: int = Field(4, ge=1)
    """Attention heads per layer."""
    steps: int = Field(400, ge=0)
    """Training steps; 0 is a random encoder."""
    batch: int = Field(32, ge=1)
    """Chains per step, fewer where they are long."""
    lr: float = Field(3.0e-3, gt=0)
    """Peak learning rate of AdamW; 20 steps of warm-up, then a cosine."""

    @model_validator(mode="after")
    def _fits(self) -> "MaskedResidues":
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        if self.layer > self.layers:
            raise ValueError(f"layer {self.layer} does not exist: there are {self.layers}")
        return self

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "MaskedResidues":
        if self.output == "pairs":
            self.refuse("layer", where="on output: pairs")
        if not self.steps:
            self.refuse("batch", "lr", where="on steps: 0")
        return self

    def cited(self) -> tuple[str, ...]:
        """None where it stays random."""
        return self.cites if self.steps else ()

    @property
    def kind(self) -> Kind:
        """As `output` says."""
        return self.output

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Train, then measure the moments that standardise the output."""
        began = time.process_time()
        train, test = (part.take(range(len(part.rows))) for part in (train, test))  # chains of many epochs, in memory
        network = self._network()
        network.initialise(lambda name: seeds.stream(stream, "init", name))
        losses = self._train(network, train.rows, stream) if self.steps else []
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        weights |= dict(zip(MOMENTS, _moments(self._outputs(network, train.rows)), strict=True))
        common = np.bincount(_letters(train.rows), minlength=len(AMINO_ACIDS)).argmax()
        card: dict[str, Any] = {
            "objective": "cross-entropy of masked residues" if self.steps else "none (random weights)",
            "first_loss": losses[0] if losses else None,
            "last_loss": losses[-1] if losses else None,
            "accuracy": f"share of right amino acids where {SCORED:.0%} of the residues are masked",
            "most_common": AMINO_ACIDS[common],
        }
        for split, rows in (("train", train.rows), ("test", test.rows)):
            card[f"{split}_accuracy"] = self._accuracy(network, rows, f"{stream}/score/{split}")
            letters = _letters(rows)
            card[f"{split}_rate_of_most_common"] = _rounded((letters == common).sum() / max(len(letters), 1))
        return Pretrained(weights, {**card, "cpu_seconds": round(time.process_time() - began, 1)})

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Build the network. Every channel has mean 0 and variance 1 over the training residues, or pairs of them.

        A common mean would make all cosines alike and leave the alignment little to say.
        """
        import torch

        network = self._network()
        network.load_state_dict({n: torch.from_numpy(w) for n, w in weights.items() if n not in MOMENTS})
        mean, std = (weights[name] for name in MOMENTS)
        return partial(self._standardised, network.to(device), mean, std)

    def _standardised(self, network: Any, mean: np.ndarray, std: np.ndarray, material: Material) -> Ragged:
        lengths = material.rows.arrays["tokens"].lengths
        sizes = lengths**2 if self.output == "pairs" else lengths
        return collected(sizes, ((row, (x - mean) / std) for row, x in self._outputs(network, material.rows)))

    def _network(self) -> Any:
        from reedbench.nn import masked_residues

        return masked_residues.MaskedResidues(self.dim, self.layers, self.heads)

    def _train(self, network: Any, rows: Rows, stream: str) -> list[float]:
        from torch.nn.functional import cross_entropy

        from reedbench.nn.draws import uniform
        from reedbench.nn.masked_residues import masked_at_random

        draws, lengths = seeds.stream(stream, "masks"), rows.arrays["tokens"].lengths
        chosen = batches(lengths, PAIRS, self.batch, f"{stream}/batches")

        def loss() -> Any:
            chains = padded(rows.take(next(chosen)).arrays)
            low, high = SHARES
            share = low + (high - low) * uniform(draws, len(chains["tokens"]), 1)
            noisy, hidden = masked_at_random(chains["tokens"], share, draws)
            hidden &= chains["chain"] > 0
            logits = network.head(network(**{**chains, "tokens": noisy})[-1][hidden])
            # A batch of very short chains may hide nothing: the mean over none is NaN, the sum is 0.
            return cross_entropy(logits, chains["tokens"][hidden], reduction="sum") / max(len(logits), 1)

        parameters = list(network.parameters())
        return descend(parameters, loss, title=stream, steps=self.steps, lr=self.lr, weight_decay=0.1, clip=1.0)

    def _outputs(self, network: Any, rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
        """Row number and raw output of every chain, (L, dim) or (L, L, layers * heads), shortest chains first."""
        import torch

        lengths = rows.arrays["tokens"].lengths
        with torch.no_grad():
            for chosen in passes(lengths, PAIRS, pairs=True):
                chains = {n: on_device_of(network, x) for n, x in padded(rows.take(chosen).arrays).items()}
                found = network.attention(**chains) if self.output == "pairs" else network(**chains)[self.layer]
                for row, values in zip(chosen.tolist(), found.cpu().numpy(), strict=True):
                    length = lengths[row]
                    yield row, values[:length, :length] if self.output == "pairs" else values[:length]

    def _accuracy(self, network: Any, rows: Rows, stream: str) -> float:
        import torch

        from reedbench.nn.masked_residues import masked_at_random

        draws, right, count = seeds.stream(stream), 0, 0
        with torch.no_grad():
            for chosen in passes(rows.arrays["tokens"].lengths, PAIRS, pairs=True):
                chains = padded(rows.take(chosen).arrays)
                noisy, hidden = masked_at_random(chains["tokens"], torch.tensor(SCORED), draws)
                hidden &= chains["chain"] > 0
                guess = network.head(network(**{**chains, "tokens": noisy})[-1][hidden]).argmax(-1)
                right += int((guess == chains["tokens"][hidden]).sum())
                count += int(hidden.sum())
        return _rounded(right / max(count, 1))


def _moments(found: Iterator[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (dim,) over all residues, or pairs, of all chains."""
    count, sums, squares = 0, np.float64(0), np.float64(0)
    for _, values in found:
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
        count, sums, squares = count + len(flat), sums + flat.sum(0), squares + np.square(flat).sum(0)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 0)) + 1e-6
    return mean.astype(np.float32), std.astype(np.float32)


def _letters(rows: Rows) -> np.ndarray:
    """All residues that are one of the twenty amino acids."""
    tokens: np.ndarray = rows.arrays["tokens"].values
    return tokens[tokens < len(AMINO_ACIDS)]


def _rounded(value: Any) -> float:
    return round(float(value), 4)
