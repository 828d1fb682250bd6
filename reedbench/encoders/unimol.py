"""Uni-Mol: one vector per molecule, by a transformer over its atoms that is trained here or was published.

Zhou et al., Uni-Mol, ICLR 2023, https://openreview.net/forum?id=6K2RM6wVqKu; global vector and target of REED,
arXiv:2507.08980, molecule/semlaflow/encoders.py:258-327 @0a4527e. REED pretrained its own on GEOM-Drugs by conformers,
so that it had seen test molecules; here the training split alone is seen. Published weights have seen what they have:
results should say so. With `steps: 0` it stays random: the control that asks whether the *content* matters.
"""

import time
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import checkpoint, pins, seeds
from reedbench.core.errors import ConfigError
from reedbench.domains.molecule import SYMBOLS
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode, Material, PreparedEncoder, Pretrained
from reedbench.encoders._chains import batches, on_device_of, passes
from reedbench.encoders._descent import descend
from reedbench.encoders._molecules import PROBED, probes, require_finite, some

IN_SUITE = "in-suite"  # weights
VOCABULARY = 32  # tokens of a network that is trained here: REED's
PAIRS = 2**16  # padded pairs of atoms that one pass holds; memory grows with them and with `kernels`
SCORED = 2000  # molecules of a split whose masked atoms are counted
ENDS = 2  # tokens around a molecule
OF_SIZE = ("layers", "width", "hidden", "heads", "kernels")
OF_TRAINING = ("steps", "batch", "lr")
MOMENTS = ("mean", "std")
HOW = (
    "say `weights: unimol-all-h`, or get mol_pre_all_h_220816.pt from https://huggingface.co/dptech/Uni-Mol-Models and "
    "give `weights` its path, with `output: atoms`"
)


