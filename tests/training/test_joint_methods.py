"""HASTE, REG and SADM in training and sampling: costs by closed formulas, ranks, rates, and what is refused."""

from typing import Any

import pytest
import torch
from forked import on_ranks
from pydantic import ValidationError
from test_phases import closed_form, targets_read
from tiny_runs import BATCH, DEPTH, NO_CLIP, PATCHES, REPA, SIDE, SIT, WIDTH
from torch import Tensor

from reedbench.core import plugins, seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.backbones.joint_sit import FeatureSiT, JointSiT
from reedbench.nn.backbones.sit import SiT
from reedbench.nn.joint_features import as_map
from reedbench.objectives import Schedule
from reedbench.objectives.entangled import Entangled
from reedbench.objectives.haste import AttentionOf, Haste
from reedbench.objectives.joint_features import JointFeatures
from reedbench.objectives.structural import Structural

STOP, TOKENS, DIM = 3, (SIDE // 2) ** 2, 6
PAIRS = (AttentionOf(encoder="attention", depth=1, layer=2), AttentionOf(encoder="attention", depth=2, layer=1))
HASTE = Haste(label="HASTE", alignments=(PATCHES,), attention=PAIRS, align=Schedule(shape="stop", start=STOP))
REG = Entangled(label="REG", token="token", dim=DIM, alignments=(PATCHES,))
REDI = JointFeatures(label="ReDi", features="patches", components=DIM)
SADM = Structural(label="SADM", group=4, weight=0.5, after=0.0)
BARE = SiT(size=SIDE, channels=1, patch=2, width=WIDTH, depth=DEPTH, heads=2, classes=3)


def gradients(trainer) -> dict[str, Tensor]:
    trainer.update(0)
    start = "optimiser/exp_avg/"
    return {n.removeprefix(start): m.clone() for n, m in trainer.state().items() if n.startswith(start)}


@pytest.mark.parametrize("method", [HASTE, REG, SADM, REDI], ids=["haste", "reg", "sadm", "redi"])
@pytest.mark.parametrize(("world", "accumulation"), [(1, 2), (2, 1), (4, 1), (2, 2)])
def test_the_gradient_is_the_same_however_the_batch_is_cut(make, method, world, accumulation):
    settings = {"batch": 16, "clip": NO_CLIP, "shaken": True, "double": True}
    whole = torch.cat([g.flatten() for g in gradients(make(method, **settings)).values()])
    for found in on_ranks(
        world, lambda ranks: gradients(make(method, ranks=ranks, accumulation=accumulation, **settings))
    ):
        cut = torch.cat([g.flatten() for g in found.values()])
        assert float((cut - whole).norm() / whole.norm()) < 1e-10


# HASTE


def test_haste_costs_its_logits_until_the_stop_and_nothing_after_it(make):
    trainer = make(HASTE)
    read = targets_read(trainer)
    logits = 2.0 * BATCH * 3 * len(PAIRS) * TOKENS**2 * WIDTH
    assert trainer.flops(0) == closed_form((16, 6)) + logits
    assert trainer.flops(STOP) == closed_form()
    read.clear()
    values = [trainer.update(step).keys() for step in range(STOP + 1)]
    assert values[STOP - 1] == {"denoise", "patches@1", "attention", "gradient_norm"}
    assert values[STOP] == {"denoise", "gradient_norm"}
    assert read == [["target/attention", "target/patches"]] * STOP + [[]]


def test_attention_compares_the_heads_that_are_named(make):
    """The head that is not named gets no gradient from the attention."""
    pair = AttentionOf(encoder="attention", depth=1, layer=1, heads=((2, 1),))
    trainer = make(Haste(label="-", attention=(pair,), denoise=Schedule(shape="stop", start=0)), shaken=True)
    gradient = gradients(trainer)["backbone.blocks.0.attn.qkv.weight"].unflatten(0, (3, 2, -1))
    assert not gradient[:2, 0].any()
    assert gradient[:2, 1].any()
    assert not gradient[2].any()  # values come behind the logits


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ({"layer": 3}, "layer 3 is beyond the 2 that the encoder gives"),
        ({"layer": 1, "heads": ((3, 1),)}, r"heads go up to \[2, 2\], and 3, 1 are named"),
    ],
)
def test_attention_that_does_not_fit_is_one_line(make, pair, words):
    with pytest.raises(ConfigError, match=words) as error:
        make(Haste(label="-", attention=(AttentionOf(encoder="attention", depth=1, **pair),)))
    assert "\n" not in str(error.value)


