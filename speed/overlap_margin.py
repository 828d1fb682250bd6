"""A margin for DiffROP (`uses: overlap`): how far a SiT's predictions for different classes are apart by themselves.

The median, over rows that kept their label, of the method's own distance under the published weights of a baseline, at
each of its evaluated steps; times, noise and other classes are those of training. The method goes into a benchmark with
any margin first, and the baseline is trained under a seed that is not in the table.

    reedbench step prepare --dataset digits-longtail
    reedbench step train --benchmark digits-longtail --method sit --seed 0 --segment 0
    python speed/overlap_margin.py digits-longtail diffrop sit --seed 0
"""

import argparse
import os
from typing import cast

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from reedbench.nn.learner import Others
from reedbench.nn.overlap import Overlapping
from reedbench.schema import runs
from reedbench.schema.cells import Checkpoint
from reedbench.schema.suite import load
from reedbench.steps.sample import network_of
from reedbench.steps.train import build
from reedbench.training.others import LookedUp
from reedbench.training.ranks import joined
from reedbench.training.trainer import Trainer

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark")
    parser.add_argument("method")
    parser.add_argument("baseline")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    suite = load()
    method, baseline = (
        runs.of(suite, arguments.benchmark, name, arguments.seed) for name in (arguments.method, arguments.baseline)
    )
    with joined("cpu") as ranks:
        trainer, _ = build(method, ranks)
    print(f"{method.title}: distance '{method.objective.distance}' under {baseline.title}")
    print("   step  " + "  ".join(f"{share:>8.0%}" for share in SHARES))
    for step in baseline.course.evaluated:
        network = network_of(Checkpoint(baseline, step), trainer.data.facts, "cpu").eval()
        found = distances(trainer, network, arguments.batches)
        print(f"{step:>7}  " + "  ".join(f"{found.quantile(share).item():8.2g}" for share in SHARES))


@torch.no_grad()
def distances(trainer: Trainer, network: torch.nn.Module, batches: int) -> torch.Tensor:
    """Of all rows with a label in the first batches of training."""
    learner = cast("Overlapping", trainer.learner)
    others, found = LookedUp(network, {}, None), []
    for step in range(batches):
        batch = trainer._share_of(step).batch
        batch = learner.looked_up(batch, step, cast("Others", _Plain(others)))
        x_t, t, y = learner.flow.inputs(batch)
        apart = learner.distances(network(x_t, t, y)[0], batch)
        found.append(apart[batch["y"] != learner.flow.null_label])
    return torch.cat(found).double()


class _Plain:
    """The baseline's network has no taps, which a learner says that it wants none of."""

    def __init__(self, others: LookedUp) -> None:
        self.others = others

    def online(self, *inputs: torch.Tensor, wanted: list[int]) -> object:
        """Its velocity."""
        return self.others.online(*inputs)


if __name__ == "__main__":
    main()
