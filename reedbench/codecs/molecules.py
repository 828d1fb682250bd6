"""The codec of molecules: tokens, charge classes and bond classes of atoms and pairs; nothing is compressed.

Vocabulary and scales after SemlaFlow (REED molecule/semlaflow/scriptutil.py:22-26,103-115 @0a4527e).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.codecs import AbstractCodec, Batch, Facts, Streams
from reedbench.core import seeds
from reedbench.core.errors import ConfigError, Diverged
from reedbench.core.ragged import Ragged
from reedbench.domains import bond_distances, molecule, molecule_files, molecule_graphs, molecule_pictures, rows
from reedbench.domains.molecule import AROMATIC, NUMBERS, ORDERS, SEMLA, SYMBOLS
from reedbench.domains.rows import TRAIN, Rows
from reedbench.nn.molecule_classes import FIRST, PAD

PREVIEW = 4  # molecules that figures show
CHARGES = (0, 1, 2, 3, -1, -2, -3)  # by class
NAMED = 5  # samples in a message
ATOMIC = ("coordinates", "types", "charges")  # of what a sampler draws, a value per atom


class Molecules(AbstractCodec):
    """Padded places and classes; samples are asked for sizes that are drawn from those of real molecules."""

    domain: ClassVar[str] = "molecule"
    lengths_of: ClassVar[str | None] = "elements"
    of_samples: ClassVar[tuple[str, ...]] = ("sizes",)
    real_are: ClassVar[str] = "training molecules"
    named: ClassVar[str] = "sizes, from the left"
    caption: ClassVar[str] = "Each as a graph and as balls and sticks; framed: RDKit does not sanitise it."
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow",)
    uses: Literal["molecules"] = "molecules"

    elements: tuple[str, ...] = Field(SEMLA, min_length=1)
    """Elements that the network knows, in the order of its tokens, which begin with padding and mask."""
    scale: float = Field(1.0, gt=0)
    """Angstrom per unit of the network: SemlaFlow has 1.723299503326416 on QM9 and 2.407038688659668 on GEOM."""
    mask_bonds: bool = False
    """A further class of bonds, hidden; for objectives that hide them."""
    sizes: Literal["train", "test"] = "train"
    """Split from whose sizes those of samples are drawn; SemlaFlow evaluates with `test`."""

    @model_validator(mode="after")
    def _elements_that_there_are(self) -> "Molecules":
        if unknown := [name for name in self.elements if name not in NUMBERS]:
            raise ValueError(f"elements: '{unknown[0]}' is no element up to {SYMBOLS[-1]}")
        if len(set(self.elements)) < len(self.elements):
            raise ValueError("elements: one is named twice")
        return self

    def shape(self, facts: Facts) -> tuple[int, ...]:
        """Any number of atoms, of so many tokens, and so many classes of bonds.

        Raises:
            ConfigError: the index of the data has an element or a charge that the network does not know.
        """
        if unknown := [name for name in facts.get("elements", ()) if name not in self.elements]:
            raise self._unknown(unknown)
        if beyond := [int(charge) for charge in facts.get("charges", ()) if int(charge) not in CHARGES]:
            raise _beyond(beyond)
        return (-1, FIRST + len(self.elements), ORDERS + self.mask_bonds)

    def batch(self, arrays: Mapping[str, Any], length: int | None = None) -> Batch:
        """Tensors on the CPU.

        `coordinates` (b, N, 3) float32 in units of `scale`, centred, 0 on padding; `types` (b, N) tokens, `numbers`
        (b, N) atomic numbers, `charges` (b, N) and `bonds` (b, N, N) classes, int64 and 0 on padding, bonds symmetric;
        `mask` (b, N) float32.

        Raises:
            ConfigError: a molecule has an element or a charge that the network does not know.
        """
        import torch

        elements = arrays["elements"]
        longest = int(elements.lengths.max()) if length is None else length
        types = Ragged(self._tokens(elements.values), elements.lengths)
        charges = Ragged(_classes(arrays["charges"].values), elements.lengths)
        whole = {
            "coordinates": (arrays["coordinates"].padded(longest) / np.float32(self.scale)).astype(np.float32),
            "types": types.padded(longest, PAD),
            "numbers": elements.padded(longest).astype(np.int64),
            "charges": charges.padded(longest),
            "bonds": molecule.order_matrices(arrays["bonds"], longest).astype(np.int64),
            "mask": (np.arange(longest) < elements.lengths[:, None]).astype(np.float32),
        }
        return {name: torch.from_numpy(array) for name, array in whole.items()}

    def _tokens(self, elements: np.ndarray) -> np.ndarray:
        table = np.full(256, -1, np.int64)
        table[[NUMBERS[name] for name in self.elements]] = FIRST + np.arange(len(self.elements))
        found = table[elements]
        if (unknown := found < 0).any():
            raise self._unknown([SYMBOLS[number] for number in np.unique(elements[unknown]).tolist()])
        return found

    def _unknown(self, symbols: Sequence[str]) -> ConfigError:
        """What is said of data with these elements."""
        return ConfigError(
            f"codec molecules: the data have {', '.join(symbols)}, which the codec's `elements` lack "
            f"({', '.join(self.elements)}); add to them, or leave such molecules out (`elements` of the dataset)"
        )

    def asked(self, folder: Path | str, facts: Facts, count: int, streams: int) -> Rows:
        """Molecules of so many atoms, of no element yet; sample i has the same size in every benchmark of the data.

        Raises:
            ConfigError: the split whose sizes are wanted is empty.
        """
        known = np.sort(rows.read(folder, self.sizes).lengths("elements"))
        if not len(known):
            raise ConfigError(f"{folder}: split '{self.sizes}' is empty, and sizes of samples are drawn from it")
        drawn = (seeds.rows(range(count), "molecule-sizes").uniform() * len(known)).astype(np.int64)
        lengths = known[np.minimum(drawn, len(known) - 1)]
        nothing = Ragged(np.zeros(lengths.sum(), np.uint8), lengths)
        return Rows([str(i) for i in range(count)], ["asked"] * count, {"elements": nothing})

    def condition(self, asked: Rows, facts: Facts, streams: Streams) -> Batch:
        """`mask`, 1 where an atom is to be."""
        import torch

        lengths = asked.arrays["elements"].lengths
        return {"mask": torch.from_numpy((np.arange(lengths.max()) < lengths[:, None]).astype(np.float32))}

    def samples(self, drawn: Mapping[str, Any], asked: Rows) -> Rows:
        """Molecules in Angstrom; bonds that were not drawn are perceived by EDM's rule of distances.

        Raises:
            Diverged: a place is no number.
        """
        atoms = np.zeros(FIRST + len(self.elements), np.uint8)
        atoms[FIRST:] = [NUMBERS[name] for name in self.elements]
        lengths = asked.arrays["elements"].lengths
        own = {name: _without_padding(tensor.numpy(), lengths) for name, tensor in drawn.items() if name in ATOMIC}
        places = own["coordinates"].values.astype(np.float64) * self.scale
        with np.errstate(over="ignore", invalid="ignore"):  # said below
            centred = _centred(places, lengths).astype(np.float32)
        self._check_places(Ragged(centred, lengths), asked)
        arrays = {
            "coordinates": Ragged(centred, lengths),
            "elements": Ragged(atoms[own["types"].values], lengths),
            "charges": Ragged(np.zeros(lengths.sum(), np.int8), lengths),
        }
        if "charges" in own:
            arrays["charges"] = Ragged(np.array(CHARGES, np.int8)[own["charges"].values], lengths)
        if "bonds" in drawn:
            arrays["bonds"] = _orders(drawn["bonds"].numpy(), lengths)
        else:
            arrays["bonds"] = bond_distances.perceived_rows(arrays["coordinates"], arrays["elements"])
        return Rows(asked.ids, ["sample"] * len(asked), arrays)

    def _check_places(self, places: Ragged, asked: Rows) -> None:
        if np.isfinite(places.values).all():
            return
        strange = [name for name, row in zip(asked.ids, places, strict=True) if not np.isfinite(row).all()]
        raise Diverged(
            f"codec {self.uses}: places of atoms are no numbers in {len(strange)} of {len(asked)} samples "
            f"({', '.join(strange[:NAMED])}{', ...' if len(strange) > NAMED else ''}); what was drawn has diverged"
        )

    def write(self, folder: Path | str, samples: Rows) -> None:
        """SDF and shards; see `domains.molecule_files`."""
        molecule_files.write_samples(folder, samples)

    def read(self, folder: Path | str) -> Rows:
        """From the shards."""
        return molecule_files.read_samples(folder)

    def preview(self, samples: Rows, asked: Rows) -> np.ndarray:
        """(4, atoms, 14 + atoms) uint8, see `domains.molecule_pictures.packed`."""
        first = range(min(PREVIEW, len(samples)))
        return molecule_pictures.packed([molecule.molecule_of(samples.arrays, i) for i in first])

    def real(self, folder: Path | str, asked: Rows) -> np.ndarray:
        """The first training molecules of these sizes, or of the nearest ones, as `preview` has samples."""
        train = rows.read(folder, TRAIN)
        lengths, chosen = train.lengths("elements"), list[int]()
        for size in asked.arrays["elements"].lengths[:PREVIEW].tolist():
            nearest = np.argsort(np.abs(lengths - size), kind="stable")
            chosen.append(next((row for row in nearest.tolist() if row not in chosen), int(nearest[0])))
        return self.preview(train.take(chosen), asked)

    def names(self, asked: Rows) -> list[str]:
        """Their sizes."""
        return [f"{size} atoms" for size in asked.arrays["elements"].lengths[:PREVIEW].tolist()]

    def picture(self, preview: np.ndarray) -> np.ndarray:
        """Graphs above balls and sticks."""
        return molecule_pictures.montage(molecule_pictures.unpacked(preview))

    def numbers(self, preview: np.ndarray) -> list[dict[str, Any]]:
        """SMILES of those that RDKit sanitises, and the elements of all."""
        found = []
        for one in molecule_pictures.unpacked(preview):
            graph = molecule_graphs.graph(one)
            elements = " ".join(SYMBOLS[element] for element in one.elements.tolist())
            found.append({"smiles": "" if graph is None else molecule_graphs.smiles(graph), "elements": elements})
        return found


def _without_padding(padded: np.ndarray, lengths: np.ndarray) -> Ragged:
    """Rows (n, N, ...) at their own lengths."""
    return Ragged(padded[np.arange(padded.shape[1]) < lengths[:, None]], lengths)


def _centred(places: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Places of atoms, row after row, with the mean of every row at the origin."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    means = np.stack([np.bincount(row, places[:, axis]) / lengths for axis in range(3)], axis=1)
    return places - means[row]


def _orders(classes: np.ndarray, lengths: np.ndarray) -> Ragged:
    """Bonds of classes (n, N, N), of which the lower triangle counts; a hidden one is none."""
    there = np.arange(classes.shape[1]) < lengths[:, None]
    row, j, i = np.nonzero(np.tril(classes, -1) * there[:, :, None] * there[:, None])
    order = classes[row, j, i]
    kept = np.lexsort((j, i, row))
    kept = kept[order[kept] <= AROMATIC]
    found = np.stack([i, j, order], axis=1)[kept].astype(np.uint8)
    return Ragged(found, np.bincount(row[kept], minlength=len(lengths)))


def _classes(charges: np.ndarray) -> np.ndarray:
    """Charges as classes.

    Raises:
        ConfigError: one is beyond -3 to 3.
    """
    if len(beyond := np.unique(charges[~np.isin(charges, CHARGES)])):
        raise _beyond(beyond.tolist())
    table = np.zeros(2 * max(CHARGES) + 1, np.int64)
    table[np.array(CHARGES) + max(CHARGES)] = np.arange(len(CHARGES))
    return table[charges.astype(np.int64) + max(CHARGES)]


def _beyond(charges: Sequence[int]) -> ConfigError:
    """What is said of data with these charges."""
    return ConfigError(
        f"codec molecules: the data have atoms of charge {', '.join(f'{charge:+d}' for charge in charges)}, and there "
        f"are classes for {min(CHARGES)} to {max(CHARGES)}; leave such molecules out of the source of the data"
    )
