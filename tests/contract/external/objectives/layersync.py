"""LayerSync: a shallow block is pulled towards a deep one of the same pass, without an encoder. arXiv:2510.12581."""

from typing import ClassVar, Literal

from pydantic import Field

from reedbench.objectives import FlowObjective


class LayerSync(FlowObjective):
    """The velocity loss minus the cosine between the tokens of two blocks; the deep one does not feel it."""

    cites: ClassVar[tuple[str, ...]] = ("layersync2025",)
    uses: Literal["layersync"] = "layersync"

    shallow: int = Field(1, ge=1)
    """Block that is pulled, 1-based."""
    deep: int = Field(2, ge=2)
    """Block that it is pulled to."""
    weight: float = Field(0.2, ge=0)
    """Coefficient of the term."""

    def depths(self):
        return (self.shallow, self.deep)

    def further(self):
        return {"layersync": self.weight}

    def extra(self, hidden, batch):
        from reedbench.nn.alignment import cosine_alignment

        student, teacher = hidden
        return {"layersync": cosine_alignment(student, teacher.detach())}
