"""ESMFold: structures from single sequences, by the port in transformers. Lin et al. 2023, doi:10.1126/science.ade2574.

The mean pLDDT is that of fair-esm's `infer` (esm/esmfold/v1/esmfold.py @2b36991): over all atoms that a residue has,
times 100, as the port gives 0 to 1.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.core import pins
from reedbench.core.errors import MissingArtefact
from reedbench.domains.superposition import FULL_PLDDT
from reedbench.folders import AbstractFolder, Prediction

ATOMS = 3  # N, CA, C come first of the 14 atoms
WEIGHTS = ("*.safetensors", "*.bin")


class EsmFold(AbstractFolder):
    """ESMFold on one sequence at a time; weights are 8.4 GB, and nothing is downloaded while metrics are computed."""

    cites: ClassVar[tuple[str, ...]] = ("lin2023esm2",)
    uses: Literal["esmfold"] = "esmfold"

    weights: pins.Weights = "facebook/esmfold_v1"
    """A name of config/weights.yaml; a folder with config.json and the weights (from the working directory or
    $REEDBENCH_DATA), with a / in it; or a name on the Hugging Face hub that is in the local cache."""
    chunk: int = Field(128, ge=1)
    """Rows of the pair representation that attention takes at a time; fewer need less memory and more time."""

    def missing(self) -> str | None:
        """transformers or the weights are not there."""
        if find_spec("transformers") is None:
            return "ESMFold needs the package transformers, and it is not installed: pip install transformers"
        try:
            source = self._source()
        except MissingArtefact as error:
            return f"ESMFold: {error}"
        if source is None:
            return (
                f"ESMFold weights not found: {self.weights} is neither a folder of config.json and weights nor in the "
                f"Hugging Face cache; give `weights` a folder, or fetch them once: hf download {self.weights}"
            )
        return None

    def files(self) -> tuple[Path, ...]:
        """The folder of the weights, where they are pinned: of others the digest would be taken anew each time."""
        return (pins.folder(self.weights),) if pins.is_name(self.weights) else ()

    def predict(self, sequences: Sequence[str], device: str) -> Iterator[Prediction]:
        """One sequence at a time, so that padding and batches change nothing."""
        model = self._model(device)
        for sequence in sequences:
            out = model.infer([sequence])
            coordinates = out["positions"][-1, 0, :, :ATOMS].float().cpu().numpy()
            there = out["atom37_atom_exists"][0].double()
            confidence = (out["plddt"][0].double() * there).sum() / there.sum()
            yield coordinates, FULL_PLDDT * float(confidence)

    def _model(self, device: str) -> Any:
        from transformers import EsmForProteinFolding

        # Of the hub only the cache: a compute node need not reach it.
        model = EsmForProteinFolding.from_pretrained(self._source(), local_files_only=True).eval().to(device)
        model.trunk.set_chunk_size(self.chunk)
        return model.float() if device == "cpu" else model  # half precision is slow on a CPU

    def _source(self) -> str | None:
        """The folder of the weights.

        Raises:
            MissingArtefact: the weights of config/weights.yaml that it names have not been fetched.
        """
        if _whole(folder := pins.folder(self.weights)):
            return str(folder)
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            cached = try_to_load_from_cache(self.weights, "config.json")
        except HFValidationError:  # a path, not a name
            return None
        return str(Path(cached).parent) if isinstance(cached, str) and _whole(Path(cached).parent) else None


def _whole(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(file for kind in WEIGHTS for file in folder.glob(kind))
