"""What objectives share that train a network which reads the scale of guidance by a frozen teacher."""

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from reedbench.objectives._scaled import ScaledObjective

Weight = Literal["velocity", "snr"]


class DistilledObjective(ScaledObjective):
    """One whose only loss is the distance to velocities of its teacher."""

    asks_teacher: ClassVar[bool] = True
    learns_a_pair: ClassVar[bool] = True  # the guidance of a teacher without scale; else its steps

    init: Literal["scratch", "teacher"] = "teacher"
    """Weights and average at step 0: the teacher's, as in the paper, or `scratch`."""
    between: tuple[float, float] = (1.0, 4.0)
    """Least and largest scale of guidance: each row is trained at one between them, and samplers ask for such a one."""
    weight: Weight = "snr"
    """Over time: `snr` is the paper's truncated signal-to-noise ratio, max(t^2, (1 - t)^2) in velocities; `velocity` is
    constant."""

    @model_validator(mode="after")
    def _what_a_teacher_leaves_to_say(self) -> "DistilledObjective":
        low, high = self.between
        if not 1 <= low <= high:
            raise ValueError(f"between [{low}, {high}] must satisfy 1 <= low <= high")
        self.refuse("label_dropout", where="on distillation, which asks the teacher for every row's own label")
        if self.path != "linear":
            raise ValueError(f"path {self.path}: Euler's steps and these weights are those of the linear path")
        return self

    def scales(self) -> tuple[float, float]:
        """Those that are trained."""
        return self.between

    def network(self, backbone: Any) -> Any:
        """The backbone with an embedding of the scale, which at first changes nothing."""
        from reedbench.nn.backbones.scaled_sit import ScaledSiT

        return ScaledSiT(backbone, last_std=0.0)

    def learner(self, network: Any, flow: Any) -> Any:
        """One that looks up the teacher with and without label."""
        from reedbench.nn.distillation import ScaledStudent

        return ScaledStudent(network, flow, self.denoise.factor(), **self.settings())

    def flow(self, backbone: Any) -> Any:
        """Draws that keep all labels."""
        from reedbench.nn.flow import FlowMatching

        return FlowMatching(self.path, self.times, 0.0, null_label=backbone.null_label)

    def settings(self) -> dict[str, Any]:
        """Of its learner."""
        from reedbench.nn.distillation import WEIGHTS

        return {"between": self.between, "weight": WEIGHTS[self.weight]}

    def untaught(self, teacher: Any) -> str | None:
        """The teacher must be guided by a second evaluation, and know the null label, where this learns that."""
        if self.learns_a_pair and teacher.guided_by != "pair":
            return f"{teacher.uses} has its guidance in the network: take a teacher that is guided by a pair"
        if self.learns_a_pair and getattr(teacher, "label_dropout", None) == 0:
            return "has label_dropout 0, and says nothing without label: take a teacher that has learnt the null label"
        return super().untaught(teacher)
