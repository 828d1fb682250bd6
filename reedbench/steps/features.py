"""Data under an extractor, float64, as metrics want them: made part by part, and on disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from reedbench.core import archives, io, paths, provenance, shards
from reedbench.core.archives import Stream
from reedbench.core.parts import BYTES, cuts
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode, Material, Published, Represented
from reedbench.metrics import Features, Moments
from reedbench.schema import gpus
from reedbench.schema.runs import Benchmark
from reedbench.schema.suite import Suite
from reedbench.steps.material import others_of, prepared, remembering, weights_of
from reedbench.steps.precision import precise
from reedbench.steps.threads import pinned

OWN = ("features", "labels", "predicted")  # arrays of `Features`, as they lie in files; views beside them
MEAN, COVARIANCE = ".mean", ".covariance"  # of published moments, after the name of what they are moments of
FILE = "file.sha256"  # digest of a published reference, as bytes
PASS = BYTES // 2  # bytes that go into an encoder and come out of it at once: in float32 they are several times as many


def seen_by(
    suite: Suite,
    dataset: str,
    extractor: str,
    data: Rows,
    device: str = "cpu",
    ready: dict[str, Encode] | None = None,
) -> tuple[Callable[[Rows], Features], list[str]]:
    """An extractor made ready for some data, of which it takes any part; and the files that it read.

    It gives one vector per row and, if it is a classifier, predicted classes. On `cuda` compute those extractors
    that can, and of others those that they read.

    Args:
        suite: that has it.
        dataset: of the data.
        extractor: its name.
        data: all rows that it will be shown.
        device: `cpu` or `cuda`.
        ready: extractors that were made ready before, for those that read them; this one is added.
    """
    ready = {} if ready is None else ready
    encoder = suite.encoder(dataset, extractor)
    weights, inputs = weights_of(suite, dataset, extractor)
    device = device if gpus.represents(suite, dataset, extractor) else "cpu"
    others, read = others_of(suite, dataset, extractor, data, device, ready)

    def material(some: Rows) -> Material:
        return Material(some, representations=Represented(others, some))

    with pinned(encoder.threads):
        encode = ready[extractor] = remembering(prepared(encoder, weights, material(data), device))

    def seen(some: Rows) -> Features:
        given = material(some)
        with pinned(encoder.threads), precise("fp32", device, extractor):
            vectors = np.asarray(encode(given))
            classes = (encoder.classes(some), encoder.classify(weights, given)) if encoder.classifies else (None, None)
        parts = encoder.parted(vectors.reshape(len(some), -1).astype(np.float64))
        views = {view: Features(parts[view]) for view in encoder.views}
        return Features(parts["features"], *classes, views=views)

    return seen, inputs + read


class Extraction:
    """An extractor on all rows of some data, in parts that are cut by what they read and write.

    The first row says how large the features of the others are.

    Attributes:
        parts: rows of each part.
    """

    def __init__(self, seen: Callable[[Rows], Features], data: Rows, take: Callable[[range], Rows]) -> None:
        """`take` gives some of the rows, as `data.take` does."""
        self.seen, self.take = seen, take
        first = seen(self.take(range(1)))
        written = sum(part.features.nbytes for part in (first, *first.views.values()))
        self.sizes = data.sizes(), np.full(len(data), written)
        self.parts = cuts(np.maximum(*self.sizes).tolist(), BYTES, shards.ROWS_PER_SHARD)

    @property
    def rows(self) -> list[int]:
        """Rows of each part."""
        return [part.stop - part.start for part in self.parts]

    @property
    def plain(self) -> list[int]:
        """The cut, as a plain value."""
        return [part.stop for part in self.parts]

    def write(self, number: int, file: Path) -> None:
        """Make one part, pass by pass."""
        found = [self.seen(self.take(some)) for some in passes(self.parts[number], *self.sizes)]
        io.write_tensors(file, _joined(found))


def passes(part: slice, read: np.ndarray, written: np.ndarray) -> list[range]:
    """Rows that go through an encoder together: what they read and write stays below `PASS`."""
    begin = part.start
    return [range(begin + one.start, begin + one.stop) for one in cuts((read + written)[part].tolist(), PASS)]


def in_passes(seen: Callable[[Rows], Features], data: Rows, device: str = "cpu") -> Features:
    """All of some data under an extractor, of which little is looked at together; to be compared on a device."""
    parts = (data.take(range(len(data))[part]) for part in cuts(data.sizes().tolist(), PASS))
    return assembled(_joined([seen(part) for part in parts]), device)


def reference_of(benchmark: Benchmark, extractor: str, device: str) -> tuple[Features, str]:
    """The training split, or what is in its place, under an extractor, on a device, and the file that holds it.

    Raises:
        MissingArtefact: it has not been made, or was made under other settings.
    """
    file = paths.statistics(benchmark.dataset, extractor)
    provenance.require(file, benchmark.encoder_key(extractor))
    return read_features(file, device), file


def _joined(parts: Sequence[Features]) -> dict[str, np.ndarray]:
    """Features of consecutive rows, and of a classifier the classes that rows have and those that it sees."""
    arrays = [_arrays(part) for part in parts]
    return {name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]}


def _arrays(data: Features) -> dict[str, np.ndarray]:
    """Those that lie in files."""
    own = {name: array for name in OWN if (array := getattr(data, name)) is not None}
    return own | {name: view.features for name, view in data.views.items()}


def assembled(arrays: Mapping[str, np.ndarray], device: str) -> Features:
    """Features of arrays as they lie in files: their own, views, and what was published with a reference."""
    further = [name for name in arrays if name not in OWN and "." not in name]
    own = [arrays.get(name) for name in OWN[1:]]
    views = {name: Features(arrays[name], device=device, moments=_moments(arrays, name)) for name in further}
    file = arrays[FILE].tobytes().hex() if FILE in arrays else ""
    return Features(arrays["features"], *own, device, views, _moments(arrays, "features"), file)


def _moments(arrays: Mapping[str, np.ndarray], name: str) -> Moments | None:
    found = [np.asarray(arrays[name + end]) for end in (MEAN, COVARIANCE) if name + end in arrays]
    return (found[0], found[1]) if found else None


def write_features(path: str, parts: Sequence[Path], published: Published | None = None) -> None:
    """Reference features as one npz, from parts that hold some of the rows each (safetensors); one at a time is read.

    Of several parts arrays lie so that maps of them are aligned. What was published with the rows comes last.
    """
    first, rows_of = shards.Shards.of(parts[:1]), [len(shards.Shards.of([part])) for part in parts]
    names = [*(name for name in OWN if name in first.names), *(name for name in first.names if name not in OWN)]
    arrays = {name: Stream(sum(rows_of), first.shape(name), first.dtype(name), _pieces(parts, name)) for name in names}
    arrays |= {name: Stream(len(x), x.shape[1:], x.dtype, [x]) for name, x in _published(published).items()}
    archives.write(path, arrays, aligned=len(parts) > 1)


def _published(published: Published | None) -> dict[str, np.ndarray]:
    if published is None:
        return {}
    found = {FILE: np.frombuffer(bytes.fromhex(io.sha256(published.file)), np.uint8)}
    for name, (mean, covariance) in published.moments.items():
        found |= {name + MEAN: mean, name + COVARIANCE: covariance}
    return found


def _pieces(parts: Sequence[Path], name: str) -> Iterator[np.ndarray]:
    for part in parts:
        yield shards.Shards.of([part]).read(name)  # whose map goes with it


def read_features(path: str, device: str = "cpu") -> Features:
    """Reference features, as `write_features` wrote them: memory maps, where they are large."""
    return assembled(archives.read(path), device)
