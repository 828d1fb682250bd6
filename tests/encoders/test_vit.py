"""Published vision transformers as encoders: tokens or a vector, the card, the moments, and what is refused."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import vit_file
from pydantic import ValidationError
from safetensors.torch import save_file

pytest.importorskip("timm")

from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.vit import Vit
from reedbench.nn import flops
from reedbench.nn.vision_models import MODELS


def material(count: int = 40, channels: int = 3) -> Material:
    """Bright or dark noise, labelled so."""
    draws = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = draws.integers(0, 128, (count, channels, 20, 20)) + 120 * labels[:, None, None, None]
    arrays = {"images": images.astype(np.uint8), "labels": labels}
    return Material(Rows([str(i) for i in range(count)], ["train"] * count, arrays))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vit_file.write(tmp_path_factory.mktemp("vit") / "dinov2.safetensors")


def encoder(file: Path, **settings) -> Vit:
    return Vit(**{**vit_file.SIZE, "grid": 2, "weights": str(file), **settings})


def made(file: Path, **settings) -> tuple[Vit, dict[str, np.ndarray], dict]:
    found = encoder(file, **settings)
    pretrained = found.pretrain(material(), material(20), "x")
    return found, pretrained.weights, pretrained.card


def test_every_published_model_can_be_named():
    assert get_args(Vit.model_fields["model"].annotation) == tuple(MODELS)


@pytest.mark.parametrize(("settings", "shape"), [({}, (4, 32)), ({"grid": 3}, (9, 32)), ({"output": "vector"}, (32,))])
def test_the_output_and_the_grid_say_what_is_given_and_a_check_knows_its_shape(file, settings, shape):
    found, weights, _ = made(file, **settings)
    assert found.represent(weights, material(3)).shape == (3, *shape)
    assert found.shape({}, {}) == shape
    assert found.kind == settings.get("output", "tokens")


def test_published_sizes_are_those_of_the_table():
    assert Vit(weights="x.pth").shape({}, {}) == (256, 768)
    assert Vit(weights="x.pth", model="jepa-vit-h", grid=32).shape({}, {}) == (1024, 1280)


def test_it_gives_what_the_network_gives_whatever_the_batch(file):
    found, weights, _ = made(file)
    images = torch.from_numpy(material(5).rows.arrays["images"])
    expected = found.transformer().tokens(images).numpy()
    np.testing.assert_allclose(found.represent(weights, material(5)), expected, atol=1e-5)
    again = found.model_copy(update={"batch": 2})
    np.testing.assert_allclose(again.represent(weights, material(5)), expected, atol=1e-5)
    assert found.identity() == again.identity()


def test_the_vector_of_the_distances_is_another_one(file):
    own, other = (made(file, output="vector", protocol=protocol) for protocol in ("repa", "fd-dinov2"))
    found = [one.represent(weights, material(4)) for one, weights, _ in (own, other)]
    assert np.abs(found[0] - found[1]).max() > 1e-2


def test_channels_are_standardised_if_asked_for(file):
    found, weights, _ = made(file, standardise=True)
    flat = found.represent(weights, material()).reshape(-1, 32)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(flat.std(0), 1, atol=1e-3)
    _, plain, _ = made(file)
    assert (plain["mean"] == 0).all()
    assert (plain["std"] == 1).all()


def test_the_card_says_what_it_is_and_how_much_of_the_labels_is_to_be_seen(file):
    found, _, card = made(file, sample=20)
    assert card["network"] == "dinov2-vit-b, Oquab et al. 2023, arXiv:2304.07193"
    assert card["licence"] == "Apache-2.0"
    assert card["parameters"] == sum(parameter.numel() for parameter in found.transformer().parameters())
    assert (card["pixels"], card["tokens"]) == (28, "2 x 2, after the final norm")
    assert card["measured_on"] == 20 == found.studied_rows(40)
    assert found.studied_rows(10) == 10
    assert card["probe_accuracy"] > 0.9
    assert found.files() == (file,)


def test_a_part_of_the_images_is_drawn_from_the_stream(file):
    found = encoder(file, sample=7, standardise=True)
    draws = [found.pretrain(material(), material(20), stream) for stream in ("x", "x", "y")]
    assert [draw.card["measured_on"] for draw in draws] == [7, 7, 7]
    np.testing.assert_array_equal(draws[0].weights["mean"], draws[1].weights["mean"])
    assert not np.array_equal(draws[0].weights["mean"], draws[2].weights["mean"])


@pytest.mark.parametrize("settings", [{}, {"sample": 7}, {"grid": 4, "batch": 3}, {"output": "vector"}])
def test_what_pretraining_computes_follows_from_shapes_and_rows(file, settings):
    found = encoder(file, **settings)
    with flops.counter() as counter:
        found.pretrain(material(), material(20), "x")
    assert found.pretraining_flops({}, 40, 20) == counter.get_total_flops() > 0


def test_it_is_measured_on_the_device_that_it_is_told(file, monkeypatch):
    placed, network = [], Vit.transformer
    monkeypatch.setattr(Vit, "transformer", lambda one, device="cpu": placed.append(device) or network(one, "cpu"))
    found = encoder(file, sample=3)
    for device in ("cpu", "cuda"):
        found.on(device).pretrain(material(), material(20), "x")
    found.pretrain(material(), material(20), "x")
    assert placed == ["cpu", "cuda", "cpu"]
    assert found.on("cuda").identity() == found.identity()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_measures_the_same_but_for_rounding(file):
    found = encoder(file, standardise=True)
    one, other = (found.on(device).pretrain(material(), material(20), "x") for device in ("cpu", "cuda"))
    for name in ("mean", "std"):
        np.testing.assert_allclose(one.weights[name], other.weights[name], rtol=1e-3, atol=1e-3)


def test_a_part_of_the_images_is_keyed_where_it_changes_targets(file):
    assert encoder(file, sample=7).identity() == encoder(file).identity()
    assert encoder(file, sample=7, standardise=True).identity() != encoder(file, standardise=True).identity()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"heads": 3}, "heads: 3 do not divide the width of 32"),
        ({"protocol": "fd-dinov2"}, "protocol: fd-dinov2 is for output: vector"),
        ({"protocol": "fd-dinov2", "output": "vector", "model": "mae-vit-l"}, "fd-dinov2 is for .* of a model dinov2-"),
        ({"model": "dinov2-vit-xl"}, "dinov2-vit-b"),
    ],
)
def test_settings_that_make_no_sense_are_refused(file, settings, words):
    with pytest.raises(ValidationError, match=words):
        encoder(file, **settings)


def changed(what: str, folder: Path) -> Path:
    """A file of DINOv2 with something wrong."""
    state = vit_file.parameters(vit_file.tiny("dinov2-vit-b"))
    if what == "missing":
        del state["blocks.1.norm1.weight"]
    elif what == "too much":
        state["blocks.1.surprise"] = torch.zeros(2)
    elif what == "shape":
        state["blocks.0.mlp.fc1.weight"] = torch.zeros(9, 32)
    elif what == "no square":
        state["pos_embed"] = torch.zeros(1, 12, 32)
    elif what == "two names":
        state["module.norm.weight"] = torch.zeros(32)
    save_file(state, folder / "wrong.safetensors")
    return folder / "wrong.safetensors"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("missing", r"has no `blocks\.1\.norm1\.weight` \(32,\) of dinov2-vit-b; the file of dinov2-vit-b is https://"),
        ("too much", r"has `blocks\.1\.surprise` \(2,\), which dinov2-vit-b has not; the file of"),
        ("shape", r"`blocks\.0\.mlp\.fc1\.weight` is \(9, 32\), and that of dinov2-vit-b is \(128, 32\); the file of"),
        (
            "no square",
            r"`pos_embed` \(1, 12, 32\) is not the position of a class token and then a square grid; the file",
        ),
        ("two names", r"`module\.norm\.weight` and `norm\.weight` are both `norm\.weight`; the file of"),
    ],
)
def test_a_parameter_that_is_wrong_is_named_with_its_file_and_shapes(what, words, tmp_path):
    with pytest.raises(ConfigError, match=rf"wrong\.safetensors: {words}") as error:
        made(changed(what, tmp_path))
    assert "\n" not in str(error.value)


def test_the_file_of_another_model_is_refused_by_the_shape_that_differs(file, tmp_path):
    with pytest.raises(
        ConfigError, match=r"`patch_embed\.proj\.weight` is \(32, 3, 14, 14\), and that of mae-vit-l is"
    ):
        made(file, model="mae-vit-l")
    with pytest.raises(ConfigError, match=r"is \(1, 1, 32\), and that of dinov2-vit-b is \(1, 1, 64\) \(and \d+ more"):
        made(file, width=64)
    with pytest.raises(ConfigError, match=r"has `blocks\.1\.\S+` \S+, which dinov2-vit-b has not \(and 13 more such"):
        made(file, depth=1)
    registers = vit_file.parameters(vit_file.tiny("dinov2-vit-b")) | {"register_tokens": torch.zeros(1, 4, 32)}
    save_file(registers, tmp_path / "reg.safetensors")
    with pytest.raises(
        ConfigError, match=r"reg\.safetensors: has `register_tokens` \(1, 4, 32\), which dinov2-vit-b has"
    ):
        made(tmp_path / "reg.safetensors")
    with pytest.raises(ConfigError, match=r"dinov2\.safetensors: has no `reg_token` \(1, 4, 32\) of dinov2reg-vit-b"):
        made(file, model="dinov2reg-vit-b")


def test_what_holds_no_tensors_is_refused(tmp_path):
    model = {"model": "mae-vit-l"}
    torch.save({"model": [1]}, tmp_path / "list.pth")
    with pytest.raises(ConfigError, match=r"list\.pth: `model` is a list, and no dict of tensors"):
        made(tmp_path / "list.pth", **model)
    torch.save({"optimizer": {"lr": 1}}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"other\.pth: `optimizer` is a dict, and no tensor of mae-vit-l"):
        made(tmp_path / "other.pth", **model)
    torch.save({1: torch.zeros(2)}, tmp_path / "numbers.pth")
    with pytest.raises(ConfigError, match=r"numbers\.pth: holds a dict whose keys are no names"):
        made(tmp_path / "numbers.pth", **model)
    scalars = {"cls_token": torch.tensor(1.0), "pos_embed": torch.tensor(1.0)}
    torch.save(scalars, tmp_path / "scalars.pth")
    with pytest.raises(ConfigError, match=r"scalars\.pth: `cls_token` is \(\), and that of mae-vit-l is \(1, 1, 32\)"):
        made(tmp_path / "scalars.pth", **model)


def test_registers_with_a_class_token_of_another_width_are_refused(tmp_path):
    state = vit_file.parameters(vit_file.tiny("dinov2-vit-b")) | {"register_tokens": torch.zeros(1, 4, 32)}
    save_file(state | {"cls_token": torch.zeros(1, 1, 5)}, tmp_path / "narrow.safetensors")
    with pytest.raises(ConfigError, match=r"`cls_token` is \(1, 1, 5\), and that of dinov2reg-vit-b is \(1, 1, 32\)"):
        made(tmp_path / "narrow.safetensors", model="dinov2reg-vit-b")


def test_a_part_of_an_attention_is_refused(tmp_path):
    of = "encoder.layer.0.attention.attention"
    state = {f"{of}.{part}.bias": torch.zeros(32) for part in ("query", "key")}
    save_file({"embeddings.position_embeddings": torch.zeros(1, 10, 32), **state}, tmp_path / "half.safetensors")
    with pytest.raises(ConfigError, match=r"has `\S+query\.bias` \(32,\), `\S+key\.bias` \(32,\) where query, key and"):
        made(tmp_path / "half.safetensors")


def test_torchscript_is_refused_as_code(tmp_path):
    with pytest.warns((FutureWarning, DeprecationWarning)):
        torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "ViT-L-14.pt"))
    with pytest.raises(ConfigError, match=r"ViT-L-14\.pt: refused, it is TorchScript, which is code; the file of clip"):
        made(tmp_path / "ViT-L-14.pt", model="clip-vit-l")


def test_a_file_that_is_missing_says_where_the_published_one_is(tmp_path):
    with pytest.raises(MissingArtefact, match=r"none\.pth: no such file; .* is https://\S+dinov2_vitb14_pretrain\.pth"):
        made(tmp_path / "none.pth")


def test_images_of_two_channels_are_refused(file):
    found, weights, _ = made(file)
    with pytest.raises(ConfigError, match="encoder vit takes images of 1 or 3 channels, and these have 2"):
        found.represent(weights, material(2, channels=2))


def test_the_attention_is_that_of_the_network_between_patches(file):
    """With values and the class token back in place its softmax gives what the block itself adds."""
    found, weights, card = made(file, output="attention", layers=(2, 1))
    assert found.kind == "attention"
    assert found.shape({}, {}) == (2, 2, 4, 4)
    logits = found.represent(weights, material(3))
    assert logits.shape == (3, 2, 2, 4, 4)
    assert len(card["focus"]) == 2
    assert all(0 <= focus <= 1 for focus in card["focus"])
    network = found.transformer()
    images = torch.from_numpy(material(3).rows.arrays["images"])
    taken: dict[int, torch.Tensor] = {}
    for layer, block in enumerate(network.trunk.blocks, start=1):
        block.attn.qkv.register_forward_hook(lambda _, given, out, layer=layer: taken.__setitem__(layer, out))
    network.hidden(images)
    for i, layer in enumerate((2, 1)):
        q, k, _ = taken[layer].unflatten(-1, (3, 2, 16)).permute(2, 0, 3, 1, 4)
        expected = (q @ k.transpose(-2, -1) / 4)[:, :, 1:, 1:]
        np.testing.assert_allclose(logits[:, i], expected.numpy(), atol=1e-5)
    online = found.online(weights, {}, "cpu")
    np.testing.assert_allclose(online.encode(images).numpy(), logits, atol=1e-5)
    assert online.shape == (2, 2, 4, 4)


def test_attention_costs_no_block_behind_the_last_layer(file):
    shallow, deep = (encoder(file, output="attention", layers=(layer,)).flops({}) for layer in (1, 2))
    assert shallow < deep < encoder(file).flops({}) * 1.01


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": (1,)}, "layers has no effect on output: tokens"),
        ({"output": "attention"}, "output: attention needs `layers`, each once"),
        ({"output": "attention", "layers": (3,)}, "must lie between 1 and the depth 2"),
        (
            {"output": "attention", "layers": (1,), "standardise": True},
            "standardise has no effect on output: attention",
        ),
    ],
)
def test_layers_of_the_attention_are_checked(file, settings, words):
    with pytest.raises(ValidationError, match=words):
        encoder(file, **settings)
