"""Checkpoints of SemlaFlow, REED and EDM: layouts, what is left out, and what is refused."""

import re

import pytest
import torch
from published_molecules import SIZES, edm, lightning
from published_molecules import egnn as small_egnn
from published_molecules import semla as small
from torch import Tensor

from reedbench.nn.backbones.egnn import EGNN
from reedbench.nn.backbones.molecule_checkpoints import (
    egnn,
    egnn_sizes,
    egnn_weights,
    semla,
    semla_sizes,
    semla_weights,
)
from reedbench.nn.backbones.published import Foreign, check_fit
from reedbench.nn.backbones.semla import Semla


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_average_is_taken_and_the_rest_is_left_out():
    network = small()
    weights = semla_weights(lightning(network))
    assert same(weights, network.state_dict())
    check_fit(weights, network)
    network.load_state_dict(weights)


def test_without_an_average_the_trained_weights_are_taken():
    network = small()
    found = lightning(network)
    trained = {name: tensor for name, tensor in found["state_dict"].items() if not name.startswith("ema_gen.")}
    expected = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    assert same(semla_weights({"state_dict": trained}), expected)
    assert same(semla_weights(trained), expected)


def test_the_state_dict_of_a_network_is_one_and_half_precision_is_widened():
    network = small()
    halves = {name: tensor.half() for name, tensor in network.state_dict().items()}
    weights = semla_weights(halves)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert weights.keys() == network.state_dict().keys()


@pytest.mark.parametrize(
    "changes", [{}, {"self_condition": False}, {"bond_refine": False}, {"layers": 2}, {"layers": 5, "tokens": 18}]
)
def test_weights_say_of_which_network_they_are(changes):
    network = small(**changes)
    sizes = semla_sizes(semla_weights(network.state_dict()))
    assert sizes.items() <= {**SIZES, **changes}.items()
    check_fit(network.state_dict(), Semla(**sizes))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"state_dict": {"net.weight": torch.ones(1)}},
            r"no checkpoint of SemlaFlow: it has 'net.weight'; expected 'gen",
        ),
        ({"state_dict": 3, "epoch": 1}, "it has 'state_dict', 'epoch'; expected"),
        ({}, "it has nothing; expected"),
        ({"size_emb.weight": "a"}, "'size_emb.weight' is no tensor"),
    ],
)
def test_another_file_is_refused_in_one_line(found, message):
    with pytest.raises(ValueError, match=message) as caught:
        semla_weights(found)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 4}, r"'dynamics.layers.2.+' is .*\(and \d+ more\); the backbone of the benchmark must be"),
        ({"width": 16}, r"'.+' is \(.*12.*\), expected \(.*16.*\)"),
        ({"bond_refine": False}, r"'dynamics.refine_layer.+' .* is not expected: the backbone has none"),
    ],
)
def test_weights_of_another_network_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        check_fit(semla_weights(lightning(small())), small(**changes))


def test_weights_that_are_no_numbers_are_refused():
    found = lightning(small())
    found["state_dict"]["ema_gen.module.dynamics.feat_norm.bias"][1] = torch.nan
    with pytest.raises(ValueError, match=r"'dynamics.feat_norm.bias' has values that are not finite"):
        check_fit(semla_weights(found), small())


def test_a_tensor_that_says_a_size_is_missed_by_name():
    weights = semla_weights(small().state_dict())
    del weights["edge_out_proj.2.weight"]
    with pytest.raises(ValueError, match=r"'edge_out_proj.2.weight' is absent or no matrix"):
        semla_sizes(weights)


# What a file of SemlaFlow says


def test_a_checkpoint_of_lightning_says_how_it_was_trained():
    found = semla(lightning(small(), coord_scale=2.4, coord_norm="gvp"))
    assert (found.step, found.classes, found.scale) == (100, "uniform", 2.4)
    assert found.told() == {"step": 100, "process": "flow", "classes": "uniform"}
    assert found.needs()["codec"] == {"scale": 2.4}
    assert found.needs()["backbone"] == {
        **{name: SIZES[name] for name in SIZES if name not in ("tokens", "bonds")},
        "coordinate_norm": "gvp",
    }
    assert found.left_out == ["1 projector(s)", "the frozen encoder"]


