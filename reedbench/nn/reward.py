"""Reinforcement learning of a flow: updates on transitions of rollouts, which a reward rates, in turn with data.

Source: large-scale reinforcement learning for diffusion models, arXiv:2401.12244, algorithm 1.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, from_numpy, nn

from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import DENOISE, Batch, LossTerm, Others, Streams
from reedbench.nn.rollouts import Rollouts, advantages, clipped, log_density, rolled_out, transition
from reedbench.nn.schedules import Factor

POLICY: Final = "policy"
SAME: Final = 1e-6  # the largest distance from 1 of the ratio of a policy to itself

Reward = Callable[[Tensor, Tensor], Tensor]  # samples (b, ...) and the labels that they were asked for -> (b,)


@dataclass(frozen=True)
class Turn(Factor):
    """A factor that counts at some steps of every period."""

    period: int = 1
    counts: range = range(1)

    def active(self, step: int) -> bool:
        """Whether it is the term's turn."""
        return super().active(step) and step % self.period in self.counts


class RewardLearner(FlowLearner):
    """Updates on single transitions of rollouts of an old policy, in turn with updates on data.

    An iteration takes `transitions` + 1 steps: rollouts and an update on one transition of each, an update on each of
    the others, and one on data. The old policy is the network as the iteration begins.

    Args:
        network: see `FlowLearner`.
        flow: draws and the velocity error.
        denoise: coefficient of the update on data.
        transitions: K.
        steps: of the sampler of rollouts.
        clip: of the ratio.
        classes: that rollouts are asked for.
        group: consecutive rows whose samples are rewarded together.
    """

    def __init__(
        self,
        network: Any,
        flow: FlowMatching,
        denoise: float,
        *,
        transitions: int,
        steps: int,
        clip: float,
        classes: int,
        group: int = 1,
    ) -> None:
        super().__init__(network, flow, Factor(), group=group)
        period = transitions + 1
        self.factors = {
            POLICY: Turn(period=period, counts=range(transitions)),
            DENOISE: replace(Turn(period=period, counts=range(transitions, period)), value=lambda step: denoise),
        }
        self.transitions, self.steps, self.clip, self.classes = transitions, steps, clip, classes
        self.reward: Reward | None = None
        self._old: nn.Module | None = None
        self._made: tuple[int, Rollouts] | None = None
        self._streams: Streams | None = None

    def phases(self) -> tuple[int, ...]:
        """With rollouts, without them, and on data."""
        return (0, *([1] if self.transitions > 1 else []), self.transitions)

    def phase(self, step: int) -> int:
        """By the place in the iteration."""
        place = step % (self.transitions + 1)
        return place if place in (0, self.transitions) else 1

    def steps_by_phase(self, start: int, stop: int) -> dict[int, int]:
        """Counted by place."""
        found = dict.fromkeys(self.phases(), 0)
        period = self.transitions + 1
        for place in range(period):
            found[self.phase(place)] += len(range(start + (place - start) % period, stop, period))
        return found

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """On data as ever; else noise, labels and transitions of the iteration, from the streams of its first step."""
        if self.computes(DENOISE):
            return super().draw(batch, streams)
        first, shape = self._first(streams.step), batch["x_1"].shape[1:]
        asked = from_numpy(streams("rollout-labels", first).seeds() % self.classes)
        order = from_numpy(streams("rollout-transitions", first).uniform(self.steps - 1)).argsort(1)
        self._streams = streams
        return {
            "x_1": batch["x_1"],
            "start": from_numpy(streams("rollout-start", first).normal(*shape)),
            "asked": asked,
            "kept": order[:, : self.transitions].contiguous(),
        }

    def reads(self) -> tuple[str, ...]:
        """No representations: rewards are of samples."""
        return ()

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """With the transitions of this step, where a policy is learned."""
        if self.computes(DENOISE):
            return batch
        first = self._first(self.step)
        if self._old is None or self.step == first:
            self._begin_iteration()
        if self._made is None or self._made[0] != first:  # begun anew, or taken up in the middle
            self._made = first, self._rollouts(batch, total)
        made, j = self._made[1], self.step - first
        kept = {"x": made.x[j], "after": made.after[j], "now": made.now[j], "then": made.then[j]}
        kept |= {"advantage": made.advantage, "reward": made.reward}
        return {"x_1": batch["x_1"], "asked": batch["asked"], **kept}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """With the old policy's log-density, from the numerics of the update itself."""
        if self.computes(DENOISE):
            return batch
        assert self._old is not None
        return {**batch, "old": self._log_density(self._old, batch)}

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """The clipped loss of a transition, or the velocity loss."""
        if self.computes(DENOISE):
            return super().terms(batch, network)
        ratio = (self._log_density(network, batch) - batch["old"]).exp()
        if self.step == self._first(self.step) and not bool(((ratio - 1).abs() < SAME).all()):
            raise ValueError(
                f"the first update of an iteration has ratios up to {(ratio - 1).abs().max().item():.2g} from 1: old "
                "and new policy are one there; the network computes one thing in two ways (dropout, running statistics)"
            )
        values = clipped(batch["advantage"], ratio, self.clip)
        return {POLICY: LossTerm(values.sum(), float(len(values)))}

    def watched(self, batch: Batch) -> dict[str, Tensor]:
        """The reward of the rollouts."""
        return {"reward": batch["reward"]} if "reward" in batch else {}

    def weights(self, batch: Batch) -> dict[str, float]:
        """Means over rows."""
        return {name: float(len(batch["x_1"])) for name in self.factors if self.computes(name)}

    def state(self) -> dict[str, Tensor]:
        """The old policy: its rollouts are made again from it."""
        old = self.network if self._old is None else self._old
        return {name: tensor.detach() for name, tensor in old.state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the old policy; rollouts that it has made stay those of it."""
        if self._old is None:
            self._old = deepcopy(self.network).requires_grad_(False)
        if not all(torch.equal(tensor, tensors[name]) for name, tensor in self._old.state_dict().items()):
            self._made = None
        self._old.load_state_dict(dict(tensors))

    def _first(self, step: int) -> int:
        """First step of the iteration that a step belongs to."""
        return step - step % (self.transitions + 1)

    def _begin_iteration(self) -> None:
        self._made = None
        if self._old is None:
            self._old = deepcopy(self.network).requires_grad_(False)
        self._old.load_state_dict(self.network.state_dict())

    def _rollouts(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Rollouts:
        assert self._old is not None
        if self.reward is None:
            raise ValueError("the loss rewards samples, and nobody gave it a reward")
        old, path = self._old, self.flow.part.path

        def velocity(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            with self.numerics():
                found: Tensor = old(x, t, y, wanted=[])[0]
            return found

        noise, found = self._noise(batch), []
        for rows in torch.arange(len(batch["start"])).tensor_split(self.pieces):
            piece = {name: batch[name][rows] for name in ("start", "asked", "kept")}
            found.append(rolled_out(velocity, piece, path, self.steps, lambda i, rows=rows: noise[i][rows]))
        samples = torch.cat([own for own, _ in found])
        kept = [torch.cat(parts, 1) for parts in zip(*(own for _, own in found), strict=True)]
        rewards = self.reward(samples, batch["asked"])
        if not bool(rewards.isfinite().all()):
            raise ValueError(f"rewards must be finite numbers, got {rewards.tolist()}")
        return Rollouts(*kept, advantage=advantages(rewards, total), reward=rewards)

    def _noise(self, batch: Batch) -> list[Tensor]:
        """Standard normal numbers of all steps of the sampler but the last; drawn here, once for an iteration."""
        assert self._streams is not None, "rows were drawn"
        # Those of any step will do: a rank's rows have the same numbers in every batch.
        running = self._streams("rollout-noise", self._first(self.step))
        return [from_numpy(running.normal(*batch["start"].shape[1:])) for _ in range(self.steps - 1)]

    def _log_density(self, network: nn.Module, batch: Batch) -> Tensor:
        velocity = network(batch["x"], batch["now"], batch["asked"], wanted=[])[0].to(batch["x"].dtype)
        mean, variance = transition(self.flow.part.path, velocity, batch["x"], batch["now"], batch["then"])
        return log_density(batch["after"], mean, variance)
