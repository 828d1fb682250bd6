"""ESM-2 by fair-esm: the same values as its own interface gives, from files that are read safely."""

import argparse
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from reedbench.core import residues
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.encoders import Material, esm2
from reedbench.encoders.esm2 import Esm2

pytest.importorskip("esm", reason="fair-esm is not installed: pip install 'reedbench[protein]'")

LAYERS, DIM, HEADS = 2, 32, 4
SEQUENCES = (residues.ALPHABET, "MKV", "GGSXLLAYWRP", "MKVLAAGIWQE")


def rows(sequences: tuple[str, ...] = SEQUENCES) -> Rows:
    tokens = Ragged.of([residues.tokens(sequence) for sequence in sequences])
    chain = Ragged(np.ones_like(tokens.values), tokens.lengths)
    ids = [f"chain-{i}" for i in range(len(sequences))]
    return Rows(ids, ["train"] * len(ids), {"tokens": tokens, "chain": chain})


@pytest.fixture(scope="module")
def network():
    from esm import Alphabet
    from esm.model.esm2 import ESM2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = ESM2(LAYERS, DIM, HEADS, Alphabet.from_architecture("ESM-1b")).eval()
        torch.nn.init.normal_(made.contact_head.regression.weight)
    return made


def checkpoint(network) -> dict:
    """What fair-esm's files hold, but for the weights of the contact head, which have a file of their own."""
    cfg = argparse.Namespace(
        encoder_layers=LAYERS, encoder_embed_dim=DIM, encoder_attention_heads=HEADS, token_dropout=True
    )
    state = {}
    for name, tensor in network.state_dict().items():
        if not name.startswith("contact_head"):
            state[("encoder." if name.startswith("lm_head") else "encoder.sentence_encoder.") + name] = tensor
    return {"cfg": {"model": cfg}, "model": state}


@pytest.fixture
def file(network, tmp_path: Path) -> Path:
    torch.save(checkpoint(network), tmp_path / "esm2_tiny.pt")
    head = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("contact_head")}
    torch.save({"model": head}, tmp_path / "esm2_tiny-contact-regression.pt")
    return tmp_path / "esm2_tiny.pt"


def own(network, sequence: str) -> dict[str, torch.Tensor]:
    """What fair-esm's interface gives for one sequence."""
    convert = network.alphabet.get_batch_converter()
    with torch.no_grad():
        tokens = convert([("x", sequence)])[2]
        return network(tokens, repr_layers=range(LAYERS + 1), need_head_weights=True, return_contacts=True)


def represented(file: Path | str, sequences: tuple[str, ...] = SEQUENCES, **settings) -> Ragged:
    return Esm2(weights=str(file), **settings).represent({}, Material(rows(sequences)))


def test_the_letters_are_those_of_esm(network):
    tokens = network.alphabet.get_batch_converter()([("x", residues.ALPHABET)])[2][0].tolist()
    assert tokens == [esm2.START, *esm2.LETTERS, esm2.END]
    assert network.alphabet.padding_idx == esm2.PADDING


@pytest.mark.parametrize("layer", [-1, 0, 1, 2])
@pytest.mark.parametrize("tokens", [1, 4096])
def test_residues_are_the_hidden_states_of_a_layer(layer, tokens, file, network):
    found = represented(file, layer=layer, tokens=tokens)
    assert found.dtype == np.float32
    assert found.lengths.tolist() == [len(sequence) for sequence in SEQUENCES]
    for row, sequence in zip(found, SEQUENCES, strict=True):
        expected = own(network, sequence)["representations"][LAYERS if layer == -1 else layer][0, 1:-1]
        np.testing.assert_allclose(row, expected.numpy(), atol=2e-6)


@pytest.mark.parametrize("layers", [(-1,), (1, 2), (2, 1)])
def test_pairs_are_attention_a_channel_per_layer_and_head(layers, file, network):
    encoder = Esm2(weights=str(file), output="pairs", layers=layers)
    found = encoder.represent({}, Material(rows()))
    assert encoder.kind == "pairs"
    for row, sequence in zip(found, SEQUENCES, strict=True):
        length = len(sequence)
        attention = own(network, sequence)["attentions"][0]  # layers, heads, from, to
        maps = row.reshape(length, length, len(layers) * HEADS)
        for number, layer in enumerate(layers):
            for head in range(HEADS):
                expected = attention[layer - 1 if layer > 0 else layer, head, 1:-1, 1:-1].numpy()
                np.testing.assert_allclose(maps[..., number * HEADS + head], expected, atol=1e-6)


def test_pairs_can_be_contacts(file, network):
    found = represented(file, output="pairs", maps="contacts")
    for row, sequence in zip(found, SEQUENCES, strict=True):
        expected = own(network, sequence)["contacts"][0].reshape(-1, 1).numpy()
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_contacts_need_the_file_of_their_head_and_attention_does_not(file):
    beside = file.with_name("esm2_tiny-contact-regression.pt")
    beside.unlink()
    assert represented(file, output="pairs").values.shape[1] == HEADS
    with pytest.raises(MissingArtefact, match=rf"{beside.name}: no such file; contacts need it .*/regression/"):
        represented(file, output="pairs", maps="contacts")


