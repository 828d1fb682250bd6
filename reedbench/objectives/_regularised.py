"""Settings of losses on hidden states alone, which image and protein methods share."""

from abc import abstractmethod
from typing import Any, Literal

from pydantic import Field, model_validator

from reedbench.objectives import AbstractObjective

DISPERSED = "dispersive"
Pair = tuple[int, int]


class Dispersing(AbstractObjective):
    """Hidden states of one block are pushed apart between the rows of a group."""

    depth: int = Field(ge=1, examples=[1])
    """Block whose output is dispersed, 1-based. The paper takes a quarter of the depth, the official PyTorch code the
    last block."""
    weight: float = Field(0.5, ge=0)
    """Coefficient of the term. Paper 0.5 (temperature 0.5, groups of 16), official PyTorch code 0.25 (temperature 1,
    groups of 32); on digits both let the term rest at its floor, where 0.02 with temperature 1 does not."""
    variant: Literal["l2", "cosine", "hinge", "covariance"] = "l2"
    """`l2` and `cosine`: log of the mean of exp(-D / temperature) over all pairs of rows, with squared distances per
    number or negative cosines D. `hinge`: mean of max(0, margin - D)^2. `covariance`: squares of the covariances of
    different channels, of rows of length 1 (tokens averaged)."""
    temperature: float = Field(0.5, gt=0)
    """Of `l2` and `cosine`: scale of D."""
    margin: float | None = Field(None, gt=0)
    """Of `hinge`, which needs it: the distance beyond which rows are left alone. The paper's is not known; take the
    mean distance of a SiT checkpoint."""

    @property
    @abstractmethod
    def compared(self) -> int:
        """Rows of a group, see `nn.learner.Learner.group`."""

    @model_validator(mode="after")
    def _only_what_its_variant_has(self) -> "Dispersing":
        if self.variant in ("hinge", "covariance"):
            self.refuse("temperature", where=f"on variant: {self.variant}")
        if self.variant != "hinge":
            self.refuse("margin", where=f"on variant: {self.variant}")
        elif self.margin is None:
            raise ValueError(
                "variant: hinge needs a margin: say the mean distance per number of the block's hidden states in a "
                "SiT checkpoint"
            )
        return self

    def depths(self) -> tuple[int, ...]:
        """The block."""
        return (self.depth,)

    def dispersion(self) -> Any:
        """The `nn.regularisers.Dispersion`."""
        from reedbench.nn.regularisers import Dispersion

        return Dispersion(self.variant, self.compared, self.temperature, self.margin or 0.0)

    def floored(self, learner: Any) -> Any:
        """The learner, which knows where its term has nothing left to say."""
        if (floor := self.dispersion().floor()) is not None:
            learner.floors = {DISPERSED: floor}
        return learner


class Synchronising(AbstractObjective):
    """Shallow blocks are pulled towards deeper ones of the same forward pass, which do not feel it."""

    pairs: tuple[Pair, ...] = Field(min_length=1, examples=[((1, 2),)])
    """Pairs [k, l] of blocks, 1-based: block k is pulled towards the deeper block l. All pairs count (the released code
    keeps the last one only). The paper has [8, 16] of 28 blocks; in this ratio SiT-B has [3, 7] and SiT-L [7, 14]."""
    weight: float = Field(0.2, ge=0)
    """Coefficient of each pair's mean cosine."""

    @model_validator(mode="after")
    def _pulled_to_deeper_blocks(self) -> "Synchronising":
        for k, deeper in self.pairs:
            if not 1 <= k < deeper:
                raise ValueError(
                    f"pairs: [{k}, {deeper}] must be two blocks 1 <= k < l: the shallow block k is pulled, say it first"
                )
        if len(set(self.pairs)) < len(self.pairs):
            raise ValueError("pairs: one stands there twice; raise weight if it shall count more")
        return self

    def depths(self) -> tuple[int, ...]:
        """Blocks of all pairs."""
        return tuple(sorted({block for pair in self.pairs for block in pair}))

    def named(self) -> dict[str, Pair]:
        """Pairs by the names of their terms."""
        return {f"layersync@{k}-{deeper}": (k, deeper) for k, deeper in self.pairs}

    def pulled(self, hidden: Any) -> dict[str, tuple[Any, Any]]:
        """By term, hidden states that are pulled and those that they are pulled to, the latter without gradients.

        Args:
            hidden: of `depths`, in their order.
        """
        at = dict(zip(self.depths(), hidden, strict=True))
        return {name: (at[k], at[deeper].detach()) for name, (k, deeper) in self.named().items()}
