"""Captions as vectors: mean over a text's own tokens at length 1, whatever else is embedded; nothing is downloaded."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

import sentence_folder

from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.text import Text

TEXTS = ["a thin stroke, tall", "bold", "a cat on a sofa, or a dog, or a truck", "z"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sentence_folder.write(tmp_path_factory.mktemp("text") / "encoder")


def material(texts: list[str]) -> Material:
    return Material(Rows([str(i) for i in range(len(texts))], ["train"] * len(texts), {}), texts)


def embedded(folder: Path, texts: list[str], **settings) -> np.ndarray:
    return Text(captioner="any", weights=str(folder), **settings).represent({}, material(texts))


def test_a_vector_is_the_mean_of_a_text_s_own_hidden_states_at_length_one(folder):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = [
            model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in TEXTS
        ]
    found = embedded(folder, TEXTS)
    np.testing.assert_allclose(found, [x / np.linalg.norm(x) for x in expected], atol=1e-5)
    np.testing.assert_allclose(embedded(folder, TEXTS, batch=1), found, atol=1e-5)


def test_a_long_text_is_cut_off(folder):
    found = embedded(folder, ["a b c", "a b c d e f"], tokens=5)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert np.abs(np.subtract(*embedded(folder, ["a b c", "a b c d e f"]))).max() > 1e-3


def test_the_folder_is_read_once_for_all_parts_and_is_what_provenance_names(folder):
    encoder = Text(captioner="any", weights=str(folder))
    assert encoder.files() == (folder,)
    encode = encoder.prepared({}, material(TEXTS))
    np.testing.assert_allclose(encode(material(TEXTS[:2])), encode(material(TEXTS))[:2], atol=1e-5)


def test_a_folder_that_is_none_is_said_in_a_line(folder, tmp_path):
    with pytest.raises(MissingArtefact, match=r"none: no folder of transformers"):
        embedded(tmp_path / "none", TEXTS)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"other: no model of transformers that encoder text reads") as error:
        embedded(tmp_path / "other", TEXTS)
    assert "\n" not in str(error.value)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for file in folder.iterdir():
        if file.suffix == ".json":
            (pickled / file.name).write_bytes(file.read_bytes())
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pickled: no model of transformers"):
        embedded(pickled, TEXTS)
