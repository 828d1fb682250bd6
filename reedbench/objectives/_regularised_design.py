"""Settings of masking diffusion with losses on hidden states of residues."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from reedbench.objectives._masking import Masking
from reedbench.objectives._schedule import Schedule


class RegularisedDesign(Masking):
    """Denoising of masked residues, and terms on the nodes after decoder layers, which are its `depths`."""

    denoise: Schedule = Schedule()
    """Factor of the denoising loss."""

    @abstractmethod
    def further(self) -> Mapping[str, Any]:
        """Further terms, each an `nn.regularised_design.Further`."""

    def rows_per_group(self) -> int:
        """How many consecutive chains the terms compare with each other, see `nn.learner.Learner.group`."""
        return 1

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        places = [("node", depth) for depth in self.depths()]
        backbone.initialise(generator)
        backbone.tapped(places)
        return self.learner(self.handing_out(backbone, places, generator))

    def handing_out(self, backbone: Any, places: list[tuple[str, int]], generator: Callable[[str], Any]) -> Any:
        """The network that hands out those nodes, a `nn.alignment.TappedNetwork`."""
        from reedbench.nn.alignment import TappedNetwork

        return TappedNetwork(backbone, places)

    def learner(self, network: Any) -> Any:
        """The learner of such a network."""
        from reedbench.nn.regularised_design import RegularisedDesignLearner

        factor = self.denoise.factor()
        return RegularisedDesignLearner(network, self.denoising(), factor, self.further(), self.rows_per_group())
