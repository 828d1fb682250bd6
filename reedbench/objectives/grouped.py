"""TDC: several networks by time, of which the noisier or the cleaner ones are shallower."""

from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.core.errors import ConfigError
from reedbench.objectives import FlowObjective
from reedbench.objectives._card import Card


class GroupedByTime(FlowObjective):
    """The velocity loss of a network per stretch of time. TDC, arXiv:2312.13307.

    Its second stage starts from one network that was trained at all times: with init: teacher the groups take over its
    weights. With init: scratch, the default, there is no first stage, and they start as every network does.
    """

    cites: ClassVar[tuple[str, ...]] = ("li2023tdc",)
    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = "|v_g(x_t,t,y) - v*|^2, g the group of t; FLOPs of group i of N: i/N + (N - i)/N k"
    source: ClassVar[str] = "arXiv:2312.13307, as others quote it; no code is known"
    cost: ClassVar[str] = "3F times the mean share of the groups; as many parameters as all of them; sampling likewise"
    choices: ClassVar[tuple[str, ...]] = (
        "by default 4 groups, k 0.6, the largest at the data end: the paper's values are not known to us",
        "blocks are left out evenly between the first and the last one, where the paper lets a language model propose",
        "groups have equal shares of the training times; a time between two belongs to the one behind it",
    )
    uses: Literal["grouped"] = "grouped"

    groups: int = Field(4, ge=2)
    """Networks, each with an equal share of the training times."""
    least: float = Field(0.6, gt=0, le=1)
    """k: share of its operations that none would go below if there were ever more groups; 1 leaves all whole."""
    largest: Literal["data", "noise"] = "data"
    """At which end of time the network is whole."""

    def card(self) -> Card:
        """Without its first stage that is a choice, too."""
        card = super().card()
        scratch = "no first stage: the groups start from scratch, where the paper prunes a trained network"
        return card if self.init == "teacher" else replace(card, choices=(*card.choices, scratch))

    def network(self, backbone: Any) -> Any:
        """The groups.

        Raises:
            ConfigError: the backbone is no SiT.
        """
        from reedbench.nn.backbones import grouped

        shares = grouped.shares_of(self.groups, self.least, self.largest)
        try:
            return grouped.GroupedSiT(
                backbone, shares, grouped.equal_shares(self.flow(backbone).quantiles, self.groups)
            )
        except ValueError as error:
            raise ConfigError(f"objective {self.uses}: {error}") from error

    def learner(self, network: Any, flow: Any) -> Any:
        """That counts operations at times of which every group has its share."""
        from reedbench.nn.grouped import Grouped

        return Grouped(network, flow, self.denoise.factor())
