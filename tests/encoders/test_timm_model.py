"""Networks of timm as encoders: which tokens, how images are prepared, what random weights are, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

timm = pytest.importorskip("timm")

from reedbench.core import numerics  # noqa: E402
from reedbench.core.errors import ConfigError, MissingArtefact  # noqa: E402
from reedbench.domains import rows  # noqa: E402
from reedbench.domains.rows import Rows  # noqa: E402
from reedbench.encoders import Material  # noqa: E402
from reedbench.encoders.timm_model import TimmModel  # noqa: E402
from reedbench.nn import flops, timm_models  # noqa: E402
from reedbench.nn.ridge import probe  # noqa: E402

CONVOLUTIONS, PATCHES = "test_efficientnet", "test_vit"
SIZE = 64


def material(count: int = 40, channels: int = 3) -> Material:
    """Bright or dark noise, labelled so."""
    draws = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = draws.integers(0, 128, (count, channels, 16, 16)) + 120 * labels[:, None, None, None]
    arrays = {"images": images.astype(np.uint8), "labels": labels}
    return Material(Rows([str(i) for i in range(count)], ["train"] * count, arrays))


def made(stream: str = "x", **settings) -> tuple[TimmModel, dict[str, np.ndarray], dict]:
    encoder = TimmModel(**{"model": CONVOLUTIONS, "weights": "none", "size": SIZE, **settings})
    pretrained = encoder.pretrain(material(), material(20), stream)
    return encoder, pretrained.weights, pretrained.card


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Weights of a network with a classifier of seven classes."""
    network = timm_models.build(CONVOLUTIONS, classes=7, seed=5)
    for layer in timm_models.normalisations(network):
        layer.running_var.mul_(0.5)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "weights.pth")
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (4, 256)),
        ({"layer": "blocks.2"}, (64, 32)),
        ({"layer": "blocks.2", "grid": 4}, (16, 32)),
        ({"layer": "blocks.2", "grid": 4, "coarser": "stride"}, (16, 32)),
        ({"layer": "blocks.2", "output": "vector"}, (32,)),
        ({"output": "vector"}, (256,)),
        ({"model": PATCHES}, (16, 64)),
        ({"model": PATCHES, "layer": "blocks.1", "grid": 2}, (4, 64)),
        ({"model": PATCHES, "output": "vector"}, (64,)),
    ],
)
def test_the_layer_and_the_grid_say_what_is_given_and_a_check_knows_its_shape(settings, shape):
    encoder, weights, _ = made(**settings)
    assert encoder.represent(weights, material(3)).shape == (3, *shape)
    assert encoder.shape({}, {}) == shape


def test_tokens_are_the_grid_row_by_row_and_coarser_ones_its_means_or_middles():
    encoder, weights, _ = made(layer="blocks.2", standardise=False)
    network, prepare = encoder._network(weights, "cpu")
    grids = {}
    network.blocks[2].register_forward_hook(lambda module, inputs, output: grids.update(whole=output))
    network.forward_features(prepare(torch.from_numpy(material(2).rows.arrays["images"])))
    whole = grids["whole"].numpy()
    np.testing.assert_allclose(encoder.represent(weights, material(2))[:, 9], whole[:, :, 1, 1], atol=1e-5)
    for how, expected in (("average", whole[:, :, :4, 4:].mean((2, 3))), ("stride", whole[:, :, 2, 6])):
        coarse = encoder.model_copy(update={"grid": 2, "coarser": how}).represent(weights, material(2))
        np.testing.assert_allclose(coarse[:, 1], expected, atol=1e-5)


def test_class_tokens_are_left_out():
    encoder, weights, _ = made(model=PATCHES, standardise=False)
    network, prepare = encoder._network(weights, "cpu")
    whole = network.forward_features(prepare(torch.from_numpy(material(2).rows.arrays["images"])))
    np.testing.assert_allclose(encoder.represent(weights, material(2)), whole[:, 1:].numpy(), atol=1e-5)


def test_channels_are_standardised_over_the_training_tokens():
    encoder, weights, _ = made(layer="blocks.2")
    flat = encoder.represent(weights, material()).reshape(-1, 32)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(flat.std(0), 1, atol=1e-3)
    raw = encoder.model_copy(update={"standardise": False})
    made_raw = raw.pretrain(material(), material(20), "x").weights
    assert np.abs(raw.represent(made_raw, material()).reshape(-1, 32).mean(0)).max() > 0.01


def test_moments_can_be_measured_on_some_images():
    _, weights, card = made(every=4)
    assert card["measured_on"] == 10
    assert not np.array_equal(weights["mean"], made()[1]["mean"])


