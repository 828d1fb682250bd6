"""DiffROP: the predictions of a diffusion model for two classes shall not overlap, for data with a long tail."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective


class Overlap(FlowObjective):
    """The velocity loss, and a hinge that keeps predictions for different classes apart. arXiv:2402.10821."""

    cites: ClassVar[tuple[str, ...]] = ("yan2024diffrop",)
    tier: ClassVar[str] = "own data"
    formula: ClassVar[str] = (
        "|v(x_t,t,y) - v*|^2 + weight w(t) max(0, margin - c(t) |v(x_t,t,y) - sg v(x_t,t,y')|^2 / D); y' another class"
    )
    source: ClassVar[str] = (
        "arXiv:2402.10821, as others summarise it; its repository (@4e5c9e0) holds scripts of plots alone"
    )
    cost: ClassVar[str] = "3F + F: a second forward pass of the trained network, without gradient"
    choices: ClassVar[tuple[str, ...]] = (
        "the paper's weight and margin are not known to us: weight 0.1 by default, margin the median distance in a SiT",
        "distance of predicted noise by default, c(t) = t^2; `velocity` 1 and `kl` (1 + t)^2 / (4 (1 - t)) are ours",
        "y' at equal chances among the other classes by default; `empirical` as often as they are in the batch",
        "rows whose label was dropped are left out; no gradient to the prediction for y'",
    )
    uses: Literal["overlap"] = "overlap"

    weight: float = Field(0.1, gt=0)
    """Coefficient of the term."""
    margin: float = Field(gt=0, examples=[0.5])
    """Distance from which on two predictions are far enough apart: the median distance under a SiT of the same step is
    a scale for it."""
    distance: Literal["noise", "velocity", "kl"] = "noise"
    """Mean square difference of predicted noise, of velocities, or the divergence of two sampling steps over their
    length. At t = 0 all classes agree by nature: there `noise` asks for nothing that could be had."""
    time_weight: Literal["constant", "kl"] = "constant"
    """Weight w(t) of what is short of the margin: 1, or that which makes a squared distance of velocities a divergence,
    (1 + t)^2 / (4 (1 - t))."""
    others: Literal["uniform", "empirical"] = "uniform"
    """Law of the other class: equal chances, or as often as the batch has them."""

    @model_validator(mode="after")
    def _distances_on_their_path(self) -> "Overlap":
        if self.path != "linear" and (self.distance, self.time_weight) != ("velocity", "constant"):
            raise ValueError(
                "distances of noise and divergences are those of the linear path: take path out, or say "
                "distance: velocity and time_weight: constant"
            )
        return self

    def needs_classes(self) -> bool:
        """It is about pairs of them."""
        return True

    def learner(self, network: Any, flow: Any) -> Any:
        """With the second forward pass."""
        from reedbench.nn.overlap import Overlapping
        from reedbench.nn.schedules import Factor

        term = Factor().times(self.weight)
        return Overlapping(
            network,
            flow,
            self.denoise.factor(),
            term,
            margin=self.margin,
            distance=self.distance,
            time_weight="velocity" if self.time_weight == "constant" else self.time_weight,
            law=self.others,
        )