class UniMol(PreparedEncoder):
    """One vector per molecule from elements and coordinates; the same under rotation, reflection and permutation."""

    domain: ClassVar[str] = "molecule"
    kind: ClassVar[Literal["tokens", "vector"]] = "vector"
    needs_test: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("zhou2023unimol",)
    uses: Literal["unimol"] = "unimol"

    weights: Annotated[str, pins.Pin((IN_SUITE,))] = IN_SUITE
    """`in-suite`: trained here on the training split. Or a name of config/weights.yaml, or a file of Uni-Mol or of
    REED's `unimol_global` (.pt or .safetensors, from the working directory or $REEDBENCH_DATA)."""
    output: Literal["global", "atoms"] = "global"
    """`global`: the global head on the mean token, as REED's. `atoms`: the mean state of atoms; stock Uni-Mol has no
    global head. Either is brought to mean 0 and deviation 1 over its channels, as REED's targets are."""
    pooling: Literal["masked", "reference"] = "masked"
    """Which tokens the global head sees the mean of: those of the molecule, or as in REED those of padding too, so that
    a vector depends on the molecules beside it."""
    standardise: bool = False
    """Bring every channel to mean 0 and variance 1 over the training molecules then; REED does not. Where vectors of
    different molecules are much alike (`cosine` of the card), it is the difference that is left."""
    layers: int = Field(4, ge=1)
    """Number of layers."""
    width: int = Field(128, ge=2)
    """Width of states and of the vector, a multiple of `heads`."""
    hidden: int = Field(256, ge=1)
    """Width between the two linear layers of a layer."""
    heads: int = Field(8, ge=1)
    """Attention heads per layer."""
    kernels: int = Field(32, ge=1)
    """Gaussians that a distance is seen through."""
    steps: int = Field(1000, ge=0)
    """Training steps; 0 is a random encoder."""
    batch: int = Field(32, ge=1)
    """Molecules per step, fewer where they are large."""
    lr: float = Field(1.0e-3, gt=0)
    """Peak learning rate of AdamW; 20 steps of warm-up, then a cosine."""

    @model_validator(mode="after")
    def _fits(self) -> "UniMol":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "UniMol":
        if self.weights != IN_SUITE:
            self.refuse(*OF_SIZE, *OF_TRAINING, "per_seed", where="on published weights")
        elif not self.steps:
            self.refuse("batch", "lr", where="on steps: 0")
        if self.output == "atoms":
            self.refuse("pooling", where="on output: atoms")
        return self

    def files(self) -> tuple[Path, ...]:
        """The weights, if they are published."""
        return () if self.weights == IN_SUITE else (pins.file(self.weights),)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """The width; of published weights the file tells it."""
        return (self.width,) if self.weights == IN_SUITE else None

    def studied_rows(self, count: int) -> int:
        """Of published weights those that are probed."""
        return count if self.weights == IN_SUITE else min(count, PROBED)

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Train, or read the weights; then measure moments, and how much of the molecules is to be seen."""
        began = time.process_time()
        card: dict[str, Any] = {"objective": self._objective()}
        if self.weights == IN_SUITE:
            network, told = self._trained(train.rows, test.rows, stream)
            used = self._network({}).state_dict().keys()  # heads of the training are thrown away
            weights = {name: tensor.numpy() for name, tensor in network.state_dict().items() if name in used}
            card |= told
        else:
            network, weights = self._network({}), {}
        card["parameters"] = sum(parameter.numel() for parameter in network.parameters())
        seen, probed = (
            some(part.rows, PROBED, f"{stream}/probe/{split}") for split, part in (("train", train), ("test", test))
        )
        vectors = self._vectors(network, seen)
        mean, std = vectors.mean(0, dtype=np.float64), vectors.std(0, dtype=np.float64)
        moments = (mean, np.where(std > 1e-6, std, 1.0)) if self.standardise else (mean * 0, np.ones_like(std))
        weights |= {name: x.astype(np.float32) for name, x in zip(MOMENTS, moments, strict=True)}
        card |= self._without_token(train.rows, network.vocabulary)
        card["cosine"] = _cosine(vectors)
        if len(probed):
            card |= probes(seen, vectors, probed, self._vectors(network, probed))
        return Pretrained(weights, card | {"cpu_seconds": round(time.process_time() - began, 1)})

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Build the network, or read the weights; it gives (n, width) float32.

        Raises:
            ConfigError: the file is none of Uni-Mol, or asks for code.
            MissingArtefact: there is no such file.
        """
        network = self._network({n: w for n, w in weights.items() if n not in MOMENTS}).to(device)
        mean, std = (weights[name] for name in MOMENTS)
        return partial(self._represented, network, mean, std)

    def _represented(self, network: Any, mean: np.ndarray, std: np.ndarray, material: Material) -> np.ndarray:
        found: np.ndarray = (self._vectors(network, material.rows) - mean) / std
        return found

    def _objective(self) -> str:
        if self.weights != IN_SUITE:
            return f"published weights {self.weights}"
        trained = "tokens, places and distances of masked atoms, in two views that a clean one helps (Uni-Mol, REED)"
        return trained if self.steps else "none (random weights)"

    def _size(self) -> tuple[int, ...]:
        return (VOCABULARY, self.layers, self.width, self.hidden, self.heads, self.kernels)

    def _blank(self) -> Any:
        """A network with what it is trained by."""
        from reedbench.nn.unimol_masking import MaskedUniMol

        return MaskedUniMol(*self._size())

    def _network(self, weights: Mapping[str, np.ndarray]) -> Any:
        """The network for use: with these weights if there are any, or those of the file."""
        import torch

        from reedbench.nn import unimol, unimol_files

        if self.weights == IN_SUITE:
            network = unimol.UniMol(*self._size())
            if weights:
                network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        else:
            (file,) = self.files()
            try:
                network = unimol_files.loaded(checkpoint.tensors(file, HOW, [Namespace]), whole=self.output == "global")
            except ValueError as error:
                raise ConfigError(f"{file}: {error}; {HOW}") from error
        return network.eval().requires_grad_(False)

    def _trained(self, train: Rows, test: Rows, stream: str) -> tuple[Any, dict[str, Any]]:
        """A network trained on all of some rows, and how well it tells masked atoms, for the card."""
        rows, held = (part.take(range(len(part))) for part in (train, test))  # molecules of many epochs, in memory
        network = self._blank()
        network.initialise(lambda name: seeds.stream(stream, "init", name))
        losses = self._train(network, rows, stream) if self.steps else []
        ends = {"first_loss": losses[0] if losses else None, "last_loss": losses[-1] if losses else None}
        return network, ends | self._quality(network, rows, held, stream)

    def _train(self, network: Any, rows: Rows, stream: str) -> list[float]:
        from reedbench.nn import unimol_masking

        draws = seeds.stream(stream, "views")
        chosen = batches(_tokens(rows), PAIRS, self.batch, f"{stream}/batches")

        def loss() -> Any:
            shown = self._formatted(rows.take(next(chosen)), network.vocabulary)
            return unimol_masking.loss(network, *shown, self.pooling, draws)

        parameters = list(network.parameters())
        return descend(parameters, loss, title=stream, steps=self.steps, lr=self.lr, weight_decay=0.01, clip=1.0)

    def _vectors(self, network: Any, rows: Rows) -> np.ndarray:
        """(n, width) float32, standardised by no moments yet."""
        import torch

        from reedbench.nn.unimol import normalised

        found = np.zeros((len(rows), network.embed_tokens.embedding_dim), np.float32)
        with torch.no_grad():
            for chosen in passes(_tokens(rows), PAIRS, pairs=True):
                shown = self._formatted(rows.take(chosen), network.vocabulary)
                encoded = network(*(on_device_of(network, x) for x in shown))
                of_atoms = self.output == "atoms"
                vectors = encoded.of_atoms() if of_atoms else network.whole(encoded, self.pooling)
                found[chosen] = normalised(vectors).cpu().numpy()
        return found

    def _formatted(self, rows: Rows, vocabulary: int) -> tuple[Any, Any]:
        """Tokens and coordinates of rows; an element without a token is [UNK], which all vocabularies have.

        Raises:
            ConfigError: a place is no number.
        """
        from reedbench.nn.unimol import formatted

        require_finite(rows, self.uses)
        return formatted(rows.arrays["elements"], rows.arrays["coordinates"], vocabulary)

    def _without_token(self, rows: Rows, vocabulary: int) -> dict[str, str]:
        """For the card: elements of rows that the network reads as [UNK], and how many atoms each has."""
        from reedbench.nn.unimol import known

        counts = np.zeros(256, np.int64)
        for cut in rows.cuts():
            counts += np.bincount(rows.take(range(cut.start, cut.stop)).arrays["elements"].values, minlength=256)
        counts[[0, *known(vocabulary)]] = 0
        told = ", ".join(f"{SYMBOLS[i]} ({counts[i]} atoms)" for i in np.flatnonzero(counts).tolist())
        return {"elements_without_token": f"{told} of the training split, read as [UNK]"} if told else {}

    def _quality(self, network: Any, rows: Rows, held: Rows, stream: str) -> dict[str, Any]:
        """How well masked atoms are told on either split, and how well without a network."""
        common = np.bincount(rows.arrays["elements"].values).argmax()
        card: dict[str, Any] = {
            "accuracy": "share of right elements where 15% of the atoms are masked",
            "most_common": SYMBOLS[common],
            "distance_error": "mean absolute error in Angstrom, of masked atoms to others; the constant is the median",
        }
        constant: float | None = None
        for split, part in (("train", rows), ("test", held)):
            scored = some(part, SCORED, f"{stream}/score/{split}")
            elements, wanted, guessed, shown = self._told(
                network, scored, seeds.stream(stream, "score", split, "views")
            )
            constant = float(np.median(wanted)) if constant is None else constant
            card |= {
                f"{split}_accuracy": _mean(elements[0] == elements[1]),
                f"{split}_rate_of_most_common": _mean(elements[1] == common),
                f"{split}_distance_error": _mean(np.abs(guessed - wanted)),
                f"{split}_distance_error_of_constant": _mean(np.abs(constant - wanted)),
                f"{split}_distance_error_of_noise": _mean(np.abs(shown - wanted)),
            }
        return card

    def _told(self, network: Any, rows: Rows, draws: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Of all masked atoms of a normal view: (2, atoms) guessed and right elements; and right, guessed and shown
        distances to other atoms."""
        import torch

        from reedbench.nn.unimol import ELEMENTS, END, FIRST, distances
        from reedbench.nn.unimol_masking import NORMAL, guesses, view

        table = np.array([*[0] * FIRST, *ELEMENTS, 0])
        found: list[tuple[np.ndarray, ...]] = []
        with torch.no_grad():
            for chosen in passes(_tokens(rows), PAIRS, pairs=True):
                tokens, places = self._formatted(rows.take(chosen), network.vocabulary)
                shown = view(tokens, places, NORMAL, network.vocabulary, draws)
                guessed, apart = guesses(network, shown)
                atoms = tokens > END
                others = (atoms[:, None] & ~torch.eye(tokens.shape[1], dtype=torch.bool))[shown.chosen]
                pairs = (distances(places), apart, distances(shown.coordinates))
                elements = table[torch.stack([guessed, tokens])[:, shown.chosen].numpy()]
                found.append((elements, *(x[shown.chosen][others].numpy() for x in pairs)))
        nothing = np.zeros((2, 0), np.int64), *[np.zeros(0)] * 3
        return tuple(np.concatenate(parts, axis=-1) for parts in zip(nothing, *found, strict=True))


def _tokens(rows: Rows) -> np.ndarray:
    lengths: np.ndarray = rows.arrays["elements"].lengths + ENDS
    return lengths


def _mean(values: np.ndarray) -> float:
    return round(float(np.mean(values)), 4) if values.size else 0.0


def _cosine(vectors: np.ndarray) -> float:
    """Mean cosine of two molecules' vectors."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    count = max(len(unit), 2)
    total = np.square(unit.sum(0, dtype=np.float64)).sum() - np.square(unit, dtype=np.float64).sum()
    return round(float(total / (count * (count - 1))), 4)
