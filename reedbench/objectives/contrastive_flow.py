"""Contrastive flow matching (DeltaFM): the velocity is pushed away from the target of another row.

Source: arXiv:2506.05350, and its released code.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective


class ContrastiveFlow(FlowObjective):
    """The velocity loss minus a share of the squared error to the target of another row of the group.

    Its optimum is (v*(x_t) - weight vbar) / (1 - weight) with vbar the mean target: every field is pushed off the mean,
    a small guidance that is built in. It is sampled as SiT is; with guidance the release first subtracts a stored
    mean target (its `interference`), which is not done here.
    """

    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = "|v - v*|^2 - weight |v - v*_j|^2, v*_j = x_1j - x_0j of another row j of the group"
    cost: ClassVar[str] = "3F"
    choices: ClassVar[tuple[str, ...]] = (
        "the other row lies in a fixed group of consecutive rows, in place of the batch of a GPU",
        "no interference in guided sampling",
    )
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "stoica2025contrastive")
    uses: Literal["contrastive-flow"] = "contrastive-flow"

    weight: float = Field(0.05, ge=0, lt=1)
    """Share of the error to the negative; below 1, where the loss has no least value. The paper takes 0.05, and the
    released command line 1 if nothing is said."""
    group: int = Field(16, ge=2)
    """Consecutive rows of a batch among which the negative is drawn: the local batch of a GPU in the release."""
    negatives: Literal["any", "other-class"] = "any"
    """Which rows of the group a negative may be; a row without one of another class has none."""
    null_rows: bool = True
    """Rows whose label is dropped have a negative, too; without them the mean is over the others."""

    @model_validator(mode="after")
    def _rows_without_label(self) -> "ContrastiveFlow":
        if not self.label_dropout:
            self.refuse("null_rows", where="on label_dropout: 0")
        return self

    def needs_classes(self) -> bool:
        """Where a negative must be of another one."""
        return self.negatives == "other-class"

    def rows_per_group(self) -> int:
        """The group."""
        return self.group

    def learner(self, network: Any, flow: Any) -> Any:
        """Draws negatives."""
        from reedbench.nn.contrastive import ContrastiveLearner
        from reedbench.nn.schedules import Factor

        return ContrastiveLearner(
            network,
            flow,
            self.denoise.factor(),
            Factor().times(self.weight),
            self.group,
            other_class=self.negatives == "other-class",
            null_rows=self.null_rows,
        )
