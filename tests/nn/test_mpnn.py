"""ProteinMPNN and its denoiser: sizes, taps, padding, rigid motions, initialisation, dropout, transfer of weights."""

import numpy as np
import pytest
import torch
from torch import Tensor

from reedbench.backbones.protein_mpnn import ProteinMPNNBackbone
from reedbench.core import seeds
from reedbench.nn.backbones.mpnn import ProteinMPNN
from reedbench.nn.backbones.stock_mpnn import StockMPNN, load_stock
from reedbench.nn.row_dropout import RowDropout, uniform_words

EVERY_TAP = (("structure", 0), ("node", 1), ("node", 3), ("edge", 1), ("edge", 3))


def seeded(name: str) -> np.random.Generator:
    return seeds.stream(name)


def small(**changes) -> ProteinMPNN:
    """A network whose every parameter matters."""
    net = ProteinMPNN(**{"width": 16, "neighbours": 6, **changes})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net


def inputs(length: int = 14, batch: int = 2) -> list[Tensor]:
    """Coordinates, mask, residue index, chain and noisy sequence."""
    generator = torch.Generator().manual_seed(length)
    coordinates = (3 * torch.randn(batch, length, 1, 3, generator=generator)).cumsum(1)
    coordinates = coordinates + torch.randn(batch, length, 4, 3, generator=generator)
    noisy = torch.randint(0, 22, (batch, length), generator=generator)
    chain = torch.ones(batch, length, dtype=torch.int64)
    return [coordinates, torch.ones(batch, length), torch.arange(length).expand(batch, -1), chain, noisy]


def padded(batch: list[Tensor], more: int, filling: tuple[float, ...] = (0.0, 0, -100, 0, 21)) -> list[Tensor]:
    rows = zip(batch, filling, strict=True)
    return [torch.cat([x, x.new_full((len(x), more, *x.shape[2:]), value)], dim=1) for x, value in rows]


def unresolved(batch: list[Tensor], *residues: int) -> list[Tensor]:
    batch[0][:, residues], batch[1][:, residues] = 0.0, 0.0
    return batch


# Sizes


def test_parameter_counts_are_those_of_the_reference():
    assert sum(p.numel() for p in StockMPNN().parameters()) == 1_660_485
    assert sum(p.numel() for p in ProteinMPNN().parameters()) == 2_403_910


def test_the_plugin_builds_the_network_that_it_describes():
    plugin = ProteinMPNNBackbone(width=16, encoder_layers=2, decoder_layers=1, neighbours=9, padding="reference")
    net = plugin.build((), {})
    assert (plugin.name(), plugin.blocks(), net.layers) == ("MPNN-16x2+1/k9", 1, 1)
    assert (net.width, len(net.encoder_layers), net.neighbours) == (16, 2, 9)
    assert (net.padding, net.dropout, net.edge_update) == ("reference", 0.1, True)


# Taps


@pytest.mark.parametrize("edge_update", [True, False])
@pytest.mark.parametrize("taps", [[("structure", 1)], [("node", 1)], [("node", 1), ("node", 2)], [("edge", 2)]])
def test_only_taps_leave_out_what_comes_behind_the_deepest(taps, edge_update):
    net, batch, called = small(edge_update=edge_update), inputs(), []
    _, expected = net(*batch, taps=taps)
    for depth, layer in enumerate(net.decoder_layers, start=1):
        layer.register_forward_hook(lambda *_, depth=depth: called.append(depth))
        layer.W_edge.register_forward_hook(lambda *_, depth=depth: called.append(-depth))
    logits, states = net(*batch, taps=taps, only_taps=True)
    assert not logits.numel()
    for got, wanted in zip(states, expected, strict=True):
        assert torch.equal(got, wanted)
    site, last = taps[-1]
    assert [depth for depth in called if depth > 0] == list(range(1, (0 if site == "structure" else last) + 1))
    assert (-last in called) == (site == "edge")


@pytest.mark.parametrize("edge_update", [True, False])
def test_taps_come_in_the_order_asked_for_and_change_nothing(edge_update):
    net, batch = small(edge_update=edge_update), inputs()
    plain, none = net(*batch)
    logits, states = net(*batch, taps=EVERY_TAP)
    _, backwards = net(*batch, taps=EVERY_TAP[::-1])
    assert none == []
    assert torch.equal(plain, logits)
    assert [tuple(x.shape) for x in states] == [(2, 14, 16)] * 3 + [(2, 14, 6, 32)] * 2
    for got, expected in zip(backwards[::-1], states, strict=True):
        assert torch.equal(got, expected)
    assert torch.equal(states[0], net.encode(*batch[:4]).nodes)
    assert torch.equal(net.W_out(states[2]), logits)