def test_other_head_counts_need_a_map(folder):
    build = HASTE.build
    with pytest.raises(ConfigError, match="the block has 2 heads and the layer 3: name the pairs in `heads`"):
        build(BARE, {"patches": (TOKENS, 6), "attention": (2, 3, TOKENS, TOKENS)}, generator)
    with pytest.raises(ConfigError, match="it is between 4 tokens, and the backbone has 16"):
        build(BARE, {"patches": (TOKENS, 6), "attention": (2, 2, 4, 4)}, generator)
    with pytest.raises(ValidationError, match="heads must name each head once"):
        AttentionOf(encoder="attention", depth=1, layer=1, heads=((1, 1), (1, 2)))


def generator(name: str) -> Any:
    return seeds.stream("init", name)


def test_attention_is_tapped_like_a_hidden_state_also_where_only_taps_are_wanted():
    inputs = torch.randn(3, 1, SIDE, SIDE), torch.rand(3), torch.zeros(3, dtype=torch.long)
    network = TappedNetwork(BARE, [("attention", 1), 2, 1])
    _, (logits, second, first) = network(*inputs)
    assert logits.shape == (3, 2, TOKENS, TOKENS)
    nothing, (again, before) = network(*inputs, wanted=[0, 2], only_taps=True)
    assert nothing.numel() == 0
    torch.testing.assert_close((again, before), (logits, first))
    assert not torch.equal(first, second)


def test_haste_says_where_its_encoders_and_blocks_are_named():
    assert HASTE.encoders() == ("patches", "attention")
    assert list(HASTE.reads())[1:] == [(("attention", i, "encoder"), "attention", ("attention",)) for i in (0, 1)]
    assert list(HASTE.taps())[1:] == [(("attention", i, "depth"), ("attention", i + 1)) for i in (0, 1)]
    assert HASTE.depths() == (1, 1, 2)


# REG


def with_one_more_token() -> float:
    """Of a step of REG: products over tokens have N + 1, attention (N + 1)^2; the token's own embedding and head."""
    n, values = TOKENS + 1, 4
    products = DEPTH * (n * 12 * WIDTH**2 + 6 * WIDTH**2) + n * (WIDTH * 16 + 16**2 + 16 * DIM)
    products += TOKENS * values * WIDTH + WIDTH * DIM + 2 * WIDTH**2 + WIDTH**2
    first = TOKENS * values * WIDTH + DIM * WIDTH + 256 * WIDTH
    return 2.0 * BATCH * (3 * products + 2 * first + 3.5 * DEPTH * 2 * n**2 * WIDTH)


def test_reg_costs_one_more_token(make):
    assert make(REG).flops(0) == with_one_more_token()
    assert make(REPA).flops(0) < make(REG).flops(0) < (1 + 2 / TOKENS) * make(REPA).flops(0)


def test_reg_starts_from_the_backbone_of_others(make):
    own, other = make(REG).network.backbone.sit.state_dict(), make(SIT).network.backbone.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in other.items())


def test_the_alignment_reads_the_token_before_the_patches(make):
    trainer = make(REG)
    batch = trainer._share_of(0).batch
    assert batch["aligned/patches@1"].shape == (BATCH, TOKENS + 1, DIM)
    assert torch.equal(batch["aligned/patches@1"][:, 0], batch["clean/token"])
    velocity, (projection,) = trainer.network(*trainer.learner.flow.inputs(batch))
    assert velocity.shape == (BATCH, SIDE**2 + DIM)
    assert projection.shape == (BATCH, TOKENS + 1, DIM)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (REG.model_copy(update={"dim": 5}), "encoder 'token' has 6 dimensions, and the method says dim: 5"),
        (REG.model_copy(update={"token": "text", "dim": 5}), "encoder 'patches' has 6 dimensions.*both need the same"),
    ],
)
def test_a_token_of_other_dimensions_is_one_line(make, method, words):
    with pytest.raises(ConfigError, match=words):
        make(method)


def test_a_convolution_over_token_and_patches_is_refused():
    with pytest.raises(ValidationError, match="projector: conv is for the patches of a grid"):
        Entangled(label="-", token="t", dim=6, alignments=({"encoder": "p", "depth": 1, "projector": "conv"},))


