"""Loading of reference weights: names, head, and direction of time."""

import pytest
import torch

from reedbench.nn.alignment import Projector
from reedbench.nn.backbones.reference import (
    ReversedTime,
    averaged_weights,
    from_reference_state,
    with_time_reversed,
)
from reedbench.nn.backbones.sit import SiT


def small() -> SiT:
    torch.manual_seed(0)
    return SiT(size=8, channels=2, patch=2, width=16, depth=3, heads=2, classes=5)


def same(ours: dict, theirs: dict) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_state_dict_of_our_own_passes_unchanged():
    state = small().state_dict()
    assert same(from_reference_state(state), state)


def test_prefixes_of_data_parallel_training_are_removed():
    state = small().state_dict()
    assert same(from_reference_state({f"module.{key}": value for key, value in state.items()}), state)


@pytest.mark.parametrize("keep", [False, True])
def test_projectors_are_kept_on_request_only(keep):
    state = small().state_dict()
    extra = {f"projectors.0.{key}": value for key, value in Projector(16, 8, 4).state_dict().items()}
    assert same(from_reference_state(state | extra, projectors=keep), state | extra if keep else state)


def test_legacy_decoder_blocks_follow_the_blocks():
    state = small().state_dict()
    names = {"blocks.1.": "decoder_blocks.0.", "blocks.2.": "decoder_blocks.1."}
    legacy = {names.get(key[:9], key[:9]) + key[9:]: value for key, value in state.items()}
    assert "decoder_blocks.1.mlp.fc1.bias" in legacy
    assert same(from_reference_state(legacy), state)


def test_of_a_head_with_variances_the_means_are_kept():
    net = small()
    mean = net.state_dict()
    wide = dict(mean)
    for key in ("final_layer.linear.weight", "final_layer.linear.bias"):
        by_pixel = mean[key].unflatten(0, (4, 2))
        wide[key] = torch.cat([by_pixel, torch.randn_like(by_pixel)], dim=1).flatten(0, 1)
    assert wide["final_layer.linear.weight"].shape == (16, 16)
    assert same(from_reference_state(wide), mean)


def test_averaged_weights_are_preferred():
    state = small().state_dict()
    assert averaged_weights({"model": {}, "ema": state, "steps": 7}) is state
    assert averaged_weights(state) is state


def test_reversed_time_flips_time_and_sign_and_keeps_hidden_states():
    net = small()
    x, t, y = torch.randn(3, 2, 8, 8), torch.tensor([0.0, 0.25, 1.0]), torch.tensor([0, 3, 5])
    v, (h,) = ReversedTime(net)(x, t, y, taps=(2,))
    theirs, (h_theirs,) = net(x, 1 - t, y, taps=(2,))
    assert torch.equal(v, -theirs)
    assert torch.equal(h, h_theirs)


def test_time_reversed_twice_is_the_network():
    net = small()
    x, t, y = torch.randn(3, 2, 8, 8), torch.tensor([0.0, 0.25, 1.0]), torch.tensor([0, 3, 5])
    assert torch.equal(ReversedTime(ReversedTime(net))(x, t, y)[0], net(x, t, y)[0])


def test_weights_with_their_time_reversed_are_the_network_seen_from_the_other_end_of_time():
    torch.manual_seed(1)
    net, turned = small().double(), small().double()
    turned.load_state_dict(with_time_reversed(net.state_dict()))
    x, t, y = torch.randn(4, 2, 8, 8).double(), torch.tensor([0.0, 0.25, 0.7, 1.0]).double(), torch.tensor([0, 3, 5, 1])
    ours, (h,) = turned(x, t, y, taps=(2,))
    theirs, (h_theirs,) = ReversedTime(net)(x, t, y, taps=(2,))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(h, h_theirs, rtol=1e-6, atol=1e-6)


def test_weights_with_their_time_reversed_twice_are_the_same_but_for_rounding():
    state = small().state_dict()
    again = with_time_reversed(with_time_reversed(state))
    assert again.keys() == state.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(again[name], tensor, rtol=1e-6, atol=1e-7)
