"""Networks by the residues that a chain shows: who sees what, in training and in samplers, from where, at what cost."""

import pytest
import tiny_proteins
import torch
from first_update import gradient
from forked import on_ranks
from tiny_proteins import BACKBONE, LENGTHS, training

from reedbench.backbones.protein_mpnn import ProteinMPNNBackbone
from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.backbones.grouped_mpnn import GroupedMPNN
from reedbench.nn.grouped_design import GROUP
from reedbench.nn.residues import MASK
from reedbench.objectives.grouped import GroupedByTime
from reedbench.objectives.masked_diffusion import MaskedDiffusion
from reedbench.objectives.protein_grouped import ProteinGrouped
from reedbench.samplers.ancestral import Ancestral
from reedbench.samplers.purity import Purity

# One decoder layer of two, and both; of the encoder there is one.
TDC = ProteinGrouped(label="TDC", groups=2, least=0.1)
NAMED = {"teacher": {"method": "discrete", "step": 5}, "init": "teacher"}
NAMES = ("coordinates", "mask", "residue_index", "chain", "noisy")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chains")
    tiny_proteins.write_data(folder)
    return lambda method=TDC, **settings: tiny_proteins.trainer(folder, method, **settings)


def shaken(one):
    for name, parameter in one.network.named_parameters():
        with torch.no_grad():
            parameter += 0.1 * torch.from_numpy(seeds.stream(name).standard_normal(parameter.shape))
    return one


def everything(make, **settings):
    """A trainer whose batch has all chains, the batch, and the share of its residues that each chain shows."""
    one = make(tokens=None, batch=len(LENGTHS), **settings)
    batch = one._share_of(0).batch
    shown = (batch["noisy"] != MASK) & (batch["mask"] > 0)
    return one, batch, shown.sum(1) / batch["mask"].sum(1)


def test_a_chain_trains_the_network_of_what_it_shows_of_its_resolved_residues(make):
    one, batch, share = everything(make)
    assert torch.equal(batch[GROUP], (share >= 0.5).long())
    assert set(batch[GROUP].tolist()) == {0, 1}
    network = one.network.backbone.eval()
    logits, _ = network(*(batch[name] for name in NAMES))
    for number, group in enumerate(network.groups):
        rows = batch[GROUP] == number
        torch.testing.assert_close(logits[rows], group(*(batch[name][rows] for name in NAMES))[0])


@pytest.mark.parametrize("more", [0, 7])
def test_a_share_between_two_groups_belongs_to_the_one_behind_it_whatever_the_padding(make, more):
    network = make().network.backbone
    noisy = torch.full((3, 6 + more), MASK)
    noisy[0, :2], noisy[1, :3], noisy[2, :3] = 1, 1, 1
    mask = (torch.arange(6 + more) < 6).float().repeat(3, 1)
    mask[2, 5] = 0  # three of five
    assert network.group_of(noisy, mask).tolist() == [0, 1, 1]
    nothing = network.group_of(noisy, torch.zeros_like(mask))
    assert nothing.tolist() == [0, 0, 0]


def test_a_network_without_chains_gets_gradients_of_zero(make):
    one, batch, _ = everything(make)
    one.learner.terms({**batch, GROUP: torch.ones_like(batch[GROUP])}, one.network)["denoise"].sum.backward()
    for number, group in enumerate(one.network.backbone.groups):
        gradients = [p.grad for p in group.parameters() if p.requires_grad]
        assert all(gradient is not None for gradient in gradients)
        assert any(gradient.any() for gradient in gradients) == (number == 1)


@pytest.mark.parametrize(("world", "accumulation"), [(1, 4), (2, 1), (2, 3)])
def test_the_gradient_is_the_same_however_the_batch_is_cut(make, world, accumulation):
    """Also where a part has no chain of a network."""
    whole = gradient(make(double=True))

    def work(ranks):
        return gradient(make(double=True, ranks=ranks, accumulation=accumulation))

    for found in [work(None)] if world == 1 else on_ranks(world, work):
        assert float((found - whole).norm() / whole.norm()) < 1e-11


def test_every_residue_counts_alike_whichever_network_its_chain_trains(make):
    one, batch, _ = everything(make)
    with torch.no_grad():
        logits, _ = one.learner.passed(batch, one.network, [])
        term = one.learner.terms(batch, one.network)["denoise"]
    log_p = logits.log_softmax(-1)
    label = torch.nn.functional.one_hot(batch["tokens"], 22) + 0.1 / 22
    loss = -(log_p * label / 1.1).sum(-1)[batch["mask"] > 0].sum()
    assert float(term.sum / term.weight) == pytest.approx(float(loss) / 2000, rel=1e-5)


