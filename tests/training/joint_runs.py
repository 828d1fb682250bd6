"""Methods whose state or loss has a second part, made tiny, and how they are trained and drawn from in tests."""

from typing import Any

import torch
from tiny_runs import DEPTH, PATCHES, SIDE, WIDTH
from torch import Tensor

from reedbench.core import plugins, seeds
from reedbench.nn.backbones.sit import SiT
from reedbench.objectives import Schedule
from reedbench.objectives.entangled import Entangled
from reedbench.objectives.haste import AttentionOf, Haste
from reedbench.objectives.joint_features import JointFeatures
from reedbench.objectives.structural import Structural

STOP, TOKENS, DIM = 3, (SIDE // 2) ** 2, 6
PAIRS = (AttentionOf(encoder="attention", depth=1, layer=2), AttentionOf(encoder="attention", depth=2, layer=1))
HASTE = Haste(label="HASTE", alignments=(PATCHES,), attention=PAIRS, align=Schedule(shape="stop", start=STOP))
REG = Entangled(label="REG", token="token", dim=DIM, alignments=(PATCHES,))
REDI = JointFeatures(label="ReDi", features="patches", components=DIM)
SADM = Structural(label="SADM", group=4, weight=0.5, after=0.0)
BARE = SiT(size=SIDE, channels=1, patch=2, width=WIDTH, depth=DEPTH, heads=2, classes=3)
SAMPLERS = {"euler": {"steps": 4}, "heun": {"steps": 3}, "euler-maruyama": {"steps": 4}, "dopri5": {}}


def shaken(network: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    return network.eval()


def streams_of(rows: range) -> Any:
    return lambda name: seeds.rows(rows, name, "samples")


def drawn(sampler: str, method: Any, network: Any, rows: range, **settings: Any) -> Tensor:
    made = plugins.discover("samplers")[sampler](**settings)
    x_0 = torch.from_numpy(seeds.rows(rows, "noise").normal(1, SIDE, SIDE))
    condition = {"x_0": x_0, "labels": torch.tensor(rows) % 3}
    with torch.no_grad():
        return made.draw(network, condition, streams_of(rows), method)["x_1"]
