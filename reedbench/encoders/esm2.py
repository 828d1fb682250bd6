"""ESM-2: a protein language model, by fair-esm. Lin et al. 2023, https://doi.org/10.1126/science.ade2574.

Facts about the interface and the files are those of fair-esm 2.0.0 (esm/pretrained.py, esm/model/esm2.py @2b36991).
ESM-2 was trained on UniRef50 of April 2021, which holds homologues of most test chains: only training chains are ever
represented, and results should say what the target has seen.
"""

import argparse
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import checkpoint, pins
from reedbench.core.console import Track
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode, Kind, Material, PreparedEncoder
from reedbench.encoders._chains import collected, on_device_of, passes

URL = "https://dl.fbaipublicfiles.com/fair-esm"
MODELS = (
    "esm2_t6_8M_UR50D", "esm2_t12_35M_UR50D", "esm2_t30_150M_UR50D", "esm2_t33_650M_UR50D", "esm2_t36_3B_UR50D",
    "esm2_t48_15B_UR50D",
)  # fmt: skip
# Tokens of ESM: first the marks around a chain, then the 21 letters of `nn.residues` in its order.
START, PADDING, END = 0, 1, 2
LETTERS = (5, 23, 13, 9, 18, 6, 21, 12, 15, 4, 20, 17, 14, 16, 10, 8, 11, 7, 22, 19, 24)


