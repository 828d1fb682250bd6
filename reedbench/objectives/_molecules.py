"""What alignments of molecules share, as settings: hidden states are pooled over atoms, a target is one vector."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.objectives._alignments import AbstractAlignment, AligningObjective

Classes = Literal["uniform", "mask", "dirichlet"]  # what noise is to atoms and bonds
MOLECULE_WEIGHT = 0.2  # --repa_loss_weight of REED's training command for molecules


class MoleculeAlignment(AbstractAlignment):
    """One layer, summed over the atoms of a molecule, pulled towards one vector."""

    depth: int = Field(ge=1)
    """Layer whose output is aligned, 1-based: REED's `--align_depth 4` is our 5."""
    weight: float = Field(MOLECULE_WEIGHT, ge=0)
    """Coefficient of the term; 0 switches it off: it is not computed."""
    pooling: Literal["masked", "reference"] = "masked"
    """`masked` sums over the atoms of a molecule; the sum of the `reference` includes padding, so that it depends on
    the other molecules of a batch."""
    projector: Literal["mlp"] = "mlp"
    """From hidden states to the representation: three linear layers."""
    projector_width: int = Field(0, ge=0)
    """Hidden width of the projector; 0 is the width of the backbone, as in REED."""
    norm: Literal["none", "batch"] = "none"
    """Standardise targets over the batch (`batch`), or take them as they are (`none`)."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Kinds of encoders that fit."""
        return ("vector",)

    @property
    def term(self) -> str:
        """Name of its loss term."""
        return f"{self.encoder}@{self.depth}"

    def hidden(self, width: int, dim: int) -> int:
        """The width of the backbone."""
        return width

    def tap(self) -> Any:
        """As the loss sees it."""
        from reedbench.nn.alignment import Tap

        return Tap(**self.common(), place=(self.pooling, self.depth), pooled=True, pooling="sum")


class MoleculeObjective(AligningObjective):
    """A denoising loss of molecules, and alignments of layers that are pooled over atoms.

    A final class says its `process`: by it samplers know what they can draw from.
    """

    domain: ClassVar[str] = "molecule"
    process: ClassVar[Literal["flow", "diffusion"]]

    alignments: tuple[MoleculeAlignment, ...] = ()
    """None for the plain denoising loss, one for REPA and REED."""
    reduce: Literal["mean", "sum"] = "mean"
    """Over alignments: REED's code for molecules takes their mean."""

    @model_validator(mode="after")
    def _a_mean_of_several(self) -> "MoleculeObjective":
        if len(self.alignments) < 2:
            cure = "take it out; where it comes from `base`, say reduce: mean"
            self.refuse("reduce", where="on fewer than two alignments", cure=cure)
        return self

    def depths(self) -> tuple[int, ...]:
        """Tapped layers."""
        return tuple(alignment.depth for alignment in self.alignments)

    def aligned(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The backbone with a projector per alignment, all initialised.

        Raises:
            ConfigError: a representation is not one vector.
        """
        from reedbench.nn.alignment import AlignedNetwork

        for alignment in self.alignments:
            if len(shape := targets[alignment.encoder]) != 1:
                raise ConfigError(
                    f"alignment {alignment.term}: it needs one vector per molecule, and encoder '{alignment.encoder}' "
                    f"gives another kind (shape {list(shape)})"
                )
        backbone.initialise(generator)
        projectors = [
            a.network(backbone.width, targets[a.encoder], generator, layers=3, law="semla") for a in self.alignments
        ]
        return AlignedNetwork(backbone, projectors, [alignment.tap() for alignment in self.alignments])


def require(backbone: Any, uses: str, wanted: str, names: Sequence[str]) -> None:
    """Refuse a backbone that cannot be trained so.

    Raises:
        ConfigError: it lacks one of these attributes.
    """
    if any(not hasattr(backbone, name) for name in names):
        raise ConfigError(f"objective {uses} needs {wanted}, and {type(backbone).__name__} is none: name another")


def parts_of(
    backbone: Any,
    classes: Classes,
    *,
    noise: float = 0.0,
    temperature: float = 1.0,
    symmetric: bool = False,
    bare: bool = False,
) -> Any:
    """The parts of a molecule, of so many classes as the backbone has (`nn.molecule_state.Parts`).

    Args:
        backbone: network of atoms and bonds.
        classes: what noise is to them.
        noise: in training, added to noisy places.
        temperature: in training, of the data's distribution on `dirichlet`.
        symmetric: noise of bonds is the same on (i, j) and (j, i).
        bare: in training, a pair without a bond is shown as zeros where it is not noisy.
    """
    from reedbench.nn.molecule_classes import MASK, MASK_BOND
    from reedbench.nn.molecule_state import Parts
    from reedbench.nn.parts import Continuous, Dirichlet, Masked, Uniform

    def part(classes_of: int, mask: int, **more: Any) -> Any:
        if classes == "mask":
            return Masked(classes_of, mask=mask, **more)
        if classes == "dirichlet":
            return Dirichlet(classes_of, temperature=temperature, **more)
        return Uniform(classes_of, **more)

    bonds = part(backbone.bonds, MASK_BOND, symmetric=symmetric, bare=bare)
    return Parts(Continuous(predicts="data", noise=noise), part(backbone.tokens, MASK), bonds)
