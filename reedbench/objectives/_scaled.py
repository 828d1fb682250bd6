"""What objectives share whose network reads a scale."""

from typing import Any, ClassVar, Literal

from reedbench.objectives import AbstractMethod, FlowObjective


class ScaledObjective(FlowObjective):
    """One whose network reads a scale beside time and label, which samplers then choose."""

    guided_by: ClassVar[Literal["pair", "input", "built-in"]] = "input"

    def network(self, backbone: Any) -> Any:
        """The backbone with an embedding of the scale."""
        from reedbench.nn.backbones.scaled_sit import ScaledSiT

        return ScaledSiT(backbone)

    def needs_classes(self) -> bool:
        """The guidance that it learns is by class."""
        return True

    def read(self, scale: float) -> float:
        """What the network reads where guidance of this scale is asked for."""
        return scale

    def untaught(self, teacher: AbstractMethod) -> str | None:
        """A teacher that reads a scale must read the same number where the same guidance is asked for."""
        if isinstance(teacher, ScaledObjective) and any(teacher.read(s) != self.read(s) for s in self.scales()):
            return f"{teacher.uses} and {self.uses} read different numbers for the same guidance: take another teacher"
        return super().untaught(teacher)

    def steered(self, network: Any, x: Any, t: Any, y: Any, scale: float) -> Any:
        """The network at this scale in all rows."""
        return network(x, t, y, scale=t.new_full(t.shape, self.read(scale)))[0]
