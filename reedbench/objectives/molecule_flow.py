"""Flow matching of molecules with zero, one or several aligned layers and a curriculum: SemlaFlow, REPA and REED.

Source: SemlaFlow, arXiv:2406.07266; REED, arXiv:2507.08980 (molecule/semlaflow/ @0a4527e).
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.objectives._card import Tier
from reedbench.objectives._molecules import Classes, MoleculeObjective, parts_of, require

Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class MoleculeFlow(MoleculeObjective):
    """Places of atoms flow from noise, classes of atoms and bonds are made noisy; all data are predicted at once."""

    process: ClassVar[Literal["flow", "diffusion"]] = "flow"
    unaligned: ClassVar[str] = "SemlaFlow"
    tier: ClassVar[Tier] = "faithful"
    formula: ClassVar[str] = (
        "w_x |x - x_1|^2 + w_a CE(atoms) + w_b CE(bonds) + w_c CE(charges); data are predicted from the state at t, "
        "x are places"
    )
    cost: ClassVar[str] = "3F + self_conditioning F (without gradient) per step"
    source: ClassVar[str] = (
        "SemlaFlow arXiv:2406.07266 (@2f41e57) and REED arXiv:2507.08980, code molecule/semlaflow/ @0a4527e; the text "
        "of REED's paper was not at hand"
    )
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow",)
    uses: Literal["molecule-flow"] = "molecule-flow"

    coordinate_weight: Weight = 1.0
    """Weight of the squared error of places."""
    type_weight: Weight = 0.2
    """Weight of the cross-entropy of atoms."""
    bond_weight: Weight = 1.0
    """Weight of the cross-entropy of bonds; SemlaFlow has 0.5 on QM9."""
    charge_weight: Weight = 1.0
    """Weight of the cross-entropy of charges."""
    coordinate_mean: Literal["atoms", "reference"] = "atoms"
    """Squared errors of places are divided by the atoms of a molecule, or, as in the `reference`, by the length of the
    batch, which gives small molecules less weight."""
    classes: Classes = "uniform"
    """What noise is to atoms and bonds: `uniform`, any class that the network has; a `mask`, for which the codec needs
    mask_bonds: true; or draws of a `dirichlet` law around a mixture of the uniform distribution and the data's."""
    temperature: float = Field(1.0, gt=0)
    """Of the data's distribution; for classes: dirichlet only."""
    bonds: Literal["ordered", "symmetric"] = "ordered"
    """Noise of bonds: on each ordered pair of atoms as in the reference, or the same on (i, j) and (j, i)."""
    no_bond: Literal["class", "reference"] = "class"
    """How a pair without a bond is shown where it is not noisy: as that class, which sampling does too; or, as in
    training of the `reference`, as zeros, by which it differs from the same class drawn as noise."""
    coordinate_noise: float = Field(0.2, ge=0)
    """Standard deviation of what is added to noisy places at all times, in units of the codec."""
    time: tuple[Positive, Positive] = (2.0, 1.0)
    """Parameters of the Beta law of times."""
    coupling: Literal["equivariant", "none"] = "equivariant"
    """`equivariant`: noise is assigned to atoms and turned so that it lies near the data."""
    prior: Literal["centred", "reference"] = "centred"
    """Noise of places is `centred` at the atoms of each molecule; that of the `reference` is at those of the longest
    molecule of the batch, and is then cut."""
    self_conditioning: float = Field(0.5, ge=0, le=1)
    """Share of molecules for which the network first predicts, and then predicts again knowing that; 0 for a backbone
    without self_condition."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "MoleculeFlow":
        if self.classes != "dirichlet":
            self.refuse("temperature", where=f"on classes: {self.classes}")
        return self

    def parts(self, backbone: Any) -> Any:
        """The parts of a molecule, of so many classes as the backbone has (`nn.molecule_state.Parts`)."""
        return parts_of(
            backbone,
            self.classes,
            noise=self.coordinate_noise,
            temperature=self.temperature,
            symmetric=self.bonds == "symmetric",
            bare=self.no_bond == "reference",
        )

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.molecule_flow import MoleculeLearner, Settings

        self._check(backbone)
        settings = Settings(
            self.parts(backbone),
            self.time,
            self.coupling,
            self.prior,
            self.coordinate_mean,
            self.self_conditioning,
        )
        coefficients = {
            "coordinates": self.coordinate_weight,
            "types": self.type_weight,
            "bonds": self.bond_weight,
            "charges": self.charge_weight,
        }
        denoise = self.denoise.factor()
        denoising = {name: denoise.times(weight) for name, weight in coefficients.items()}
        network, mean = self.aligned(backbone, targets, generator), self.reduce == "mean"
        return MoleculeLearner(network, settings, denoising, self.align.factor(), mean=mean)

    def own_cost(self) -> str:
        """With the first predictions."""
        share = self.self_conditioning
        return f"3F + {share:g}F (without gradient) per step" if share else "3F per step"

    def _check(self, backbone: Any) -> None:
        from reedbench.nn.molecule_classes import MASK_BOND

        require(
            backbone, self.uses, "a backbone of atoms and bonds, such as semla", ("tokens", "bonds", "self_condition")
        )
        if self.classes == "mask" and backbone.bonds <= MASK_BOND:
            raise ConfigError(
                f"objective {self.uses} with classes: mask hides bonds, and the codec has no class for it: set "
                "codec.mask_bonds: true, or take classes: uniform"
            )
        if self.self_conditioning and not backbone.self_condition:
            raise ConfigError(
                f"objective {self.uses}: the backbone has self_condition: false; set self_conditioning: 0"
            )