def test_weights_alone_say_little_but_that_bonds_are_hidden():
    bare, masked = (semla(small(bonds=bonds).state_dict()) for bonds in (5, 6))
    assert (bare.step, bare.classes, bare.scale, bare.needs()["codec"]) == (None, None, None, {})
    assert (masked.classes, masked.needs()["codec"]) == ("mask", {"mask_bonds": True})


SAYS = {"coord_scale": 2.4, "coord_norm": "length"}
METHOD = {"step": 100, "process": "flow", "classes": "uniform"}
CODEC = {"elements": ["H", "C", "N", "O", "F"], "scale": 2.4, "mask_bonds": False}


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("method", {"step": 7}, "'global_step' is 100, and the method says step: 7"),
        ("method", {"process": "diffusion"}, "is of SemlaFlow, which is a flow, and the method says process: diff"),
        ("method", {"classes": "mask"}, "has classes uniform, and the method says classes: mask"),
        ("codec", {"elements": ["H", "C"]}, r"has 5 elements, and the codec has 2: \['H', 'C'\]"),
        ("codec", {"mask_bonds": True}, "has 5 classes of bonds, and the codec says mask_bonds: true"),
        ("codec", {"scale": 1.0}, "'hyper_parameters' has coord_scale 2.4, and the codec says scale: 1.0"),
        ("backbone", {"coordinate_norm": "none"}, "has coord_norm length, and the backbone says coordinate_norm: none"),
    ],
)
def test_what_a_benchmark_says_otherwise_is_named(section, changes, message):
    said = {"method": METHOD, "codec": CODEC, "backbone": {"coordinate_norm": "length"}}
    found = semla(lightning(small(), **SAYS))
    assert found.contradicts(said) is None
    assert found.contradicts({}) is None
    assert re.search(message, found.contradicts({**said, section: {**said[section], **changes}}))


# EDM


@pytest.mark.parametrize("prefix", ["", "dynamics.", "module.dynamics."])
def test_edm_keeps_its_network_beside_its_schedule(prefix):
    network = small_egnn()
    found = egnn(edm(network, prefix))
    assert same(found.weights, network.state_dict())
    check_fit(egnn_weights(edm(network, prefix)), network)
    assert found.left_out == ["the schedule of noise"]
    assert egnn(dict(network.state_dict())).left_out == []


@pytest.mark.parametrize("changes", [{}, {"attention": False}, {"layers": 3, "width": 12, "features": 16}])
def test_weights_of_edm_say_of_which_network_they_are(changes):
    network = small_egnn(**changes)
    sizes = egnn_sizes(network.state_dict())
    assert sizes == {"features": 6, "width": 8, "layers": 2, "attention": True, **changes}
    check_fit(network.state_dict(), EGNN(**sizes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma.gamma": torch.linspace(-11, 11, 1001)}, r"'gamma.gamma' \(1001,\) is another schedule of noise than"),
        ({"gamma.gamma": torch.zeros(501)}, r"'gamma.gamma' \(501,\) is another schedule"),
        ({"gamma.l1.weight": torch.ones(1, 1)}, "has a schedule of noise that was learned .'gamma.l1.weight'"),
        ({"dynamics.egnn.embedding.weight": torch.ones(3)}, "'egnn.embedding.weight' is absent or no matrix"),
    ],
)
def test_what_cannot_be_sampled_here_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        egnn({**edm(small_egnn()), **changes})


def test_hidden_bonds_need_a_class():
    found = semla(small().state_dict())
    assert "none of which is hidden, and the method says classes: mask" in str(
        found.contradicts({"method": {"classes": "mask"}})
    )


def test_what_a_benchmark_says_otherwise_of_edm_is_named():
    found = egnn(edm(small_egnn()))
    said = {"method": {"process": "diffusion"}, "codec": {"elements": list("HCNOF")},
            "backbone": {"atomic_numbers": True}}  # fmt: skip
    assert found.contradicts(said) is None
    assert "has 6 features of an atom, and the benchmark 5: 5 elements of the codec, and atomic_numbers: false" in str(
        found.contradicts({**said, "backbone": {"atomic_numbers": False}})
    )
    assert "is of EDM, which is a diffusion, and the method says process: flow" in str(
        found.contradicts({"method": {"process": "flow"}})
    )


def test_a_file_without_an_egnn_is_refused():
    with pytest.raises(Foreign, match=r"no checkpoint of EDM: it has 'gamma.gamma'; expected 'dynamics.egnn"):
        egnn_weights({"gamma.gamma": torch.ones(3)})
