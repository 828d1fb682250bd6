"""What a vision-language model says of images: its answer alone, whoever else is in the batch."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("torchvision")

import qwen_folder
import sentence_folder

from reedbench.captioners.qwen_vl import QwenVlCaptions
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.rows import Rows
from reedbench.nn import qwen_vl

ASKED = "system\nYou are a helpful assistant.\nuser\nDescribe this image.\nassistant\n"


@pytest.fixture(scope="module", params=qwen_vl.FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The name that REED's choice of the class would have gone by.
    name = {"qwen2_vl": "Qwen2_5-VL", "qwen2_5_vl": "Qwen2-VL"}[request.param]
    return qwen_folder.write(tmp_path_factory.mktemp("qwen") / name, request.param)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen_folder.write(tmp_path_factory.mktemp("qwen") / "model")


def images(n: int = 6) -> Rows:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, 64, 64), dtype=np.uint8)
    return Rows([str(i) for i in range(n)], ["train"] * n, {"images": pixels})


def captions(folder: Path, rows: Rows | None = None, **settings: Any) -> list[str]:
    own = {"weights": str(folder), "precision": "fp32", "tokens": 10}
    return QwenVlCaptions(**{**own, **settings}).captions(rows or images())


def test_a_caption_is_the_same_in_any_batch(folder):
    alone = captions(folder, batch=1)
    assert captions(folder, batch=3) == alone
    assert captions(folder, batch=32) == alone
    assert captions(folder, images().take([5, 2]), batch=2) == [alone[5], alone[2]]
    assert len(set(alone)) > 1
    assert len({len(text) for text in alone}) > 1  # some end before the others


def test_greedy_takes_the_likeliest_token_until_the_end_or_the_limit(one):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor, model = AutoProcessor.from_pretrained(one), AutoModelForImageTextToText.from_pretrained(one).eval()
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Describe this image."}]}
    text = processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
    expected = []
    for pixels in images().arrays["images"]:
        words = ""
        while len(words) < 4:
            given = processor(images=[torch.from_numpy(pixels)], text=[text + words], return_tensors="pt")
            with torch.no_grad():
                likeliest = model(**given).logits[0, -1].argmax()
            if likeliest == qwen_folder.END:
                break
            words += processor.tokenizer.decode(likeliest)
        expected.append(words)
    assert captions(one, tokens=4) == expected


def test_the_reference_keeps_the_chat_before_the_answer(folder):
    assert captions(folder, prompt="reference") == [ASKED + text for text in captions(folder)]
    others = captions(folder, question="What is this?", prompt="reference")
    assert all(text.startswith(ASKED.replace("Describe this image.", "What is this?")) for text in others)


def test_the_reference_draws_as_the_checkpoint_says(one, tmp_path):
    assert captions(one, generation="reference") == captions(one)  # from one token there is one to draw
    other = tmp_path / "other"
    shutil.copytree(one, other)
    own = json.loads((one / "generation_config.json").read_text())
    wild = {**own, "temperature": 5.0, "top_k": 20, "top_p": 1.0, "repetition_penalty": 2.0}
    (other / "generation_config.json").write_text(json.dumps(wild))
    assert captions(other) == captions(one)
    drawn = captions(other, generation="reference")
    assert drawn != captions(one)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert captions(other, generation="reference") == drawn
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_a_generation_config_a_text_ends_where_the_configuration_says(one, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(one, other)
    (other / "generation_config.json").unlink()
    assert captions(other) == captions(one)


def test_the_batch_is_in_the_key_where_chance_has_a_say(one):
    def identity(**settings: Any) -> dict[str, Any]:
        return QwenVlCaptions(weights=str(one), **settings).identity()

    assert identity(batch=1) == identity()
    assert identity(generation="reference", batch=1) != identity(generation="reference")


def test_a_head_that_is_tied_to_the_embedding_is_no_missing_weight(tmp_path):
    folder = qwen_folder.write(tmp_path / "tied", "qwen2_vl", tied=True)
    assert all(captions(folder))


def test_a_folder_that_is_none_is_said_in_a_line(one, tmp_path):
    with pytest.raises(MissingArtefact, match=r"none: no folder of transformers"):
        captions(tmp_path / "none")
    other = sentence_folder.write(tmp_path / "bert")
    with pytest.raises(ConfigError, match=r"bert: captioner qwen-vl reads models of type qwen2_vl or qwen2_5_vl"):
        captions(other)
    spoilt = tmp_path / "spoilt"
    shutil.copytree(one, spoilt)
    (spoilt / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"spoilt: no model of transformers that captioner qwen-vl reads") as error:
        captions(spoilt)
    assert "\n" not in str(error.value)


def test_images_of_other_channels_are_refused(one):
    rows = Rows(["a"], ["train"], {"images": np.zeros((1, 2, 64, 64), np.uint8)})
    with pytest.raises(ConfigError, match="images of 1 or 3 channels are read, and these have 2"):
        captions(one, rows)
