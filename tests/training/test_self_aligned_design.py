"""Self-alignment of proteins: what the average sees, what counts, what it costs."""

import pytest
import tiny_proteins
import torch
from tiny_proteins import DISCRETE, LENGTHS, forward, training

from reedbench.nn.learner import PARTNERS
from reedbench.nn.residues import MASK
from reedbench.nn.self_aligned import TEACHER
from reedbench.nn.self_aligned_design import SHOWN
from reedbench.objectives import Schedule
from reedbench.objectives.protein_self_aligned import ProteinSelfAligned

SRA = ProteinSelfAligned(label="SRA", student_depth=1, teacher_depth=2)


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chains")
    tiny_proteins.write_data(folder)
    return lambda method, **settings: tiny_proteins.trainer(folder, method, **settings)


def everything(method: ProteinSelfAligned, make) -> dict[str, torch.Tensor]:
    """All chains, drawn as one batch."""
    return make(method, tokens=None, batch=len(LENGTHS))._share_of(0).batch


def test_the_teacher_sees_what_the_student_sees_and_more(make):
    batch = everything(SRA, make)
    seen, shown, resolved = batch["noisy"] != MASK, batch[SHOWN] != MASK, batch["mask"] > 0
    assert not (seen & ~shown).any()
    assert not (shown & ~resolved).any()
    assert torch.equal(batch[SHOWN][shown], batch["tokens"][shown])
    more = (shown & ~seen).sum() / resolved.sum()
    assert 0 < float(more) < 0.2  # on average half of the spread


def test_a_larger_spread_shows_more_and_a_time_beyond_the_data_shows_all(make):
    near, far = (everything(SRA.model_copy(update={"spread": spread}), make) for spread in (0.2, 1.0))
    assert torch.equal(near["noisy"], far["noisy"])
    assert not ((near[SHOWN] != MASK) & (far[SHOWN] == MASK)).any()
    whole = ((far[SHOWN] == MASK) & (far["mask"] > 0)).sum(1) == 0
    assert whole.any()
    assert not whole.all()


def test_the_average_has_the_same_structure_and_no_dropout(make):
    one, seen = make(SRA), []
    one.others.average = lambda *inputs, **named: seen.append((inputs, named)) or (None, [torch.zeros(1)])
    batch = one._share_of(0).batch
    one.learner.looked_up(batch, 0, one.others)
    (((coordinates, mask, index, chain, noisy), named),) = seen
    structure = {"coordinates": coordinates, "mask": mask, "residue_index": index, "chain": chain}
    assert all(batch[name] is found for name, found in structure.items())
    assert noisy is batch[SHOWN]
    assert named == {"neighbours": batch[PARTNERS], "dropout": None, "wanted": [1], "only_taps": True}
    assert "dropout" in batch  # of the student


def test_the_distance_is_that_of_resolved_residues_to_the_average(make):
    one = make(SRA.model_copy(update={"weight": 2.0}), tokens=None, batch=4)
    batch = one._share_of(0).batch
    with torch.no_grad():
        for tensor in one.average.values():
            tensor += 0.1
        batch = one.learner.looked_up(batch, 0, one.others)
        _, (student,) = one.learner.passed(batch, one.network, [0])
        term = one.learner.terms(batch, one.network)["self@1"]
    cosines = torch.nn.functional.cosine_similarity(student, batch[TEACHER], dim=-1)
    assert float(term.sum / term.weight) == pytest.approx(float((1 - cosines)[batch["mask"] > 0].mean()), rel=1e-5)
    assert term.weight == float(batch["mask"].sum())
    assert one.learner.coefficients(0)["self@1"] == 2.0


def test_smooth_l1_is_what_the_name_says(make):
    one = make(SRA.model_copy(update={"distance": "smooth-l1", "beta": 0.3}), tokens=None, batch=4)
    batch = one._share_of(0).batch
    with torch.no_grad():
        batch = one.learner.looked_up(batch, 0, one.others)
        _, (student,) = one.learner.passed(batch, one.network, [0])
        term = one.learner.terms(batch, one.network)["self@1"]
    found = torch.nn.functional.smooth_l1_loss(student, batch[TEACHER], beta=0.3, reduction="none").mean(-1)
    assert float(term.sum / term.weight) == pytest.approx(float(found[batch["mask"] > 0].mean()), rel=1e-5)


def test_the_backbone_does_not_feel_the_teacher(make):
    """With no head of its own the average gets no gradient: only the student's layers do."""
    one = make(SRA, tokens=None, batch=4)
    with torch.no_grad():
        batch = one.learner.looked_up(one._share_of(0).batch, 0, one.others)
    assert not batch[TEACHER].requires_grad
    term = one.learner.terms(batch, one.network)["self@1"]
    term.sum.backward()
    felt = {name for name, p in one.network.named_parameters() if p.grad is not None and p.grad.any()}
    assert any(name.startswith("projectors.") for name in felt)
    assert any(name.startswith("backbone.decoder_layers.0.") for name in felt)
    assert not any(name.startswith(("backbone.decoder_layers.1.", "backbone.W_out.")) for name in felt)


@pytest.mark.parametrize(("teacher", "edges"), [(1, 0), (2, 1)])
def test_it_costs_its_head_and_a_pass_of_the_average_up_to_the_layer_of_the_teacher(make, teacher, edges):
    one = make(SRA.model_copy(update={"teacher_depth": teacher}))
    rows, length = one._share_of(0).batch["mask"].shape
    width = tiny_proteins.BACKBONE["width"]
    plain = training(rows, length)
    assert make(DISCRETE).flops(0) == plain
    head = 3 * 2.0 * rows * length * 4 * width**2
    assert one.flops(0) == plain + head + forward(rows, length, decoder=teacher, edges=edges, out=False)


def test_a_term_that_has_stopped_looks_nothing_up(make):
    one = make(SRA.model_copy(update={"align": Schedule(shape="stop", start=2)}))
    assert one.flops(2) == training(*one._share_of(2).batch["mask"].shape)
    assert one.update(0).keys() == {"denoise", "self@1", "gradient_norm"}
    assert one.update(2).keys() == {"denoise", "gradient_norm"}


def test_what_is_published_has_a_head_beside_the_backbone_and_sampling_needs_none(make):
    one = make(SRA)
    own = {key for key in one.published() if not key.startswith("projectors.")}
    assert own == set(one.network.backbone.state_dict())
    assert one.learner.sampling_parameters() == make(DISCRETE).learner.sampling_parameters()