@pytest.mark.parametrize("tap", [("node", 0), ("edge", 4), ("pair", 1)])
def test_a_tap_outside_the_network_is_refused(tap):
    with pytest.raises(ValueError, match=r"structure, node or edge.*between 1 and 3"):
        small()(*inputs(), taps=[tap])
    with pytest.raises(ValueError, match="structure, node or edge"):
        small().tapped([tap])


@pytest.mark.parametrize("edge_update", [True, False])
@pytest.mark.parametrize("taps", [(), (("edge", 2),), (("edge", 3), ("node", 1), ("structure", 0))])
def test_exactly_the_parameters_that_are_not_frozen_receive_gradients(edge_update, taps):
    net, batch = small(edge_update=edge_update), inputs()
    batch[4][:] = torch.arange(28).reshape(2, 14) % 22
    net.tapped([("edge", 3)])
    net.tapped(taps)
    logits, states = net(*batch, taps=taps)
    sum(x.square().mean() for x in (logits, *states)).backward()
    for name, parameter in net.named_parameters():
        assert (parameter.grad is not None and parameter.grad.any().item()) == parameter.requires_grad, name


def test_a_node_that_is_not_learnt_stays():
    net = small(learnable_node=False)
    net.tapped(())
    assert not net.node_embeds.requires_grad


# Structure and sequence


def test_a_structure_is_encoded_once_for_many_sequences():
    net, batch = small(), inputs()
    rows = torch.tensor([1, 0, 1])
    encoded = net.encode(*batch[:4]).take(rows)
    noisy = torch.randint(0, 22, (3, 14), generator=torch.Generator().manual_seed(1))
    logits, _ = net.decode(encoded, noisy)
    expected, _ = net(*(x[rows] for x in batch[:4]), noisy)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)


def test_the_graph_can_be_given():
    net, batch = small(), inputs()
    graph = net.graph(*batch[:2])
    assert graph.shape == (2, 14, 6)
    assert torch.equal(graph[..., 0], torch.arange(14).expand(2, -1))
    assert torch.equal(net(*batch, neighbours=graph)[0], net(*batch)[0])
    assert not torch.allclose(net(*batch, neighbours=graph[..., :3])[0], net(*batch)[0])


def test_logits_do_not_feel_rigid_motion_but_see_mirror_images():
    net, batch = ProteinMPNN(), inputs(60)
    net.initialise(seeded)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(5)))
    turn = q * torch.linalg.det(q)
    log_probs, moved, mirrored = (
        net(x, *batch[1:])[0].log_softmax(-1)
        for x in (batch[0], batch[0] @ turn + 10, batch[0] * torch.tensor([-1.0, 1, 1]))
    )
    assert (moved - log_probs).abs().max() < 2e-5
    assert (mirrored - log_probs).abs().max() > 1e-2


def test_a_position_sees_its_own_token_and_those_of_its_surroundings():
    net, batch = small(encoder_layers=1, decoder_layers=1), inputs(40, 1)
    logits, _ = net(*batch)
    batch[4] = batch[4].clone()
    batch[4][0, 7] = (batch[4][0, 7] + 1) % 22
    changed = (net(*batch)[0] != logits).any(-1)[0].nonzero().flatten().tolist()
    sees_it = (net.graph(*batch[:2])[0] == 7).any(-1).nonzero().flatten().tolist()
    assert changed == sees_it
    assert 7 in changed


# Padding


@pytest.mark.parametrize("length", [4, 6, 20])
def test_what_stands_on_padding_changes_nothing(length):
    # The shapes are equal, so equal means to the last bit; lengths lie below, at and above the number of neighbours.
    net, batch = small(), unresolved(inputs(length), 1)
    zeros = padded(batch, 9)
    garbage = padded(batch, 9, (7.0, 0, 3, 0, 5))
    results = [net(*x, taps=EVERY_TAP) for x in (zeros, garbage)]
    assert torch.equal(results[0][0][:, :length], results[1][0][:, :length])
    for one, other in zip(results[0][1][:3], results[1][1][:3], strict=True):
        assert torch.equal(one[:, :length], other[:, :length])


