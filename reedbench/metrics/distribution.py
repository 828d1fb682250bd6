"""Distances between the distributions of samples and of training molecules: geometry, composition and size.

After MiDi (Vignac et al. 2023, https://arxiv.org/abs/2302.09048, section 5.1): total variation for classes, and for
lengths and angles the Wasserstein-1 distance within kinds, averaged by their frequency in the training data. MiDi's
kinds of lengths are orders of bonds; here they are the two elements and the order, since samples with other shares of
C-H and C-C would else seem to have other lengths. Torsions are not in MiDi; their kind is the bond in the middle.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.core.errors import MetricError
from reedbench.domains import molecule_geometry
from reedbench.metrics import Evidence
from reedbench.metrics._distances import by_kind, mean_wasserstein, total_variation
from reedbench.metrics._molecules import MoleculeMetric

Arrays = Mapping[str, Any]
Of = Literal["bond-lengths", "angles", "torsions", "elements", "sizes", "orders"]
GEOMETRY: Final[Mapping[str, Callable[[Arrays], molecule_geometry.Values]]] = {
    "bond-lengths": molecule_geometry.lengths,
    "angles": molecule_geometry.angles,
    "torsions": molecule_geometry.torsions,
}
CLASSES: Final[Mapping[str, Callable[[Arrays], np.ndarray]]] = {
    "elements": lambda arrays: arrays["elements"].values,
    "sizes": lambda arrays: arrays["elements"].lengths,
    "orders": lambda arrays: arrays["bonds"].values[:, 2],
}
WORDS: Final[Mapping[str, str]] = {
    "bond-lengths": "bond lengths",
    "angles": "bond angles",
    "torsions": "torsion angles",
    "elements": "elements",
    "sizes": "numbers of atoms",
    "orders": "bond orders",
}
USED: Final = ("coordinates", "elements", "bonds")


class Distribution(MoleculeMetric):
    """How far samples, valid or not, are from training molecules in one respect.

    Lengths in Angstrom, angles and torsions (without sign) in degrees, both Wasserstein-1; the others total variation,
    between 0 and 1.
    """

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Distance of distributions"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "of"})
    cites: ClassVar[tuple[str, ...]] = ("vignac2023midi",)
    uses: Literal["distribution"] = "distribution"

    of: Of = "bond-lengths"
    """Of what: lengths of bonds, angles between two bonds of an atom, torsions around a bond (0 to 180 degrees),
    elements of atoms, atoms of a molecule, or orders of bonds."""
    reference: int = Field(10_000, ge=1)
    """Training molecules that samples are compared with, drawn without replacement, always the same; all of them where
    there are fewer."""

    @property
    def under(self) -> str:
        """Of what."""
        return self.of

    @property
    def through(self) -> str:
        """Of what, in words, and in which unit."""
        unit = {"bond-lengths": " (Angstrom)", "angles": " (degrees)", "torsions": " (degrees)"}.get(self.of, "")
        return WORDS[self.of] + unit

    def measured(self, evidence: Evidence) -> float:
        """A distance, at least 0.

        Raises:
            MetricError: the training molecules have nothing of the kind.
        """
        reference = evidence.shared(_reference, self.of, self.reference)
        if not len(reference):
            raise MetricError(f"{self.family}: the training molecules have no {WORDS[self.of]}")
        if self.of in GEOMETRY:
            return self.finite(mean_wasserstein(by_kind(*GEOMETRY[self.of](evidence.samples.arrays)), reference))
        return self.finite(total_variation(CLASSES[self.of](evidence.samples.arrays), reference))


def _reference(evidence: Evidence, of: Of, count: int) -> Any:
    """Values by kind, or classes, of training molecules."""
    arrays = evidence.shared(_training, count)
    return by_kind(*GEOMETRY[of](arrays)) if of in GEOMETRY else CLASSES[of](arrays)


def _training(evidence: Evidence, count: int) -> Arrays:
    """Arrays of some training molecules, in their order; the same whatever asks for them."""
    training = evidence.training()
    order = seeds.stream("distribution-reference", len(training), count).permutation(len(training))
    arrays = training.chosen(np.sort(order[:count])).arrays
    return {name: arrays[name] for name in USED}