@pytest.mark.parametrize("every", [1, 3])
def test_images_are_read_batch_by_batch_and_give_what_they_give_in_memory(tmp_path, monkeypatch, every):
    taken: list[int] = []

    def read(stored, names, places):
        if "images" in names:
            taken.append(len(places))
        return own(stored, names, places)

    own = rows._Stored._read
    monkeypatch.setattr(rows._Stored, "_read", read)
    rows.write(tmp_path, material(120).rows, {})
    whole = rows.read(tmp_path, rows.TRAIN)
    encoder = TimmModel(model=CONVOLUTIONS, weights="none", size=SIZE, batch=4, every=every)
    stored = encoder.pretrain(Material(whole), Material(whole.chosen(np.arange(20))), "x")
    assert max(taken) == 32  # a batch of those that batch-norm statistics come from
    kept = encoder.pretrain(material(120), material(120).take(range(20)), "x")
    assert {n: w.tobytes() for n, w in stored.weights.items()} == {n: w.tobytes() for n, w in kept.weights.items()}
    for pretrained in (stored, kept):
        del pretrained.card["cpu_seconds"]
    assert stored.card == kept.card


@pytest.mark.parametrize("every", [1, 7, 100])
def test_it_says_at_how_many_images_it_looks(every):
    encoder, _, card = made(every=every)
    assert encoder.studied_rows(40) == card["measured_on"]


def test_a_part_of_the_images_is_keyed_where_it_changes_targets():
    settings = {"model": CONVOLUTIONS, "every": 7}
    assert "every" in TimmModel(**settings, weights="x.pth").identity()
    assert "every" in TimmModel(**settings, weights="none", standardise=False).identity()
    alone = TimmModel(**settings, weights="x.pth", standardise=False)
    assert alone.identity() == alone.model_copy(update={"every": 1}).identity()


def test_random_weights_come_from_their_stream_and_see_statistics_of_images():
    torch.manual_seed(1)
    one, other = made("a")[1], made("b")[1]
    torch.manual_seed(2)
    again = made("a")[1]
    name = "network.conv_stem.weight"
    assert {n: w.tobytes() for n, w in one.items()} == {n: w.tobytes() for n, w in again.items()}
    assert not np.array_equal(one[name], other[name])
    assert np.abs(one["network.bn1.running_mean"]).max() > 1e-3  # 0 where nothing was measured


def test_the_network_of_torch_s_generator_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    timm_models.build(CONVOLUTIONS)
    assert torch.equal(torch.rand(1), expected)


def test_images_are_prepared_as_the_network_was_trained():
    network = timm_models.build("test_resnet")
    x = timm_models.Preparation(network, 16, None)(torch.full((1, 1, 16, 16), 255, dtype=torch.uint8))
    cfg = network.pretrained_cfg
    np.testing.assert_allclose(x[0, :, 0, 0], (1 - np.array(cfg["mean"])) / np.array(cfg["std"]), rtol=1e-5)
    edge = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    edge[..., 4:] = 255
    larger = timm_models.Preparation(network, 32, "bicubic")
    back = larger(edge) * larger.std + larger.mean
    assert (back.min().item(), back.max().item()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))


def test_files_of_both_formats_give_the_same_and_no_random_weights(published):
    found = []
    for name in ("weights.pth", "weights.safetensors"):
        encoder, weights, card = made(weights=str(published / name))
        assert not [name for name in weights if name.startswith("network.")]
        assert encoder.files() == (published / name,)
        found.append(encoder.represent(weights, material(4)))
    np.testing.assert_array_equal(*found)
    assert card["objective"].startswith("published weights")
    assert not np.allclose(found[0], made()[0].represent(made()[1], material(4)))


def test_the_card_says_how_much_of_the_labels_is_to_be_seen(published):
    card = made(layer="blocks.2")[2]
    assert card["probe_accuracy"] > 0.9
    assert card["parameters"] == sum(p.numel() for p in timm.create_model(CONVOLUTIONS, num_classes=0).parameters())
    assert "top1_accuracy" not in card
    assert 0 <= made(weights=str(published / "weights.pth"), imagenet=True)[2]["top1_accuracy"] <= 1


