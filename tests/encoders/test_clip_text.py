"""Captions under the text tower of CLIP: read at the end of a text, whatever else is embedded."""

import json
import shutil
from pathlib import Path
from typing import Any

import clip_folder
import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

import sentence_folder

from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.clip_text import ClipText

TEXTS = ["a thin", "", 9 * "a cat, or a dog ", "z", "bold"]  # the third is longer than the positions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip_folder.write(tmp_path_factory.mktemp("clip") / "model")


def embedded(folder: Path, texts: list[str], **settings: Any) -> np.ndarray:
    rows = Rows([str(i) for i in range(len(texts))], ["train"] * len(texts), {})
    return ClipText(captioner="any", weights=str(folder), **settings).represent({}, Material(rows, texts))


@pytest.fixture(scope="module")
def states(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of the whole model, text by text without padding: all positions, and what is compared with images."""
    from transformers import AutoTokenizer, CLIPModel

    tokenizer, model = AutoTokenizer.from_pretrained(folder), CLIPModel.from_pretrained(folder).eval()
    found = []
    for text in TEXTS:
        words = tokenizer(text, truncation=True, max_length=clip_folder.POSITIONS, return_tensors="pt")
        with torch.no_grad():
            hidden = model.text_model(**words).last_hidden_state
            found.append((hidden[0].numpy(), model.text_projection(hidden[0, -1]).numpy()))
    return found


def test_a_text_is_read_at_its_last_token(folder, states):
    pooled = embedded(folder, TEXTS, output="pooled")
    assert pooled.shape == (len(TEXTS), clip_folder.WIDTH)
    np.testing.assert_allclose(pooled, [hidden[-1] for hidden, _ in states], atol=1e-5)
    projected = embedded(folder, TEXTS)
    np.testing.assert_allclose(projected, [vector for _, vector in states], atol=1e-5)
    np.testing.assert_allclose(embedded(folder, TEXTS, batch=1), projected, atol=1e-5)


def test_tokens_are_all_positions_and_those_of_the_text_come_first(folder, states):
    tokens = embedded(folder, TEXTS, output="tokens")
    assert tokens.shape == (len(TEXTS), clip_folder.POSITIONS, clip_folder.WIDTH)
    for found, (hidden, _) in zip(tokens, states, strict=True):
        np.testing.assert_allclose(found[: len(hidden)], hidden, atol=1e-5)
    np.testing.assert_allclose(embedded(folder, TEXTS[:1], output="tokens")[0], tokens[0], atol=1e-5)


def test_its_kind_is_what_it_gives():
    assert {what: ClipText(captioner="c", weights="w", output=what).kind for what in ("pooled", "tokens")} == {
        "pooled": "vector",
        "tokens": "tokens",
    }


def test_the_text_tower_alone_gives_all_but_the_projection(folder, tmp_path):
    from transformers import AutoTokenizer, CLIPTextModel

    tower = tmp_path / "tower"
    CLIPTextModel.from_pretrained(folder).save_pretrained(tower)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tower)
    np.testing.assert_array_equal(embedded(tower, TEXTS, output="pooled"), embedded(folder, TEXTS, output="pooled"))
    with pytest.raises(ConfigError, match=r"tower: .* encoder clip-text reads .*lack text_projection.weight"):
        embedded(tower, TEXTS)


def test_a_folder_that_is_none_is_said_in_a_line(folder, tmp_path):
    with pytest.raises(MissingArtefact, match=r"none: no folder of transformers"):
        embedded(tmp_path / "none", TEXTS)
    with pytest.raises(ConfigError, match=r"bert: no model of transformers that encoder clip-text reads") as error:
        embedded(sentence_folder.write(tmp_path / "bert"), TEXTS)
    assert "\n" not in str(error.value)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    config["text_config"]["hidden_size"] = 32
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"other: no model of transformers") as error:
        embedded(other, TEXTS)
    assert "\n" not in str(error.value)
