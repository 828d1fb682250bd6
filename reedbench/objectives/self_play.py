"""Self-play fine-tuning: data against own samples of the round before. Yuan et al. 2024, arXiv:2402.10210."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective
from reedbench.objectives._own import PooledTraining


class SelfPlayObjective(PooledTraining, FlowObjective):
    """The teacher is the reference and the start; its samples in the pool are what data are set against.

    Each of several rounds (`rounds:`) has the round before as teacher: its published weights, and samples of these.
    """

    cites: ClassVar[tuple[str, ...]] = ("yuan2024spin", "wallace2024dpo")
    tier: ClassVar[str] = "adaptation"
    source: ClassVar[str] = "arXiv:2402.10210, equation 4.9; form of train.py in SalesforceAIResearch/DiffusionDPO"
    formula: ClassVar[str] = (
        "-log sigma(-(beta/2) [(e_th(x) - e_k(x)) - (e_th(x') - e_k(x'))]), e = mean |v(x_t,t,y) - v*|^2, x' ~ p_k(.|y)"
    )
    cost: ClassVar[str] = "8F per step: 2 x 3F, and 2F of the reference; once per round: its teacher, and N x NFE x F"
    choices: ClassVar[tuple[str, ...]] = (
        "class-conditional SiT in place of a text-to-image model",
        "the loss of one time per row, not of whole trajectories; one beta, 5000 by default (Diffusion-DPO's)",
        "a row is set against any sample of its label among the teacher's, of which there are sampling.count",
        "data and samples share time, noise and label; labels are dropped, so that guidance can still be asked for",
    )
    uses: Literal["self-play"] = "self-play"

    init: Literal["teacher"] = "teacher"
    """Weights and average at step 0 are those of the reference: there the loss is log 2."""
    beta: float = Field(5000.0, gt=0)
    """Scale of what the sigmoid sees. Best about 1 / the standard deviation of differences between errors of network
    and reference after a tenth of the round; errors are means over elements, and do not grow with the size of data."""

    @model_validator(mode="after")
    def _one_loss(self) -> "SelfPlayObjective":
        self.refuse("denoise", where="on uses: self-play, which has no velocity loss of its own")
        return self

    def learner(self, network: Any, flow: Any) -> Any:
        """One that looks up the reference."""
        from reedbench.nn.self_play import SelfPlayLearner

        return SelfPlayLearner(network, flow, self.beta)
