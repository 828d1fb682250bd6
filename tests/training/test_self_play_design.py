"""Self-play of proteins: which design stands against which chain, what counts, where it starts, what it costs."""

import math

import numpy as np
import pytest
import tiny_proteins
import torch
from first_update import gradient
from forked import on_ranks
from pydantic import ValidationError
from tiny_proteins import DISCRETE, LENGTHS, forward, training
from torch import Tensor

from reedbench.codecs.residues import Residues
from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.learner import POOL
from reedbench.nn.residues import MASK, UNKNOWN
from reedbench.nn.self_play import GAP
from reedbench.objectives.masked_diffusion import MaskedDiffusion
from reedbench.objectives.protein_grouped import ProteinGrouped
from reedbench.objectives.protein_self_aligned import ProteinSelfAligned
from reedbench.objectives.protein_self_play import ProteinSelfPlay
from reedbench.samplers.ancestral import Ancestral
from reedbench.training.pool import PairedPool

NAMED = {"teacher": {"method": "discrete", "step": 5}, "pool": {"sampler": "ancestral"}}
SPIN = ProteinSelfPlay(label="SPIN", **NAMED)
STRUCTURE = ("coordinates", "mask", "residue_index", "chain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("chains")
    tiny_proteins.write_data(made)
    return made


@pytest.fixture
def make(folder):
    return lambda method=SPIN, **settings: tiny_proteins.trainer(folder, method, **settings)


def everything(one) -> dict[str, Tensor]:
    return one.learner.looked_up(one._share_of(0).batch, 0, one.others)


def log_likelihoods(network, batch: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Of each chain the mean of log p over residues that are masked, resolved and known, one chain at a time."""
    found = []
    for i, length in enumerate((batch["chain"] > 0).sum(1).tolist()):
        one = slice(i, i + 1), slice(0, length)
        noisy = torch.where(batch["noisy"][one] == MASK, MASK, tokens[one])
        log_p = network(*(batch[name][one] for name in STRUCTURE), noisy)[0].log_softmax(-1)
        log_p = log_p.gather(-1, tokens[one][..., None])[..., 0]
        scored = (noisy == MASK) & (batch["mask"][one] > 0) & (batch["tokens"][one] != UNKNOWN)
        found.append(log_p[scored].mean() if scored.any() else log_p.new_zeros(()))
    return torch.stack(found)


def test_the_loss_is_the_difference_of_the_bounds_of_natives_and_of_designs_of_the_same_backbone(make):
    one = make(tokens=None, batch=len(LENGTHS), double=True)
    with torch.no_grad():
        for parameter in one.network.parameters():
            parameter += 0.05 * torch.sin(torch.arange(parameter.numel()).double()).view_as(parameter)
        batch = everything(one)
        term = one.learner.terms(batch, one.network)["self-play"]
        own, reference = one.network.backbone.eval(), one.others._frozen
        gap = 0
        for network, sign in ((own, 1), (reference, -1)):
            natives, designs = (log_likelihoods(network, batch, batch[name]) for name in ("tokens", POOL))
            gap = gap + sign * (designs - natives)
    counted = (batch["noisy"] == MASK) & (batch["mask"] > 0)
    expected = torch.nn.functional.softplus(SPIN.beta / 2 * gap)[counted.any(1)]
    assert float(term.sum / term.weight) == pytest.approx(float(expected.mean()), rel=1e-9)
    assert term.weight == counted.any(1).sum()
    assert float(gap.abs().max()) > 0.01


def test_every_chain_stands_against_the_design_of_its_own_backbone_masked_alike(make, folder):
    one = make(tokens=None, batch=len(LENGTHS))
    batch, designs = one._share_of(0).batch, tiny_proteins.designs(folder).arrays["tokens"]
    lengths = (batch["chain"] > 0).sum(1).tolist()
    for native, design, length in zip(batch["tokens"], batch[POOL], lengths, strict=True):
        row = LENGTHS.index(length)
        assert design[:length].tolist() == designs[row].tolist()
        assert not design[length:].any()
        assert not native[length:].any()
    plain = make(DISCRETE, tokens=None, batch=len(LENGTHS))._share_of(0).batch
    for name in ("t", "noisy", "coordinates"):  # shared with all methods
        assert torch.equal(batch[name], plain[name])


def test_both_are_in_one_pass_of_each_network_with_one_mask_one_structure_and_no_dropout(make):
    one, calls = make(), {"own": [], "reference": []}
    for name, network in (("own", one.network.backbone), ("reference", one.others._frozen)):
        network.register_forward_hook(
            lambda _, given, named, __, name=name: calls[name].append((given, named)), with_kwargs=True
        )
    batch = everything(one)
    one.learner.terms(batch, one.network)
    ((own, named),), ((reference, asked),) = calls["own"], calls["reference"]
    for mine, other in zip(own, reference, strict=True):
        assert torch.equal(mine, other)
    for tensor in own[:-1]:
        assert torch.equal(*tensor.chunk(2))
    native, design = own[-1].chunk(2)
    assert torch.equal(native, batch["noisy"])
    assert torch.equal(design == MASK, native == MASK)
    assert torch.equal(design[native != MASK], batch[POOL][native != MASK])
    assert named.get("dropout") is asked.get("dropout") is None


@pytest.mark.parametrize("beta", [1.0, 1e4])
def test_it_starts_at_log_2_whatever_beta_and_the_dropout_of_the_backbone(make, beta):
    assert tiny_proteins.BACKBONE["dropout"] > 0
    one = make(SPIN.model_copy(update={"beta": beta}))
    losses = [float(one.update(step)["self-play"]) for step in range(3)]
    assert losses[0] == pytest.approx(math.log(2), rel=1e-6)
    assert losses[1] != losses[0]


def test_a_step_makes_natives_likelier_than_designs(make):
    one = make(tokens=None, batch=len(LENGTHS))
    batch = everything(one)
    one.learner.terms(batch, one.network)["self-play"].sum.backward()
    with torch.no_grad():
        for parameter in one.parameters.values():
            parameter -= 1e-3 * parameter.grad
        term = one.learner.terms(batch, one.network)["self-play"]
        assert float(term.sum / term.weight) < math.log(2)
        gap = one.learner._gap(batch, one.network, wanted=[])
    assert float(gap.mean()) < float(batch[GAP].mean())


def test_unknown_residues_do_not_count_and_do_not_tell_a_native_from_a_design(make):
    one = make(tokens=None, batch=4)
    batch = one._share_of(0).batch
    given = {name: batch[name].clone() for name in (*STRUCTURE, "tokens", POOL)}
    given["tokens"][:, 2] = UNKNOWN
    drawn = one.learner.draw(given, lambda name: seeds.rows(range(4), name))
    assert (drawn[POOL][:, 2] == UNKNOWN).all()
    hidden = one.learner._scored({**drawn, "noisy": torch.full_like(drawn["noisy"], MASK)})
    assert torch.equal(hidden, (drawn["mask"] > 0) & (drawn["tokens"] != UNKNOWN))


def test_a_chain_of_which_nothing_is_masked_does_not_count(make):
    one = make(tokens=None, batch=4)
    batch = everything(one)
    batch["noisy"][1] = torch.where(batch["mask"][1] > 0, batch["tokens"][1], MASK)
    counted = int(((batch["noisy"] == MASK) & (batch["mask"] > 0)).any(1).sum())
    term = one.learner.terms(batch, one.network)["self-play"]
    assert term.weight == counted == one.learner.weights(batch)["self-play"]
    assert counted < 4
    assert term.sum.isfinite()


@pytest.mark.parametrize(("world", "accumulation"), [(1, 2), (2, 1), (2, 2)])
def test_the_gradient_is_that_of_one_process(make, world, accumulation):
    whole = gradient(make(double=True))

    def work(ranks):
        return gradient(make(double=True, ranks=ranks, accumulation=accumulation))

    for found in [work(None)] if world == 1 else on_ranks(world, work):
        assert float((found - whole).norm() / whole.norm()) < 1e-10


def test_it_costs_eight_forward_passes_where_plain_training_costs_three(make):
    one = make()
    rows, length = one._share_of(0).batch["mask"].shape
    assert one.flops(0) == 2 * training(rows, length) + 2 * forward(rows, length)


def test_a_saturated_sigmoid_is_remarked_upon(make):
    learner = make().learner
    assert learner.remark({"self-play": 0.5}) is None
    assert "saturated; lower beta" in learner.remark({"self-play": 1e-4})


def test_a_pool_of_other_rows_is_refused(folder):
    designs = tiny_proteins.designs(folder)
    with pytest.raises(ConfigError, match="designs hold no sample for each training row: sample again"):
        PairedPool(designs.take(np.arange(3)), Residues(), tiny_proteins.names(), "designs")
    with pytest.raises(ConfigError, match="no sample for each training row"):
        PairedPool(designs, Residues(), tiny_proteins.names()[::-1], "designs")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool": {"sampler": "ancestral"}}, "needs a teacher: {method: <name>, step: <saved step>}"),
        ({"teacher": NAMED["teacher"]}, "pool\n  Field required"),
        ({**NAMED, "init": "scratch"}, "Input should be 'teacher'"),
        ({**NAMED, "smoothing": 0.0}, "smoothing has no effect on uses: protein-self-play"),
        ({**NAMED, "divisor": None}, "divisor has no effect"),
        ({**NAMED, "time_weight": "schedule"}, "time_weight has no effect"),
        ({**NAMED, "masked_only": True}, "masked_only has no effect"),
    ],
)
def test_settings_without_effect_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ProteinSelfPlay(label="-", **settings)


def test_a_pool_is_of_the_teachers_own_law():
    assert SPIN.unpooled(Ancestral(steps=5, temperature=1.0)) is None
    assert "draws at temperature 0.1, and a pool is of the teacher's own law" in SPIN.unpooled(Ancestral(steps=5))


def test_teachers_that_fit_and_one_that_does_not():
    fit = [MaskedDiffusion(label="-"), SPIN, ProteinSelfAligned(label="-", student_depth=1, teacher_depth=2)]
    assert [SPIN.untaught(teacher) for teacher in fit] == [None] * 3
    assert "has several networks: take a teacher with one" in SPIN.untaught(ProteinGrouped(label="-"))