class Esm2(PreparedEncoder):
    """Hidden states of residues, or maps of attention or contacts between pairs of them, from the native sequence."""

    domain: ClassVar[str] = "protein"
    pretrained: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("lin2023esm2",)
    uses: Literal["esm2"] = "esm2"

    weights: Annotated[str, pins.Pin(MODELS)] = MODELS[0]
    """A name of config/weights.yaml; a .pt file of fair-esm (from the working directory or $REEDBENCH_DATA); or the
    name of a model, which lies in torch's hub folder. Nothing is downloaded."""
    output: Literal["residues", "pairs"] = "residues"
    """Hidden states of residues, or maps of pairs of residues."""
    layer: int = Field(-1, ge=-1)
    """Layer whose hidden states are given: 0 is the embedding, -1 the last layer, which is normalised."""
    maps: Literal["attention", "contacts"] = "attention"
    """What pairs get: attention, a channel per chosen layer and head, or the probability of a contact."""
    layers: tuple[int, ...] = Field((-1,), min_length=1)
    """Layers whose attention is given, in this order, counted from 1; -1 is the last one."""
    tokens: int = Field(4096, ge=1)
    """Padded residues of a pass; a longer chain is a pass of its own, as every chain is where pairs are wanted."""

    @model_validator(mode="after")
    def _layers_exist(self) -> "Esm2":
        if wrong := [layer for layer in self.layers if layer == 0 or layer < -1]:
            raise ValueError(f"layers: {wrong[0]} has no attention; layers are counted from 1, and -1 is the last one")
        return self

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "Esm2":
        if self.output == "residues":
            self.refuse("maps", "layers", where="on output: residues")
        else:
            self.refuse("layer", "tokens", where="on output: pairs")
        if self.maps == "contacts":
            self.refuse("layers", where="on maps: contacts")
        return self

    @property
    def kind(self) -> Kind:
        """As `output` says."""
        return self.output

    def files(self) -> tuple[Path, ...]:
        """The weights of the model, and those of the contact head if contacts are wanted."""
        file = _file(self.weights)
        return (file, _regression_of(file)) if self._wants_contacts() else (file,)

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read the weights; it gives plain values of the model, float32.

        Raises:
            ConfigError: fair-esm is not installed, a row has several chains, or the weights file is not one of ESM-2.
            MissingArtefact: the weights are not there.
        """
        rows = material.rows
        if several := [i for i, chain in enumerate(rows.arrays["chain"]) if len(np.unique(chain)) > 1]:
            raise ConfigError(f"encoder esm2 reads single chains, and row '{rows.ids[several[0]]}' has several")
        return partial(self._represented, self._model().to(device))

    def _represented(self, model: Any, material: Material) -> Ragged:
        rows, lengths = material.rows, material.rows.arrays["tokens"].lengths
        if self.output == "pairs":
            return collected(lengths**2, self._pairs(model, rows))
        return collected(lengths, self._residues(model, rows))

    def _residues(self, model: Any, rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
        """Row number and hidden states (L, dim) of every chain, shortest chains first."""
        import torch

        layer, lengths, count = _existing(self.layer, model), rows.arrays["tokens"].lengths, 0
        with torch.no_grad(), Track("esm2", len(rows), unit="chain") as track:
            for chosen in passes(lengths, self.tokens):
                out = model(on_device_of(model, _tokens(rows, chosen)), repr_layers=[layer])
                for row, values in zip(chosen.tolist(), out["representations"][layer].cpu().numpy(), strict=True):
                    yield row, values[1 : lengths[row] + 1]
                track.update(count := count + len(chosen))

    def _pairs(self, model: Any, rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
        """Row number and maps (L, L, channels) of every chain."""
        import torch

        chosen = [_existing(layer, model) - 1 for layer in self.layers]
        contacts = self.maps == "contacts"
        with torch.no_grad(), Track("esm2", len(rows), unit="chain") as track:
            for row in range(len(rows)):
                tokens = on_device_of(model, _tokens(rows, np.array([row])))
                out = model(tokens, need_head_weights=True, return_contacts=contacts)
                if contacts:
                    maps = out["contacts"][0][..., None]
                else:
                    maps = out["attentions"][0, chosen, :, 1:-1, 1:-1].flatten(0, 1).permute(1, 2, 0)
                yield row, maps.cpu().numpy()
                track.update(row + 1)

    def _model(self) -> Any:
        """The network, for use.

        Raises:
            ConfigError: fair-esm is not installed, or a file is not one of ESM-2.
            MissingArtefact: a file is not there.
        """
        import torch

        try:
            from esm.pretrained import load_model_and_alphabet_core
        except ImportError as error:  # absent, or the other package that is called esm
            raise ConfigError(
                "encoder esm2 needs fair-esm, and it is not installed: pip install 'reedbench[protein]'"
            ) from error

        file, *_ = self.files()
        how = f"the models of ESM-2 are at {URL}/models/<name>.pt, with names {', '.join(MODELS)}"
        found = checkpoint.load(file, how, [argparse.Namespace])
        regression = self._regression(file)
        try:
            # fair-esm draws weights before it loads them, and warns of a contact head without any that nobody reads.
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                model, _ = load_model_and_alphabet_core("esm2", found, regression)
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            raise ConfigError(f"{file}: is no checkpoint of ESM-2 ({type(error).__name__}: {why}); {how}") from error
        return model.eval().requires_grad_(False)

    def _wants_contacts(self) -> bool:
        return (self.output, self.maps) == ("pairs", "contacts")

    def _regression(self, file: Path) -> Any:
        """Weights of the contact head, which lie beside those of the model, if contacts are wanted."""
        if not self._wants_contacts():
            return None
        beside = _regression_of(file)
        return checkpoint.load(beside, f"contacts need it beside the model: get {URL}/regression/{beside.name}")


def _regression_of(file: Path) -> Path:
    return file.with_name(f"{file.stem}-contact-regression.pt")


def _file(weights: str) -> Path:
    """The weights file that is meant.

    Raises:
        MissingArtefact: the file is not there.
    """
    if weights not in MODELS:
        return pins.file(weights)
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / f"{weights}.pt"
    if not file.is_file():
        raise MissingArtefact(
            f"{file}: no such file; get {URL}/models/{weights}.pt where there is a network and put it there, or name "
            "weights of config/weights.yaml (its sha256 and that address) and run: snakemake fetch"
        )
    return file


def _existing(layer: int, model: Any) -> int:
    """A layer of the model, -1 being the last one."""
    if layer > model.num_layers:
        raise ConfigError(f"encoder esm2: layer {layer} does not exist, this model has {model.num_layers}")
    return int(model.num_layers) if layer == -1 else layer


def _tokens(rows: Rows, chosen: np.ndarray) -> Any:
    """(b, longest + 2) int64: chains in the tokens of ESM, between start and end, then padding."""
    import torch

    native = rows.arrays["tokens"]
    out = np.full((len(chosen), native.lengths[chosen].max() + 2), PADDING, np.int64)
    for row, full in zip(chosen.tolist(), out, strict=True):
        letters = np.array(LETTERS)[native[row]]
        full[: len(letters) + 2] = [START, *letters, END]
    return torch.from_numpy(out)