def shaken(network: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    return network.eval()


def streams_of(rows: range) -> Any:
    return lambda name: seeds.rows(rows, name, "samples")


def drawn(sampler: str, method: Any, network: Any, rows: range, **settings: Any) -> Tensor:
    made = plugins.discover("samplers")[sampler](**settings)
    x_0 = torch.from_numpy(seeds.rows(rows, "noise").normal(1, SIDE, SIDE))
    condition = {"x_0": x_0, "labels": torch.tensor(rows) % 3}
    with torch.no_grad():
        return made.draw(network, condition, streams_of(rows), method)["x_1"]


SAMPLERS = {"euler": {"steps": 4}, "heun": {"steps": 3}, "euler-maruyama": {"steps": 4}, "dopri5": {}}


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_from_reg_and_throws_the_token_away(name, guidance):
    network = shaken(JointSiT(BARE, DIM))
    found = drawn(name, REG, network, range(6), guidance=guidance, **SAMPLERS[name])
    assert found.shape == (6, 1, SIDE, SIDE)
    assert found.isfinite().all()
    part = drawn(name, REG, network, range(2, 5), guidance=guidance, **SAMPLERS[name])
    torch.testing.assert_close(part, found[2:5], rtol=1e-2, atol=5e-3)  # each sample has its own streams


class Streaming:
    """A field in which the image and the token do not see each other, so that the image is that of a plain sampler."""

    null_label = 3

    def __init__(self, split: Any) -> None:
        self.split = split

    def __call__(self, x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor]:
        image, *others = self.split(x)
        parts = [torch.tanh(image + y[:, None, None, None]).flatten(1), *(torch.cos(o) for o in others)]
        return (torch.cat(parts, 1).unflatten(1, x.shape[1:]) if others else parts[0].unflatten(1, x.shape[1:]),)


@pytest.mark.parametrize("name", ["euler", "heun", "euler-maruyama"])
def test_the_image_has_the_noise_that_it_would_have_alone(name):
    joint = drawn(name, REG, Streaming(JointSiT(BARE, DIM).layout.split), range(4), guidance=1.5, **SAMPLERS[name])
    alone = drawn(name, SIT, Streaming(lambda x: [x]), range(4), guidance=1.5, **SAMPLERS[name])
    assert torch.equal(joint, alone)


def test_a_reg_network_without_its_token_is_one_line():
    network = shaken(JointSiT(BARE, DIM))
    with pytest.raises(ValueError, match=r"in rows of 70 numbers, and was given \(1, 8, 8\): draw from it") as error:
        drawn("euler", SIT, network, range(2), steps=2)
    assert "\n" not in str(error.value)


def test_channels_of_a_flat_state_are_not_guided():
    sampler = plugins.discover("samplers")["euler"](steps=2, guidance=2.0, channels="first-three")
    assert "take out channels" in sampler.unfit(REG)
    assert plugins.discover("samplers")["euler"](steps=2, guidance=2.0).unfit(REG) is None


def test_only_taps_leave_out_what_is_behind_them():
    network = shaken(JointSiT(BARE, DIM))
    inputs = torch.randn(2, SIDE**2 + DIM), torch.rand(2), torch.zeros(2, dtype=torch.long)
    nothing, (only,) = network(*inputs, taps=[1], only_taps=True)
    _, (found,) = network(*inputs, taps=[1])
    assert nothing.numel() == 0
    assert torch.equal(only, found)


# ReDi


def test_redi_costs_its_channels(make):
    """Patches of the map in, to which no gradient goes back, and out."""
    channels = 2.0 * BATCH * TOKENS * 4 * DIM * WIDTH
    assert make(REDI).flops(0) == closed_form() + (2 + 3) * channels


def test_the_map_is_dropped_for_all_rows_of_a_step_or_for_none_on_any_number_of_ranks(make):
    def kept(ranks: Any = None) -> list[float]:
        trainer, found = make(REDI.model_copy(update={"drop": 0.5}), ranks=ranks), []
        for step in range(12):
            batch = trainer._share_of(step).batch
            (one,) = set(batch["features-kept"].tolist())
            assert bool(batch["clean/features"].any()) == bool(one)
            found.append(one)
            terms = trainer.learner.terms(batch, trainer.network)
            assert (float(terms["features"].sum.detach()) > 0) == bool(one)
            assert terms["features"].weight == len(batch["t"])
        return found

    alone = kept()
    assert 2 < sum(alone) < 10
    assert on_ranks(4, kept) == [alone] * 4


def test_a_map_lies_on_the_grid_of_the_latents():
    tokens = torch.arange(2 * 9 * 5.0).view(2, 9, 5)
    assert torch.equal(as_map(tokens, 3)[1, 4], tokens[1, :, 4].view(3, 3))
    assert as_map(tokens, 6).shape == (2, 5, 6, 6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_from_redi_and_throws_the_map_away(name):
    network = shaken(FeatureSiT(BARE, DIM))
    assert drawn(name, REDI, network, range(4), guidance=2.0, **SAMPLERS[name]).shape == (4, 1, SIDE, SIDE)


def test_guidance_leaves_the_map_alone():
    """Under a field whose map moves by the label alone, the guided map is that of the label."""
    ends = []

    def network(x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor]:
        ends.append(x)
        return (torch.ones_like(x) * y[:, None],)

    network.null_label = 3
    drawn("euler", REDI, network, range(3), guidance=2.0, steps=2)
    (first, second), labels = ends, torch.arange(3.0)
    moved = ((second - first)[:3] / 0.5).unflatten(1, (1 + DIM, SIDE**2)).mean(2)
    torch.testing.assert_close(moved[:, 0], 3 + 2 * (labels - 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[:, 1:], labels[:, None].expand(3, DIM), atol=1e-4, rtol=0)


def test_a_map_of_other_channels_is_one_line(make):
    with pytest.raises(ConfigError, match="encoder 'patches' has 6 dimensions, and the method says components: 8"):
        make(JointFeatures(label="-", features="patches"))


# SADM


def test_psi_has_its_own_rate_and_its_own_clip(make):
    """The first update of Adam is as long as the learning rate, but for rounding; weight decay is 0 here."""
    slow = make(SADM.model_copy(update={"psi_rate": 0.25, "weight": 1e4}), shaken=True)
    before = {name: p.detach().clone() for name, p in slow.parameters.items()}
    slow.update(0)
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in slow.parameters.items()}
    of_psi = {n: x for n, x in moved.items() if n.startswith("projectors.")}
    assert max(of_psi.values()) == pytest.approx(0.25e-3, rel=1e-2)
    assert max(x for n, x in moved.items() if n not in of_psi) == pytest.approx(1e-3, rel=1e-2)


def test_each_group_is_clipped_by_itself(make):
    loud = SADM.model_copy(update={"weight": 1e4})
    whole, cut = (make(loud, shaken=True, clip=clip) for clip in (NO_CLIP, 1e-3))
    free, clipped = gradients(whole), gradients(cut)
    for psi in (True, False):
        names = [name for name in free if name.startswith("projectors.") == psi]
        norm, small = (torch.cat([g[n].flatten() for n in names]).norm() / 0.1 for g in (free, clipped))
        assert norm > 1e-3
        assert float(small) == pytest.approx(1e-3, rel=1e-3)


def test_others_have_one_group_and_no_other_rate(make):
    trainer = make(REPA)
    assert list(trainer.groups) == [""]
    assert trainer.optimiser.factors == {}


def test_psi_is_not_published_for_sampling_and_not_counted(make):
    trainer = make(SADM)
    psi = [name for name in trainer.published() if "projectors." in name]
    assert psi
    assert all(name.startswith("projectors.structure.") for name in psi)
    assert trainer.learner.sampling_parameters() == make(SIT).learner.sampling_parameters()


def test_a_frozen_psi_stays_and_still_bends_the_denoiser(make):
    frozen, plain = make(SADM.model_copy(update={"psi": "frozen"}), shaken=True), make(SIT, shaken=True)
    before = {name: p.clone() for name, p in frozen.network.projectors.named_parameters()}
    own, other = gradients(frozen), gradients(plain)
    assert all(torch.equal(p, before[name]) for name, p in frozen.network.projectors.named_parameters())
    assert not any(name.startswith("projectors.") for name in own)
    assert any(not torch.equal(own[name], other[name]) for name in other)


def test_rows_near_the_noise_do_not_count(make):
    late = make(SADM.model_copy(update={"after": 0.999}), shaken=True)
    assert float(late.update(0)["structure"]) == 0.0


def test_psi_is_computed_while_the_ramp_counts_alone(make):
    ramped = make(SADM.model_copy(update={"ramp": Schedule(shape="linear-ramp", start=2, length=2)}))
    assert ramped.flops(0) == make(SIT).flops(0)
    sides = [SIDE // 2, SIDE // 4, SIDE // 8]
    inside = [1, 64, 64]
    psi = sum(2.0 * s * s * 64 * 9 * i for s, i in zip(sides, inside, strict=True))
    cosines = 2.0 * 64 * SADM.group  # of a row with its group
    assert ramped.flops(2) - ramped.flops(0) == 3 * 2 * BATCH * (psi + cosines)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weight": 0.0}, "weight: 0 leaves the plain velocity loss: say uses: aligned"),
        ({"psi": "frozen", "psi_rate": 0.5}, "psi_rate has no effect on psi: frozen"),
    ],
)
def test_sadm_without_a_second_player_is_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        Structural(label="-", **settings)


def test_a_batch_that_would_cut_a_group_of_sadm_is_one_line(make):
    with pytest.raises(ConfigError, match="multiple of 4"):
        make(SADM, batch=6)
