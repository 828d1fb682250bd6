"""Training patch encoders whose mean token is to agree between two views of an image (VICReg, arXiv:2105.04906)."""

from typing import Any, Protocol

from reedbench.core import seeds
from reedbench.encoders._descent import descend

EXPANDER = 256  # width of the embedding that the loss sees; thrown away afterwards


class Settings(Protocol):
    """Of an encoder that is trained so."""

    dim: int
    batch: int
    steps: int
    lr: float


def agreeing(network: Any, images: Any, settings: Settings, stream: str) -> list[float]:
    """Train a network, images -> tokens (n, tokens, dim), in place; returns the loss of every step."""
    from torch import nn

    from reedbench.nn.draws import integers
    from reedbench.nn.initialisation import as_torch_does
    from reedbench.nn.invariance import two_views

    expander = nn.Sequential(
        nn.Linear(settings.dim, EXPANDER), nn.BatchNorm1d(EXPANDER), nn.ReLU(), nn.Linear(EXPANDER, EXPANDER)
    )
    as_torch_does(expander, lambda name: seeds.stream(stream, "expander", name))
    draws = seeds.stream(stream, "views")

    def loss() -> Any:
        chosen = images[integers(draws, len(images), settings.batch)]
        return two_views(lambda views: expander(network(views).mean(1)), chosen, draws)

    parameters = [*network.parameters(), *expander.parameters()]
    return descend(parameters, loss, title=stream, steps=settings.steps, lr=settings.lr, weight_decay=0.01, clip=5.0)
