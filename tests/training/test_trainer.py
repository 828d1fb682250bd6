"""One optimizer step: what is drawn, what is summed, what moves, and what is published."""

import math

import pytest
import torch
from first_update import gradients
from tiny_runs import DEPTH, NO_CLIP, PATCHES, REED, REPA, SIT, TEXT
from torch import Tensor

from reedbench.core import seeds
from reedbench.nn.flow import FlowMatching
from reedbench.objectives.aligned import Aligned
from reedbench.schema.benchmark import Optimiser
from reedbench.training.ranks import Ranks
from reedbench.training.trainer import GRADIENT, Trainer


def seen(trainer: Trainer, step: int) -> dict[str, Tensor]:
    """The drawn batch that the network sees in an update."""
    caught: list[dict[str, Tensor]] = []
    terms = trainer.learner.terms
    trainer.learner.terms = lambda batch, network: caught.append(batch) or terms(batch, network)
    trainer.update(step)
    trainer.learner.terms = terms
    (batch,) = caught
    return batch


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("step", [0, 7])
@pytest.mark.parametrize("method", [REPA, REED], ids=["repa", "reed"])
def test_at_equal_seed_methods_see_the_same_rows_times_noise_and_dropped_labels(make, method, step):
    one, other = seen(make(SIT), step), seen(make(method), step)
    for name in ("x_1", "labels", "t", "x_0", "y"):
        assert torch.equal(one[name], other[name]), name


def test_another_seed_or_step_sees_other_rows_times_and_noise(make):
    one = seen(make(SIT), 0)
    for other in (seen(make(SIT, seed=1), 0), seen(make(SIT), 1)):
        for name in ("x_1", "t", "x_0"):
            assert not torch.equal(one[name], other[name]), name


def test_at_equal_seed_methods_start_from_the_same_backbone(make):
    initial = make(SIT).published()
    for method in (REPA, REED):
        others = make(method).published()
        assert same(initial, {name: others[name] for name in initial})
    assert not same(initial, make(SIT, seed=1).published())


def test_a_projector_starts_the_same_in_repa_and_in_reed_wherever_it_stands(make):
    turned = Aligned(label="", alignments=(TEXT, PATCHES))
    repa, reed, back = (make(method).published() for method in (REPA, REED, turned))
    projector = [name for name in repa if name.startswith("projectors.0.")]
    assert len(projector) == 6
    for name in projector:
        assert torch.equal(repa[name], reed[name])
        assert torch.equal(repa[name], back[name.replace("projectors.0", "projectors.1")])
    assert not torch.equal(reed["projectors.0.0.weight"], reed["projectors.1.0.weight"])


@pytest.mark.parametrize("weighting", ["per-sample", "reference"])
def test_accumulation_changes_the_gradient_by_rounding_only(make, weighting):
    tap = PATCHES.model_copy(update={"time_weight": "linear", "time_weighting": weighting})
    method = Aligned(label="", alignments=(tap, TEXT))
    whole, parts = (gradients(make(method, shaken=True, clip=NO_CLIP, accumulation=n)) for n in (1, 4))
    scale = max(float(gradient.abs().max()) for gradient in whole.values())
    for name, gradient in whole.items():
        assert float((gradient - parts[name]).abs().max()) <= 1e-6 * scale, name


@pytest.mark.parametrize("weighting", ["per-sample", "reference"])
def test_accumulation_changes_the_loss_terms_by_rounding_only(make, weighting):
    tap = PATCHES.model_copy(update={"time_weight": "linear", "time_weighting": weighting})
    whole, parts = (make(Aligned(label="", alignments=(tap,)), shaken=True, accumulation=n).update(0) for n in (1, 4))
    assert whole.keys() == {"denoise", "patches@1", GRADIENT}
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-5, atol=0)


