"""Networks with guidance of their own: one evaluation per step, no guidance on top, no scale that was not trained."""

import pytest
import torch

from reedbench.backbones.sit import SiTBackbone
from reedbench.core import seeds
from reedbench.objectives.aligned import Aligned
from reedbench.objectives.gft import GuidanceFreeTraining
from reedbench.objectives.model_guidance import ModelGuidance
from reedbench.objectives.model_guidance_scaled import ScaledModelGuidance
from reedbench.samplers.dopri5 import Dopri5
from reedbench.samplers.euler import Euler
from reedbench.samplers.heun import Heun

SIT = Aligned(label="SiT")
MG = ModelGuidance(label="MG", start=0, scale=1.5)
SCALED = ScaledModelGuidance(label="MG, any scale", start=0, between=(1.0, 2.0))
GFT = GuidanceFreeTraining(label="GFT", largest=4.0)


@pytest.mark.parametrize("method", [MG, SCALED, GFT])
def test_guidance_that_is_its_own_takes_one_evaluation_per_step(method):
    assert Euler(steps=10, guidance=1.5).unfit(method) is None
    assert Euler(steps=10, guidance=1.5).nfe(method) == 10
    assert Heun(steps=10, guidance=1.5).nfe(method) == Heun(steps=10).nfe(SIT)
    assert Euler(steps=10, guidance=1.5).nfe(SIT) == 20


@pytest.mark.parametrize("sampler", [Euler(guidance=2.0), Euler(), Dopri5(guidance=2.0)])
def test_guidance_on_top_of_what_is_built_in_is_refused(sampler):
    said = sampler.unfit(MG)
    assert said is not None
    assert "\n" not in said
    assert said.startswith("its network has guidance 1.5 built in, and this sampler asks for ")


@pytest.mark.parametrize(("method", "scale", "has"), [(SCALED, 2.5, "1 to 2"), (GFT, 4.5, "1 to 4")])
def test_scales_that_were_not_trained_are_refused(method, scale, has):
    assert f"guidance {has} built in, and this sampler asks for {scale:g}" in Euler(guidance=scale).unfit(method)
    assert Euler().unfit(method) is None


@pytest.mark.parametrize("method", [MG, SCALED, GFT])
@pytest.mark.parametrize("part", [{"interval": (0.3, 1.0)}, {"channels": "first-three"}])
def test_parts_of_time_and_channels_cannot_be_guided_apart(method, part):
    assert "take out interval and channels" in Euler(guidance=1.5, **part).unfit(method)


@pytest.mark.parametrize(("method", "scale", "read"), [(SCALED, 1.5, 1.5), (GFT, 2.0, 0.5), (GFT, 1.0, 1.0)])
def test_the_network_reads_the_scale_that_is_asked_for(method, scale, read):
    network = method.network(SiTBackbone(width=8, depth=1, heads=2).build((1, 8, 8), {"classes": 3}))
    network.initialise(seeds.stream)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    calls, forward = [], network.forward
    network.forward = lambda *given, **named: calls.append(named["scale"]) or forward(*given, **named)
    condition = {"x_0": torch.ones(2, 1, 8, 8), "labels": torch.tensor([0, 2])}
    drawn = Euler(steps=3, guidance=scale).draw(network, condition, lambda name: seeds.rows(range(2), name), method)
    assert drawn["x_1"].shape == (2, 1, 8, 8)
    assert [given.tolist() for given in calls] == [[read, read]] * 3


def test_built_in_guidance_is_the_network_as_it_is():
    network = SiTBackbone(width=8, depth=1, heads=2).build((1, 8, 8), {"classes": 3})
    network.initialise(seeds.stream)
    assert MG.network(network) is network
    condition = {"x_0": torch.ones(2, 1, 8, 8), "labels": torch.tensor([0, 2])}

    def drawn(method, scale):
        sampler = Euler(steps=3, guidance=scale)
        return sampler.draw(network, condition, lambda name: seeds.rows(range(2), name), method)["x_1"]

    assert torch.equal(drawn(MG, 1.5), drawn(SIT, 1.0))
