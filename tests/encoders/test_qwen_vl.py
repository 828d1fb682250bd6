"""Images and captions through a vision-language model: which states are averaged, whoever else is in the batch."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

pytest.importorskip("transformers")
pytest.importorskip("torchvision")

import qwen_folder
import sentence_folder

from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.qwen_vl import QwenVlStates
from reedbench.nn import qwen_vl

TEXTS = ["a thin stroke, tall", "", "a cat on a sofa, or a dog, or a truck", "z", "blue on white"]
IDS = ["c", "a", "e", "b", "d"]  # not in their order


@pytest.fixture(scope="module", params=qwen_vl.FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen_folder.write(tmp_path_factory.mktemp("qwen") / "model", request.param)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen_folder.write(tmp_path_factory.mktemp("qwen") / "model")


def material(texts: Sequence[str] = TEXTS) -> Material:
    images = np.random.default_rng(0).integers(0, 256, (len(texts), 3, 64, 64), dtype=np.uint8)
    return Material(Rows(IDS[: len(texts)], ["train"] * len(texts), {"images": images}), list(texts))


def encoder(folder: Path, **settings: Any) -> QwenVlStates:
    return QwenVlStates(**{"captioner": "any", "weights": str(folder), "layer": 2, "precision": "fp32", **settings})


def test_the_configuration_of_the_folder_tells_the_width(folder, tmp_path):
    assert encoder(folder).shape({}, {}) == (qwen_folder.WIDTH,)
    said = json.loads((folder / "config.json").read_text())
    nested = {"model_type": said["model_type"], "text_config": {"hidden_size": said.pop("hidden_size")}}
    (tmp_path / "config.json").write_text(json.dumps(nested))
    assert encoder(tmp_path).shape({}, {}) == (qwen_folder.WIDTH,)


@pytest.mark.parametrize("text", [None, "[", "[]", "{}", '{"hidden_size": "wide"}'])
def test_before_there_is_a_configuration_the_width_is_not_known(text, tmp_path):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    assert encoder(tmp_path).shape({}, {}) is None
    assert QwenVlStates(captioner="any", weights="not-fetched").shape({}, {}) is None


def whole_model(folder: Path) -> tuple[Any, Any]:
    """All of the model, head and all."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    return AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder).eval()


def chat(processor: Any, text: str, header: bool = False) -> str:
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Describe this image."}]},
        {"role": "assistant", "content": [{"type": "text", "text": text}]},
    ]
    return processor.apply_chat_template(turns, add_generation_prompt=header, tokenize=False)


@pytest.mark.parametrize("layer", [0, 2, qwen_folder.LAYERS])
def test_a_vector_is_the_mean_of_a_layer_s_states_over_image_and_text(folder, layer):
    processor, model = whole_model(folder)
    some = material()
    expected = []
    for image, text in zip(some.rows.arrays["images"], TEXTS, strict=True):
        given = processor(images=[torch.from_numpy(image)], text=[chat(processor, text)], return_tensors="pt")
        with torch.no_grad():
            states = model(**given, output_hidden_states=True).hidden_states
        assert len(states) == qwen_folder.LAYERS + 1
        expected.append(states[layer][0].mean(0).numpy())
    found = encoder(folder, layer=layer).represent({}, some)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(encoder(folder, layer=layer, batch=1).represent({}, some), found, atol=2e-5)


@pytest.mark.parametrize("layer", range(qwen_folder.LAYERS + 1))
def test_layers_above_are_left_out_without_a_trace(folder, layer):
    _, model = whole_model(folder)
    processor, short = encoder(folder, layer=layer)._read("cpu")
    assert len(short.language_model.layers) == layer
    texts = [chat(processor, text) for text in TEXTS]
    given = qwen_vl.inputs(processor, material().rows.arrays["images"], texts, "right", "cpu")
    with torch.no_grad():
        states = model(**given, output_hidden_states=True).hidden_states
        assert torch.equal(short(**given).last_hidden_state, states[layer])


@pytest.mark.parametrize(("pixels", "tokens"), [(256, 81), (224, 64), (8, 4)])
def test_an_image_has_a_token_for_28_by_28_pixels(one, pixels, tokens):
    processor, _ = encoder(one)._read("cpu")
    images = np.zeros((2, 1, pixels, pixels), np.uint8)
    given = qwen_vl.inputs(processor, images, [chat(processor, "a"), chat(processor, "bb")], "right", "cpu")
    assert (given["input_ids"] == qwen_folder.IMAGE).sum(1).tolist() == [tokens, tokens]


