"""Diffusion of molecules with zero, one or several aligned layers and a curriculum: EDM, REPA and REED on it.

Source: Hoogeboom et al. 2022, arXiv:2203.17003 (EDM @fce07d7); the alignments are those of REED, arXiv:2507.08980.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from reedbench.objectives._card import Tier
from reedbench.objectives._molecules import MoleculeObjective, require


class MoleculeDiffusion(MoleculeObjective):
    """Noise on places and elements, on 1000 levels of EDM's polynomial schedule, is predicted."""

    process: ClassVar[Literal["flow", "diffusion"]] = "diffusion"
    unaligned: ClassVar[str] = "EDM"
    tier: ClassVar[Tier] = "faithful"
    aligned_tier: ClassVar[Tier] = "adaptation"  # REED aligns SemlaFlow
    formula: ClassVar[str] = "|e(z_t, t) - e|^2 / 2; noise e on places and elements, mean over dimensions"
    cost: ClassVar[str] = "3F per step"
    source: ClassVar[str] = (
        "EDM arXiv:2203.17003, code equivariant_diffusion/en_diffusion.py @fce07d7; alignments as those of REED "
        "arXiv:2507.08980 on SemlaFlow"
    )
    cites: ClassVar[tuple[str, ...]] = ("hoogeboom2022edm",)
    uses: Literal["molecule-diffusion"] = "molecule-diffusion"

    loss: Literal["l2", "bound"] = "l2"
    """`l2`, half the mean squared error of the noise, as EDM is trained; `bound`, the variational bound of the
    likelihood given the number of atoms, in nats."""
    mean: Literal["atoms", "reference"] = "atoms"
    """The squared error of l2 is divided by the atoms of a molecule, or, as in the `reference`, by the length of the
    batch, which gives small molecules less weight."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "MoleculeDiffusion":
        if self.loss == "bound":
            self.refuse("mean", where="on loss: bound")
        for alignment in self.alignments:
            alignment.refuse("pooling", where="with molecule-diffusion, whose hidden states are 0 on padding")
        return self

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.molecule_diffusion import DiffusionLearner, Settings

        require(backbone, self.uses, "a backbone of features of atoms, such as egnn", ("features", "atomic_numbers"))
        settings = Settings(self.loss, self.mean, backbone.atomic_numbers)
        network, mean = self.aligned(backbone, targets, generator), self.reduce == "mean"
        return DiffusionLearner(network, settings, self.denoise.factor(), self.align.factor(), mean=mean)
