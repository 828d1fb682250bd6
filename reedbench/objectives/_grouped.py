"""Settings of several networks by time, which image and protein methods share."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from reedbench.core.errors import ConfigError
from reedbench.objectives import AbstractObjective
from reedbench.objectives._card import Card


class GroupingByTime(AbstractObjective):
    """Each network has a stretch of time of its own; at one end of time they are shallower."""

    groups: int = Field(4, ge=2)
    """Networks, each with an equal share of the training times."""
    least: float = Field(0.6, gt=0, le=1)
    """k: share of its operations that none would go below if there were ever more groups; 1 leaves all whole."""
    largest: Literal["data", "noise"] = "data"
    """At which end of time the network is whole."""

    def untaught(self, teacher: Any) -> str | None:
        """Groups are copies of one network."""
        if isinstance(teacher, GroupingByTime):
            return f"{teacher.uses} has groups of its own: take a teacher with one network for all times"
        return super().untaught(teacher)

    def card(self) -> Card:
        """Without its first stage that is a choice, too."""
        card = super().card()
        scratch = "no first stage: the groups start from scratch, where the paper prunes a trained network"
        return card if self.init == "teacher" else replace(card, choices=(*card.choices, scratch))

    def grouped(self, kind: Callable[..., Any], backbone: Any, quantiles: Callable[[Any], Any]) -> Any:
        """The groups.

        Args:
            kind: of them.
            backbone: the whole network.
            quantiles: of the training times, see `nn.backbones.grouped.equal_shares`.

        Raises:
            ConfigError: the backbone is not of the kind that can be grouped.
        """
        from reedbench.nn.backbones.grouped import equal_shares, shares_of

        shares = shares_of(self.groups, self.least, self.largest)
        try:
            return kind(backbone, shares, equal_shares(quantiles, self.groups))
        except ValueError as error:
            raise ConfigError(f"objective {self.plugin_name()}: {error}") from error