def of_reed(folder: Path, layer: int, neighbours: int) -> np.ndarray:
    """Vectors as REED has them: in the order of ids, each batch padded, the mean over all positions.

    Flash attention gives zeros to positions of padding.
    """
    processor, model = whole_model(folder)
    some, order = material(), np.argsort(IDS)
    padding: list[torch.Tensor] = []
    for block in model.model.language_model.layers:
        block.self_attn.register_forward_hook(
            lambda module, inputs, output: (output[0] * padding[-1][..., None], *output[1:])
        )
    out = np.empty((len(IDS), qwen_folder.WIDTH), np.float32)
    for begin in range(0, len(order), neighbours):
        rows = order[begin : begin + neighbours]
        given = processor(
            images=[torch.from_numpy(some.rows.arrays["images"][row]) for row in rows],
            text=[chat(processor, TEXTS[row], header=True) for row in rows],
            padding=True,
            padding_side="left",
            return_tensors="pt",
        )
        padding.append(given["attention_mask"])
        with torch.no_grad():
            out[rows] = model(**given, output_hidden_states=True).hidden_states[layer].mean(1)
    return out


@pytest.mark.parametrize("layer", [0, 2, qwen_folder.LAYERS])
def test_the_reference_counts_padding_and_another_turn_in_batches_by_id(folder, layer):
    encode = encoder(folder, layer=layer, pooling="reference", neighbours=2).prepared({}, material())
    found = encode(material())
    np.testing.assert_allclose(found, of_reed(folder, layer, 2), atol=2e-5)
    np.testing.assert_allclose(encode(material().take([3, 0])), found[[3, 0]], atol=2e-5)
    assert np.abs(found - of_reed(folder, layer, 3)).max() > 1e-3
    assert np.abs(found - encoder(folder, layer=layer).represent({}, material())).max() > 1e-3


def test_what_only_divides_the_work_is_in_no_key(one):
    assert encoder(one, batch=1).identity() == encoder(one).identity()
    reference = encoder(one, pooling="reference")
    assert encoder(one, pooling="reference", neighbours=8).identity() != reference.identity()
    with pytest.raises(ValidationError, match="neighbours has no effect on pooling: masked-mean"):
        encoder(one, neighbours=8)


def test_bf16_rounds(one):
    fine, coarse = (encoder(one, precision=how).represent({}, material()) for how in ("fp32", "bf16"))
    assert coarse.dtype == np.float32
    np.testing.assert_allclose(coarse, fine, atol=0.03)


def test_what_stands_for_an_image_is_no_text(one):
    with pytest.raises(ConfigError, match=r"a text has <\|image_pad\|> or <\|video_pad\|> in it.*: 'a <\|image"):
        encoder(one).represent({}, material(["a <|image_pad|>"]))


def test_a_layer_that_is_not_there_is_said_in_a_line(one):
    with pytest.raises(ConfigError, match=r"encoder qwen-vl: layer 4 does not exist, this model has 3$"):
        encoder(one, layer=4).represent({}, material())


def test_a_folder_that_is_none_is_said_in_a_line(one, tmp_path):
    with pytest.raises(MissingArtefact, match=r"none: no folder of transformers"):
        encoder(tmp_path / "none").represent({}, material())
    other = sentence_folder.write(tmp_path / "bert")
    with pytest.raises(ConfigError, match=r"bert: encoder qwen-vl reads models of type qwen2_vl or qwen2_5_vl"):
        encoder(other).represent({}, material())


def cut_short(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def without_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00002-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def of_another_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))


def without_a_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (cut_short, ""),
        (without_a_shard, "model-00001-of-00002"),
        (of_another_width, r"layers.0.mlp.down_proj.weight as \(32, 48\), and config.json asks for \(32, 64\)"),
        (without_a_tensor, r"the weights lack .*layers.1.mlp.up_proj.weight"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), ""),
        (lambda folder: (folder / "config.json").write_text("{"), ""),
    ],
    ids=["cut-short", "no-shard", "other-width", "no-tensor", "no-preprocessor", "no-json"],
)
def test_files_that_are_spoilt_are_said_in_a_line(one, tmp_path, spoil, why):
    spoilt = tmp_path / "spoilt"
    shutil.copytree(one, spoilt)
    spoil(spoilt)
    with pytest.raises(
        ConfigError, match=rf"spoilt: no model of transformers that encoder qwen-vl reads \(.*{why}"
    ) as error:
        encoder(spoilt).represent({}, material())
    assert "\n" not in str(error.value)


def test_a_chat_template_beside_the_tokenizer_will_do_and_none_is_said_in_a_line(one, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(one, moved)
    (moved / "chat_template.json").unlink()
    with pytest.raises(
        ConfigError, match=r"moved: encoder qwen-vl needs the checkpoint's chat template .* it has none$"
    ):
        encoder(moved).represent({}, material())
    words = json.loads((moved / "tokenizer_config.json").read_text())
    (moved / "tokenizer_config.json").write_text(json.dumps({**words, "chat_template": qwen_folder.TEMPLATE}))
    np.testing.assert_array_equal(encoder(moved).represent({}, material()), encoder(one).represent({}, material()))
