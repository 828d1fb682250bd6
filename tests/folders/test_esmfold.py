"""ESMFold by transformers: the real class at a tiny size with random weights; real weights are not at hand here."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reedbench.folders import esmfold
from reedbench.folders.esmfold import EsmFold

transformers = pytest.importorskip("transformers")

STRUCTURE = {
    "sequence_dim": 8, "pairwise_dim": 8, "ipa_dim": 4, "resnet_dim": 8, "num_heads_ipa": 2, "num_qk_points": 1,
    "num_v_points": 1, "num_blocks": 1, "num_resnet_blocks": 1,
}  # fmt: skip
TRUNK = {
    "num_blocks": 1, "sequence_state_dim": 8, "pairwise_state_dim": 8, "sequence_head_width": 4,
    "pairwise_head_width": 4, "position_bins": 4, "max_recycles": 1, "structure_module": STRUCTURE,
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """17 thousand parameters in place of 3.5 billion, in half precision where the published ones are."""
    config = transformers.EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
        is_folding_model=True,
        esmfold_config={"fp16_esm": True, "lddt_head_hid_dim": 4, "trunk": TRUNK},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.EsmForProteinFolding(config)
        with torch.no_grad():  # a confidence that differs from residue to residue and from atom to atom
            model.lddt_head[-1].weight.normal_(std=3.0)
    folder = tmp_path_factory.mktemp("esmfold")
    model.save_pretrained(folder)
    return folder


def test_coordinates_and_confidence_are_those_of_the_file_that_the_model_itself_writes(weights):
    biotite_pdb = pytest.importorskip("biotite.structure.io.pdb")
    folder = EsmFold(weights=str(weights))
    assert folder.missing() is None
    folds = folder.fold_sequences(["MKVLAX", "ACD"], "cpu")
    assert folds.coordinates.lengths.tolist() == [6, 3]
    model = transformers.EsmForProteinFolding.from_pretrained(weights).float().eval()
    for row, plddt, sequence in zip(folds.coordinates, folds.plddt, ("MKVLAA", "ACD"), strict=True):
        output = model.infer([sequence])
        (weights.parent / "one.pdb").write_text(model.output_to_pdb(output)[0])
        atoms = biotite_pdb.PDBFile.read(weights.parent / "one.pdb").get_structure(model=1)
        for column, name in enumerate(("N", "CA", "C")):
            np.testing.assert_allclose(row[:, column], atoms.coord[atoms.atom_name == name], atol=1e-3)
        each = output["plddt"][0][output["atom37_atom_exists"][0] > 0]
        assert len(each) == len(atoms)
        assert plddt == pytest.approx(100 * each.double().mean().item(), rel=1e-5)
        assert plddt != pytest.approx(100 * output["plddt"].double().mean().item(), rel=1e-5)


def test_a_sequence_folds_the_same_whatever_is_folded_beside_it(weights):
    folder = EsmFold(weights=str(weights))
    alone, beside = folder.fold_sequences(["MKV"], "cpu"), folder.fold_sequences(["ACDEFGHIKL", "MKV"], "cpu")
    np.testing.assert_array_equal(alone.coordinates[0], beside.coordinates[1])
    assert alone.plddt[0] == beside.plddt[1]


def test_weights_that_are_not_there_are_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in (str(tmp_path / "none"), "nobody/no-such-esmfold"):
        reason = EsmFold(weights=name).missing()
        assert reason is not None
        assert reason.startswith(f"ESMFold weights not found: {name} is neither")


def test_a_config_without_weights_is_not_enough(tmp_path, weights):
    (tmp_path / "config.json").write_bytes((weights / "config.json").read_bytes())
    assert EsmFold(weights=str(tmp_path)).missing() is not None


def test_a_package_that_is_not_installed_is_a_reason(weights, monkeypatch):
    monkeypatch.setattr(esmfold, "find_spec", lambda name: None)
    reason = EsmFold(weights=str(weights)).missing()
    assert reason is not None
    assert "pip install transformers" in reason


def test_a_name_on_the_hub_is_looked_up_in_the_cache(weights, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: str(weights / file))
    assert EsmFold(weights="somebody/esmfold").missing() is None
