"""P1-P4: position table, time features and the forward pass of SiT against the reference implementation."""

import pytest
import torch
from reference_vectors import GOLDEN, Trio, fill, filled_trio, integer_hash, wave
from torch import Tensor

from reedbench.nn.alignment import pool_tokens
from reedbench.nn.backbones.reference import from_reference_state
from reedbench.nn.backbones.sit import SiT, position_table, time_features, unpatchify
from reedbench.nn.guidance import guided

T = torch.tensor([0.25, 0.7], dtype=torch.float64)
Y = torch.tensor([3, 10])


def image() -> Tensor:
    return wave((2, 4, 8, 8), 0.11, 0.0)


def assert_stats(x: Tensor, golden: dict, rel: float = 1e-6) -> None:
    x = x.detach().double()
    assert list(x.shape) == golden["shape"]
    assert x.sum().item() == pytest.approx(golden["sum"], rel=rel)
    assert x.norm().item() == pytest.approx(golden["l2"], rel=rel)
    assert x.flatten()[: len(golden["first"])].tolist() == pytest.approx(golden["first"], rel=rel, abs=rel)
    assert x.flatten()[-1].item() == pytest.approx(golden["last"], rel=rel)


@pytest.mark.parametrize("key", [0, 5])
def test_the_hash_generator_is_that_of_the_golden_numbers(key):
    assert integer_hash(4, key).tolist() == GOLDEN["G3_hash"][f"k{key}"]


@pytest.mark.parametrize("width", [384, 1152])
def test_the_position_table_is_that_of_the_reference(width):
    golden = GOLDEN[f"G1_pos_{width}_16"]
    table = position_table(width, 16)
    assert_stats(table, golden)
    for place in (key for key in golden if key.startswith("p[")):
        row, column = map(int, place[2:-1].split(","))
        assert table[row, column].item() == pytest.approx(golden[place], abs=1e-7), place


def test_time_features_are_those_of_the_reference():
    golden = GOLDEN["G2_temb"]
    features = time_features(torch.tensor([0.0, 0.25, 1.0]))
    quarter = features[1]
    for name, index in (
        ("cos0", 0),
        ("cos1", 1),
        ("cos127", 127),
        ("sin0", 128),
        ("sin1", 129),
        ("sin127", 255),
    ):
        assert quarter[index].item() == pytest.approx(golden["t0.25"][name], rel=1e-6), name
    sums = [golden["sum_t0"], golden["sum_t.25"], golden["sum_t1"]]
    assert features.double().sum(1).tolist() == pytest.approx(sums, rel=1e-6)


def test_state_dict_names_are_those_of_the_reference():
    names = fill(Trio().reference_state())
    assert len(names) == GOLDEN["G3_nkeys"] == 63
    golden = GOLDEN["G3_names"]
    gap = golden.index("...")
    assert names[:gap] == golden[:gap]
    assert names[len(names) - len(golden) + gap + 1 :] == golden[gap + 1 :]


def test_velocity_and_projections_match_in_float64():
    trio = filled_trio()
    v, (h_2, h_3) = trio.sit(image(), T, Y, taps=(2, 3))
    assert_stats(v, GOLDEN["G3_v"])
    assert_stats(trio.projectors[0](h_2), GOLDEN["G3_zimg"])
    assert_stats(trio.projectors[1](pool_tokens(h_3)), GOLDEN["G3_ztxt"])
    assert_stats(trio.projectors[1](pool_tokens(h_2)), GOLDEN["G3b_ztxt_samedepth"])


def test_float32_agrees_with_float64():
    trio = filled_trio()
    v, hidden = trio.sit(image(), T, Y, taps=(1, 4))
    trio.float()
    v_32, hidden_32 = trio.sit(image().float(), T.float(), Y, taps=(1, 4))
    assert v_32.dtype == torch.float32
    assert (v_32 - v).abs().max() < 2 * GOLDEN["G3_v_fp32_maxdiff"]
    for h_32, h in zip(hidden_32, hidden, strict=True):
        torch.testing.assert_close(h_32.double(), h, rtol=1e-5, atol=1e-5)


def test_patches_are_laid_out_row_column_channel():
    golden = GOLDEN["G3d_unpatch"]
    patches = torch.arange(16 * 16, dtype=torch.float32).reshape(1, 16, 16)
    pixels = unpatchify(patches, 2)
    assert list(pixels.shape) == golden["shape"]
    assert pixels[0, 0, :2, :2].tolist() == [row[:2] for row in golden["c0"][:2]] == [[0, 4], [8, 12]]
    assert pixels[0, 0, :2, :4].tolist() == golden["c0"]
    assert pixels[0, 1, :2, :4].tolist() == golden["c1"]


def original_sit() -> SiT:
    """The tiny network of P4, whose file has variance channels."""
    net = SiT(size=8, channels=4, patch=2, width=48, depth=4, heads=4, classes=10)
    state = net.state_dict()
    state["final_layer.linear.weight"] = torch.empty(2 * 16, 48)
    state["final_layer.linear.bias"] = torch.empty(2 * 16)
    fill(state)
    net.load_state_dict(from_reference_state(state))
    return net.requires_grad_(False)


def test_an_original_sit_with_variance_channels_loads_and_gives_its_mean():
    v, _ = original_sit()(image().float(), T.float(), Y)
    assert_stats(v, GOLDEN["G3e_sit_learnsigma"], rel=1e-5)


def test_guidance_of_three_channels_is_that_of_sit():
    """`forward_with_cfg` returns two halves: the guided one, which is kept, and one with the unconditional channel."""
    net, x, t, y = original_sit(), image().float(), T.float(), torch.tensor([3, 5])
    kept = guided(lambda x, t, y: net(x, t, y)[0], 10, 1.5, channels=3)(x, t, y, 0.5)
    unconditional = net(x, t, torch.tensor([10, 10]))[0]
    other = torch.cat([kept[:, :3], unconditional[:, 3:]], 1)
    assert_stats(torch.cat([kept, other]), GOLDEN["G3e_sit_cfg"], rel=1e-5)
    torch.testing.assert_close(kept[:, 3], net(x, t, y)[0][:, 3])
