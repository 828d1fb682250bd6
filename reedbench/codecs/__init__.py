"""Codecs: data <-> what the backbone models, for training rows and for samples. One file each.

A codec alone knows what data of a domain look like; training, sampling and scoring ask it.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from reedbench.core.plugins import Plugin
from reedbench.core.seeds import RowStreams
from reedbench.domains.rows import Rows

Facts = Mapping[str, Any]  # index of a dataset
Streams = Callable[[str], RowStreams]  # name of a draw -> one stream per sample
Batch = dict[str, Any]  # of tensors whose first axis is the row


class AbstractCodec(Plugin):
    """Maps stored rows to the backbone's space, and what a sampler makes back to data."""

    domain: ClassVar[str]
    lengths_of: ClassVar[str | None] = None  # ragged array whose rows say how long a datum is
    real_are: ClassVar[str] = "real data"  # what `real` gives
    named: ClassVar[str] = "samples"  # what `names` are
    caption: ClassVar[str] = ""  # what is seen in a picture, where it does not say so itself
    colours: ClassVar[Mapping[str, str]] = {}  # what colours of a picture mean: words and colour
    stretch: ClassVar[bool] = False  # a picture's pixels have no shape of their own: it fills its axes
    lossy: ClassVar[bool] = False  # real data do not come back whole: reports show what that costs (`again`)
    compresses: ClassVar[bool] = False  # training rows are encoded once, by the step `compress`, and kept
    decides_latents: ClassVar[tuple[str, ...]] = ()  # settings on which what is kept depends, besides `uses`
    of_samples: ClassVar[tuple[str, ...]] = ()  # settings that concern samples, and not what a network is trained on
    labelled: ClassVar[bool] = False  # samples are asked for classes, which may be drawn (`relabelled`)
    # What a sample of a pool shares with the training row that it is set against: its label, or what it was asked for.
    pools_by: ClassVar[Literal["labels", "rows"]] = "labels"
    repeats: ClassVar[bool] = False  # sampling streams repeat the same conditions, so that their number changes them

    def recipe(self) -> dict[str, Any]:
        """The settings that change what a network is trained on."""
        return {name: value for name, value in self.identity().items() if name not in self.of_samples}

    def latents(self) -> dict[str, Any]:
        """The settings that change what is kept of training rows, where they are encoded once."""
        kept = ("uses", "version", *self.decides_latents)
        return {name: value for name, value in self.identity().items() if name in kept}

    def filed(self) -> str:
        """The name under which encoded training rows of a dataset are kept; codecs that share it share them."""
        return self.uses

    def on(self, device: str) -> Self:
        """The same codec, whose networks, if it has any, compute on this device."""
        return self

    def files(self) -> tuple[Path, ...]:
        """Files from outside that it reads: their digests are part of the provenance."""
        return ()

    @abstractmethod
    def shape(self, facts: Facts) -> tuple[int, ...]:
        """Shape of one datum in the backbone's space; -1 where data differ."""

    @abstractmethod
    def batch(self, arrays: Mapping[str, Any], length: int | None = None) -> Batch:
        """Arrays of some rows as networks take them.

        Args:
            arrays: as the dataset has them.
            length: to which rows of different lengths are padded; the longest of them if it is not given.
        """

    @property
    def cpu_threads(self) -> int:
        """Threads with which it compresses on a CPU: another number rounds differently."""
        return 1

    def compressed(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of some rows, of arrays as the dataset has them: that from which `batch` makes a batch."""
        raise TypeError(f"{type(self).__name__} does not compress")

    def kept(self, facts: Facts) -> int | None:
        """Bytes that `compressed` keeps of a row, for `reedbench plan`; None where only the rows tell."""
        return None

    def compressing_flops(self, facts: Facts) -> float | None:
        """Floating-point operations of `compressed` on a row, counted on shapes alone; None where these do not tell."""
        return None

    def drawn(self, batch: Batch, streams: Streams) -> Batch:
        """A training batch with what is drawn anew in every step; `streams` gives by name one stream per row."""
        return batch

    def check_asked(self, facts: Facts, count: int, streams: int) -> None:
        """Refuse a number of samples for which the data have too few conditions (test chains), before training.

        Raises:
            ConfigError: there are too few.
        """
        return None

    @abstractmethod
    def asked(self, folder: Path | str, facts: Facts, count: int, streams: int) -> Rows:
        """The conditions of `count` samples: which class, which chain.

        The samples fall into `streams` equal parts with the same conditions.

        Raises:
            ConfigError: the data cannot ask for that many.
        """

    def asked_for(self, data: Rows) -> Rows:
        """The conditions of one sample for each of some rows of data, where pools are drawn for these."""
        raise TypeError(f"{type(self).__name__} asks for no rows of data")

    def in_place(self, samples: Mapping[str, Any], length: int) -> Any:
        """Arrays of samples as a tensor in the place of what is denoised in a batch, padded to a length."""
        raise TypeError(f"{type(self).__name__} asks for no rows of data")

    def relabelled(self, asked: Rows, facts: Facts, streams: Streams) -> Rows:
        """The same samples asked for classes that are drawn uniformly, each from its own stream."""
        raise TypeError(f"{type(self).__name__} asks for no classes")

    @abstractmethod
    def condition(self, asked: Rows, facts: Facts, streams: Streams) -> Batch:
        """What a sampler starts from, on the CPU; `streams` gives by name one stream per sample."""

    @abstractmethod
    def samples(self, drawn: Mapping[str, Any], asked: Rows) -> Rows:
        """What a sampler drew for a batch (tensors on the CPU) as data."""

    def again(self, data: Rows) -> Rows:
        """Real data encoded and decoded: what perfect samples are."""
        return data

    @abstractmethod
    def write(self, folder: Path | str, samples: Rows) -> None:
        """Write the samples of a cell into a folder; they may be on disk, and more than memory holds."""

    @abstractmethod
    def read(self, folder: Path | str) -> Rows:
        """Samples, as `write` wrote them.

        Raises:
            MissingArtefact: a file is absent or damaged.
        """

    @abstractmethod
    def preview(self, samples: Rows, asked: Rows) -> np.ndarray:
        """The samples that figures show, as one uint8 array."""

    @abstractmethod
    def real(self, folder: Path | str, asked: Rows) -> np.ndarray:
        """Real data of the same kind as the samples of a preview, in the same order, as one uint8 array.

        Args:
            folder: of the data set.
            asked: as `asked` gives it.

        Raises:
            MissingArtefact: a file is absent or damaged.
        """

    @abstractmethod
    def names(self, asked: Rows) -> list[str]:
        """What each sample of a preview was asked to be, in a word."""

    @abstractmethod
    def picture(self, preview: np.ndarray) -> np.ndarray:
        """A preview, or real data, as one picture: (height, width) or (height, width, 3) uint8, white is 255."""

    @abstractmethod
    def numbers(self, preview: np.ndarray) -> list[dict[str, Any]]:
        """One row per sample of a preview, or of real data: what the picture shows."""