def test_names_of_efficientnet_lite_are_translated_one_to_one():
    network = timm_models.build("tf_efficientnet_lite0", classes=1000, seed=1)
    theirs, block = {}, -1
    for stage, blocks in enumerate(network.blocks):
        names = {own: name for name, own in (timm_models.EXPANDED if stage else timm_models.PLAIN).items()}
        for inside in blocks:
            block += 1
            for name, tensor in inside.state_dict().items():
                layer, _, kind = name.partition(".")
                theirs[f"_blocks.{block}.{names[layer]}.{kind}"] = tensor
    for theirs_is, own in timm_models.OUTSIDE.items():
        theirs |= {f"{theirs_is}.{n}": t for n, t in network.get_submodule(own).state_dict().items()}
    assert len(theirs) == len(network.state_dict())
    back = timm_models.filled("tf_efficientnet_lite0", theirs)
    assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in network.state_dict().items())
    del theirs["_conv_stem.weight"]
    with pytest.raises(ValueError, match="Missing key"):
        timm_models.filled("tf_efficientnet_lite0", theirs)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "efficientnet_litte0"}, "timm .* has no model 'efficientnet_litte0'"),
        ({"model": "hf-hub:timm/resnet18"}, "has no model 'hf-hub:timm/resnet18'"),
        ({"layer": "blocks.17"}, "has no layer 'blocks.17'; such as: .*blocks.1"),
        ({"layer": "blocks.2", "grid": 9}, "has a grid of 8 x 8, coarser than 9 x 9"),
        ({"layer": "blocks.2", "grid": 3, "coarser": "stride"}, "of which 3 does not divide"),
    ],
)
def test_what_timm_cannot_give_is_said_in_a_line(settings, words):
    with pytest.raises(ConfigError, match=f"encoder timm: .*{words}") as error:
        made(**settings)
    assert "\n" not in str(error.value)


def test_weights_of_another_network_are_refused(published, tmp_path):
    with pytest.raises(ConfigError, match=r"test_resnet with weights .*weights\.pth: Error\(s\) in loading"):
        made(model="test_resnet", weights=str(published / "weights.pth"))
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(ConfigError, match=r"list\.pth: holds a list"):
        made(weights=str(tmp_path / "list.pth"))
    with pytest.raises(MissingArtefact, match=r"none\.safetensors: no such file"):
        made(weights=str(tmp_path / "none.safetensors"))
    (tmp_path / "half.safetensors").write_bytes((published / "weights.safetensors").read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"half\.safetensors: damaged or cut short"):
        made(weights=str(tmp_path / "half.safetensors"))


def test_images_of_two_channels_are_refused():
    encoder, weights, _ = made()
    with pytest.raises(ConfigError, match=r"^encoder timm takes images of 1 or 3 channels, and these have 2$"):
        encoder.represent(weights, material(2, channels=2))


def test_half_precision_is_taken_where_the_processor_has_it(monkeypatch):
    exact, weights, _ = made()
    half = exact.model_copy(update={"precision": "bf16"})
    monkeypatch.setattr(numerics, "cpu_has_bf16", lambda: False)
    np.testing.assert_array_equal(half.represent(weights, material(2)), exact.represent(weights, material(2)))
    monkeypatch.setattr(numerics, "cpu_has_bf16", lambda: True)
    found, expected = (encoder.represent(weights, material(2)) for encoder in (half, exact))
    assert 1e-4 < np.abs(found - expected).max() < 0.5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"every": 3},
        {"layer": "blocks.2"},
        {"model": PATCHES},
        {"model": PATCHES, "weights": "file", "imagenet": True},
    ],
)
def test_what_pretraining_computes_follows_from_shapes_and_rows(settings, tmp_path):
    if settings.get("weights") == "file":
        save_file(timm_models.build(PATCHES, SIZE).state_dict(), tmp_path / "own.safetensors")
        settings = {**settings, "weights": str(tmp_path / "own.safetensors")}
    with flops.counter() as counter:
        encoder, _, _ = made(**settings)
    assert encoder.pretraining_flops({}, 40, 20) == pytest.approx(counter.get_total_flops(), rel=1e-9)


def test_it_is_measured_on_the_device_that_it_is_told(monkeypatch):
    placed, place = [], timm_models.placed
    monkeypatch.setattr(timm_models, "placed", lambda n, p, device="cpu": placed.append(device) or place(n, p, "cpu"))
    encoder = TimmModel(model=CONVOLUTIONS, weights="none", size=SIZE)
    encoder.on("cuda").pretrain(material(), material(20), "x")
    encoder.pretrain(material(), material(20), "x")
    assert placed == ["cuda", "cpu"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_but_for_rounding():
    encoder, weights, _ = made()
    found = encoder.prepared(weights, material(), "cuda")(material())
    np.testing.assert_allclose(found, encoder.represent(weights, material()), rtol=1e-2, atol=1e-2)


def test_the_probe_chooses_a_penalty_that_generalises():
    draws = np.random.default_rng(0)
    labels, test_labels = draws.integers(0, 3, 60), draws.integers(0, 3, 300)
    centres = draws.normal(size=(3, 100)) * 0.5
    x, x_test = (centres[y] + draws.normal(size=(len(y), 100)) for y in (labels, test_labels))
    assert probe(x, labels, x_test, test_labels) > 0.8
    assert probe(draws.normal(size=(60, 100)), labels, x_test, test_labels) < 0.5
