"""Golden numbers of Dispersive, LayerSync, contrastive flow matching, iREPA and RARE, through their learners."""

from typing import Any

import pytest
import torch
from methods_vectors import GOLDEN, ONLINE, Toy, agrees, drawn, gradient_norm, loss_of, values
from reference_vectors import wave
from torch import Tensor, nn

from reedbench.nn.contrastive import OTHER
from reedbench.objectives.aligned import Aligned, Alignment
from reedbench.objectives.contrastive_flow import ContrastiveFlow
from reedbench.objectives.dispersive import Dispersive
from reedbench.objectives.layersync import LayerSync
from reedbench.objectives.rare import Rare


class Given(nn.Module):
    """A backbone whose only parameter is the hidden state that it hands out."""

    null_label = 3

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = nn.Parameter(hidden)
        self.tokens, self.width = hidden.shape[1:]

    def forward(self, x: Tensor, *_: Any, taps: Any = ()) -> Any:
        return x, [self.hidden] * len(taps)

    def initialise(self, generator: Any) -> None:
        """Nothing: it is given."""


class GivenToy(Toy):
    """The toy network as `build` takes it."""

    def initialise(self, generator: Any) -> None:
        """Nothing: it is given."""


def toy_of(method: Any) -> Any:
    return method.build(GivenToy(ONLINE), {}, None)


# Dispersive


def dispersive(**settings: Any) -> tuple[Any, Tensor]:
    """The learner on the vectors' hidden state, and the value of the term."""
    method = Dispersive(label="-", depth=1, **{"group": 6, **settings})
    learner = method.build(Given(wave((6, 4, 5), 0.61, 0.4)), {}, None)
    return learner, values(learner, drawn())["dispersive"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("l2_tau1", {"temperature": 1.0}),
        ("l2_tau0.5", {}),
        ("cosine", {"variant": "cosine"}),
        ("hinge", {"variant": "hinge", "margin": 0.8}),
        ("covariance", {"variant": "covariance"}),
    ],
)
def test_dispersive(name, settings):
    learner, value = dispersive(**settings)
    agrees({"loss": value.detach(), "grad_norm": gradient_norm(value, learner.network)}, f"dispersive_{name}")


def test_dispersive_in_groups():
    learner, value = dispersive(group=3, temperature=1.0)
    per_row = learner.extra(learner.network(drawn()["x_1"])[1], drawn())["dispersive"]
    per_row = per_row.detach()
    agrees({"loss": value.detach(), "per_group": per_row[[0, 3]]}, "dispersive_groups_of_3")
    assert torch.equal(per_row, per_row[[0, 0, 0, 3, 3, 3]])


# LayerSync


def test_layersync_and_the_gradient_that_the_deeper_block_would_have():
    learner = toy_of(LayerSync(label="-", pairs=[(1, 3)]))
    value = values(learner, drawn())["layersync@1-3"]
    agrees({"loss": value.detach(), "grad_norm": gradient_norm(value, learner.network)}, "layersync")
    assert learner.coefficients(0)["layersync@1-3"] == 0.2
    hidden = learner.network(*learner.flow.inputs(drawn()))[1]
    shallow, deep = hidden
    unstopped = -torch.nn.functional.cosine_similarity(shallow, deep, dim=-1).mean()
    agrees({"grad_norm_without_stop": gradient_norm(unstopped, learner.network)}, "layersync")


# Contrastive flow matching


@pytest.mark.parametrize(("name", "null_rows"), [("cfm", True), ("cfm_without_null_rows", False)])
def test_contrastive_flow(name, null_rows):
    learner = toy_of(ContrastiveFlow(label="-", group=6, null_rows=null_rows))
    batch = drawn(dropped=(4,))
    batch[OTHER] = torch.tensor(GOLDEN[name]["other"])
    loss = loss_of(learner, batch)
    agrees({"loss": loss.detach(), "grad_norm": gradient_norm(loss, learner.network)}, name)


# Alignments


def projected(learner: Any) -> Any:
    """With the vectors' convolution."""
    (projector,) = learner.network.double().projectors
    with torch.no_grad():
        projector[0].weight.copy_(0.3 * wave((6, 4, 3, 3), 0.41, 0.2))
        projector[0].bias.copy_(0.1 * wave((6,), 0.8, 0.3))
    return learner


def built(method: Any) -> tuple[Any, Tensor]:
    """The learner on the vectors' hidden state, and the value of its alignment."""
    backbone = Given(wave((2, 9, 4), 0.53, 0.7))
    learner = projected(method.build(backbone, {"z": (9, 6)}, lambda name: torch_stream()))
    batch = {name: tensor[:2] for name, tensor in drawn().items()}
    batch["target/z"] = wave((2, 9, 6), 0.29, 1.1)
    return learner, values(learner, batch)["z@1"]


def torch_stream() -> Any:
    import numpy as np

    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("irepa_alpha0.6", {"norm": "spatial", "norm_share": 0.6}),
        ("irepa_alpha1", {"norm": "spatial"}),
        ("repa_cosine_same_projector", {}),
    ],
)
def test_irepa(name, norm):
    alignment = Alignment(encoder="z", depth=1, projector="conv", **norm)
    learner, value = built(Aligned(label="-", alignments=(alignment,)))
    agrees({"loss": value.detach(), "grad_norm": gradient_norm(value, learner.network)}, name)


def test_the_convolution_of_irepa_is_three_by_three_as_in_the_paper():
    """The released command line says nothing of it and so trains 1 x 1."""
    learner, _ = built(Aligned(label="-", alignments=(Alignment(encoder="z", depth=1, projector="conv"),)))
    assert learner.network.projectors[0][0].kernel_size == (3, 3)


def test_rare_weights_tokens():
    from reedbench.nn.rare import token_weights

    learner, value = built(Rare(label="-", encoder="z", depth=1))
    agrees({"loss": value.detach(), "grad_norm": gradient_norm(value, learner.network)}, "rare_token_weights")
    (h,), z = learner.network(torch.zeros(2, 9, 4).double())[1], wave((2, 9, 6), 0.29, 1.1)
    eta = (1 - torch.nn.functional.cosine_similarity(h, z, dim=-1)).detach() / 2
    agrees({"weights": token_weights(eta, 4.0)}, "rare_token_weights")
