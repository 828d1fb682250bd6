"""A network that finds clusters: what they feel, what a row is told, and how samples are asked for them."""

import numpy as np
import pytest
import torch

from reedbench.nn.backbones.clustered import SCORES, ClusteredSiT
from reedbench.nn.backbones.sit import SiT
from reedbench.nn.clustered import codes, drawn_clusters, swav
from reedbench.nn.initialisation import normal

SIZES = {"size": 4, "channels": 1, "patch": 2, "width": 8, "depth": 4, "heads": 2, "classes": 0}
K = 5


def stream(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def made(*, shaken: bool = True) -> ClusteredSiT:
    network = ClusteredSiT(SiT(**SIZES), K)
    network.initialise(stream)
    for name, parameter in network.named_parameters() if shaken else ():
        normal(parameter, 0.3, stream(name))
    return network


def inputs(rows: int = 7) -> tuple[torch.Tensor, ...]:
    drawn = np.random.default_rng(1)
    x = torch.from_numpy(drawn.standard_normal((rows, 1, 4, 4), dtype=np.float32))
    return x, torch.from_numpy(drawn.random(rows, dtype=np.float32)), torch.arange(rows) % (K + 2)


def test_it_starts_as_a_sit_with_prototypes_of_unit_length():
    sit, network = SiT(**SIZES), made(shaken=False)
    sit.initialise(stream)
    for name, parameter in sit.named_parameters():
        assert torch.equal(network.get_parameter(name), parameter)
    torch.testing.assert_close(network.prototypes.norm(dim=1), torch.ones(K))


def test_clusters_are_learned_by_the_head_and_the_prototypes_alone():
    network = made()
    network(*inputs(), taps=[SCORES])[1][0].square().sum().backward()
    felt = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert felt == {"head", "prototypes"}


def test_what_a_row_is_told_does_not_move_prototypes_and_every_condition_has_a_gradient():
    """Of zero where no row has it: ranks wait for all."""
    network = made()
    x, t, _ = inputs()
    network(x, t, torch.full((len(x),), K + 1))[0].square().sum().backward()
    assert network.prototypes.grad is None
    assert not network.null_token.grad.any()
    assert not network.condition_embedder.weight.grad.any()
    assert network.y_embedder.embedding_table.weight.grad.any()


def test_the_two_null_tokens_and_the_clusters_are_different_conditions():
    network = made()
    x, t, _ = inputs(1)
    found = [network(x, t, torch.tensor([y]))[0] for y in range(K + 2)]
    assert all(not torch.allclose(a, b) for i, a in enumerate(found) for b in found[:i])
    conditions = network.conditions()
    assert torch.equal(conditions[K], network.null_token)
    assert torch.equal(conditions[network.unconditional], network.y_embedder.embedding_table.weight[-1])


def test_scores_come_from_behind_the_middle_block_and_are_cosines():
    network, given = made().eval(), inputs()
    empty, (scores,) = network(*given, taps=[SCORES], only_taps=True)
    assert not empty.numel()
    assert scores.shape == (7, K)
    assert float(scores.detach().abs().max()) <= 1 + 1e-6
    for block in network.blocks[network.middle :]:
        for parameter in block.parameters():
            normal(parameter, 1.0, stream("other"))
    torch.testing.assert_close(network(*given, taps=[SCORES])[1][0], scores)


def test_hidden_states_are_those_of_patches():
    network, given = made(), inputs()
    velocity, (hidden,) = network(*given, taps=[2])
    assert velocity.shape == given[0].shape
    assert hidden.shape == (7, network.tokens, network.width)


def test_guidance_leads_away_from_the_null_token_of_its_stage():
    network = made()
    assert network.null_label == K + 1
    network.histogram[2] = 1
    assert network.null_label == K


def test_codes_share_clusters_and_groups_do_not_see_each_other():
    scores = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (12, 4)))
    found = codes(scores)
    torch.testing.assert_close(found.sum(1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(codes(scores.unflatten(0, (2, 6)))[1], codes(scores[6:]))
    t = torch.full((12,), 0.85)
    torch.testing.assert_close(swav(scores, t, 6)[6:], swav(scores[6:], t[6:], 0))


def test_only_rows_between_the_times_count():
    scores, t = torch.zeros(5, 3), torch.tensor([0.8, 0.801, 0.85, 0.9, 0.95])
    assert (swav(scores, t, 0) > 0).tolist() == [False, True, True, False, False]


def test_samples_draw_clusters_as_often_as_they_were_seen():
    histogram, chance = torch.tensor([0.0, 3.0, 0.0, 1.0, 0.0]), (torch.arange(400) + 0.5) / 400
    assert drawn_clusters(histogram, chance).bincount(minlength=5).tolist() == [0, 300, 0, 100, 0]
    assert drawn_clusters(histogram, torch.tensor([0.0, 1.0])).tolist() == [1, 3]


def test_only_a_sit_can_be_asked_for_clusters():
    with pytest.raises(ValueError, match="backbone sit alone, not by Linear"):
        ClusteredSiT(torch.nn.Linear(1, 1), 3)
