"""Reinforcement learning with a reward of finished samples. Zhang et al. 2024, arXiv:2401.12244."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective, Place


class RewardObjective(FlowObjective):
    """Sampler steps are a policy, rewarded by a classifier that no metric uses; to be started from a trained model.

    An iteration has `transitions` + 1 optimizer steps: rollouts of the whole batch and an update on one transition of
    each, further updates on the others, and one update of the velocity loss on data. A batch has as many rollouts as
    `train.batch`.
    """

    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "zhang2024rl")
    tier: ClassVar[str] = "adaptation"
    source: ClassVar[str] = "arXiv:2401.12244, equations 8 and 10, algorithm 1; log-density as in the code of DDPO"
    formula: ClassVar[str] = (
        "max(-A rho, -A clip(rho, 1 - c, 1 + c)), rho = p_th(x'|x) / p_old(x'|x), A = (r - mean r) / std r; then "
        "denoise |v - v*|^2"
    )
    cost: ClassVar[str] = "T F of rollouts with T steps, K (3F + F) of updates, 3F on data, in K + 1 steps"
    choices: ClassVar[tuple[str, ...]] = (
        "The reward is a classifier's log-probability of the asked class, or of its parity; the paper rewards text.",
        "Rollouts by Euler-Maruyama without guidance; the update on data has an optimizer step of its own.",
        "The old policy's density is computed again with every update (K F more): the ratio starts at 1 exactly.",
    )
    uses: Literal["reward"] = "reward"

    judge: str = Field(examples=["reward"])
    """Name of the encoder that rewards: a classifier with probabilities; never an extractor."""
    reward: Literal["class", "parity", "spread"] = "class"
    """Log-probability of the class that was asked for; probability of a class of the same parity; or, the same for all
    samples of a group, how evenly they fall into classes (the paper's reward of a distribution)."""
    group: int = Field(16, ge=2)
    """Samples that `spread` rewards together."""
    transitions: int = Field(5, ge=1)
    """Transitions K of each rollout that an iteration learns from, one per optimizer step."""
    rollout: int = Field(50, ge=3)
    """Steps of Euler-Maruyama; the last one is without noise, and nothing is learned from it."""
    clip: float = Field(1.0e-4, gt=0, lt=1)
    """How far from 1 the ratio of densities counts."""
    on_data: float = Field(1.0, gt=0)
    """Coefficient of the velocity loss, in its own updates."""

    @model_validator(mode="after")
    def _a_trained_model_to_begin_with(self) -> "RewardObjective":
        if self.init != "teacher":
            raise ValueError("starts from a trained model: say init: teacher and teacher: {method: <name>, step: ...}")
        return self

    @model_validator(mode="after")
    def _noisy_transitions(self) -> "RewardObjective":
        if self.transitions > self.rollout - 1:
            raise ValueError(
                f"transitions {self.transitions}: a rollout of {self.rollout} steps has {self.rollout - 1} with noise"
            )
        if self.path != "linear":
            raise ValueError("path: rewards are for the linear path so far")
        if self.reward != "spread":
            self.refuse("group", where=f"on reward: {self.reward}")
        self.refuse("denoise", where="on uses: reward", cure="give on_data")
        return self

    def needs_classes(self) -> bool:
        """Samples are rewarded for theirs."""
        return True

    def misfit(self, train: Any, last: int) -> str | None:
        """Old and new policy must answer alike, of which the compiler changes the new one alone."""
        if train.compile and train.precision != "fp32":
            return (
                f"compares two policies that are one at first, and train.compile rounds one of them otherwise in "
                f"{train.precision}: take train.compile: false or train.precision: fp32"
            )
        return super().misfit(train, last)

    def encoders(self) -> tuple[str, ...]:
        """The one that rewards."""
        return (self.judge,)

    def judges(self) -> tuple[str, ...]:
        """The same."""
        return (self.judge,)

    def reads(self) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
        """Where it is named."""
        yield ("judge",), self.judge, ("vector",)

    def rows_per_group(self) -> int:
        """Those that are rewarded together."""
        return self.group if self.reward == "spread" else 1

    def learner(self, network: Any, flow: Any) -> Any:
        """A learner that still needs its reward, see `rewarded`."""
        from reedbench.nn.reward import RewardLearner

        return RewardLearner(
            network,
            flow,
            self.on_data,
            transitions=self.transitions,
            steps=self.rollout,
            clip=self.clip,
            classes=flow.null_label,
            group=self.rows_per_group(),
        )

    def rewarded(self, learner: Any, judges: Mapping[str, Any]) -> None:
        """Give the learner its reward: of samples, by the log-probabilities of their classes."""
        from reedbench.nn.rewards import of_class, parity, spread_of

        laws = {"class": of_class, "parity": parity, "spread": lambda found, asked: spread_of(found, self.group)}
        law, judge = laws[self.reward], judges[self.judge]
        learner.reward = lambda samples, asked: law(judge(samples), asked)
