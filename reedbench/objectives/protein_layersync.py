"""LayerSync on proteins: nodes after an early decoder layer are pulled towards those after a later one.

Source: arXiv:2510.12581 (images); masking diffusion of REED, arXiv:2507.08980.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from reedbench.objectives._regularised import Synchronising
from reedbench.objectives._regularised_design import RegularisedDesign


class ProteinLayerSync(RegularisedDesign, Synchronising):
    """Masking diffusion minus the mean cosine, over resolved residues, between the nodes after two decoder layers.

    The later layer does not feel it. With three decoder layers the pair is [1, 3].
    """

    tier: ClassVar[str] = "adaptation"
    formula: ClassVar[str] = "CE - weight sum_pairs mean_residues cos(h_k, sg h_l), k < l"
    cost: ClassVar[str] = "3F"
    choices: ClassVar[tuple[str, ...]] = ("decoder layers 1 and 3", "several pairs are summed")
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "wang2025reed", "haghighi2025layersync")
    uses: Literal["protein-layersync"] = "protein-layersync"

    def further(self) -> Mapping[str, Any]:
        """A term per pair."""
        from reedbench.nn.alignment import cosine
        from reedbench.nn.regularised_design import Further, residues
        from reedbench.nn.schedules import Factor

        factor = Factor().times(self.weight)

        def values(name: str) -> Callable[[Any, Any], Any]:
            return lambda hidden, batch: -cosine(*self.pulled(hidden)[name])

        return {name: Further(factor, residues, values(name)) for name in self.named()}

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """Its terms are cosines."""
        learner = super().build(backbone, targets, generator)
        learner.kinds = dict.fromkeys(self.named(), "cosine")
        return learner
