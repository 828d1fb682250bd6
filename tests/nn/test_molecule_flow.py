"""The loss of flow matching on molecules: times, terms, conditioning by a first prediction, padding, alignments."""

import copy
from typing import Any

import pytest
import torch
from toy_molecules import SIZES, TOKENS, WIDTH, Toy, batch, streams

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.molecule_classes import MASK, MASK_BOND
from reedbench.nn.molecule_flow import MoleculeLearner, beta_times, squared_error
from reedbench.objectives import Schedule
from reedbench.objectives.molecule_flow import MoleculeFlow

TARGET, DIM = "global", 4
ALIGNED = ({"encoder": TARGET, "depth": 2},)
FIELDS = ("coordinates", "types", "bonds", "charges")


def learner(network: Toy | None = None, **settings: Any) -> MoleculeLearner:
    objective = MoleculeFlow(label="x", **settings)
    shapes = dict.fromkeys(objective.encoders(), (DIM,))
    return objective.build(network or Toy(), shapes, lambda name: seeds.stream("init", name))


def whole(one: MoleculeLearner, data: dict[str, torch.Tensor], rows: Any = None) -> dict[str, torch.Tensor]:
    """A batch that is ready for the terms."""
    drawn = one.draw(data, streams(rows or len(data["mask"])))
    target = torch.randn(9, DIM, generator=torch.Generator().manual_seed(0))[: len(data["mask"])]
    ready = one.completed({**drawn, **{f"target/{n}": target for n in one.reads()}}, lambda own: own)
    with torch.no_grad():
        return one.looked_up(ready, 0, None)


def values(one: MoleculeLearner, ready: dict[str, torch.Tensor]) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(term.sum / term.weight) for name, term in one.terms(ready, one.network).items()}


# Times


@pytest.mark.parametrize(("law", "mean", "variance"), [((2.0, 1.0), 2 / 3, 1 / 18), ((2.0, 3.0), 0.4, 0.04)])
def test_times_follow_their_beta_law(law, mean, variance):
    t = beta_times(torch.rand(200_000, generator=torch.Generator().manual_seed(0)), *law)
    assert t.mean().item() == pytest.approx(mean, abs=0.003)
    assert t.var().item() == pytest.approx(variance, abs=0.001)
    assert 0 <= t.min() <= t.max() <= 1


def test_the_closed_form_of_times_is_the_inverse_of_the_distribution():
    u = torch.tensor([0.0, 0.1, 0.7])
    torch.testing.assert_close(beta_times(u, 2.0, 1.0), beta_times(u, 2.0, 1.0 + 1e-12))


# What is drawn


def test_at_t_1_the_state_is_the_data_and_a_fifth_of_noise():
    data = batch([9] * 64)
    one = learner(time=(1e9, 1.0))
    drawn = one.draw(data, streams(64))
    assert drawn["t"].min() > 1 - 1e-6
    noise = drawn["noisy/coordinates"] - data["coordinates"]
    assert noise.std().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(drawn["noisy/types"], data["types"])
    assert torch.equal(drawn["noisy/bonds"], data["bonds"])


@pytest.mark.parametrize("classes", ["uniform", "mask"])
@pytest.mark.parametrize(("no_bond", "shown"), [("class", 1.0), ("reference", 0.0)])
def test_pairs_without_a_bond_are_shown_as_their_class_or_as_zeros(classes, no_bond, shown):
    """At t = 1, where nothing is noisy; bonds and atoms are shown as they are."""
    data, network = batch([5, 7]), Toy(bonds=MASK_BOND + 1)
    one = learner(network, classes=classes, no_bond=no_bond, time=(1e9, 1.0))
    part = one.settings.parts.bonds
    seen = part.seen(one.draw(data, streams(2))["noisy/bonds"])
    pairs = data["mask"][:, :, None] * data["mask"][:, None] > 0
    absent = pairs & (data["bonds"] == 0)
    torch.testing.assert_close(seen[absent].sum(-1), torch.full((int(absent.sum()),), shown), atol=1e-3, rtol=0)
    there = data["bonds"] > 0
    torch.testing.assert_close(seen[there].sum(-1), torch.ones(int(there.sum())), atol=1e-3, rtol=0)