@pytest.mark.parametrize("length", [1, 4, 6, 20, 40])
@pytest.mark.parametrize("edge_update", [True, False])
def test_a_padded_protein_is_what_it_is_alone(length, edge_update):
    # Products of fewer than some twenty rows are rounded differently here; tests/parity has equality for real chains.
    net, batch = small(edge_update=edge_update).double(), inputs(length)
    batch = unresolved(batch, 1) if length > 4 else batch
    batch[0], batch[1] = batch[0].double(), batch[1].double()
    resolved = batch[1].bool()
    alone, states = net(*batch, taps=EVERY_TAP)
    logits, padded_states = net(*padded(batch, 9), taps=EVERY_TAP)
    torch.testing.assert_close(logits[:, :length][resolved], alone[resolved], rtol=0, atol=1e-12)
    real = min(int(resolved[0].sum()), net.neighbours)
    for one, other in zip(states, padded_states, strict=True):
        part = (slice(None), slice(real)) if one.ndim == 4 else slice(None)
        torch.testing.assert_close(other[:, :length][resolved][part], one[resolved][part], rtol=0, atol=1e-12)


def test_padding_of_the_reference_joins_the_graph():
    net, batch = small(padding="reference"), inputs(20)
    batch[0] -= batch[0][:, 10:11, 1:2].clone()  # near the origin, as centred proteins are
    alone = net(*batch)[0]
    more = padded(batch, 9)
    assert not torch.allclose(net(*more)[0][:, :20], alone, atol=1e-2)
    more[1][:, 20:], more[3][:, 20:] = 1.0, 0
    assert torch.equal(net.encode(*padded(batch, 9)[:4]).neighbours, net.graph(*more[:2]))


@pytest.mark.parametrize(("padding", "heard"), [("masked", False), ("reference", True)])
def test_unresolved_neighbours_speak_in_the_decoder_of_the_reference_alone(padding, heard):
    net, batch = small(padding=padding, neighbours=14), unresolved(inputs(), 3)
    logits = net(*batch)[0]
    batch[4][:, 3] = (batch[4][:, 3] + 1) % 22
    others = torch.arange(14) != 3
    assert torch.equal(net(*batch)[0][:, others], logits[:, others]) is not heard


# Initialisation


def test_weights_are_initialised_by_name():
    shallow, deep = small(decoder_layers=2), small(edge_update=False)
    for net in (shallow, deep):
        net.initialise(seeded)
    for name, parameter in shallow.named_parameters():
        assert torch.equal(parameter, deep.get_parameter(name)), name


def test_initial_weights_follow_their_laws():
    net = small(width=64)
    net.initialise(seeded)
    layer = net.decoder_layers[1]
    assert layer.W1.weight.abs().max().item() == pytest.approx((6 / (64 + 256)) ** 0.5, rel=1e-2)
    assert net.W_s.weight.std().item() == pytest.approx((2 / (22 + 64)) ** 0.5, rel=5e-2)
    for bias, bound in ((layer.W1.bias, 256**-0.5), (layer.dense.W_in.bias, 64**-0.5), (net.W_out.bias, 64**-0.5)):
        assert 0.8 * bound < bias.abs().max().item() <= bound
        assert bias.min() < 0 < bias.max()
    for norm in (layer.norm1, layer.W_edge[0], layer.norm_edge, net.features.norm_edges):
        assert (norm.weight == 1).all()
        assert not norm.bias.any()
    assert not net.node_embeds.any()


# Dropout


def test_without_seeds_nothing_is_dropped_whatever_the_mode():
    net, batch = small(dropout=0.5), inputs()
    assert torch.equal(net.train()(*batch)[0], net.eval()(*batch)[0])
    assert torch.equal(net(*batch)[0], small()(*batch, dropout=torch.tensor([1, 2]))[0])


def test_a_row_drops_the_same_in_any_batch_and_however_padded():
    net, batch, seeds = small(dropout=0.3).double(), inputs(20, 3), torch.tensor([11, 5, 2**61 + 7])
    batch[0], batch[1] = batch[0].double(), batch[1].double()
    whole = net(*batch, dropout=seeds, taps=EVERY_TAP)[0]
    for row in range(3):
        alone = net(*padded([x[row : row + 1] for x in batch], 5), dropout=seeds[row : row + 1])[0][:, :20]
        torch.testing.assert_close(alone, whole[row : row + 1], rtol=0, atol=1e-12)
    assert not torch.allclose(net(*batch, dropout=seeds + 1)[0], whole)
    assert torch.equal(net.decode(net.encode(*batch[:4], dropout=seeds), batch[4], dropout=seeds)[0], whole)


