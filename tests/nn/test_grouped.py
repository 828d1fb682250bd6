"""Networks by time: which rows each sees, what each has of the whole one, and that those without rows are silent."""

import numpy as np
import pytest
import torch

from reedbench.nn.backbones.grouped import GroupedSiT, equal_shares, kept_blocks, shares_of
from reedbench.nn.backbones.sit import SiT
from reedbench.nn.flow import FlowMatching
from reedbench.nn.initialisation import normal
from reedbench.nn.samplers import ode_grid

EDGES = [0.25, 0.5, 0.75]
SIZES = {"size": 4, "channels": 1, "patch": 2, "width": 8, "heads": 2, "classes": 3}


def stream(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def whole(depth: int = 6) -> SiT:
    sit = SiT(depth=depth, **SIZES)
    for name, parameter in sit.named_parameters():
        normal(parameter, 0.3, stream(name))
    return sit.requires_grad_(True)


def grouped(largest: str = "data", **sizes) -> GroupedSiT:
    network = GroupedSiT(whole(**sizes), shares_of(4, 0.4, largest), EDGES)
    for name, parameter in network.named_parameters():
        normal(parameter, 0.3, stream(name))
    return network


def inputs(rows: int = 9) -> tuple[torch.Tensor, ...]:
    drawn = np.random.default_rng(1)
    x = torch.from_numpy(drawn.standard_normal((rows, 1, 4, 4), dtype=np.float32))
    return x, torch.from_numpy(drawn.random(rows, dtype=np.float32)), torch.arange(rows) % 4


@pytest.mark.parametrize(
    ("depth", "share", "kept"),
    [
        (12, 0.7, [0, 2, 3, 5, 6, 8, 9, 11]),
        (12, 1.0, list(range(12))),
        (6, 0.01, [0]),
        (6, 0.34, [0, 5]),
        (6, 0.5, [0, 3, 5]),
    ],
)
def test_the_first_and_the_last_block_stay_and_others_evenly(depth, share, kept):
    assert kept_blocks(depth, share) == kept


def test_no_block_is_kept_twice():
    for depth in range(1, 30):
        for count in range(1, depth + 1):
            kept = kept_blocks(depth, count / depth)
            assert len(set(kept)) == len(kept) == count


def test_which_end_is_whole():
    assert shares_of(4, 0.6, "noise") == shares_of(4, 0.6)[::-1]
    assert [len(group.blocks) for group in grouped("noise").groups] == [6, 5, 4, 3]


def test_every_row_is_what_its_own_network_says():
    network, (x, t, y) = grouped().double(), inputs()
    x, t = x.double(), t.double()
    velocity, (hidden,) = network(x, t, y, taps=[3])
    for row in range(len(x)):
        number = int(t[row] // 0.25)
        one = slice(row, row + 1)
        place = sum(block < 3 for block in network.kept[number])
        expected, (behind,) = network.groups[number](x[one], t[one], y[one], taps=[place])
        torch.testing.assert_close(velocity[one], expected)
        torch.testing.assert_close(hidden[one], behind)


def test_only_taps_leave_the_rest_out():
    network, given = grouped(), inputs()
    velocity, (hidden,) = network(*given, taps=[2], only_taps=True)
    assert not velocity.numel()
    torch.testing.assert_close(hidden, network(*given, taps=[2])[1][0])


def test_a_row_trains_one_network_and_one_without_rows_gets_gradients_of_zero():
    network, (x, _, y) = grouped(), inputs()
    network(x, torch.full((len(x),), 0.3), y)[0].square().sum().backward()
    for number, group in enumerate(network.groups):
        norms = [float(parameter.grad.norm()) for parameter in group.parameters()]
        assert (max(norms) > 0) == (number == 1)


@pytest.mark.parametrize("times", ["uniform", "lognormal"])
@pytest.mark.parametrize("path", ["linear", "gvp"])
@pytest.mark.parametrize("groups", [2, 3, 10])
def test_groups_have_equal_shares_of_the_training_times(times, path, groups):
    flow = FlowMatching(path, times, 0.0, null_label=3)
    edges = torch.tensor(equal_shares(flow.quantiles, groups))
    draws = np.random.default_rng(0)
    law = draws.random(20_000) if times == "uniform" else draws.standard_normal(20_000)
    t = flow.times(torch.from_numpy(law), flow.part.path)
    found = torch.bucketize(t, edges, right=True).bincount(minlength=groups) / len(t)
    torch.testing.assert_close(found, torch.full((groups,), 1 / groups), atol=0.015, rtol=0)


def test_times_between_groups_belong_to_the_one_behind_in_training_and_in_samplers():
    """Also where float32 rounds an edge down: samplers hand over times in the network's precision."""
    network = GroupedSiT(whole(2), shares_of(10, 0.5), equal_shares(lambda share: share, 10))
    grid = ode_grid(10)
    for dtype in (torch.float32, torch.float64):
        assert network.group_of(torch.tensor(grid, dtype=dtype)).tolist() == [*range(10), 9]


def test_groups_take_the_weights_of_a_whole_network():
    sit = whole()
    network, state = grouped(), {name: tensor.clone() for name, tensor in sit.state_dict().items()}
    network.take(state)
    x, t, y = inputs()
    last = t >= 0.75
    torch.testing.assert_close(network(x, t, y)[0][last], sit(x[last], t[last], y[last])[0])
    for kept, group in zip(network.kept, network.groups, strict=True):
        for own, block in enumerate(kept):
            assert torch.equal(group.blocks[own].mlp.fc1.weight, state[f"blocks.{block}.mlp.fc1.weight"])


def test_weights_of_another_network_are_one_line():
    network = grouped()
    with pytest.raises(ValueError, match=r"lack 'blocks\.5\."):
        network.take(whole(5).state_dict())
    scaled = {**whole().state_dict(), "scale_embedder.mlp.0.weight": torch.ones(1)}
    with pytest.raises(ValueError, match=r"groups have no place for 'scale_embedder\.mlp\.0\.weight'"):
        network.take(scaled)
    other = SiT(depth=6, **{**SIZES, "width": 16})
    with pytest.raises(ValueError, match="groups cannot take these weights: size mismatch"):
        network.take(other.state_dict())


def test_groups_start_as_the_whole_network_would():
    sit, network = SiT(depth=6, **SIZES), grouped()
    sit.initialise(stream)
    network.initialise(stream)
    for group, kept in zip(network.groups, network.kept, strict=True):
        for name, tensor in group.named_parameters():
            parts = name.split(".")
            parts[1] = str(kept[int(parts[1])]) if parts[0] == "blocks" else parts[1]
            assert torch.equal(tensor, sit.get_parameter(".".join(parts)))


def test_a_cut_network_has_the_same_hidden_states():
    network, given = grouped(), inputs()
    expected = network(*given, taps=[4])[1][0]
    cut = network.cut(4)
    assert [len(group.blocks) for group in cut.groups] == [sum(b < 4 for b in kept) for kept in network.kept]
    torch.testing.assert_close(cut(*given, taps=[4])[1][0], expected)


def test_only_networks_that_can_be_pruned_are_grouped():
    with pytest.raises(ValueError, match="backbone sit alone, not of Linear"):
        GroupedSiT(torch.nn.Linear(1, 1), [0.5, 1.0], [0.5])
    with pytest.raises(ValueError, match="increasing times"):
        GroupedSiT(whole(), [0.5, 1.0], [0.5, 0.7])
