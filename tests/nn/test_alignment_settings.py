"""Projector and norm of an alignment reach the learner of every domain, and where they cannot it is one line."""

import pytest
import torch
from pydantic import ValidationError

from reedbench.backbones.protein_mpnn import ProteinMPNNBackbone
from reedbench.backbones.sit import SiTBackbone
from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.alignment import ConvProjector, Projector, standardised
from reedbench.objectives.aligned import Aligned, Alignment
from reedbench.objectives.masked_diffusion import MaskedDiffusion, ResidueAlignment

SHAPES = {"patches": (16, 6), "text": (5,), "one": (-1, 6)}


def stream(name):
    return seeds.stream("init", name)


def learner(**settings):
    method = Aligned(label="-", alignments=(Alignment(**{"encoder": "patches", "depth": 1, **settings}),))
    backbone = SiTBackbone(width=8, depth=1, heads=2, patch=2).build((1, 8, 8), {"classes": 3})
    return method.build(backbone, SHAPES, stream)


def chains(**settings):
    method = MaskedDiffusion(label="-", alignments=(ResidueAlignment(encoder="one", **settings),))
    sizes = {"width": 8, "encoder_layers": 1, "decoder_layers": 1, "neighbours": 4}
    return method.build(ProteinMPNNBackbone(**sizes).build((-1,), {}), SHAPES, stream)


def test_a_projector_is_layers_or_a_convolution_with_published_names():
    layers, conv = learner(projector_width=7), learner(projector="conv")
    assert type(layers.network.projectors[0]) is Projector
    assert type(conv.network.projectors[0]) is ConvProjector
    published = conv.published({})
    assert tuple(published["projectors.0.0.weight"].shape) == (6, 8, 3, 3)
    bound = (8 * 9) ** -0.5
    assert 0.9 * bound < published["projectors.0.0.weight"].abs().max() <= bound


def test_a_convolution_sees_the_grid_row_by_row():
    projector = ConvProjector(1, 1)
    with torch.no_grad():
        projector[0].weight.zero_()[0, 0, 0, 1] = 1  # what lies above
        projector[0].bias.zero_()
    tokens = torch.arange(9.0).reshape(1, 9, 1)
    assert projector(tokens).flatten().tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_the_spatial_norm_is_of_each_datum_and_subtracts_a_share_of_the_mean(share):
    target = (
        3 + 2 * torch.randn(4, 16, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 5.0)[:, None, None]
    )
    batch = {"target/patches": target, "t": torch.rand(4)}
    one = learner(norm="spatial", norm_share=share)
    found = one.completed(batch, lambda own: own)["aligned/patches@1"]
    expected = (target - share * target.mean(1, keepdim=True)) / (target.std(1, keepdim=True) + 1e-6)
    torch.testing.assert_close(found, expected)
    assert "target/patches" not in one.completed(batch, lambda own: own)


@pytest.mark.parametrize("norm", ["batch", "reference"])
def test_the_norm_of_the_batch_is_that_of_all_tokens_of_all_ranks(norm):
    target = 3 + torch.randn(4, 16, 6, generator=torch.Generator().manual_seed(0))
    whole = learner(norm=norm).completed({"target/patches": target, "t": torch.rand(4)}, lambda own: own)
    flat = target.flatten(0, 1)
    expected = (target - flat.mean(0)) / (flat.std(0, correction=0) + 1e-6)
    torch.testing.assert_close(whole["aligned/patches@1"], expected)


def test_residues_that_do_not_count_have_no_part_in_the_spatial_norm():
    target, mask = torch.randn(2, 7, 3), torch.ones(2, 7)
    mask[1, 4:] = 0
    found = standardised(target, mask, "spatial", 1.0, lambda own: own)
    alone = standardised(target[1:, :4], mask[1:, :4], "spatial", 1.0, lambda own: own)
    torch.testing.assert_close(found[1:, :4], alone)
    assert chains(norm="spatial").alignments.taps[0].norm == "spatial"


def test_a_datum_with_one_entry_that_counts_has_a_finite_norm():
    mask = torch.zeros(1, 3)
    mask[0, 0] = 1
    assert standardised(torch.randn(1, 3, 2), mask, "spatial", 1.0, lambda own: own).isfinite().all()


@pytest.mark.parametrize("settings", [{"projector": "conv"}, {"norm": "spatial"}])
def test_one_vector_per_datum_has_neither_grid_nor_tokens(settings):
    with pytest.raises(ConfigError, match=r"^alignment text@1: .* is for several tokens, and 'text' gives one vector$"):
        learner(encoder="text", **settings)


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        (ResidueAlignment, {"site": "edge", "norm": "spatial"}, "norm: spatial is for residues"),
        (ResidueAlignment, {"projector": "conv"}, "projector"),
    ],
)
def test_settings_that_say_nothing_are_refused(model, settings, words):
    with pytest.raises(ValidationError, match=words):
        model(encoder="one", **settings)


def test_new_fields_are_no_part_of_the_identity_of_an_alignment_that_leaves_them():
    assert Alignment(encoder="patches", depth=1).identity() == {"encoder": "patches", "depth": 1}
    assert ResidueAlignment(encoder="one").identity() == {"encoder": "one"}
