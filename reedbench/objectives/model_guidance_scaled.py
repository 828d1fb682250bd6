"""MG with the scale as an input: samplers choose it. Tang et al. 2025, arXiv:2502.12154."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives._scaled import ScaledObjective


class ScaledModelGuidance(ScaledObjective):
    """As `model-guidance`, for every scale of a range: some rows are guided, and the network reads by how much."""

    cites: ClassVar[tuple[str, ...]] = ("tang2025mg",)
    tier: ClassVar[Literal["faithful"]] = "faithful"
    formula: ClassVar[str] = (
        "|v(x_t,t,y,s) - [v* + (s-1) 1{t > 1-h} sg(v_ema(x_t,t,y,1) - v_ema(x_t,t,null,0))]|^2, s ~ U[lo,hi] on guided "
        "rows; s = 1 on others, and 0 without label"
    )
    cost: ClassVar[str] = "3F; from start on 3F + 2F share h"
    choices: ClassVar[tuple[str, ...]] = (
        "before start guided rows read s = 1, as their targets are not moved yet",
        "rows are guided and labels dropped row by row, where the release takes exact numbers per batch",
        "scales between 1 and 2 by default",
    )
    uses: Literal["model-guidance-scaled"] = "model-guidance-scaled"

    between: tuple[float, float] = (1.0, 2.0)
    """Least and largest scale that is learnt, and that samplers may ask for."""
    share: float = Field(0.2, gt=0, le=1)
    """Share of guided rows among all."""
    start: int = Field(ge=0, examples=[2])
    """First step at which targets are moved: the average must be worth something by then. The authors take 100,000."""
    high: float = Field(0.75, gt=0, le=1)
    """Targets are moved at times t > 1 - high; 1 is the paper's equation, 0.75 its code."""

    @model_validator(mode="after")
    def _a_range_and_rows_for_it(self) -> "ScaledModelGuidance":
        low, high = self.between
        if not 1 <= low < high:
            raise ValueError(f"between [{low}, {high}] must satisfy 1 <= low < high; of one scale, use model-guidance")
        if self.share + self.label_dropout > 1:
            raise ValueError(f"share {self.share} and label_dropout {self.label_dropout} are more than all rows")
        self.asks_null_label()
        return self

    def scales(self) -> tuple[float, float]:
        """Those that are learnt."""
        return self.between

    def learner(self, network: Any, flow: Any) -> Any:
        """One that looks up the average."""
        from reedbench.nn.model_guidance import GuidedByInput

        settings = {"between": self.between, "share": self.share, "start": self.start, "high": self.high}
        return GuidedByInput(network, flow, self.denoise.factor(), **settings)
