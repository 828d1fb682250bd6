"""The base of metrics that hold bonds against a table of valences."""

from typing import ClassVar, Literal

from reedbench.domains.valence import Rule
from reedbench.metrics._molecules import MoleculeMetric

WORDS = {"edm": "EDM's valences, bonds from distances", "legacy": "legacy valences", "corrected": "corrected valences"}


class StabilityMetric(MoleculeMetric):
    """A share of atoms or molecules whose valences a table allows."""

    unit: ClassVar[str] = "share"
    cites: ClassVar[tuple[str, ...]] = ("hoogeboom2022edm", "vignac2023midi")
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "rule"})

    rule: Rule = "corrected"
    """Which bonds against which table: `edm` bonds from distances, without charges; `legacy` the molecule's own bonds
    with SemlaFlow's and MiDi's table, in which an aromatic bond counts 1; `corrected` its own bonds in a Kekule form
    with the table that fits it. SemlaFlow, MiDi and REED report `legacy`, which passes some that are not stable."""

    def cited(self) -> tuple[str, ...]:
        """EDM's metric; MiDi's table where it is asked for."""
        return self.cites if self.rule == "legacy" else self.cites[:1]

    @property
    def under(self) -> str:
        """The rule."""
        return self.rule

    @property
    def through(self) -> str:
        """The rule, in words."""
        return WORDS[self.rule]
