"""The encoder of ProteinMPNN with weights from a file: its own values, and no other file."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from reedbench.core import seeds
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged
from reedbench.datasets.backbones import Backbones
from reedbench.domains.protein import padded
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.mpnn_structure import MpnnStructure
from reedbench.nn.backbones.stock_mpnn import StockMPNN

NEIGHBOURS = 12


@pytest.fixture(scope="module")
def network() -> StockMPNN:
    made = StockMPNN(neighbours=NEIGHBOURS)
    made.initialise(lambda name: seeds.stream(name))
    return made.eval()


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Backbones(chains=4, test_chains=1, min_length=15, max_length=30).rows().where("train")


@pytest.fixture
def file(network, tmp_path: Path) -> Path:
    torch.save(whole(network), tmp_path / "stock.pt")
    return tmp_path / "stock.pt"


def whole(network: StockMPNN) -> dict:
    return {"num_edges": NEIGHBOURS, "noise_level": 0.2, "model_state_dict": network.state_dict()}


def represented(file: Path, rows: Rows, **settings) -> Ragged:
    return MpnnStructure(weights=str(file), **settings).represent({}, Material(rows))


@pytest.mark.parametrize("tokens", [1, 4096])
def test_residues_are_the_nodes_of_the_published_encoder(tokens, file, network, rows):
    found = represented(file, rows, tokens=tokens)
    assert found.dtype == np.float32
    assert found.lengths.tolist() == rows.arrays["tokens"].lengths.tolist()
    for i, row in enumerate(found):
        chains = padded(rows.take(np.array([i])).arrays)
        del chains["tokens"]
        with torch.no_grad():
            expected = network.encode(**chains).nodes[0].numpy()
        np.testing.assert_allclose(row, expected, atol=1e-5)
    assert found.values.std(0).min() > 1e-3


def test_the_sequence_is_not_seen_and_unresolved_residues_are_zero(file, rows):
    coordinates = rows.arrays["coordinates"].values.copy()
    coordinates[4, 2] = np.nan
    lengths = rows.arrays["coordinates"].lengths
    changed = {"coordinates": Ragged(coordinates, lengths), "tokens": rows.arrays["tokens"][np.arange(4)]}
    gap = Rows(rows.ids, rows.split, {**rows.arrays, **changed})
    found = represented(file, gap)
    assert not found.values[4].any()
    assert np.abs(found.values).max(1).min() == 0
    assert (np.abs(found.values).max(1) > 0).sum() == len(found.values) - 1
    changed["tokens"] = Ragged(np.zeros_like(rows.arrays["tokens"].values), lengths)
    blind = represented(file, Rows(rows.ids, rows.split, {**rows.arrays, **changed}))
    np.testing.assert_array_equal(blind.values, found.values)


def test_a_missing_file_says_where_to_get_it(tmp_path, rows):
    with pytest.raises(MissingArtefact, match=r"none\.pt: no such file; .* get v_48_020\.pt .*dauparas/ProteinMPNN"):
        represented(tmp_path / "none.pt", rows)


def test_code_in_a_file_is_never_run(tmp_path, rows):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"num_edges": 48, "model_state_dict": Malicious()}, tmp_path / "bad.pt")
    with pytest.raises(ConfigError, match=r"bad\.pt: refused, it asks for `\w+\.mkdir`; only tensors") as error:
        represented(tmp_path / "bad.pt", rows)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("size", [0, 3000])
def test_a_file_cut_short_is_refused(size, file, rows):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ConfigError, match=r"stock\.pt: (damaged or cut short|refused, it is no checkpoint)"):
        represented(file, rows)


def changed(name: str, tensor: torch.Tensor | None):
    def change(found: dict) -> dict:
        state = dict(found["model_state_dict"])
        state.pop(name, None)
        return {**found, "model_state_dict": state if tensor is None else {**state, name: tensor}}

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found["model_state_dict"], "must hold a dict of tensors `model_state_dict`"),
        (lambda found: [1], "must hold a dict of tensors"),
        (lambda found: {**found, "model_state_dict": {"W_e.weight": 1.0}}, "must hold a dict of tensors"),
        (lambda found: {**found, "num_edges": None}, "must hold `num_edges`"),
        (lambda found: {**found, "num_edges": 0}, "must hold `num_edges`"),
        (changed("W_e.weight", None), "lacks 'W_e.weight'"),
        (changed("W_v.weight", torch.ones(2)), "has no place for 'W_v.weight'"),
        (changed("W_e.bias", torch.ones(64)), r"'W_e.bias' has shape \(64,\), not \(128,\)"),
        (changed("W_e.bias", torch.full((128,), torch.nan)), "'W_e.bias' is not finite"),
    ],
)
def test_other_weights_are_refused(change, words, network, tmp_path, rows):
    torch.save(change(whole(network)), tmp_path / "other.pt")
    with pytest.raises(ConfigError, match=rf"other\.pt: .*{words}"):
        represented(tmp_path / "other.pt", rows)


def test_the_file_says_how_many_neighbours_there_are(network, tmp_path, file, rows):
    torch.save({**whole(network), "num_edges": 3}, tmp_path / "few.pt")
    assert np.abs(represented(tmp_path / "few.pt", rows).values - represented(file, rows).values).max() > 1e-3


def test_the_file_is_read_once_for_all_parts(file, rows):
    material = Material(rows)
    encode = MpnnStructure(weights=str(file)).prepared({}, material)
    whole = represented(file, rows)
    file.unlink()
    for part in (range(3), range(3, 4)):
        np.testing.assert_allclose(encode(material.take(part)).values, whole[part].values, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_but_for_rounding(file, rows):
    encoder, material = MpnnStructure(weights=str(file)), Material(rows)
    found = encoder.prepared({}, material, "cuda")(material)
    np.testing.assert_allclose(found.values, encoder.represent({}, material).values, rtol=1e-4, atol=1e-4)
