"""The sampler of joint states: an oracle's molecules come out whole in any batch; every setting has an effect."""

from typing import Any

import pytest
import torch
from toy_molecules import SIZES, TOKENS, Oracle, Toy, batch, streams

from reedbench.nn.molecule_classes import MASK_BOND
from reedbench.objectives.molecule_flow import MoleculeFlow
from reedbench.samplers.joint_euler import JointEuler

DATA = batch()
CLASSES = ("uniform", "mask", "dirichlet")
every_class = pytest.mark.parametrize("classes", CLASSES)


def toy(classes: str = "uniform") -> Toy:
    torch.manual_seed(0)
    return Toy(tokens=TOKENS, bonds=MASK_BOND + 1) if classes == "mask" else Toy()


def drawn(
    network: Any, mask: torch.Tensor, rows: Any = None, *, sampler: Any = None, **settings: Any
) -> dict[str, Any]:
    objective = MoleculeFlow(label="x", **settings)
    sampler = sampler or JointEuler(steps=6)
    return sampler.draw(network, {"mask": mask}, streams(len(mask) if rows is None else rows), objective)


@every_class
@pytest.mark.parametrize("grid", ["log", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_an_oracle_is_believed(classes, grid, steps):
    network = Oracle(DATA)
    network.bonds = MASK_BOND + 1
    found = drawn(network, DATA["mask"], sampler=JointEuler(steps=steps, grid=grid), classes=classes)
    for name, x in found.items():
        assert torch.equal(x, DATA[name]), name
    assert len(network.shown) == steps == JointEuler(steps=steps).nfe(None)


def test_the_state_follows_the_oracle():
    """At the last step of a linear grid places are near the data, and classes mostly theirs."""
    network = Oracle(batch([9] * 8))
    drawn(network, network.data["mask"], sampler=JointEuler(steps=50, grid="linear", noise=0))
    (places, types, bonds, t, _), _ = network.shown[-1]
    assert t.tolist() == pytest.approx([0.98] * 8)
    torch.testing.assert_close(places, network.data["coordinates"], atol=0.1, rtol=0)
    for x, name in ((types, "types"), (bonds, "bonds")):
        assert (x.argmax(-1) == network.data[name]).double().mean() > 0.95


def test_a_network_is_conditioned_by_its_last_prediction_from_the_second_step_on():
    network = Oracle(DATA)
    drawn(network, DATA["mask"])
    assert [previous is None for _, previous in network.shown] == [True, *[False] * 5]
    _, (places, types, bonds) = network.shown[1]
    assert torch.equal(places, DATA["coordinates"])
    torch.testing.assert_close(bonds.sum(-1), torch.ones(bonds.shape[:-1]))
    assert torch.equal(types.argmax(-1), DATA["types"])
    network.self_condition, network.shown = False, []
    drawn(network, DATA["mask"], self_conditioning=0.0)
    assert all(previous is None for _, previous in network.shown)


@every_class
def test_a_sample_is_the_same_in_any_batch_and_under_any_padding(classes):
    network = toy(classes)
    whole = drawn(network, DATA["mask"], classes=classes)
    for row, n in enumerate(SIZES):
        alone = drawn(network, torch.ones(1, n), [row], classes=classes)
        torch.testing.assert_close(alone["coordinates"][0], whole["coordinates"][row, :n], atol=1e-5, rtol=1e-4)
        assert torch.equal(alone["types"][0], whole["types"][row, :n])
        assert torch.equal(alone["bonds"][0], whole["bonds"][row, :n, :n])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"steps": 6}, {"steps": 7}),
        ({"grid": "log"}, {"grid": "linear"}),
        ({"noise": 1.0}, {"noise": 0.0}),
    ],
)
def test_every_setting_draws_other_samples(one, other):
    found = [drawn(toy(), DATA["mask"], sampler=JointEuler(**{"steps": 6, **s}))["coordinates"] for s in (one, other)]
    assert all(x.isfinite().all() for x in found)
    assert not torch.equal(*found)


def test_noise_is_refused_where_it_has_no_effect():
    flows = {classes: MoleculeFlow(label="x", classes=classes) for classes in CLASSES}
    louder = JointEuler(noise=0.5)
    assert "noise has no effect on an objective with classes: dirichlet" in louder.unfit(flows["dirichlet"])
    assert [louder.unfit(flows[name]) for name in ("uniform", "mask")] == [None, None]
    assert JointEuler().unfit(flows["dirichlet"]) is None


def test_symmetric_noise_keeps_the_state_symmetric():
    network = Oracle(DATA)
    drawn(network, DATA["mask"], bonds="symmetric")
    assert all(torch.equal(shown[2], shown[2].transpose(1, 2)) for shown, _ in network.shown)
    network.shown = []
    drawn(network, DATA["mask"])
    assert not any(torch.equal(shown[2], shown[2].transpose(1, 2)) for shown, _ in network.shown[:3])