def test_loading_leaves_the_global_generator_alone(file):
    before = torch.random.get_rng_state()
    represented(file, ("MK",))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(MissingArtefact, match=r"none\.pt: no such file; .*https://.*/models/<name>\.pt"):
        represented(tmp_path / "none.pt")


def test_code_in_a_file_is_never_run(tmp_path):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"cfg": Malicious()}, tmp_path / "bad.pt")
    with pytest.raises(ConfigError, match=r"bad\.pt: refused, it asks for `\w+\.mkdir`; only tensors and plain values"):
        represented(tmp_path / "bad.pt")
    assert not (tmp_path / "ran").exists()


def test_allowing_the_namespace_of_esm_is_not_for_others(file):
    represented(file, ("MK",))
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


@pytest.mark.parametrize("size", [0, 100, 2000])
def test_a_file_cut_short_is_refused(size, file):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ConfigError, match=r"esm2_tiny\.pt: (damaged or cut short|refused, it is no checkpoint)"):
        represented(file)


def without_a_tensor(whole: dict) -> dict:
    del whole["model"]["encoder.lm_head.bias"]
    return whole


def of_another_width(whole: dict) -> dict:
    whole["cfg"]["model"].encoder_embed_dim = 16
    return whole


@pytest.mark.parametrize("change", [without_a_tensor, of_another_width, lambda x: x["model"], lambda x: [1, 2]])
def test_another_checkpoint_is_refused(change, network, tmp_path):
    torch.save(change(checkpoint(network)), tmp_path / "other.pt")
    with pytest.raises(ConfigError, match=r"other\.pt: is no checkpoint of ESM-2"):
        represented(tmp_path / "other.pt")


def test_a_layer_that_the_model_lacks_is_refused(file):
    for settings in ({"layer": 3}, {"output": "pairs", "layers": (1, 3)}):
        with pytest.raises(ConfigError, match="layer 3 does not exist, this model has 2"):
            represented(file, **settings)


def test_complexes_are_refused(file):
    whole = rows()
    whole.arrays["chain"].values[-1] = 2
    with pytest.raises(ConfigError, match="single chains, and row 'chain-3' has several"):
        Esm2(weights=str(file)).represent({}, Material(whole))


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """An empty folder of torch's hub."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def test_a_name_is_looked_for_in_the_hub_folder(hub, file):
    hub.mkdir(parents=True)
    shutil.copy(file, hub / "esm2_t6_8M_UR50D.pt")
    found = represented("esm2_t6_8M_UR50D")
    np.testing.assert_array_equal(found.values, represented(file).values)


def test_a_name_that_is_not_there_says_where_to_get_it(hub):
    with pytest.raises(MissingArtefact, match=r"8M_UR50D\.pt: no such file; get https://.* snakemake fetch") as error:
        represented("esm2_t6_8M_UR50D")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("module", [None, argparse])
def test_without_fair_esm_the_reason_says_what_to_install(module, file, monkeypatch):
    # None: not installed; a module without these functions: another package of that name.
    monkeypatch.setitem(sys.modules, "esm.pretrained", module)
    with pytest.raises(ConfigError, match=r"needs fair-esm.* pip install 'reedbench\[protein\]'"):
        represented(file)


@pytest.mark.parametrize("settings", [{"layers": (0,)}, {"layers": (1, -2)}, {"layers": ()}, {"layer": -2}])
def test_layers_that_no_model_has_are_refused(settings):
    with pytest.raises(ValidationError, match="layer"):
        Esm2(**settings)


def test_the_files_are_read_once_for_all_parts(file):
    material, whole = Material(rows()), represented(file)
    encode = Esm2(weights=str(file)).prepared({}, material)
    file.unlink()
    for part in (range(3), range(3, 4)):
        np.testing.assert_allclose(encode(material.take(part)).values, whole[part].values, atol=1e-5)


def test_several_chains_anywhere_are_refused_before_the_weights_are_read():
    whole = rows()
    whole.arrays["chain"].values[-1] = 2
    with pytest.raises(ConfigError, match="row 'chain-3' has several"):
        Esm2(weights="absent.pt").prepared({}, Material(whole))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("settings", [{}, {"output": "pairs"}, {"output": "pairs", "maps": "contacts"}])
def test_a_gpu_gives_the_same_but_for_rounding(file, settings):
    encoder, material = Esm2(weights=str(file), **settings), Material(rows())
    found = encoder.prepared({}, material, "cuda")(material)
    np.testing.assert_allclose(found.values, encoder.represent({}, material).values, rtol=1e-4, atol=1e-4)
