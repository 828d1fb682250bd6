"""MG: the network learns the guided velocity, of one scale. Tang et al. 2025, arXiv:2502.12154."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective


class ModelGuidance(FlowObjective):
    """The velocity loss against a target that the weight average moves towards the label.

    Samplers draw from it with `guidance` equal to `scale`, in one evaluation per step.
    """

    cites: ClassVar[tuple[str, ...]] = ("tang2025mg",)
    guided_by: ClassVar[Literal["pair", "input", "built-in"]] = "built-in"
    tier: ClassVar[Literal["faithful"]] = "faithful"
    formula: ClassVar[str] = "|v(x_t,t,y) - [v* + (s-1) 1{t > 1-h} sg(v_ema(x_t,t,y) - v_ema(x_t,t,null))]|^2"
    cost: ClassVar[str] = "3F; from start on 3F + 2F (1 - label_dropout) h (the release: 4.8F, h not spared)"
    choices: ClassVar[tuple[str, ...]] = (
        "labels are dropped row by row, where the release drops an exact number per batch",
        "gradients are clipped as those of all methods; the release clips none",
        "scale 1.5 by default, as in the paper (release: 1.45); start is to be said: 100,000 of 400,000",
    )
    uses: Literal["model-guidance"] = "model-guidance"

    scale: float = Field(1.5, gt=1)
    """Scale s of the guidance that is learnt; samplers must ask for the same."""
    start: int = Field(ge=0, examples=[2])
    """First step at which targets are moved: the average must be worth something by then. The authors take 100,000."""
    high: float = Field(0.75, gt=0, le=1)
    """Targets are moved at times t > 1 - high; 1 is the paper's equation, 0.75 its code."""
    away_from: Literal["null", "another-class"] = "null"
    """What the shift leads away from: the null label, or another class drawn for every row (contrastive)."""

    @model_validator(mode="after")
    def _something_to_lead_away_from(self) -> "ModelGuidance":
        if self.away_from == "null":
            self.asks_null_label()
        return self

    def scales(self) -> tuple[float, float]:
        """That of the targets."""
        return self.scale, self.scale

    def needs_classes(self) -> bool:
        """The guidance that it learns is by class."""
        return True

    def learner(self, network: Any, flow: Any) -> Any:
        """One that looks up the average."""
        from reedbench.nn.model_guidance import Guided

        settings = {"scale": self.scale, "start": self.start, "high": self.high}
        return Guided(network, flow, self.denoise.factor(), contrastive=self.away_from == "another-class", **settings)