def test_the_two_time_weightings_are_different_losses(make):
    linear = PATCHES.model_copy(update={"time_weight": "linear"})
    taps = (linear, linear.model_copy(update={"time_weighting": "reference"}))
    one, other = (make(Aligned(label="", alignments=(tap,)), shaken=True).update(0)["patches@1"] for tap in taps)
    assert abs(float(one - other)) > 1e-4


@pytest.mark.parametrize(("weight_decay", "eps"), [(0.0, 1e-8), (0.3, 1e-8), (0.0, 1e-2), (0.3, 1e-2)])
def test_the_first_update_is_that_of_adamw_with_its_settings(make, weight_decay, eps):
    """Bias correction makes the first moments the gradient g: w (1 - lr decay) - lr g / (|g| + eps)."""
    optimiser = Optimiser(lr=2e-3, betas=(0.8, 0.99), eps=eps, weight_decay=weight_decay, clip=NO_CLIP)
    trainer = make(REPA, shaken=True, optimiser=optimiser)
    before = copied(trainer.parameters)
    slopes = gradients(trainer)
    for name, parameter in trainer.parameters.items():
        g, w = slopes[name].double(), before[name].double()
        expected = w * (1 - 2e-3 * weight_decay) - 2e-3 * g / (g.abs() + eps)
        torch.testing.assert_close(parameter.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_average_moves_by_the_formula(make):
    trainer = make(REPA, shaken=True, ema_decay=0.9)
    average = copied(trainer.average)
    for step in range(3):
        trainer.update(step)
        for name, parameter in trainer.parameters.items():
            average[name] = 0.9 * average[name] + 0.1 * parameter.detach()
    for name in average:
        torch.testing.assert_close(trainer.average[name], average[name], rtol=1e-6, atol=1e-7)


def test_a_term_with_coefficient_zero_moves_nothing_while_others_do(make):
    """REED's ramp starts at 0: at step 0 nothing but the alignment moves weights."""
    trainer = make(REED, shaken=True)
    before = copied(trainer.parameters)
    trainer.update(0)
    moved = {name for name, parameter in trainer.parameters.items() if not torch.equal(parameter, before[name])}
    assert not any(name.startswith("backbone.final_layer.") for name in moved)
    assert all(name in moved for name in before if name.startswith("projectors."))
    assert "backbone.blocks.0.attn.qkv.weight" in moved
    trainer.update(1)
    assert not torch.equal(
        trainer.parameters["backbone.final_layer.linear.weight"], before["backbone.final_layer.linear.weight"]
    )


def test_bf16_trains_with_finite_losses_near_those_of_fp32_and_fp32_weights(make):
    half, full = make(REED, shaken=True, precision="bf16"), make(REED, shaken=True)
    for step in range(3):
        rough, exact = half.update(step), full.update(step)
        for name in exact:
            assert math.isfinite(float(rough[name]))
            torch.testing.assert_close(rough[name], exact[name], rtol=0.1, atol=0.02)
        assert float(rough["denoise"]) != float(exact["denoise"])
    assert {parameter.dtype for parameter in half.parameters.values()} == {torch.float32}
    assert {tensor.dtype for tensor in half.published().values()} == {torch.float32}


def test_the_gradient_norm_is_that_before_clipping_and_the_update_that_after(make):
    clip = 1e-3
    free, clipped = make(REPA, shaken=True, clip=NO_CLIP), make(REPA, shaken=True, clip=clip)
    whole = gradients(free)
    norm = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in whole.values()))
    reported = float(make(REPA, shaken=True, clip=clip).update(0)[GRADIENT])
    assert reported == pytest.approx(norm, rel=1e-5)
    assert reported > 100 * clip
    for name, gradient in gradients(clipped).items():
        torch.testing.assert_close(gradient, whole[name] * (clip / norm), rtol=1e-3, atol=1e-9)


