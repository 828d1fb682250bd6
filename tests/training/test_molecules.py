"""Molecules in the training loop that images and proteins use: any number of ranks, the same bytes again."""

import pytest
import torch
from first_update import gradient
from forked import on_ranks
from tiny_molecules import EDM, FLOW, REED, SIZES, VECTOR, trainer, write_data
from torch import Tensor

from reedbench.objectives.molecule_flow import MoleculeFlow
from reedbench.training.ranks import Ranks

QUIRKS = MoleculeFlow(
    label="quirks",
    alignments=(VECTOR.model_copy(update={"pooling": "reference", "norm": "batch"}),),
    coordinate_mean="reference",
    prior="reference",
    no_bond="reference",
)
MASKED = MoleculeFlow(label="masked", classes="mask", bonds="symmetric")
DIRICHLET = MoleculeFlow(label="dirichlet", classes="dirichlet")
METHODS = {"reed": REED, "edm": EDM, "quirks": QUIRKS, "masked": MASKED, "dirichlet": DIRICHLET}
STEP = 2  # whose gradient is taken
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("molecules")
    write_data(made)
    return made


@pytest.mark.parametrize("method", [REED, EDM, QUIRKS], ids=["reed", "edm", "quirks"])
def test_the_gradient_is_that_of_one_process_but_for_rounding(folder, method):
    settings = {"batch": 7, "tokens": None, "double": True}

    def of(ranks: Ranks | None) -> Tensor:
        return gradient(trainer(folder, method, accumulation=2, ranks=ranks, **settings), STEP)

    whole = gradient(trainer(folder, method, **settings), STEP)
    assert whole.norm() > 0
    for found in on_ranks(3, of):
        assert float((found - whole).norm() / whole.norm()) < 1e-10


@pytest.mark.parametrize("method", [REED, EDM], ids=["flow", "diffusion"])
def test_packed_batches_give_the_gradient_of_one_process_in_single_precision_too(folder, method):
    whole = gradient(trainer(folder, method), STEP)
    for found in on_ranks(2, lambda ranks: gradient(trainer(folder, method, ranks=ranks), STEP)):
        assert float((found - whole).norm() / whole.norm()) < 1e-4


@every_method
def test_a_resumed_run_ends_in_the_same_bytes(folder, method):
    straight, first, again = (trainer(folder, method) for _ in range(3))
    borders = len(straight.order.sizes)
    for step in range(borders + 2):
        straight.update(step)
    for step in range(borders):
        first.update(step)
    again.restore({name: tensor.detach().clone() for name, tensor in first.state().items()})
    for step in range(borders, borders + 2):
        again.update(step)
    bits = [{n: t.numpy().tobytes() for n, t in one.published().items()} for one in (straight, again)]
    assert bits[0] == bits[1]


def test_the_operations_of_a_step_hold_the_first_predictions(folder):
    none = MoleculeFlow(label="x", self_conditioning=0.0)
    whole = MoleculeFlow(label="x", self_conditioning=1.0)
    bare, half, full = (trainer(folder, method, batch=12, tokens=None).flops(0) for method in (none, FLOW, whole))
    assert bare < half < full
    assert full / bare == pytest.approx(4 / 3, rel=0.05)  # a pass forward, beside one forward and one backward


@pytest.mark.parametrize("method", [FLOW, EDM], ids=["flow", "diffusion"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_parameter_trains_in_every_precision(folder, method, precision):
    """In bf16, too, where casts of weights that a first prediction made have no gradient."""
    one = trainer(folder, method, precision=precision, batch=12, tokens=None)
    before = {name: tensor.detach().clone() for name, tensor in one.parameters.items()}
    for step in range(1, 3):
        one.update(step)
    assert [name for name, tensor in one.parameters.items() if torch.equal(tensor, before[name])] == []


def test_losses_fall(folder):
    one = trainer(folder, FLOW, batch=len(SIZES), tokens=None)
    values = [one.update(step) for step in range(60)]
    for name in ("coordinates", "types", "bonds", "charges"):
        begin, end = (torch.stack([value[name] for value in some]).mean() for some in (values[:10], values[-10:]))
        assert end < begin, name
