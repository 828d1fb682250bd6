"""The codec of inverse folding: backbones condition, residues are what is denoised; nothing is compressed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.codecs import AbstractCodec, Batch, Facts, Streams
from reedbench.core.errors import ConfigError
from reedbench.core.ragged import Ragged
from reedbench.domains import protein, rows, sequence_pictures
from reedbench.domains.rows import TEST, Rows
from reedbench.nn.residues import MASK, UNKNOWN

PREVIEW = 10  # chains that figures show
NOTHING = 255  # token of a preview beyond the end of a chain


class Residues(AbstractCodec):
    """Padded coordinates and tokens; samples are asked for the first `count / streams` test chains, once per stream."""

    domain: ClassVar[str] = "protein"
    lengths_of: ClassVar[str | None] = "tokens"
    repeats: ClassVar[bool] = True
    pools_by: ClassVar[Literal["labels", "rows"]] = "rows"
    real_are: ClassVar[str] = "native sequences"
    named: ClassVar[str] = "test chains, from the top"
    caption: ClassVar[str] = "A line per chain, a column per residue: strong where it is the native one, else pale."
    colours: ClassVar[Mapping[str, str]] = sequence_pictures.KEY
    stretch: ClassVar[bool] = True
    uncited: ClassVar[str] = "letters and coordinates as they are"
    uses: Literal["residues"] = "residues"

    def shape(self, facts: Facts) -> tuple[int, ...]:
        """One token per residue."""
        return (-1,)

    def batch(self, arrays: Mapping[str, Any], length: int | None = None) -> Batch:
        """Tensors of `domains.protein.padded`."""
        return protein.padded(arrays, length)

    def check_asked(self, facts: Facts, count: int, streams: int) -> None:
        """As many chains as the test split has, or fewer."""
        wanted, there = count // streams, int(facts["splits"].get(TEST, 0))
        if wanted > there:
            raise ConfigError(
                f"sampling.count {count} in {streams} stream(s) asks for {wanted} chains, and the test split has "
                f"{there}: lower it to {there * streams}"
            )

    def asked(self, folder: Path | str, facts: Facts, count: int, streams: int) -> Rows:
        """The first count / streams chains of the test split, once per stream; ids are `<chain>/<stream>`."""
        self.check_asked(facts, count, streams)
        wanted = count // streams
        once = rows.read(folder, TEST).take(np.arange(wanted))
        every = once.take(np.tile(np.arange(wanted), streams))
        ids = [f"{name}/{j}" for j in range(streams) for name in once.ids]
        return Rows(ids, ["asked"] * count, every.arrays)

    def asked_for(self, data: Rows) -> Rows:
        """The chains themselves, under their own ids."""
        return Rows(list(data.ids), ["asked"] * len(data), dict(data.arrays))

    def in_place(self, samples: Mapping[str, Any], length: int) -> Any:
        """(b, length) int64: designed tokens, 0 on padding as of native ones."""
        import torch

        return torch.from_numpy(samples["tokens"].astype(np.int64).padded(length))

    def condition(self, asked: Rows, facts: Facts, streams: Streams) -> Batch:
        """The chains as for training; nothing is random."""
        return self.batch(asked.arrays)

    def samples(self, drawn: Mapping[str, Any], asked: Rows) -> Rows:
        """Sequences at their own length, X where nothing was designed; see `domains.protein.write_samples`."""
        lengths = asked.arrays["tokens"].lengths
        arrays: dict[str, Any] = {}
        for name, tensor in drawn.items():
            array = tensor.numpy()
            if name in protein.SEQUENCES:
                array = np.where(array == MASK, UNKNOWN, array).astype(np.uint8)
                array = Ragged.of([row[:length] for row, length in zip(array, lengths, strict=True)])
            arrays[name] = array
        return Rows(asked.ids, ["sample"] * len(asked), arrays)

    def write(self, folder: Path | str, samples: Rows) -> None:
        """FASTA and parquet."""
        protein.write_samples(folder, samples)

    def read(self, folder: Path | str) -> Rows:
        """From the parquet."""
        return protein.read_samples(folder)

    def preview(self, samples: Rows, asked: Rows) -> np.ndarray:
        """(10, 2, length) uint8: designed and native tokens of the first chains, 255 beyond their end."""
        pair = [data.arrays["tokens"][slice(0, PREVIEW)] for data in (samples, asked)]
        longest = int(pair[0].lengths.max())
        return np.stack([tokens.padded(longest, NOTHING) for tokens in pair], axis=1)

    def real(self, folder: Path | str, asked: Rows) -> np.ndarray:
        """(10, 2, length) uint8: the native sequences of the same chains, twice."""
        return self.preview(asked, asked)

    def names(self, asked: Rows) -> list[str]:
        """The chains, without the stream."""
        return [name.rsplit("/", 1)[0] for name in asked.ids[:PREVIEW]]

    def picture(self, preview: np.ndarray) -> np.ndarray:
        """A line per chain, coloured by the kind of residue."""
        return sequence_pictures.matches(preview)

    def numbers(self, preview: np.ndarray) -> list[dict[str, Any]]:
        """Designed and native sequences."""
        return sequence_pictures.sequences(preview)
