"""Checkpoints of SemlaFlow, REED and EDM: layouts, what is left out, and what is refused."""

import pytest
import torch
from torch import Tensor

from reedbench.core import seeds
from reedbench.nn.backbones.checkpoints import check_fit
from reedbench.nn.backbones.egnn import EGNN
from reedbench.nn.backbones.molecule_checkpoints import egnn_weights, semla_sizes, semla_weights
from reedbench.nn.backbones.semla import Semla

SIZES = {
    "tokens": 7, "bonds": 5, "width": 12, "layers": 3, "sets": 6, "heads": 4, "message": 5, "message_hidden": 9,
    "edge": 8, "size_embedding": 3, "max_atoms": 20, "self_condition": True, "bond_refine": True,
}  # fmt: skip


def small(**changes) -> Semla:
    network = Semla(**{**SIZES, **changes})
    network.initialise(seeds.stream)
    return network


def lightning(network: Semla) -> dict:
    """A checkpoint as Lightning keeps it after a training of REED, whose weights differ from their average."""
    own = dict(network.state_dict())
    own |= {
        "dynamics.layers.0.edge_feat_norm.weight": torch.ones(8),
        "dynamics.layers.0.edge_feat_norm.bias": torch.ones(8),
    }
    own |= {"dynamics.time_embedder.mlp.0.bias": torch.ones(5), "dynamics.projectors.0.4.bias": torch.ones(5)}
    state = {f"gen.{name}": tensor + 1 for name, tensor in own.items()}
    state |= {f"ema_gen.module.{name}": tensor for name, tensor in own.items()}
    state |= {"ema_gen.n_averaged": torch.tensor(7), "encoder.embed.weight": torch.ones(3, 3)}
    return {"epoch": 3, "global_step": 100, "hyper_parameters": {"d_model": 12}, "state_dict": state}


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


# EDM


@pytest.mark.parametrize("prefix", ["", "dynamics.", "module.dynamics."])
def test_edm_keeps_its_network_beside_its_schedule(prefix):
    network = EGNN(features=6, width=8, layers=2)
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    weights = egnn_weights({**state, "gamma.gamma": torch.ones(1001), "buffer": torch.zeros(1)})
    assert same(weights, network.state_dict())
    check_fit(weights, network)


def test_a_file_without_an_egnn_is_refused():
    with pytest.raises(ValueError, match=r"no checkpoint of EDM: it has 'gamma.gamma'; expected 'dynamics.egnn"):
        egnn_weights({"gamma.gamma": torch.ones(3)})
