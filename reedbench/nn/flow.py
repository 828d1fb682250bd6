"""Flow matching with class labels: draws, the interpolated input, and the velocity error.

Source: SiT, arXiv:2401.08740; REPA loss.py @67f7145 (uniform and lognormal times); label dropout of DiT.
"""

from torch import Tensor, from_numpy, where

from reedbench.nn.interpolants import INTERPOLANTS, TIME_SAMPLERS
from reedbench.nn.learner import Batch, Streams


class FlowMatching:
    """Velocity prediction between noise at t = 0 and data at t = 1.

    Reads `x_1` (b, ...) and `labels` (b,) of a batch; adds `t` (b,), `x_0` (b, ...) and `y` (b,), the labels of which
    a share is replaced by the null label.
    """

    def __init__(self, path: str, times: str, label_dropout: float, null_label: int) -> None:
        self.path, self.times = INTERPOLANTS[path], TIME_SAMPLERS[times]
        self.label_dropout, self.null_label = label_dropout, null_label

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Draw on the CPU, whatever the device: the same numbers everywhere."""
        x_1, labels, device = batch["x_1"], batch["labels"], batch["x_1"].device
        time = streams("time")
        law = time.uniform() if self.times.draw == "uniform" else time.normal()
        t = self.times(from_numpy(law), self.path).to(device)
        x_0 = from_numpy(streams("noise").normal(*x_1.shape[1:])).to(device)
        dropped = from_numpy(streams("label-dropout").uniform() < self.label_dropout).to(device)
        return {**batch, "t": t, "x_0": x_0, "y": where(dropped, self.null_label, labels)}

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees: x_t, t, y."""
        return self.path.interpolate(batch["x_0"], batch["x_1"], batch["t"]), batch["t"], batch["y"]

    def error(self, velocity: Tensor, batch: Batch) -> Tensor:
        """Squared error of the velocity, mean over everything but the batch: (b,)."""
        target = self.path.velocity(batch["x_0"], batch["x_1"], batch["t"])
        return (velocity.to(target.dtype) - target).square().flatten(1).mean(1)
