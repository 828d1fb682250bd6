"""SiT that reads a scale: it starts as its backbone does, feels every row's own scale, and is off at 1."""

import pytest
import torch
from torch import nn

from reedbench.core import seeds
from reedbench.nn.backbones.scaled_sit import ScaledSiT
from reedbench.nn.backbones.sit import SiT


def sit() -> SiT:
    return SiT(size=8, channels=2, patch=2, width=16, depth=3, heads=2, classes=5)


def randomised(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net


def inputs():
    x = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    return x, torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0, 3, 5])


def test_it_starts_with_the_weights_of_its_backbone_under_their_names():
    plain, scaled = sit(), ScaledSiT(sit())
    plain.initialise(seeds.stream)
    scaled.initialise(seeds.stream)
    own = {name: tensor for name, tensor in scaled.state_dict().items() if not name.startswith("scale_embedder.")}
    assert own.keys() == plain.state_dict().keys()
    sizes = ("patch", "width", "heads", "channels", "size", "tokens", "null_label")
    assert [getattr(scaled, name) for name in sizes] == [getattr(plain, name) for name in sizes]
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in own.items())


def test_the_new_layers_follow_their_law():
    scaled = ScaledSiT(SiT(size=8, channels=2, patch=2, width=64, depth=1, heads=2, classes=5))
    scaled.initialise(seeds.stream)
    first, last = scaled.scale_embedder.mlp[0], scaled.scale_embedder.mlp[2]
    assert first.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert last.weight.std().item() == pytest.approx(0.0002, rel=0.05)
    assert not first.bias.any()
    assert not last.bias.any()


def test_without_a_last_layer_it_is_its_backbone():
    plain, scaled = sit(), ScaledSiT(sit(), last_std=0.0)
    scaled.initialise(seeds.stream)
    randomised(plain)
    scaled.load_state_dict(plain.state_dict(), strict=False)
    for scale in (None, torch.tensor([1.0, 2.0, 7.5])):
        assert torch.equal(scaled(*inputs(), scale=scale)[0], plain(*inputs())[0])


def test_every_row_feels_its_own_scale_and_no_scale_is_one():
    net = randomised(ScaledSiT(sit()))
    base, (tap,) = net(*inputs(), taps=(2,))
    ones = torch.ones(3)
    assert torch.equal(net(*inputs(), scale=ones)[0], base)
    other = net(*inputs(), scale=torch.tensor([1.0, 2.0, 1.0]))[0]
    assert not torch.allclose(other[1], base[1])
    torch.testing.assert_close(other[[0, 2]], base[[0, 2]])
    nothing, (cut,) = net(*inputs(), taps=(2,), only_taps=True, scale=ones)
    assert nothing.numel() == 0
    assert torch.equal(cut, tap)


def test_it_is_made_without_memory_and_around_a_sit_alone():
    with torch.device("meta"):
        net = ScaledSiT(sit())
    net.initialise(seeds.stream)
    assert all(parameter.is_meta for parameter in net.parameters())
    with pytest.raises(ValueError, match="backbone sit alone, not by Linear"):
        ScaledSiT(nn.Linear(2, 2))
