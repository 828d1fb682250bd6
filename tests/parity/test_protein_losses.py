"""Losses, gradients and five optimiser steps of REED's protein training against the published code.

Source: REED protein/fmif/model_utils.py @0a4527e with deterministic weights, run once; numbers in the project's
specification of the protein track, section 9.4.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from named_weights import named_weight
from torch import Tensor

from reedbench.nn.alignment import AlignedNetwork, Projector
from reedbench.nn.backbones.mpnn import ProteinMPNN
from reedbench.nn.masked_diffusion import Denoising, DesignLearner, ResidueTap
from reedbench.nn.residues import MASK
from reedbench.nn.schedules import Factor

HERE = Path(__file__).parent
GOLDEN = dict(np.load(HERE / "protein_reference.npz"))
PUBLISHED = dict(np.load(HERE / "protein_v48_020.npz"))
SITES = {
    "single": ("node", 2, 128, 384, 0.5),
    "pair": ("edge", 2, 256, 128, 2.0),
    "structure": ("structure", 1, 128, 768, 1.0),
}
WEIGHT = 0.2
ADAM = [  # total before each step, then denoising, single, pair, structure
    (0.2055579, 0.2052920, -0.0009459, 0.0009587, -0.0001145),
    (0.1707152, 0.1747084, -0.0025467, -0.0056842, -0.0073241),
    (0.1805957, 0.1874476, -0.0036367, -0.0094170, -0.0136071),
    (0.1493344, 0.1607571, -0.0062520, -0.0140383, -0.0259110),
    (0.1352113, 0.1541712, -0.0102828, -0.0207775, -0.0481030),
]
TERMS = ("denoise", "single", "pair", "structure")


@torch.no_grad()
def learner(*, norm: str = "reference", masked_only: bool = False, padding: str = "masked") -> DesignLearner:
    backbone = ProteinMPNN(padding=padding)
    for name, parameter in backbone.named_parameters():
        parameter.copy_(named_weight(name, tuple(parameter.shape)))
    taps, projectors = [], []
    for term, (site, depth, width, dim, weight) in SITES.items():
        projectors.append(Projector(width, 2 * dim, dim, layers=2, law="torch"))
        for name, parameter in projectors[-1].named_parameters():
            parameter.copy_(named_weight(f"projectors_{term}.{name}", tuple(parameter.shape)))
        taps.append(ResidueTap(term, term, (site, depth), weight * WEIGHT, norm, masked_only=masked_only))
    backbone.tapped([tap.place for tap in taps])
    settings = Denoising(0.1, 0.01, 2000.0, "constant", masked_only=False, noise=0.0)
    return DesignLearner(AlignedNetwork(backbone, projectors, taps), settings, Factor(), Factor())


def targets(lengths: list[int]) -> list[dict[str, np.ndarray]]:
    """Per protein: single, pair and structure, one stream for all."""
    draw, proteins = np.random.RandomState(0), []
    for n in lengths:
        made = {"single": draw.standard_normal((n, 384)), "pair": draw.standard_normal((n, n, 128))}
        made["structure"] = (100 * draw.standard_normal((n, 768))).astype(np.float16).astype(np.float32) / 100
        proteins.append({name: array.astype(np.float16).astype(np.float32) if name != "structure" else array
                         for name, array in made.items()})  # fmt: skip
    return proteins


def batch(names: list[str], keep_rows: int, *, padded_takes_part: bool = False) -> dict[str, Tensor]:
    coordinates = {"5L33": GOLDEN["X"], "6MRR": PUBLISHED["X_6MRR"]}
    native = {"5L33": GOLDEN["S"], "6MRR": PUBLISHED["S_6MRR"]}
    lengths, b = [len(native[name]) for name in names], len(names)
    longest = max(lengths)
    keep = np.random.RandomState(1).rand(keep_rows, longest)[:b] < 0.5
    made = {
        "coordinates": torch.zeros(b, longest, 4, 3), "tokens": torch.zeros(b, longest, dtype=torch.int64),
        "mask": torch.zeros(b, longest), "chain": torch.zeros(b, longest, dtype=torch.int64),
        "residue_index": torch.full((b, longest), -100), "t": torch.full((b,), 0.5),
        "target/single": torch.zeros(b, longest, 384), "target/structure": torch.zeros(b, longest, 768),
        "target/pair": torch.zeros(b, longest, longest, 128),
    }  # fmt: skip
    for i, (name, n, target) in enumerate(zip(names, lengths, targets(lengths), strict=True)):
        made["coordinates"][i, :n] = torch.from_numpy(coordinates[name])
        made["tokens"][i, :n] = torch.from_numpy(native[name].astype(np.int64))
        made["mask"][i, :n], made["chain"][i, :n] = 1, 1
        made["residue_index"][i, :n] = torch.arange(n)
        for key in ("single", "structure"):
            made[f"target/{key}"][i, :n] = torch.from_numpy(np.float32(target[key]))
        made["target/pair"][i, :n, :n] = torch.from_numpy(target["pair"])
    hidden = ~torch.from_numpy(keep) | (made["mask"] == 0)
    made["noisy"] = torch.where(hidden, MASK, made["tokens"])
    there = torch.ones(b, longest) if padded_takes_part else made["mask"]
    near = made["neighbours"] = ProteinMPNN().graph(made["coordinates"], there)
    made["target/pair"] = made["target/pair"].gather(2, near[..., None].expand(*near.shape, 128))
    made["factor"] = torch.full((b,), float(made["mask"].sum()) / 2000)
    return made


def values(learner: DesignLearner, made: dict[str, Tensor]) -> dict[str, Tensor]:
    terms = learner.terms(learner.completed(made, lambda x: x), learner.network)
    return {name: term.sum / term.weight for name, term in terms.items()}


def total(learner: DesignLearner, made: dict[str, Tensor]) -> Tensor:
    found = values(learner, made)
    return torch.stack([learner.coefficients(0)[name] * value for name, value in found.items()]).sum()


@pytest.mark.parametrize("norm", ["batch", "reference"])  # the same where nothing is padded
def test_losses_and_gradients_of_one_protein(norm):
    one, made = learner(norm=norm), batch(["5L33"], 1)
    found = values(one, made)
    expected = dict(zip(TERMS, (0.20529196, -0.00094591, 0.00095871, -0.00011452), strict=True))
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, abs=1e-6), name
    loss = total(one, made)
    assert loss.item() == pytest.approx(0.20555794, abs=1e-6)
    loss.backward()
    gradients = {n: p.grad for n, p in one.network.named_parameters() if p.grad is not None}
    norm_of_all = torch.stack([g.norm() for g in gradients.values()]).norm().item()
    assert norm_of_all == pytest.approx(0.90875657, abs=2e-5)
    for name, value in {
        "backbone.node_embeds": 0.12275902, "backbone.features.edge_embedding.weight": 0.20775732,
        "backbone.W_s.weight": 0.00324158, "backbone.decoder_layers.1.W_edge.3.weight": 0.03545477,
        "projectors.1.2.weight": 0.00628863, "backbone.W_out.bias": 0.01623528,
    }.items():  # fmt: skip
        assert gradients[name].norm().item() == pytest.approx(value, abs=1e-5), name
    assert not any("decoder_layers.2.W_edge" in name or "decoder_layers.2.norm_edge" in name for name in gradients)


def test_losses_over_masked_residues_alone():
    found = values(learner(masked_only=True), batch(["5L33"], 1))
    for name, value in zip(TERMS[1:], (-0.008264, -0.00032008, 0.00136607), strict=True):
        assert found[name].item() == pytest.approx(value, abs=1e-6), name


def test_five_optimiser_steps():
    one, made = learner(), batch(["5L33"], 1)
    optimiser = torch.optim.Adam([p for p in one.network.parameters() if p.requires_grad], 1e-3)
    for expected in ADAM:
        found = values(one, made)
        loss = total(one, made)
        for value, number in zip((loss, *(found[name] for name in TERMS)), expected, strict=True):
            assert value.item() == pytest.approx(number, abs=1e-4)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("none", (0.3389900, 0.0054006, 0.0005047, -0.0014794)),
        ("reference", (0.3389900, -0.000436, 0.0009571, 0.0006349)),
    ],
)
def test_the_padded_batch_of_the_reference(norm, expected):
    found = values(learner(norm=norm, padding="reference"), batch(["5L33", "6MRR"], 2, padded_takes_part=True))
    for name, value in zip(TERMS, expected, strict=True):
        assert found[name].item() == pytest.approx(value, abs=1e-6), name
