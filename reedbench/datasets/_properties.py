"""Properties of molecules: which of a source's are wanted, and the units of QM9's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from reedbench.core.errors import ConfigError, unknown

QM9_UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys("ABC", "GHz"),
    "mu": "Debye",
    "alpha": "Bohr^3",
    **dict.fromkeys(("homo", "lumo", "gap"), "Hartree"),
    "r2": "Bohr^2",
    **dict.fromkeys(("zpve", "U0", "U", "H", "G"), "Hartree"),
    "Cv": "cal/(mol K)",
    "omega1": "1/cm",
}
"""Ramakrishnan et al. 2014, https://doi.org/10.1038/sdata.2014.22, table 3; `omega1` is the highest frequency."""
UNTOLD = "as in the source"
OWN: Final = frozenset({"id", "split", "label", "sha256", "molecule", "smiles", "title", "centre"})  # other columns


def chosen(what: str, wanted: Sequence[str] | None, there: Iterable[str]) -> list[str]:
    """The wanted names, all of them if none are named, in the order of the source.

    Raises:
        ConfigError: one is not there, is there twice, or is the name of another column.
    """
    names = list(there)
    if wanted is not None:
        if absent := [name for name in wanted if name not in names]:
            raise ConfigError(f"properties: {unknown(what, absent[0], names)}")
        names = [name for name in names if name in wanted]
    if taken := sorted(OWN & set(names)):
        raise ConfigError(f"properties: '{taken[0]}' is another column of the manifest; leave it out")
    return names


def units(names: Iterable[str], told: Mapping[str, str] = QM9_UNITS) -> dict[str, str]:
    """The unit of each; of `<name>_thermo`, which is without its atoms' share, that of the name."""
    return {name: told.get(name, told.get(name.removesuffix("_thermo"), UNTOLD)) for name in names}
