"""What metrics of molecules share: bonds from distances, valences, RDKit's graphs, SMILES and energies of all samples.

All of it is made once per cell, for all metrics and sampling streams (`Evidence.shared`), and only what some metric
asks for.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.core.errors import NoValue
from reedbench.core.ragged import Ragged
from reedbench.domains import bond_distances, molecule_checks, molecule_energies, molecule_graphs, valence
from reedbench.domains.molecule import molecule_of
from reedbench.domains.valence import Rule
from reedbench.metrics import AbstractMetric, Evidence

Graph = Literal["bonds", "distances"]
IN_WORDS = {"bonds": "own bonds", "distances": "bonds from distances"}
INVALID = "no sample is a valid molecule"


class MoleculeMetric(AbstractMetric):
    """A number on molecules."""

    domain: ClassVar[str | None] = "molecule"
    of_real: ClassVar[bool] = True

    def least_n(self) -> int:
        """One molecule has a value."""
        return 1


class GraphMetric(MoleculeMetric):
    """A number on the molecular graphs that RDKit accepts."""

    said: ClassVar[frozenset[str]] = frozenset({"uses", "graph"})

    graph: Graph = "bonds"
    """Which bonds: the molecule's own, with its charges, or those that follow from distances by EDM's rule, without
    charges. Of the latter the SMILES is that of the largest fragment, as EDM takes it."""

    @property
    def under(self) -> str:
        """Which bonds."""
        return self.graph

    @property
    def through(self) -> str:
        """Which bonds, in words."""
        return IN_WORDS[self.graph]


class ValuedMetric(MoleculeMetric):
    """A number that each sample has, or has not, and its mean over those that have it."""

    has_values: ClassVar[bool] = True

    @abstractmethod
    def each(self, evidence: Evidence) -> np.ndarray:
        """(n,) float64, NaN where a sample has none."""

    def values(self, evidence: Evidence) -> np.ndarray:
        """(n,) float64, NaN where a sample has none.

        Raises:
            NoValue: no sample has one.
        """
        found = self.each(evidence)
        if np.isnan(found).all():
            if not valid(evidence, "bonds").any():
                raise NoValue(INVALID)
            raise NoValue("MMFF94 gives none of the valid samples a value")
        return found

    def measured(self, evidence: Evidence) -> float:
        """The mean over samples that have a value."""
        return self.finite(float(np.nanmean(self.values(evidence))))


class EnergyMetric(ValuedMetric):
    """Energies under MMFF94, of samples that RDKit accepts and the force field has parameters for."""

    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow", "halgren1996mmff94", "tosco2014mmff")
    unit: ClassVar[str] = "kcal/mol"
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "per"})

    per: Literal["molecule", "atom"] = "molecule"
    """Per molecule, or divided by its number of atoms, hydrogens among them."""

    @property
    def under(self) -> str:
        """Per what."""
        return self.per

    @property
    def through(self) -> str:
        """Per what, in words."""
        return f"per {self.per}"

    @abstractmethod
    def energies(self, evidence: Evidence) -> np.ndarray:
        """(n,) float64, kcal/mol per molecule, NaN where there is none."""

    def each(self, evidence: Evidence) -> np.ndarray:
        """(n,) kcal/mol."""
        found = self.energies(evidence)
        return found if self.per == "molecule" else found / evidence.samples.arrays["elements"].lengths


def stable(evidence: Evidence, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int64 each: stable atoms, and all atoms, of the samples."""
    return _own(evidence, _stable, rule), evidence.samples.arrays["elements"].lengths


def valid(evidence: Evidence, graph: Graph) -> np.ndarray:
    """(n,) bool: which samples RDKit sanitises."""
    return _own(evidence, _valid, graph)


def fragments(evidence: Evidence, graph: Graph) -> np.ndarray:
    """(n,) int64: of how many fragments the samples are."""
    return _own(evidence, _fragments, graph)


def graphs(evidence: Evidence) -> list[Any]:
    """The samples by their own bonds as sanitised RDKit molecules, None where they are not valid."""
    return _own(evidence, _graphs, "bonds")


def smiles(evidence: Evidence, graph: Graph) -> list[str]:
    """Of the valid samples, canonical, without stereo and explicit hydrogens.

    Raises:
        NoValue: none is valid.
    """
    if found := [text for text in _own(evidence, _smiles, graph) if text is not None]:
        return found
    raise NoValue(INVALID)


def relaxed(evidence: Evidence) -> np.ndarray:
    """(n, 3) float64: what `molecule_energies.Relaxed` holds, of the samples by their own bonds."""
    return _own(evidence, _relaxed)


def _own(evidence: Evidence, make: Callable[..., Any], *settings: Any) -> Any:
    """What belongs to the samples of an evidence, of what was made of all of the cell's."""
    return evidence.shared(make, *settings)[evidence.rows]


def _arrays(evidence: Evidence, graph: Graph) -> Mapping[str, Any]:
    """Molecules with the bonds and charges of a graph."""
    arrays = evidence.samples.arrays
    if graph == "bonds":
        return arrays
    elements = arrays["elements"]
    bonds = bond_distances.perceived_rows(arrays["coordinates"], elements)
    return {**arrays, "bonds": bonds, "charges": Ragged(np.zeros(len(elements.values), np.int8), elements.lengths)}


def _stable(evidence: Evidence, rule: Rule) -> np.ndarray:
    arrays = evidence.shared(_arrays, "distances" if rule == "edm" else "bonds")
    return valence.sums(valence.stable_atoms(arrays, rule))


def _valid(evidence: Evidence, graph: Graph) -> np.ndarray:
    return molecule_checks.sanitised(evidence.shared(_arrays, graph))


def _fragments(evidence: Evidence, graph: Graph) -> np.ndarray:
    return molecule_checks.fragments(evidence.shared(_arrays, graph))


def _graphs(evidence: Evidence, graph: Graph) -> list[Any]:
    arrays, accepted = evidence.shared(_arrays, graph), evidence.shared(_valid, graph)
    return [molecule_graphs.graph(molecule_of(arrays, i)) if ok else None for i, ok in enumerate(accepted)]


def _smiles(evidence: Evidence, graph: Graph) -> list[str | None]:
    found = evidence.shared(_graphs, graph)
    if graph == "distances":
        several = evidence.shared(_fragments, graph) > 1
        pairs = zip(found, several, strict=True)
        found = [molecule_graphs.largest(one) if more and one is not None else one for one, more in pairs]
    return [None if one is None else molecule_graphs.smiles(one) for one in found]


def _relaxed(evidence: Evidence) -> np.ndarray:
    nothing = molecule_energies.Relaxed()
    found = evidence.shared(_graphs, "bonds")
    each = [nothing if one is None else molecule_energies.relaxed(one) for one in found]
    return np.array([astuple(one) for one in each], np.float64)
