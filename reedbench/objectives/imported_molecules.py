"""Published checkpoints of SemlaFlow, REED and EDM as methods: sampled, scored and tabulated as runs trained here.

Source: semlaflow/models/fm.py @2f41e57, REED molecule/semlaflow/ @0a4527e, EDM main_qm9.py @fce07d7 (layouts).
"""

from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.pins import Weights
from reedbench.objectives import ImportedMethod
from reedbench.objectives._card import Card, Tier
from reedbench.objectives._molecules import Classes, parts_of


class ImportedMolecules(ImportedMethod):
    """Weights of a SemlaFlow, REED or EDM network that were trained elsewhere, at the step of their publication.

    As `imported` for images. Sizes, elements and scale are those of the benchmark's backbone and codec, which must be
    the file's.
    """

    domain: ClassVar[str] = "molecule"
    tier: ClassVar[Tier] = "faithful"
    source: ClassVar[str] = "layouts: semlaflow/models/fm.py @2f41e57, REED molecule/semlaflow/ @0a4527e, EDM @fce07d7"
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow", "hoogeboom2022edm", "wang2025reed")
    uses: Literal["imported-molecules"] = "imported-molecules"

    weights: Weights = Field(examples=["semlaflow-geom"])
    """Pinned weights, or a path: a checkpoint of Lightning as SemlaFlow and REED keep it, of which the average is
    taken, or a state dict of SemlaFlow or EDM. `reedbench import-checkpoint FILE` says what a file is."""
    batch: int = Field(64, ge=1)
    """Molecules in a step of the authors' training, on average: the table's samples_seen is `step` times this."""
    process: Literal["flow", "diffusion"] = "flow"
    """What the network was trained for: a `flow`, as SemlaFlow and REED, or a `diffusion`, as EDM."""
    classes: Classes = "uniform"
    """What noise is to atoms and bonds, as of `molecule-flow`; for process: flow only."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "ImportedMolecules":
        if self.process == "diffusion":
            self.refuse("classes", where="on process: diffusion")
        return self

    def card(self) -> Card:
        """By the process, which EDM and the others differ in."""
        flow, edm, reed = self.cites
        return replace(super().card(), cites=(flow, reed) if self.process == "flow" else (edm,))

    def parts(self, backbone: Any) -> Any:
        """The parts of a molecule, of so many classes as the backbone has (`nn.molecule_state.Parts`)."""
        return parts_of(backbone, self.classes)
