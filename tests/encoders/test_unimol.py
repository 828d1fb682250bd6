"""Uni-Mol as an encoder: what it learns, what a vector depends on, and which files it reads."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from molecule_rows import changed, permuted, rows_of, splits, turned
from pydantic import ValidationError

from reedbench.core import seeds
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.molecule import Molecule
from reedbench.domains.rows import Rows
from reedbench.encoders import Material, unimol
from reedbench.encoders.unimol import UniMol
from reedbench.nn.unimol import formatted, normalised
from reedbench.nn.unimol_masking import MaskedUniMol

STREAM = "pretrain/made/unimol"
SIZE = {"layers": 2, "width": 32, "hidden": 64, "heads": 4, "kernels": 16}


def tiny(**more) -> UniMol:
    trained = {"batch": 8} if more.get("steps", 2) else {}
    return UniMol(**{**SIZE, "steps": 2, **trained, **more})


@pytest.fixture(scope="module")
def train() -> Material:
    return Material(splits()[0])


@pytest.fixture(scope="module")
def test() -> Material:
    return Material(splits()[1])


@pytest.fixture(scope="module")
def learnt(train, test):
    """An encoder that was trained for some seconds, and what it became."""
    encoder = tiny(steps=200, batch=16, lr=5e-3)
    return encoder, encoder.pretrain(train, test, STREAM)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return {n: w.tobytes() for n, w in one.items()} == {n: w.tobytes() for n, w in other.items()}


def test_it_learns_to_tell_masked_atoms_and_their_places(learnt):
    card = learnt[1].card
    assert card["last_loss"] < 0.6 * card["first_loss"]
    assert card["most_common"] == "H"
    for split in ("train", "test"):
        assert card[f"{split}_accuracy"] > card[f"{split}_rate_of_most_common"] + 0.05
        assert card[f"{split}_distance_error"] < 0.8 * card[f"{split}_distance_error_of_constant"]
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_its_card_says_what_is_to_be_seen_of_structures_where_there_are_no_properties(learnt):
    card = learnt[1].card
    assert card["r2_heavy_of_composition"] > 0.99
    assert card["r2_gyration_of_composition"] > 0.8
    found = [name for name in card if name.startswith("r2")]
    ends = ("", "_of_composition", "_of_both")
    assert found == [f"r2_{name}{end}" for name in ("rings", "gyration", "heavy") for end in ends]


def test_its_card_probes_the_properties_that_there_are(train, test):
    more = [{"gap": np.linspace(0, 1, len(part.rows)), "mu": np.ones(len(part.rows))} for part in (train, test)]
    parts = [
        Material(Rows(part.rows.ids, part.rows.split, {**part.rows.arrays, **own}))
        for part, own in zip((train, test), more, strict=True)
    ]
    card = tiny(steps=0).pretrain(*parts, STREAM).card
    assert {name.split("_")[1] for name in card if name.startswith("r2")} == {"gap", "mu"}
    assert card["r2_mu"] == 0


def test_two_trainings_end_in_the_same_bytes(train, test):
    made = tiny().pretrain(train, test, STREAM)
    torch.manual_seed(5)
    again = tiny().pretrain(train, Material(test.rows.take(range(3))), STREAM)
    assert same(made.weights, again.weights)
    assert made.card["last_loss"] == again.card["last_loss"]
    assert not same(made.weights, tiny().pretrain(train, test, "pretrain/made/other").weights)
    assert not same(made.weights, tiny().pretrain(Material(train.rows.take(range(40))), test, STREAM).weights)


def test_random_controls_differ_by_stream_and_are_not_trained(train, test):
    control = tiny(steps=0, per_seed=True)
    one, other = (control.pretrain(train, test, f"{STREAM}/{seed}") for seed in range(2))
    assert one.card["first_loss"] is one.card["last_loss"] is None
    assert "random" in one.card["objective"]
    assert not same(one.weights, other.weights)
    vectors = [control.represent(made.weights, test) for made in (one, other)]
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1
    assert np.ptp(vectors[0], axis=0).max() > 1e-3


@pytest.mark.parametrize("output", ["global", "atoms"])
def test_a_vector_does_not_depend_on_pose_numbering_or_the_other_rows(output, learnt, train):
    encoder = learnt[0].model_copy(update={"output": output})
    weights = learnt[1].weights
    found = encoder.represent(weights, train)
    assert found.dtype == np.float32
    assert found.shape == (64, 32) == (64, *encoder.shape({}, {}))
    for rows in (turned(train.rows), turned(train.rows, mirrored=True), permuted(train.rows)):
        np.testing.assert_allclose(encoder.represent(weights, Material(rows)), found, rtol=0, atol=1e-5)
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_allclose(encoder.represent(weights, train.take(order)), found[order], rtol=0, atol=2e-6)
    np.testing.assert_allclose(encoder.represent(weights, train.take([9])), found[[9]], rtol=0, atol=2e-6)


def test_vectors_have_mean_0_and_deviation_1_and_see_the_conformation(learnt, train):
    encoder, made = learnt
    found = encoder.represent(made.weights, train)
    np.testing.assert_allclose(found.mean(1, np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(1, ddof=1, dtype=np.float64), 1, atol=1e-3)
    stretched = changed(train.rows, coordinates=train.rows.arrays["coordinates"].values * np.float32(1.1))
    assert np.abs(encoder.represent(made.weights, Material(stretched)) - found).max() > 0.02


def test_standardised_channels_have_mean_0_and_variance_1_over_the_training_molecules(train, test):
    encoder = tiny(standardise=True)
    found = encoder.represent(encoder.pretrain(train, test, STREAM).weights, train)
    np.testing.assert_allclose(found.mean(0, np.float64), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(0, dtype=np.float64), 1, atol=1e-3)


def test_padding_counts_where_the_reference_pools_it(train, test):
    encoder = tiny(pooling="reference", steps=0)
    weights = encoder.pretrain(train, test, STREAM).weights
    smallest = int(train.rows.arrays["elements"].lengths.argmin())
    beside = encoder.represent(weights, train)[smallest]
    assert np.abs(encoder.represent(weights, train.take([smallest]))[0] - beside).max() > 1e-3


def test_small_passes_give_the_same(learnt, train, monkeypatch):
    encoder, made = learnt
    found = encoder.represent(made.weights, train)
    monkeypatch.setattr(unimol, "PAIRS", 1)
    np.testing.assert_allclose(encoder.represent(made.weights, train), found, rtol=0, atol=2e-6)


def test_a_single_atom_and_an_undecided_one_have_a_vector(learnt):
    water = Molecule.of(np.eye(3), [8, 1, 1])
    rows = rows_of([Molecule.of(np.zeros((1, 3)), [6]), water])
    undecided = changed(rows, elements=np.array([6, 0, 1, 1], np.uint8))
    found = learnt[0].represent(learnt[1].weights, Material(undecided))
    assert np.isfinite(found).all()
    assert np.abs(found[1] - learnt[0].represent(learnt[1].weights, Material(rows))[1]).max() > 1e-3


def test_an_element_without_a_token_is_read_as_an_undecided_one_and_the_card_says_so(learnt, train):
    rows = rows_of([Molecule.of(np.eye(3)[:2], [6, 1]), Molecule.of(np.eye(3)[:2], [36, 36])])
    undecided = changed(rows, elements=np.array([6, 1, 0, 0], np.uint8))
    found, same = (learnt[0].represent(learnt[1].weights, Material(one)) for one in (rows, undecided))
    np.testing.assert_array_equal(found, same)
    card = tiny(steps=2).pretrain(Material(rows), train, STREAM).card
    assert card["elements_without_token"] == "Kr (2 atoms) of the training split, read as [UNK]"
    assert "elements_without_token" not in learnt[1].card


def test_a_place_that_is_no_number_is_refused(learnt, train):
    places = train.rows.arrays["coordinates"].values.copy()
    places[3] = np.nan
    with pytest.raises(ConfigError, match="encoder unimol: row 'm0' has an atom whose place is no number"):
        learnt[0].represent(learnt[1].weights, Material(changed(train.rows, coordinates=places)))


def test_a_test_split_without_molecules_is_scored_as_nothing(train, test):
    card = tiny().pretrain(train, Material(test.rows.take(np.arange(0))), STREAM).card
    assert card["test_accuracy"] == card["test_distance_error"] == 0
    assert not [name for name in card if name.startswith("r2")]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 10, "heads": 4}, "no multiple of heads"),
        ({"steps": 0, "lr": 0.1}, "lr has no effect on steps: 0"),
        ({"weights": "x.pt", "layers": 2}, "layers has no effect on published weights"),
        ({"weights": "x.pt", "steps": 0}, "steps has no effect on published weights"),
        ({"weights": "x.pt", "per_seed": True}, "per_seed has no effect on published weights"),
        ({"output": "atoms", "pooling": "reference"}, "pooling has no effect on output: atoms"),
    ],
)
def test_settings_without_effect_are_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        UniMol(**settings)


# Published files

STOCK, REED = 31, 32


@pytest.fixture(scope="module")
def published() -> dict[int, MaskedUniMol]:
    """Networks of either vocabulary with random weights, large enough for distances to count."""
    made = {}
    for vocabulary in (STOCK, REED):
        made[vocabulary] = MaskedUniMol(vocabulary, 2, 16, 32, 4, 8)
        made[vocabulary].initialise(lambda name: seeds.stream("published", name))
        with torch.no_grad():
            for parameter in made[vocabulary].parameters():
                parameter.mul_(15 if 0 < parameter.abs().max() < 0.2 else 1)
    return made


def stock(network: MaskedUniMol) -> dict:
    """A checkpoint as Uni-Mol publishes it: no global head, and more beside the model."""
    state = {n: x for n, x in network.state_dict().items() if not n.startswith(("global_rep", "node_feature"))}
    return {"model": state, "extra_state": {"epoch": 3}, "args": None}


def reed(network: MaskedUniMol) -> dict:
    """A checkpoint whose names have REED's prefix."""
    return {"model": {f"unimol.{name}": tensor for name, tensor in network.state_dict().items()}}


