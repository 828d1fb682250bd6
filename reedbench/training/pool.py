"""Samples as rows of data: every row of a batch gets one that was asked for the row's own label, or for the row."""

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from reedbench.codecs import AbstractCodec
from reedbench.core.errors import ConfigError
from reedbench.domains.rows import Rows
from reedbench.nn.learner import Batch, Streams

NAME = "pool"  # of the stream that pairs, and the start of those from which samples are read


class Pool:
    """Samples by their labels.

    Args:
        samples: as the codec keeps rows of data: the same way leads from both to the backbone's space.
        codec: that of the data.
        classes: each of which needs a sample.
        what: the samples are, for the message.

    Raises:
        ConfigError: a class has none.
    """

    def __init__(self, samples: Rows, codec: AbstractCodec, classes: Iterable[int], what: str) -> None:
        self.samples, self.codec = samples, codec
        labels, wanted = np.asarray(samples.arrays["labels"]), list(classes)
        if absent := sorted(set(wanted) - set(labels.tolist())):
            more = f" and of {len(absent) - 1} more of the {len(wanted)}" if len(absent) > 1 else ""
            raise ConfigError(
                f"{what} hold {len(samples)} samples, none of class {absent[0]}{more}, and data of each class are set "
                "against samples of it: raise sampling.count of their benchmark, or ask for balanced labels there"
            )
        self._order = np.argsort(labels, kind="stable")  # samples of a class behind each other
        self._begins = np.searchsorted(labels[self._order], np.arange(max(wanted) + 2))

    def chosen(self, labels: np.ndarray, streams: Streams) -> np.ndarray:
        """The number of a sample for each row, given the rows' labels (b,): any of the label at equal chances."""
        begins, counts = self._begins[labels], np.diff(self._begins)[labels]
        found: np.ndarray = self._order[begins + streams(NAME).seeds() % counts]
        return found

    def drawn(self, rows: np.ndarray, batch: Batch, streams: Streams) -> Tensor:
        """Samples for the rows of a batch, in the backbone's space, (b, ...); what the codec draws of a row, it draws
        of them apart.
        """
        chosen = self.chosen(batch["labels"].numpy(), streams)
        batch = self.codec.batch(self.samples.take(chosen).arrays)
        x_1: Tensor = self.codec.drawn(batch, lambda name: streams(f"{NAME}-{name}"))["x_1"]
        return x_1


class PairedPool:
    """A sample for every training row.

    Args:
        samples: in the order of the rows.
        codec: that of the data.
        ids: of the training rows.
        what: the samples are, for the message.

    Raises:
        ConfigError: they are of other rows.
    """

    def __init__(self, samples: Rows, codec: AbstractCodec, ids: Sequence[str], what: str) -> None:
        if list(samples.ids) != list(ids):
            raise ConfigError(f"{what} hold no sample for each training row: sample again: snakemake -f {what}")
        self.samples, self.codec = samples, codec

    def drawn(self, rows: np.ndarray, batch: Batch, streams: Streams) -> Tensor:
        """The samples of the rows of a batch in the place of its tokens, padded like them; nothing is random."""
        found: Tensor = self.codec.in_place(self.samples.take(rows).arrays, batch["tokens"].shape[1])
        return found
