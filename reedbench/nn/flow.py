"""Flow matching with class labels: draws, the interpolated input, the velocity error, and its learner.

Source: SiT, arXiv:2401.08740; REPA loss.py @67f7145 (uniform and lognormal times); label dropout of DiT.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor, arange, float64, from_numpy, nn, special, where

from reedbench.nn.interpolants import INTERPOLANTS, TIME_SAMPLERS
from reedbench.nn.learner import DENOISE, Batch, Learner, LossTerm, Streams
from reedbench.nn.parts import Continuous
from reedbench.nn.schedules import Factor

# Hidden states in the order of the taps, and a micro-batch with `velocity`, what the network predicts -> one value per
# row of every further term.
Extra = Callable[[list[Tensor], Batch], Mapping[str, Tensor]]

GRID: Final = 100_000  # shares at which a law of times is looked at


class FlowMatching:
    """Velocity prediction between noise at t = 0 and data at t = 1.

    Reads `x_1` (b, ...) and `labels` (b,) of a batch; adds `t` (b,), `x_0` (b, ...) and `y` (b,), the labels of which
    a share is replaced by the null label.
    """

    def __init__(self, path: str, times: str, label_dropout: float, null_label: int) -> None:
        self.part, self.times = Continuous(INTERPOLANTS[path]), TIME_SAMPLERS[times]
        self.label_dropout, self.null_label = label_dropout, null_label

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Draw on the CPU, whatever the device: the same numbers everywhere."""
        x_1, labels, device = batch["x_1"], batch["labels"], batch["x_1"].device
        time = streams("time")
        law = time.uniform() if self.times.draw == "uniform" else time.normal()
        t = self.times(from_numpy(law), self.part.path).to(device)
        x_0 = from_numpy(streams("noise").normal(*x_1.shape[1:])).to(device)
        dropped = from_numpy(streams("label-dropout").uniform() < self.label_dropout).to(device)
        return {**batch, "t": t, "x_0": x_0, "y": where(dropped, self.null_label, labels)}

    def quantiles(self, shares: Tensor) -> Tensor:
        """The times below which there are these shares (n,) of the training times; they increase with them."""
        # The other law is one of the noise-to-data ratio, which falls over time.
        draws = shares if self.times.draw == "uniform" else special.ndtri(1 - shares)
        return self.times(draws, self.part.path)

    def share_behind(self, time: float) -> float:
        """Of the training times that are later than a time; found on a fine grid of their law."""
        middles = (arange(GRID, dtype=float64, device="cpu") + 0.5) / GRID
        return float((self.quantiles(middles) > time).double().mean())

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees: x_t, t, y."""
        return self.part.noised(batch["x_0"], batch["x_1"], batch["t"]), batch["t"], batch["y"]

    def target(self, batch: Batch) -> Tensor:
        """The velocity that is to be predicted, (b, ...)."""
        return self.part.target(batch["x_0"], batch["x_1"], batch["t"])

    def error(self, velocity: Tensor, batch: Batch) -> Tensor:
        """Squared error of the velocity, mean over everything but the batch: (b,)."""
        target = self.target(batch)
        return (velocity.to(target.dtype) - target).square().flatten(1).mean(1)


class FlowLearner(Learner):
    """The velocity loss, and further losses on hidden states of the same forward pass; see `nn.learner.Learner`.

    Every term is a mean over rows.

    Args:
        network: `network(x, t, y, wanted=...)` returns the velocity and hidden states, see `TappedNetwork`.
        flow: draws and the velocity error.
        denoise: factor of the velocity loss.
        further: factors of the further terms.
        extra: gives those terms; it is called while one of them is computed.
        group: see `Learner.group`.
    """

    def __init__(
        self,
        network: Any,
        flow: FlowMatching,
        denoise: Factor,
        further: Mapping[str, Factor] | None = None,
        extra: Extra | None = None,
        group: int = 1,
    ) -> None:
        self.network, self.flow, self.group, self._extra = network, flow, group, extra
        self.factors = {DENOISE: denoise, **(further or {})}

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the flow's draws."""
        return self.flow.draw(batch, streams)

    def weights(self, batch: Batch) -> dict[str, float]:
        """Every term is a mean over the rows that count for it."""
        return {name: self.counted(name, batch) for name in self.factors if self.computes(name)}

    def counted(self, term: str, batch: Batch) -> float:
        """Over how many rows of a drawn batch a term is the mean: over all, unless a subclass leaves some out."""
        return float(len(batch["x_1"]))

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass; terms come without their coefficients."""
        velocity, hidden = self.called(batch, network)
        per_row = {DENOISE: self.error(velocity, batch)} if self.computes(DENOISE) else {}
        if self._further():
            found = self.extra(hidden, {**batch, "velocity": velocity})
            per_row |= {name: values for name, values in found.items() if self.computes(name)}
        return {name: LossTerm(values.sum(), self.counted(name, batch)) for name, values in per_row.items()}

    def called(self, batch: Batch, network: nn.Module) -> tuple[Tensor, list[Tensor]]:
        """The velocity of a micro-batch, and what further terms need of the pass."""
        found: tuple[Tensor, list[Tensor]] = network(
            *self.flow.inputs(batch), wanted=self.wanted(), **self.named(batch)
        )
        return found

    def named(self, batch: Batch) -> dict[str, Tensor]:
        """What the network reads of a micro-batch beside x_t, t and y, by the names of its arguments."""
        return {}

    def error(self, velocity: Tensor, batch: Batch) -> Tensor:
        """The velocity loss, (b,), of a prediction (b, ...)."""
        return self.flow.error(velocity, batch)

    def wanted(self) -> list[int] | None:
        """Numbers of the hidden states that active terms need; None: all."""
        return None if self._further() else []

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """The further terms, (b,) each, also of terms that are not active; 0 of rows that do not count."""
        return {} if self._extra is None else self._extra(hidden, batch)

    def _further(self) -> bool:
        return any(self.computes(name) for name in self.factors if name != DENOISE)