def test_half_of_the_rows_are_conditioned_each_by_its_own_coin():
    drawn = learner().draw(batch([2] * 2000), streams(2000))
    assert drawn["conditioned"].double().mean().item() == pytest.approx(0.5, abs=0.04)
    none = learner(Toy(self_condition=False), self_conditioning=0.0)
    assert "conditioned" not in none.draw(batch(), streams(4))


def test_coupled_noise_is_nearer_to_the_data():
    def apart(**settings: Any) -> float:
        one = learner(coordinate_noise=0, time=(1e-9, 1.0), **settings)  # at t = 0
        drawn = one.draw(batch([12] * 8), streams(8))
        return float((drawn["noisy/coordinates"] - drawn["coordinates"]).square().sum())

    assert apart() < 0.7 * apart(coupling="none")


@pytest.mark.parametrize(
    "settings",
    [{}, {"classes": "dirichlet"}, {"bonds": "symmetric"}, {"no_bond": "reference"}, {"coupling": "none"}],
)
def test_padding_changes_no_draw_and_no_term(settings):
    one = learner(alignments=ALIGNED, **settings)
    near, far = (whole(one, batch(length=length)) for length in (7, 12))
    assert torch.equal(near["t"], far["t"])
    for name in ("coordinates", "types"):
        assert torch.equal(near[f"noisy/{name}"], far[f"noisy/{name}"][:, :7])
    assert torch.equal(near["noisy/bonds"], far["noisy/bonds"][:, :7, :7])
    assert values(one, near) == pytest.approx(values(one, far), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "term"),
    [
        ({"coordinate_mean": "reference"}, "coordinates"),
        ({"prior": "reference"}, "coordinates"),
        ({"alignments": ({**ALIGNED[0], "pooling": "reference"},)}, f"{TARGET}@2"),
    ],
)
def test_what_the_reference_does_depends_on_padding(settings, term):
    one = learner(**settings)
    near, far = (values(one, whole(one, batch(length=n))) for n in (7, 12))
    assert near[term] != pytest.approx(far[term], rel=1e-3)


# Terms


def test_terms_are_the_errors_of_the_prediction():
    one = learner(self_conditioning=0.0)
    ready = whole(one, batch())
    with torch.no_grad():
        found, _ = one.network(*one._inputs(ready))
    expected = dict.fromkeys(FIELDS, 0.0)
    for i, n in enumerate(SIZES):
        expected["coordinates"] += float((found.coordinates[i, :n] - ready["coordinates"][i, :n]).square().mean())
        for name, k in (("types", 1), ("charges", 1), ("bonds", 2)):
            logits = getattr(found, name)[i][(slice(n),) * k].flatten(0, k - 1)
            label = ready[name][i][(slice(n),) * k].flatten()
            entropy = torch.nn.functional.cross_entropy(logits, label, reduction="sum")
            expected[name] += float(entropy) / (n**k + 1e-3)
    assert values(one, ready) == pytest.approx({name: x / len(SIZES) for name, x in expected.items()}, rel=1e-5)


def test_masked_classes_alone_count_where_they_are_hidden():
    one = learner(Toy(tokens=TOKENS, bonds=MASK_BOND + 1), classes="mask", self_conditioning=0.0)
    ready = whole(one, batch())
    assert set(ready["noisy/types"].unique().tolist()) >= {-1, MASK}
    before = values(one, ready)
    shown = ready["noisy/types"] > MASK
    assert shown.any()
    ready["types"] = torch.where(shown, (ready["types"] + 1) % TOKENS, ready["types"])
    assert values(one, ready) == before


def test_squared_errors_are_divided_by_atoms_or_by_the_length_of_the_batch():
    mask = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    x, data = torch.full((1, 4, 3), 2.0), torch.zeros(1, 4, 3)
    assert squared_error(x, data, mask, "atoms").tolist() == [4.0]
    assert squared_error(x, data, mask, "reference").tolist() == [2.0]


