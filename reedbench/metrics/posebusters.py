"""Plausible molecules: share of samples that pass all checks of PoseBusters for single molecules.

Buttenschoen et al. 2024, https://doi.org/10.1039/D3SC04185A: sanitised, in one piece, without radicals, InChI, lengths
and angles within the bounds of distance geometry, no clashes, flat aromatic rings and double bonds, rings that must not
be flat, and energy against an ensemble of conformers.
"""

from copy import copy
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.core.errors import NoValue
from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import MoleculeMetric

Checks = Literal["mol", "mol-fast"]


class PoseBusters(MoleculeMetric):
    """Samples that pass all checks, over all samples; the package is an optional extra."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Molecules that pass PoseBusters"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "checks"})
    cites: ClassVar[tuple[str, ...]] = ("buttenschoen2024posebusters",)
    uses: Literal["posebusters"] = "posebusters"

    checks: Checks = "mol"
    """Which: `mol` all; `mol-fast` without energies, which take most of the time (seconds for a large molecule)."""

    @property
    def under(self) -> str:
        """Which checks."""
        return self.checks

    @property
    def through(self) -> str:
        """Which checks, in words."""
        return {"mol": "all checks", "mol-fast": "all checks but energy"}[self.checks]

    def measured(self, evidence: Evidence) -> float:
        """A share between 0 and 1; 0 where no sample is valid.

        Raises:
            NoValue: the package is not installed.
        """
        return float(evidence.shared(_passed, self.checks)[evidence.rows].mean())


def _passed(evidence: Evidence, checks: Checks) -> np.ndarray:
    """(n,) bool: whether samples pass all checks."""
    try:
        import posebusters
    except ImportError as error:
        raise NoValue("PoseBusters is not installed: pip install posebusters") from error
    judge = posebusters.PoseBusters(config=_config(Path(posebusters.__path__[0]), checks))
    return np.array([found is not None and _passes(judge, found) for found in _molecules.graphs(evidence)])


def _passes(judge: Any, found: Any) -> bool:
    """Whether a molecule passes; a check that PoseBusters cannot make (NaN, or an error of its own) is not passed."""
    try:
        answers = judge.bust(mol_pred=copy(found)).to_numpy().ravel().tolist()
    except Exception:  # of whatever module of it does not know such a molecule
        return False
    return bool(answers) and all(answer is True for answer in answers)


def _config(package: Path, checks: Checks) -> dict[str, Any]:
    """The package's own, but for modules whose answers it does not look at: `mol` of 0.6.5 computes energies twice."""
    import yaml

    file = package / "config" / f"{checks.replace('-', '_')}.yml"
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    asked = [module for module in config["modules"] if module.get("chosen_binary_test_output")]
    return {**config, "modules": asked}
