"""TDC on proteins: several networks by how many residues are masked, of which some are shallower.

Source: arXiv:2312.13307 (images), as others quote it; masking diffusion of REED, arXiv:2507.08980.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from reedbench.objectives._grouped import GroupingByTime
from reedbench.objectives._masking import Masking


class ProteinGrouped(GroupingByTime, Masking):
    """Masking diffusion by a network per stretch of time, told by the share of residues that a chain shows.

    Its second stage starts from one network that was trained at all times (`init: teacher` gives its weights to the
    groups).
    """

    tier: ClassVar[str] = "adaptation"
    formula: ClassVar[str] = (
        "CE of network g, g the group of the share of residues that s_t shows; FLOPs of group i of N: i/N + (N - i)/N k"
    )
    cost: ClassVar[str] = (
        "3F times the mean share of the groups; as many parameters as all of them; in sampling likewise, and every "
        "group encodes a structure once"
    )
    choices: ClassVar[tuple[str, ...]] = (
        "by default 4 groups, k 0.6, the largest at the data end: the paper's values are not known to us",
        "encoder and decoder layers are left out evenly between the first and the last one of each, rounded to whole "
        "layers",
        "a chain belongs to the group of the share of resolved residues that it shows: the network has no other time",
        "groups have equal shares of the training times; a share between two belongs to the one behind it",
    )
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "wang2025reed", "li2023tdc")
    uses: Literal["protein-grouped"] = "protein-grouped"

    def network(self, backbone: Any) -> Any:
        """The groups.

        Raises:
            ConfigError: the backbone is no ProteinMPNN, or counts padding among residues.
        """
        from reedbench.nn.backbones.grouped_mpnn import GroupedMPNN
        from reedbench.nn.unmasking import times

        return self.grouped(GroupedMPNN, backbone, partial(times, least=self.least_time))

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.alignment import TappedNetwork
        from reedbench.nn.grouped_design import GroupedDesignLearner

        network = self.network(backbone)
        network.initialise(generator)
        network.tapped(())
        return GroupedDesignLearner(TappedNetwork(network, ()), self.denoising())
