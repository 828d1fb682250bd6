"""Self-play fine-tuning on proteins: native sequences against own designs of the round before.

Source: SPIN-Diffusion, arXiv:2402.10210, equation 4.9; form of train.py in SalesforceAIResearch/DiffusionDPO, with the
likelihood bound of masking diffusion.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives._grouped import GroupingByTime
from reedbench.objectives._masking import Masking
from reedbench.objectives._own import PooledTraining


class ProteinSelfPlay(PooledTraining, Masking):
    """The teacher is the reference and the start; the pool are its designs for the training chains, one for each.

    They are drawn at temperature 1. The usual 0.1 makes designs that no law of the teacher has, which the loss would
    tell from natives at once, and the network would unlearn its likeliest residues.

    Each of several rounds (`rounds:`) has the round before as teacher: its published weights, and designs of these.
    """

    tier: ClassVar[str] = "adaptation"
    formula: ClassVar[str] = (
        "-log sigma(-(beta/2) [(e_th(s) - e_k(s)) - (e_th(s') - e_k(s'))]), e = mean of -log p over masked residues, "
        "s' ~ p_k(.|backbone), masked as s is"
    )
    cost: ClassVar[str] = "8F per step: 2 x 3F, and 2F of the reference; once per round: its teacher, and its designs"
    choices: ClassVar[tuple[str, ...]] = (
        "the bound per residue, a mean over masked residues, in place of a squared error; one beta for all times",
        "one design per training chain and round, at temperature 1: the law of the teacher, not a sharper one",
        "native and design share time, mask and moved coordinates, and there is no dropout; unknown residues do not "
        "count, and are unknown in both",
        "beta 10 by default: e is in nats, and differs by tenths",
    )
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "wang2025reed", "yuan2024spin", "wallace2024dpo")
    uses: Literal["protein-self-play"] = "protein-self-play"

    init: Literal["teacher"] = "teacher"
    """Weights and average at step 0 are those of the reference: there the loss is log 2."""
    beta: float = Field(10.0, gt=0)
    """Scale of what the sigmoid sees. Best about 1 / the standard deviation of differences between errors of network
    and reference after a tenth of the round."""

    @model_validator(mode="after")
    def _one_loss(self) -> "ProteinSelfPlay":
        where = "on uses: protein-self-play, whose loss is of masked residues and their likelihoods alone"
        self.refuse("smoothing", "divisor", "time_weight", "masked_only", where=where)
        return self

    def untaught(self, teacher: Any) -> str | None:
        """The teacher must have one network for all times, as this one has."""
        if isinstance(teacher, GroupingByTime):
            return f"{teacher.uses} has several networks: take a teacher with one"
        return super().untaught(teacher)

    def unpooled(self, sampler: Any) -> str | None:
        """Designs must be samples of the teacher's law: sharper ones are told from natives by that alone."""
        if sampler.temperature == 1:
            return None
        return (
            f"draws at temperature {sampler.temperature:g}, and a pool is of the teacher's own law: take a sampler "
            "with temperature: 1"
        )

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.alignment import TappedNetwork
        from reedbench.nn.self_play_design import SelfPlayDesignLearner

        backbone.initialise(generator)
        backbone.tapped(())
        return SelfPlayDesignLearner(TappedNetwork(backbone, ()), self.denoising(), self.beta)
