"""Published vision transformers: their sizes are timm's, positions reach every grid, a training step can call them."""

from dataclasses import replace

import pytest
import torch
import vit_file

timm = pytest.importorskip("timm")

from reedbench.core import numerics  # noqa: E402
from reedbench.nn.vision_models import MODELS  # noqa: E402
from reedbench.nn.vision_transformers import PublishedTransformer, filled, positions  # noqa: E402

IMAGES = torch.randint(0, 256, (2, 3, 40, 40), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
LETTERS = {"s": "small", "b": "base", "l": "large", "g": "giant"}


def of_timm(name: str) -> str:
    family, _, size = name.split("-")
    kinds = {"dinov2": "patch14_dinov2", "dinov2reg": "patch14_reg4_dinov2", "clip": "patch14_clip_quickgelu_224"}
    if family == "jepa":
        return "vit_huge_patch14_gap_224"
    return f"vit_{LETTERS[size]}_{kinds.get(family, 'patch16_224')}"


@pytest.mark.parametrize("name", MODELS)
def test_the_network_is_timm_s_of_that_name(name):
    own = PublishedTransformer(MODELS[name], 16)
    with torch.device("meta"):
        theirs = timm.create_model(of_timm(name), img_size=own.size, num_classes=0)
    shapes = {key.removeprefix("trunk."): tensor.shape for key, tensor in own.state_dict().items()}
    assert shapes == {key: tensor.shape for key, tensor in theirs.state_dict().items()}
    for ours, other in zip(own.trunk.blocks, theirs.blocks, strict=True):
        assert type(ours.mlp.act) is type(other.mlp.act)
        assert ours.norm1.eps == other.norm1.eps == own.norm.eps
        # The small MoCo-v3 has twelve heads (moco-v3 vits.py @1c6b717); timm's small network has six.
        assert ours.attn.num_heads == (12 if name == "mocov3-vit-s" else other.attn.num_heads)


@pytest.mark.parametrize("name", ["dinov2-vit-b", "dinov2reg-vit-b", "jepa-vit-h", "mae-vit-b", "clip-vit-l"])
@pytest.mark.parametrize("grid", [2, 4])
def test_the_positions_of_a_file_are_brought_to_the_grid_with_antialiasing(name, grid):
    model = vit_file.tiny(name)
    state = vit_file.parameters(model, 3)
    table = state["pos_embed"].clone()
    prefix = 0 if model.family.registers else int(model.family.class_token)
    network = filled(model, state, grid)
    moved = network.trunk.pos_embed
    torch.testing.assert_close(moved, positions(table, grid, prefix))
    patches = table[:, prefix:].unflatten(1, (3, 3)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(patches, (grid, grid), mode="bicubic", antialias=True)
    torch.testing.assert_close(moved[:, prefix:], expected.flatten(2).transpose(1, 2))
    torch.testing.assert_close(moved[:, :prefix], table[:, :prefix])
    assert network.tokens(IMAGES).shape == (2, grid**2, 32)
    assert network.vector(IMAGES).shape == (2, 32)


def test_dinov2_s_own_positions_are_those_of_its_code():
    table = torch.randn(1, 1 + 37**2, 4, generator=torch.Generator().manual_seed(2))
    found = positions(table, 16, 1, "fd-dinov2")
    assert found.shape == (1, 257, 4)
    # Centre of token (i, j) in the old grid, by the ratio that its code hands over, (16 + 0.1) / 37.
    at = (5 + 0.5) * 37 / 16.1 - 0.5
    cubic = [1.25 * abs(d) ** 3 - 2.25 * d**2 + 1 if abs(d) <= 1 else
             -0.75 * (abs(d) ** 3 - 5 * d**2 + 8 * abs(d) - 4) for d in (at - k for k in range(11, 15))]  # fmt: skip
    assert int(at) == 12
    weights = torch.tensor(cubic)
    square = table[0, 1:, 0].unflatten(0, (37, 37))[11:15, 11:15]
    torch.testing.assert_close(found[0, 1 + 5 * 16 + 5, 0], weights @ square @ weights, atol=1e-5, rtol=1e-5)
    assert (found - positions(table, 16, 1)).abs().max() > 0.1
    torch.testing.assert_close(positions(table, 37, 1, "fd-dinov2"), table)


def test_under_the_protocol_of_the_distances_images_are_smoothed():
    model = vit_file.tiny("dinov2-vit-b")
    own, other = (PublishedTransformer(model, 2, protocol) for protocol in ("repa", "fd-dinov2"))
    stripes = torch.zeros(1, 1, 63, 63, dtype=torch.uint8)
    stripes[..., ::2] = 255
    spread = [network.prepared(stripes)[..., 4:-4, 4:-4].std(dim=(-1, -2)).max() for network in (own, other)]
    assert spread[0] > 1
    assert spread[1] < 0.2


def test_grey_is_three_equal_colours():
    network = PublishedTransformer(vit_file.tiny("dinov2-vit-b"), 2)
    grey = IMAGES[:, :1]
    torch.testing.assert_close(network.prepared(grey), network.prepared(grey.expand(-1, 3, -1, -1)))


def test_the_slips_of_moco_s_names_are_repaired():
    model = vit_file.tiny("mocov3-vit-b", depth=15)
    own = vit_file.parameters(model)
    slips = {"13.norm1.": "13.norm13.", "13.mlp.fc1.": "13.mlp.fc13.", "14.norm2.": "14.norm14.",
             "14.mlp.fc2.": "14.mlp.fc14."}  # fmt: skip
    state = {}
    for name, tensor in own.items():
        for right, wrong in slips.items():
            name = name.replace(f"blocks.{right}", f"blocks.{wrong}")
        state[f"module.base_encoder.{name}"] = tensor
    assert sum("13.norm13" in name or "14.mlp.fc14" in name for name in state) == 4
    images = IMAGES[:1]
    assert torch.equal(filled(model, {"state_dict": state}, 3).tokens(images), filled(model, own, 3).tokens(images))


def test_the_generator_of_torch_is_left_alone():
    model = vit_file.tiny("dinov2-vit-b")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    filled(model, vit_file.parameters(model), 2)
    assert torch.equal(torch.rand(1), expected)


def test_half_precision_of_a_file_becomes_float32():
    model = vit_file.tiny("clip-vit-l")
    halved = {name: tensor.half() for name, tensor in vit_file.parameters(model).items()}
    network = filled(model, halved, 3)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_a_training_step_can_call_it_compiled_without_a_break_and_without_a_gradient():
    network = filled(vit_file.tiny("dinov2reg-vit-b"), vit_file.parameters(vit_file.tiny("dinov2reg-vit-b")), 2)
    compiled = torch.compile(network.tokens, backend="eager", fullgraph=True)
    found = compiled(IMAGES)
    torch.testing.assert_close(found, network.tokens(IMAGES))
    assert not found.requires_grad
    assert not network.training


@pytest.mark.skipif(not numerics.cpu_has_bf16(), reason="this CPU has no instructions for it")
def test_bf16_is_near_and_images_are_prepared_in_full():
    model = vit_file.tiny("dinov2-vit-b")
    network = filled(model, vit_file.parameters(model), 2)
    full, images = network.tokens(IMAGES), network.prepared(IMAGES)
    network.placed("bf16")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    assert torch.equal(network.prepared(IMAGES), images)
    found = network.tokens(IMAGES)
    assert found.dtype == torch.float32
    assert 0 < (found - full).abs().max() < 0.15


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same():
    model = vit_file.tiny("dinov2-vit-b")
    network = filled(model, vit_file.parameters(model), 2)
    on_cpu = network.tokens(IMAGES)
    torch.testing.assert_close(network.placed("fp32", "cuda").tokens(IMAGES.cuda()).cpu(), on_cpu, atol=1e-3, rtol=1e-3)


def test_a_size_of_one_s_own_keeps_the_family():
    own = replace(MODELS["dinov2-vit-g"], width=64, depth=1, heads=1)
    assert own.hidden == 176
    assert MODELS["dinov2-vit-g"].hidden == 4096