def test_labels_are_dropped_at_the_rate_asked_for():
    n, rate = 100_000, 0.1
    batch = {"x_1": torch.zeros(n, 1), "labels": torch.zeros(n, dtype=torch.long)}
    flow = FlowMatching("linear", "uniform", rate, null_label=7)
    y = flow.draw(batch, lambda name: seeds.rows(range(n), name, "dropout"))["y"]
    assert set(y.tolist()) == {0, 7}
    assert float((y == 7).double().mean()) == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / n))


def test_a_probe_learns_and_the_backbone_does_not_feel_it(make):
    probe = Aligned(label="", alignments=(PATCHES.model_copy(update={"probe": True}),))
    alone, probed, pulled = (gradients(make(m, shaken=True, clip=NO_CLIP)) for m in (SIT, probe, REPA))
    for name, gradient in alone.items():
        assert torch.equal(probed[name], gradient), name
    assert float(probed["projectors.0.0.weight"].abs().max()) > 0
    assert not torch.equal(pulled["backbone.blocks.0.attn.qkv.weight"], alone["backbone.blocks.0.attn.qkv.weight"])


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
def test_a_restored_state_goes_on_with_the_same_bits(make, device):
    first = make(REED, ranks=Ranks.alone(device))
    for step in range(3):
        first.update(step)
    # As from disk: copies on the CPU.
    state = {name: tensor.detach().to("cpu", copy=True) for name, tensor in first.state().items()}
    second = make(REED, ranks=Ranks.alone(device))
    second.restore(state)
    for step in (3, 4):
        one, other = first.update(step), second.update(step)
        assert same(one, other)
    assert same(first.state(), second.state())
    assert same(first.published(), second.published())


def test_the_state_holds_weights_averages_and_moments_of_every_parameter(make):
    trainer = make(REPA)
    trainer.update(0)
    kinds = ("network", "average", "optimiser/exp_avg", "optimiser/exp_avg_sq", "optimiser/step")
    expected = {f"{kind}/{name}" for kind in kinds for name in trainer.parameters}
    assert trainer.state().keys() == expected | {"network/backbone.pos_embed"}


def _published_keys(projectors: int) -> set[str]:
    """Shared specification `image`, section 1.6."""
    linear = ["x_embedder.proj", "t_embedder.mlp.0", "t_embedder.mlp.2", "final_layer.linear"]
    linear += ["final_layer.adaLN_modulation.1"]
    parts = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "adaLN_modulation.1")
    linear += [f"blocks.{i}.{part}" for i in range(DEPTH) for part in parts]
    linear += [f"projectors.{j}.{layer}" for j in range(projectors) for layer in (0, 2, 4)]
    return {"pos_embed", "y_embedder.embedding_table.weight"} | {f"{n}.{p}" for n in linear for p in ("weight", "bias")}


@pytest.mark.parametrize(("method", "projectors"), [(SIT, 0), (REPA, 1), (REED, 2)], ids=["sit", "repa", "reed"])
def test_published_weights_have_the_published_names_and_hold_the_average(make, method, projectors):
    trainer = make(method, shaken=True, ema_decay=0.5)
    trainer.update(0)
    published = trainer.published()
    assert published.keys() == _published_keys(projectors)
    for name, parameter in trainer.parameters.items():
        tensor = published[name.removeprefix("backbone.")]
        assert torch.equal(tensor, trainer.average[name])
        if "final_layer" not in name or method is not REED:  # at step 0 of REED's ramp these do not move
            assert not torch.equal(tensor, parameter), name
    assert torch.equal(published["pos_embed"], trainer.network.backbone.pos_embed)


def test_an_alignment_costs_operations_and_accumulation_does_not(make):
    assert make(REPA).flops(0) > make(SIT).flops(0)
    assert make(SIT, accumulation=4).flops(0) == make(SIT).flops(0)


def test_counting_operations_changes_nothing(make):
    counted, left = make(REPA), make(REPA)
    counted.flops(0)
    for step in range(2):
        assert same(counted.update(step), left.update(step))
    assert same(counted.state(), left.state())