def test_a_step_costs_the_mean_of_the_networks_whatever_its_chains_show(make):
    one = make(tokens=None, batch=12)
    rows, length = one._share_of(0).batch["mask"].shape
    halves = training(rows // 2, length, decoder=1, edges=0) + training(rows // 2, length)
    assert one.flops(0) == halves
    assert int(one._share_of(0).batch[GROUP].sum()) != rows // 2, "else nothing is shown"


def test_networks_are_published_and_counted_together(make):
    one = make()
    assert {name.split(".")[1] for name in one.published()} == {"0", "1"}
    together = sum(p.numel() for p in one.network.parameters())
    assert one.learner.sampling_parameters() == together
    single = make(MaskedDiffusion(label="-")).learner.sampling_parameters()
    assert single < together < 2 * single


def test_groups_start_from_their_teacher_in_weights_and_average(make):
    of = tiny_proteins.made_teacher()
    one = make(ProteinGrouped(label="TDC", groups=2, least=0.1, **NAMED), teacher=of)
    state, published = of.state_dict(), one.published()
    for name, tensor in state.items():
        assert torch.equal(published[f"groups.1.{name}"], tensor)
        if not name.startswith("decoder_layers.1."):
            assert torch.equal(published[f"groups.0.{name}"], tensor)
    assert not any(name.startswith("groups.0.decoder_layers.1.") for name in published)
    given = tuple(one._share_of(0).batch[name] for name in NAMES)
    last = one.network.backbone.group_of(given[-1], given[1]) == 1
    assert last.any()
    torch.testing.assert_close(one.network.backbone.eval()(*given)[0][last], of.eval()(*given)[0][last])


def test_groups_start_as_the_whole_network_would(make):
    network, whole = make().network.backbone, make(MaskedDiffusion(label="-")).network.backbone
    for name, tensor in whole.state_dict().items():
        assert torch.equal(network.state_dict()[f"groups.1.{name}"], tensor)


def test_layers_in_the_middle_are_left_out_by_their_own_names():
    sizes = {**BACKBONE, "encoder_layers": 3, "decoder_layers": 4}
    build = ProteinMPNNBackbone(**sizes).build
    network, whole = GroupedMPNN(build((-1,), {}), [0.6, 1.0], [0.5]), build((-1,), {})
    assert network.kept == [([0, 2], [0, 3]), ([0, 1, 2], [0, 1, 2, 3])]
    network.take({name: tensor.clone() for name, tensor in whole.state_dict().items()})
    shallow = network.groups[0]
    assert torch.equal(shallow.encoder_layers[1].W1.weight, whole.encoder_layers[2].W1.weight)
    assert torch.equal(shallow.decoder_layers[1].W1.weight, whole.decoder_layers[3].W1.weight)
    assert network._places(0, [("node", 3), ("node", 4), ("structure", 1)]) == [
        ("node", 1),
        ("node", 2),
        ("structure", 1),
    ]


@pytest.mark.parametrize("sampler", [Ancestral(steps=6), Purity(steps=6, noise=2.0)], ids=["ancestral", "purity"])
def test_a_sampler_asks_the_network_of_what_is_shown(make, sampler):
    one, batch, _ = everything(make)
    shaken(one)
    network, asked = one.network.backbone.eval(), []
    for number, group in enumerate(network.groups):
        decode = group.decode

        def watched(encoded, noisy, *, number=number, decode=decode, **named):
            asked.append((number, ((noisy != MASK).sum(1) / encoded.mask.sum(1)).tolist()))
            return decode(encoded, noisy, **named)

        group.decode = watched
    streams = lambda name: seeds.rows(range(len(LENGTHS)), name)  # noqa: E731
    with torch.no_grad():
        found = sampler.draw(network, batch, streams, TDC)
    assert {number for number, _ in asked} == {0, 1}
    assert all((share >= 0.5) == bool(number) for number, shares in asked for share in shares)
    assert ((found["tokens"] != MASK) == (batch["mask"] > 0)).all()
    assert found["nll"].isfinite().all()
    assert sampler.nfe(TDC) == 5


def test_samples_do_not_depend_on_their_batch(make):
    one, batch, _ = everything(make)
    network, streams = shaken(one).network.backbone.eval(), lambda index: lambda name: seeds.rows(index, name)
    with torch.no_grad():
        whole = Ancestral(steps=6).draw(network, batch, streams(range(len(LENGTHS))), TDC)
        part = {name: tensor[4:7] for name, tensor in batch.items()}
        some = Ancestral(steps=6).draw(network, part, streams(range(4, 7)), TDC)
    assert torch.equal(whole["tokens"][4:7], some["tokens"])


# Refusals


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (
            lambda: torch.nn.Linear(1, 1),
            "protein-mpnn alone, not of Linear",
        ),
        (
            lambda: ProteinMPNNBackbone(**BACKBONE, padding="reference").build((-1,), {}),
            "padding: reference padded residues would decide a chain's group; take padding: masked",
        ),
    ],
)
def test_networks_that_cannot_be_grouped_are_one_line(backbone, words):
    with pytest.raises(ConfigError, match=f"objective protein-grouped: .*{words}"):
        TDC.network(backbone())


def test_edges_that_do_not_lie_between_groups_are_refused():
    with pytest.raises(ValueError, match="increasing times"):
        GroupedMPNN(ProteinMPNNBackbone(**BACKBONE).build((-1,), {}), [0.5, 1.0], [0.5, 0.7])


def test_a_teacher_that_has_groups_is_refused():
    plain, images = MaskedDiffusion(label="-"), GroupedByTime(label="-")
    assert "has groups of its own: take a teacher with one network" in TDC.untaught(TDC)
    assert "grouped has groups of its own" in images.untaught(images)
    assert TDC.untaught(plain) is None
