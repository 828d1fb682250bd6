"""Proteins: backbones and sequences, one row per chain (or complex), of any length.

The rows of a dataset have these arrays (see `rows.Rows`):

`coordinates`  Ragged float32, rows (length, 4, 3): N, CA, C, O in Angstrom, NaN where an atom is missing
`tokens`       Ragged uint8, rows (length,): the native sequence, 0..20 (`nn.residues`)
`chain`        Ragged uint8, rows (length,): 1-based number of the chain

and any one-dimensional ones for the manifest, such as `cluster`. Samples are sequences for a backbone, with what the
sampler says of them; on disk they are FASTA for people and parquet for programs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core import io
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.nn import residues

ATOMS = ("N", "CA", "C", "O")
CHAIN_GAP = 100  # added to residue numbers at every change of chain, as in ProteinMPNN
FASTA, PARQUET = "samples.fasta", "samples.parquet"
SEQUENCES = ("tokens", "argmax")  # arrays of samples that are sequences
COLUMNS = (*SEQUENCES, "evaluations", "times", "nll", "masked")  # of the parquet, before others


def resolved(coordinates: np.ndarray) -> np.ndarray:
    """(length, 4, 3) -> (length,) bool: all four atoms are there."""
    return np.isfinite(coordinates).all(axis=(1, 2))


def residue_index(chain: np.ndarray) -> np.ndarray:
    """(length,) chain numbers -> (length,) int64 position in the whole, 100 more at every chain."""
    return np.arange(len(chain)) + CHAIN_GAP * (chain.astype(np.int64) - 1)


def padded(arrays: Mapping[str, Any], length: int | None = None) -> dict[str, Any]:
    """Rows as networks take them, padded to `length`, or to the longest of them.

    Returns:
        Tensors on the CPU:
        `coordinates` (b, L, 4, 3) float32 with 0 for what is missing, `tokens` and `chain` (b, L) int64, `mask` (b, L)
        float32, 1 where all four atoms are there, `residue_index` (b, L) int64, -100 on padding.
    """
    import torch

    coordinates, chain = arrays["coordinates"], arrays["chain"]
    longest = int(coordinates.lengths.max()) if length is None else length
    mask = Ragged(resolved(coordinates.values).astype(np.float32), coordinates.lengths)
    index = Ragged.of([residue_index(row) for row in chain])
    whole = {
        "coordinates": np.nan_to_num(coordinates.padded(longest), nan=0.0),
        "tokens": arrays["tokens"].astype(np.int64).padded(longest),
        "mask": mask.padded(longest),
        "residue_index": index.padded(longest, -CHAIN_GAP),
        "chain": chain.astype(np.int64).padded(longest),
    }
    return {name: torch.from_numpy(array) for name, array in whole.items()}


def write_samples(folder: Path | str, samples: Rows) -> None:
    """Write designed sequences.

    Arrays of `samples`: `tokens` (the sampler's state) and `argmax` (its last guess), Ragged uint8; `evaluations` (n,)
    int64, network evaluations of each; `times` (n, k) float64 at which the native sequence was scored, `nll` (n, k)
    float64 and `masked` (n, k) int64: sum of -log p over residues that were masked, and their number.
    """
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, Any] = {"id": list(samples.ids)}
    for name in [*(name for name in COLUMNS if name in samples.arrays), *sorted({*samples.arrays} - {*COLUMNS})]:
        array = samples.arrays[name]
        if name in SEQUENCES:
            columns[name] = [residues.letters(row) for row in array]
        else:
            columns[name] = array if array.ndim == 1 else list(array)
    fasta = "".join(f">{name}\n{text}\n" for name, text in zip(samples.ids, columns["tokens"], strict=True))
    io.write_text(Path(folder) / FASTA, fasta)
    with io.atomic(Path(folder) / PARQUET) as part:
        parquet.write_table(pa.table(columns), part)


def read_samples(folder: Path | str) -> Rows:
    """Designed sequences, as `write_samples` wrote them.

    Raises:
        MissingArtefact: the file is absent or damaged.
    """
    table = io.read_table(Path(folder) / PARQUET).to_pydict()
    ids = table.pop("id")
    arrays: dict[str, Any] = {}
    for name, column in table.items():
        arrays[name] = Ragged.of([residues.tokens(x) for x in column]) if name in SEQUENCES else np.array(column)
    return Rows(ids, ["sample"] * len(ids), arrays)
