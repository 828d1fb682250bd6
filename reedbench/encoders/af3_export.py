"""Embeddings that AlphaFold3 exported, one npz per chain; nothing is computed here.

Keys, shapes and folders are those of REED's branch AlphaFold3-REED @263d952 (run_alphafold.py, diffusion_head.py);
buckets those of AlphaFold3 3.0.0 (run_alphafold.py, alphafold3/model/pipeline/pipeline.py). The terms of AlphaFold3
forbid passing its output on under other terms, and training structure predictors on it.
"""

import string
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import field_validator

from reedbench.core import paths
from reedbench.core.console import Track
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode, Kind, Material, PreparedEncoder
from reedbench.encoders._chains import collected

BUCKETS = (256, 512, 768, 1024, 1280, 1536, 2048, 2560, 3072, 3584, 4096, 4608, 5120)
PLACEHOLDERS = {"cluster", "id"}


class Af3Export(PreparedEncoder):
    """Single, pair or structure embeddings as exported, which must fit the chains in length."""

    domain: ClassVar[str] = "protein"
    pretrained: ClassVar[bool] = False
    cites: ClassVar[tuple[str, ...]] = ("abramson2024alphafold3",)
    uses: Literal["af3-export"] = "af3-export"

    folder: str
    """Folder of the exports, from the working directory or $REEDBENCH_DATA."""
    pattern: str = "cluster_{cluster}/seed-0_embeddings/embeddings.npz"
    """File of a chain in the folder; {id} stands for its id and {cluster} for its column `cluster`."""
    output: Literal["single", "pair", "structure"] = "single"
    """Which embedding: per residue `single` or `structure`, or per pair of residues."""
    lengths: Literal["exact", "bucket"] = "exact"
    """How long an export is: as the chain, or padded by AlphaFold3 to its next bucket (256, 512, ...), of which the
    first rows are taken. A bucket hides that a sequence was changed before AlphaFold3 saw it."""

    @field_validator("pattern")
    @classmethod
    def _names_a_chain(cls, pattern: str) -> str:
        try:
            parts = [part[1:] for part in string.Formatter().parse(pattern) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"{pattern!r}: {error}; write {{id}} or {{cluster}}") from error
        if not parts or any(name not in PLACEHOLDERS or spec or conversion for name, spec, conversion in parts):
            raise ValueError(f"{pattern!r} must have {{id}} or {{cluster}}, and nothing else in braces")
        return pattern

    @property
    def kind(self) -> Kind:
        """Pairs for the pair embedding, else residues."""
        return "pairs" if self.output == "pair" else "residues"

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Look for the files, whose values it gives as float32.

        Raises:
            MissingArtefact: a chain has no export.
            ConfigError: two chains have the same. When it is used: an export is damaged, has no such embedding, or has
                another length than its chain.
        """
        rows = material.rows
        files = self._files(rows)
        chain_of: dict[Path, str] = {}
        for name, file in zip(rows.ids, files, strict=True):
            if (other := chain_of.setdefault(file, name)) != name:
                raise ConfigError(
                    f"{file}: stands for both '{other}' and '{name}', which are different chains; use {{id}} in pattern"
                )
        if missing := [i for i, file in enumerate(files) if not file.is_file()]:
            raise MissingArtefact(
                f"{files[missing[0]]}: no AlphaFold3 export of chain '{rows.ids[missing[0]]}' ({len(missing)} of "
                f"{len(rows)} chains have none); check folder and pattern, or export them"
            )
        return self._represented

    def _represented(self, material: Material) -> Ragged:
        lengths = material.rows.arrays["tokens"].lengths
        found = self._read(self._files(material.rows), lengths)
        return collected(lengths**2 if self.kind == "pairs" else lengths, found)

    def _files(self, rows: Rows) -> list[Path]:
        folder = paths.external(self.folder)
        if "{cluster" in self.pattern and "cluster" not in rows.arrays:
            raise ConfigError(f"encoder af3-export: pattern '{self.pattern}' needs the column cluster; use {{id}}")
        clusters = rows.arrays.get("cluster", rows.ids)
        return [folder / self.pattern.format(id=i, cluster=c) for i, c in zip(rows.ids, clusters, strict=True)]

    def _read(self, files: list[Path], lengths: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        dim = None
        with Track("af3-export", len(files), unit="chain") as track:
            for row, (file, length) in enumerate(zip(files, lengths.tolist(), strict=True)):
                values = self._embedding(file, length)
                dim = dim or values.shape[-1]
                if values.shape[-1] != dim:
                    raise ConfigError(f"{file}: has {values.shape[-1]} channels where {files[0]} has {dim}")
                yield row, values
                track.update(row + 1)

    def _embedding(self, file: Path, length: int) -> np.ndarray:
        """(L, dim) or (L, L, dim) of one chain of L residues."""
        whole = _array(file, f"{self.output}_embeddings")
        sides = 2 if self.kind == "pairs" else 1
        size = whole.shape[0] if whole.ndim else 0
        if whole.dtype.kind != "f" or whole.ndim != sides + 1 or whole.shape[:-1] != (size,) * sides:
            raise ConfigError(
                f"{file}: {self.output}_embeddings is {whole.dtype} {whole.shape}, no embedding of residues"
            )
        if self.lengths == "exact":
            wanted, hint = length, "; if they are padded to buckets, set lengths: bucket"
        else:
            wanted, hint = next((bucket for bucket in BUCKETS if bucket >= length), length), ""
        if size != wanted:
            raise ConfigError(
                f"{file}: {size} residues, and the chain has {length}, for which lengths: {self.lengths} expects "
                f"{wanted}{hint if size > length else ''}"
            )
        values = whole[(slice(length),) * sides].astype(np.float32)
        if not np.isfinite(values).all():
            raise ConfigError(f"{file}: {self.output}_embeddings has values that are not finite; export it again")
        return values


def _array(file: Path, name: str) -> np.ndarray:
    """One array of an npz.

    Raises:
        ConfigError: the file is damaged, or does not have it.
    """
    try:
        with zipfile.ZipFile(file), np.load(file, allow_pickle=False) as arrays:
            if name not in arrays.files:
                raise ConfigError(f"{file}: has no array {name} (it has {', '.join(arrays.files) or 'none'})")
            array: np.ndarray = arrays[name]
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError, KeyError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"{file}: not a whole npz file of numbers ({why}); export it again") from error
    return array