def saved(place: Path, what: object) -> str:
    torch.save(what, place / "unimol.pt")
    return str(place / "unimol.pt")


@pytest.mark.parametrize(("vocabulary", "output"), [(STOCK, "atoms"), (REED, "global"), (REED, "atoms")])
@torch.no_grad()
def test_published_weights_give_the_vectors_of_their_network(vocabulary, output, published, train, test, tmp_path):
    network = published[vocabulary]
    file = saved(tmp_path, stock(network) if vocabulary == STOCK else reed(network))
    encoder = UniMol(weights=file, output=output)
    made = encoder.pretrain(train, test, STREAM)
    found = encoder.represent(made.weights, train)
    elements, places = (train.rows.arrays[name] for name in ("elements", "coordinates"))
    for i in range(3):
        encoded = network(*formatted([elements[i]], [places[i]], vocabulary))
        expected = encoded.of_atoms() if output == "atoms" else network.whole(encoded, "masked")
        np.testing.assert_allclose(found[i], normalised(expected)[0].numpy(), rtol=0, atol=1e-5)
    assert made.card["objective"] == f"published weights {file}"
    assert "test_accuracy" not in made.card
    assert "r2_gyration" in made.card
    assert set(made.weights) == {"mean", "std"}
    assert encoder.shape({}, {}) is None