def test_every_layer_of_encoder_and_decoder_drops_at_places_of_its_own():
    layers = [*small().encoder_layers, *small().decoder_layers]
    assert [layer.site for layer in layers] == list(range(0, 18, 3))


def test_kept_entries_are_scaled_and_as_many_are_dropped_as_asked():
    seeds = torch.arange(40)
    x = torch.ones(40, 30, 7, 16)
    dropped = RowDropout(0.2, seeds)(x, site=4)
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    share, n = (dropped == 0).double(), x.numel()
    assert share.mean().item() == pytest.approx(0.2, abs=5 * (0.16 / n) ** 0.5)
    # Along no axis, and from no place to the next, do neighbouring entries know of each other.
    centred = share - 0.2
    following = [(centred.narrow(k, 1, x.shape[k] - 1) * centred.narrow(k, 0, x.shape[k] - 1)) for k in range(4)]
    following.append(centred * ((RowDropout(0.2, seeds)(x, site=5) == 0).double() - 0.2))
    for product in following:
        assert abs(product.mean().item()) < 5 * 0.16 / product.numel() ** 0.5


def test_words_fill_32_bits_and_do_not_depend_on_the_size_of_the_row():
    words = uniform_words(torch.tensor([3, 2**62 + 3]), 1, (50, 20))
    assert torch.equal(uniform_words(torch.tensor([2**62 + 3]), 1, (30, 9)), words[1:, :30, :9])
    assert words.min() >= 0
    assert 0.99 * 2**32 < words.max() < 2**32
    assert len(words.unique()) == words.numel()


# Weights of the published network


def test_published_weights_move_in_and_the_row_of_the_mask_token_stays():
    stock, net = StockMPNN(width=16, decoder_layers=2), small(decoder_layers=2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    transfer = load_stock(net, stock.state_dict())
    own = net.state_dict()
    assert {*transfer.equal, *transfer.extended, *transfer.new} == own.keys()
    assert all(torch.equal(own[name], stock.state_dict()[name]) for name in transfer.equal)
    assert all(torch.equal(own[name][21], before[name][21]) for name in transfer.extended)
    assert all(torch.equal(own[name], before[name]) for name in transfer.new)


def test_with_one_decoder_layer_and_an_empty_mask_token_both_decoders_agree():
    stock, net = StockMPNN(width=16, decoder_layers=1, neighbours=6), small(decoder_layers=1)
    load_stock(net, stock.state_dict())
    with torch.no_grad():
        net.W_s.weight[21] = net.node_embeds[:] = 0
    batch = inputs(30)
    logits, _ = net(*batch[:4], torch.full((2, 30), 21))
    log_probs = logits[..., :21].log_softmax(-1)
    torch.testing.assert_close(log_probs, stock.unconditional(*batch[:4]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("W_e.bias"), "lacks 'W_e.bias'"),
        (lambda state: state.update(extra=torch.ones(1)), "no place for 'extra'"),
        (lambda state: state.update({"W_s.weight": torch.ones(22, 16)}), r"'W_s.weight' has shape \(22, 16\), not"),
    ],
)
def test_weights_that_do_not_fit_are_refused_whole(change, message):
    state, net = StockMPNN(width=16).state_dict(), small()
    before = net.W_out.weight.clone()
    change(state)
    with pytest.raises(ValueError, match=message):
        load_stock(net, state)
    assert torch.equal(net.W_out.weight, before)


def test_a_residue_is_scored_from_what_was_written_before_it():
    net, batch = StockMPNN(width=16, neighbours=12), inputs(12, 1)
    batch[4] = batch[4] % 21
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))[None]
    scores = net.conditional(*batch, order)
    first, last = order[0, 0], order[0, -1]
    structure_alone = net.unconditional(*batch[:4])
    torch.testing.assert_close(scores[0, first], structure_alone[0, first], rtol=0, atol=1e-6)
    for position, seen_by in ((last, 0), (first, 11)):
        other = batch[4].clone()
        other[0, position] = (other[0, position] + 1) % 21
        assert (net.conditional(*batch[:4], other, order) != scores).any(-1).sum() == seen_by
