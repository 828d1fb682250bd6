"""SiT: sizes, taps, initialisation, and what its output may depend on."""

import numpy as np
import pytest
import torch
from torch import Tensor

from reedbench.backbones.sit import SIZES
from reedbench.core import seeds
from reedbench.nn.alignment import Projector
from reedbench.nn.backbones.sit import SiT, time_features


def small(**changes) -> SiT:
    settings = {"size": 8, "channels": 2, "patch": 2, "width": 16, "depth": 3, "heads": 2, "classes": 5}
    return SiT(**settings | changes)


def seeded(name: str) -> np.random.Generator:
    return seeds.stream(name)


def randomised(net: SiT) -> SiT:
    """A network whose every parameter matters, unlike that of a fresh one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net


def inputs(batch: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 2, 8, 8, generator=generator)
    return x, torch.rand(batch, generator=generator), torch.arange(batch) % 6


@pytest.mark.parametrize(
    ("preset", "patch", "parameters"),
    [
        ("S", 2, 32_957_200),
        ("S", 8, 33_049_600),
        ("B", 4, 130_426_432),
        ("L", 2, 458_086_416),
        ("XL", 2, 675_111_184),
        ("XL", 8, 675_387_904),
    ],
)
def test_presets_have_the_published_number_of_parameters(preset, patch, parameters):
    width, depth, heads = SIZES[preset]
    with torch.device("meta"):
        net = SiT(size=32, channels=4, patch=patch, width=width, depth=depth, heads=heads, classes=1000)
    assert sum(value.numel() for value in net.state_dict().values()) == parameters


def test_a_fresh_network_is_zero_and_its_blocks_are_the_identity():
    net = small()
    net.initialise(seeded)
    v, hidden = net(*inputs(), taps=(1, 2, 3))
    assert not v.any()
    assert torch.equal(hidden[0], hidden[2])
    assert torch.equal(hidden[1], hidden[2])


def test_weights_are_initialised_by_name():
    shallow, deep = small(depth=2), small(depth=3, qk_norm=True)
    for net in (shallow, deep):
        randomised(net).initialise(seeded)
    for name, parameter in shallow.named_parameters():
        assert torch.equal(parameter, deep.get_parameter(name)), name


def test_initial_weights_follow_their_laws():
    net = small(width=64, heads=4, classes=1000)
    net.initialise(seeded)
    qkv, conv = net.blocks[1].attn.qkv, net.x_embedder.proj
    assert qkv.weight.abs().max().item() == pytest.approx((6 / (4 * 64)) ** 0.5, rel=1e-2)
    assert conv.weight.abs().max().item() == pytest.approx((6 / (64 + 2 * 4)) ** 0.5, rel=2e-2)
    assert qkv.weight.std().item() == pytest.approx((2 / (4 * 64)) ** 0.5, rel=2e-2)
    for table in (net.y_embedder.embedding_table, net.t_embedder.mlp[0], net.t_embedder.mlp[2]):
        assert table.weight.std().item() == pytest.approx(0.02, rel=5e-2)
    assert not any(bias.any() for name, bias in net.named_parameters() if name.endswith("bias"))


def test_queries_and_keys_start_normalised_where_asked():
    net = randomised(small(qk_norm=True))
    net.initialise(seeded)
    norm = net.blocks[0].attn.q_norm
    assert (norm.weight == 1).all()
    assert not norm.bias.any()


@pytest.mark.parametrize("qk_norm", [False, True])
def test_taps_do_not_change_the_velocity(qk_norm):
    net = randomised(small(qk_norm=qk_norm))
    plain, none = net(*inputs())
    tapped, _ = net(*inputs(), taps=(1, 3))
    assert none == ()
    assert torch.equal(plain, tapped)


def test_hidden_states_come_in_the_order_asked_for():
    net = randomised(small())
    _, (h_1, h_2, h_3) = net(*inputs(), taps=(1, 2, 3))
    _, hidden = net(*inputs(), taps=(3, 1, 3))
    assert h_1.shape == (3, 16, net.width)
    for got, expected in zip(hidden, (h_3, h_1, h_3), strict=True):
        assert torch.equal(got, expected)
    assert not torch.equal(h_2, h_3)


@pytest.mark.parametrize("tap", [0, 4, -1])
def test_a_tap_outside_the_network_is_refused(tap):
    with pytest.raises(ValueError, match="between 1 and the depth 3"):
        small()(*inputs(), taps=(tap,))


@pytest.mark.parametrize(("change", "message"), [({"size": 9}, "multiple of patch"), ({"heads": 3}, "of heads")])
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        small(**change)


def test_without_positions_permuted_patches_give_permuted_tokens():
    net, projector = randomised(small()), Projector(16, 8, 4)
    net.pos_embed.zero_()
    x, t, y = inputs()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    patches = x.unflatten(3, (4, 2)).unflatten(2, (4, 2)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)[:, order]
    permuted = patches.unflatten(1, (4, 4)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    tokens = projector(net(x, t, y, taps=(2,))[1][0])
    permuted_tokens = projector(net(permuted, t, y, taps=(2,))[1][0])
    torch.testing.assert_close(permuted_tokens, tokens[:, order], rtol=1e-4, atol=1e-5)


def test_the_null_label_has_a_row_of_its_own():
    net = randomised(small())
    x, t, _ = inputs()
    assert net.null_label == 5
    outputs = [net(x, t, torch.full((3,), label))[0] for label in (4, net.null_label)]
    assert not torch.allclose(*outputs)
    with pytest.raises(IndexError):
        net(x, t, torch.full((3,), 6))


def test_every_parameter_receives_a_gradient():
    net = randomised(small(qk_norm=True))
    v, _ = net(*inputs())
    v.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_time_features_are_float32_whatever_the_dtype_of_time():
    t = torch.rand(4, dtype=torch.float64)
    assert time_features(t).dtype == torch.float32
    assert torch.equal(time_features(t), time_features(t.float()))


def test_a_float64_network_computes_in_float64():
    net = randomised(small())
    v = net(*inputs())[0]
    x, t, y = inputs()
    v_64 = net.double()(x.double(), t.double(), y)[0]
    assert v_64.dtype == torch.float64
    torch.testing.assert_close(v, v_64.float(), rtol=1e-3, atol=1e-3)