def test_a_bare_state_in_safetensors_is_read_too(published, train, test, tmp_path):
    from safetensors.torch import save_file

    save_file(published[REED].state_dict(), tmp_path / "unimol.safetensors")
    encoders = [
        UniMol(weights=str(tmp_path / "unimol.safetensors")),
        UniMol(weights=saved(tmp_path, reed(published[REED]))),
    ]
    one, other = (encoder.represent(encoder.pretrain(train, test, STREAM).weights, test) for encoder in encoders)
    np.testing.assert_array_equal(one, other)


def other(name: str, tensor: torch.Tensor | None):
    def change(state: dict) -> dict:
        left = {n: x for n, x in state.items() if n != name}
        return left if tensor is None else {**left, name: tensor}

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other("encoder.layers.1.fc1.bias", None), r"lacks 'encoder\.layers\.1\.fc1\.bias' \(1 such names in all\)"),
        (other("encoder.layers.1.fc3.bias", torch.ones(2)), r"has no place for 'encoder\.layers\.1\.fc3\.bias'"),
        (other("encoder.layers.1.fc1.bias", torch.ones(2)), r"'encoder\.layers\.1\.fc1\.bias' has shape \(2,\), not"),
        (other("gbf.bias.weight", torch.full((1024, 1), torch.nan)), r"'gbf\.bias\.weight' is not finite"),
        (other("gbf.bias.weight", 3), r"'gbf\.bias\.weight' is no tensor"),
        (other("embed_tokens.weight", None), r"has no matrix 'embed_tokens\.weight'"),
        (other("embed_tokens.weight", torch.ones(40, 16)), r"it has 40 tokens; those of molecules have 31 or 32"),
        (other("gbf_proj.linear2.weight", torch.ones(5, 8)), r"width of 16 is no multiple of its 5 heads"),
        (lambda state: {n: x for n, x in state.items() if "global" not in n}, "has no global head .*`output: atoms`"),
        (lambda state: {"model": 3}, "its `model` is a int"),
        (lambda state: {"conv1.weight": torch.ones(2, 2)}, "has no global head"),
    ],
)
def test_a_file_of_another_layout_is_refused_in_one_line(change, words, published, train, test, tmp_path):
    file = saved(tmp_path, change(published[REED].state_dict()))
    with pytest.raises(ConfigError, match=rf"unimol\.pt: .*{words}.*; say `weights: unimol-all-h`") as error:
        UniMol(weights=file).pretrain(train, test, STREAM)
    assert "\n" not in str(error.value)


def test_a_missing_file_says_where_to_get_it(train, test, tmp_path):
    with pytest.raises(MissingArtefact, match=r"none\.pt: no such file; say `weights: unimol-all-h`, or get"):
        UniMol(weights=str(tmp_path / "none.pt"), output="atoms").pretrain(train, test, STREAM)


def test_stock_uni_mol_has_no_token_for_bismuth(published, test, tmp_path):
    encoder = UniMol(weights=saved(tmp_path, stock(published[STOCK])), output="atoms")
    rows = rows_of([Molecule.of(np.eye(3)[:2], [83, 1])])
    card = encoder.pretrain(Material(rows), test, STREAM).card
    assert card["elements_without_token"] == "Bi (1 atoms) of the training split, read as [UNK]"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_but_for_rounding(learnt, train):
    encoder, made = learnt
    found = encoder.prepared(made.weights, train, "cuda")(train)
    np.testing.assert_allclose(found, encoder.represent(made.weights, train), rtol=1e-3, atol=1e-3)