def test_the_denoising_factor_multiplies_all_terms_of_denoising_and_no_alignment():
    ramp = Schedule(shape="linear-ramp", length=30)
    one = learner(denoise=ramp, alignments=ALIGNED, bond_weight=0.5)
    assert one.coefficients(3) == pytest.approx(
        {"coordinates": 0.1, "types": 0.02, "bonds": 0.05, "charges": 0.1, f"{TARGET}@2": 0.2}
    )
    assert one.coefficients(900)["types"] == pytest.approx(0.2)


def test_several_depths_are_averaged_and_summed_if_asked():
    two = (*ALIGNED, {"encoder": TARGET, "depth": 1})
    assert learner(alignments=two).coefficients(0)[f"{TARGET}@1"] == pytest.approx(0.1)
    assert learner(alignments=two, reduce="sum").coefficients(0)[f"{TARGET}@1"] == pytest.approx(0.2)


def test_a_term_of_weight_0_is_not_computed():
    one = learner(charge_weight=0.0)
    one.begin(0)
    assert "charges" not in values(one, whole(one, batch()))


def test_an_aligned_layer_is_summed_over_atoms_and_its_cosine_is_that_of_the_sum():
    one = learner(alignments=ALIGNED, self_conditioning=0.0)
    ready = whole(one, batch())
    with torch.no_grad():
        _, (hidden,) = one.network.backbone(*one._inputs(ready), taps=[("masked", 2)])
        assert hidden.shape == (len(SIZES), max(SIZES), WIDTH)
        z = one.network.projectors[0](hidden.sum(1))
    expected = -torch.nn.functional.cosine_similarity(z, ready[f"aligned/{TARGET}@2"]).mean()
    assert values(one, ready)[f"{TARGET}@2"] == pytest.approx(float(expected), rel=1e-5)
    ready[f"aligned/{TARGET}@2"] = z
    assert values(one, ready)[f"{TARGET}@2"] == pytest.approx(-1)


# Conditioning by a first prediction


def test_conditioned_rows_see_the_first_prediction_and_the_others_zeros():
    one = learner()
    ready = whole(one, batch([4] * 12))
    coins = ready["conditioned"]
    assert 0 < coins.sum() < 12
    with torch.no_grad():
        first, _ = one.network.backbone(*one._inputs(ready))
    for name, x in (("types", first.types.softmax(-1)), ("bonds", first.bonds.softmax(-1)), ("coordinates", first[0])):
        torch.testing.assert_close(ready[f"previous/{name}"][coins], x[coins])
        assert not ready[f"previous/{name}"][~coins].any()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_conditioned_rows_is_the_setting(share):
    one = learner(self_conditioning=share)
    ready = whole(one, batch())
    assert ("previous/types" in ready) == bool(share)
    if share:
        assert ready["conditioned"].all()


def test_gradients_do_not_go_through_the_first_prediction():
    one = learner(self_conditioning=1.0)
    ready = whole(one, batch())
    other = copy.deepcopy(ready)
    assert not any(x.requires_grad for x in ready.values())
    one.terms(other, one.network)["types"].sum.backward()
    assert all(parameter.grad is not None for parameter in one.network.backbone.layers.parameters())


# Misfits


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        (torch.nn.Linear(1, 1), {}, "needs a backbone of atoms and bonds, such as semla, and Linear is none"),
        (Toy(), {"classes": "mask"}, "set codec.mask_bonds: true"),
        (Toy(self_condition=False), {}, "self_condition: false; set self_conditioning: 0"),
    ],
)
def test_a_backbone_that_does_not_fit_is_one_line(network, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        learner(network, **settings)
    assert "\n" not in str(caught.value)


def test_a_representation_that_is_no_vector_is_one_line():
    objective = MoleculeFlow(label="x", alignments=ALIGNED)
    with pytest.raises(ConfigError, match=rf"alignment {TARGET}@2: it needs one vector per molecule"):
        objective.build(Toy(), {TARGET: (5, DIM)}, lambda name: seeds.stream("init", name))


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.5}, {"reduce": "sum"}, {"reduce": "sum", "alignments": ALIGNED}]
)
def test_settings_without_effect_are_refused(settings):
    with pytest.raises(ValueError, match="has no effect"):
        MoleculeFlow(label="x", **settings)
