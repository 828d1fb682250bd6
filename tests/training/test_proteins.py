"""Inverse folding in the training loop that images use: ragged batches, any number of ranks, the same bytes again."""

import numpy as np
import pytest
import torch
from first_update import gradient
from forked import on_ranks
from tiny_proteins import DISCRETE, LENGTHS, REED, TOKENS, trainer, write_data
from torch import Tensor

from reedbench.codecs.residues import Residues
from reedbench.core.errors import ConfigError
from reedbench.training.curve import Curve, Journal
from reedbench.training.loaders import TrainingData
from reedbench.training.ranks import Ranks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("proteins")
    write_data(made)
    return made


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("world", [2, 3])
def test_the_gradient_is_that_of_one_process_but_for_rounding(folder, world, accumulation):
    def of(ranks: Ranks | None) -> tuple[Tensor, Tensor]:
        single, double = (
            gradient(trainer(folder, REED, double=wide, accumulation=accumulation, ranks=ranks))
            for wide in (False, True)
        )
        return single, double

    whole = [gradient(trainer(folder, REED, double=wide)) for wide in (False, True)]
    for found in (of(None), *on_ranks(world, of)):
        for together, expected, bound in zip(found, whole, (1e-5, 1e-12), strict=True):
            assert float((together - expected).norm() / expected.norm()) <= bound


def test_the_same_steps_give_the_same_bytes(folder):
    runs = []
    for _ in range(2):
        one = trainer(folder, REED)
        for step in range(3):
            one.update(step)
        runs.append({name: tensor.numpy().tobytes() for name, tensor in one.published().items()})
    assert runs[0] == runs[1]


def test_every_parameter_that_trains_moves_and_the_others_stay(folder):
    one = trainer(folder, REED)
    before = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
    for step in range(2):
        one.update(step)
    moved = {name for name, tensor in one.network.state_dict().items() if not torch.equal(tensor, before[name])}
    trained = {name for name, parameter in one.network.named_parameters() if parameter.requires_grad}
    assert moved == trained
    assert any("decoder_layers.1.W_edge" in name for name in before.keys() - trained)  # nothing reads the last edges


def test_batches_hold_their_representations_at_the_batch_length(folder):
    data = TrainingData(folder / "data", {name: folder / name for name in ("one", "two")}, Residues())
    assert data.target_shapes() == {"one": (-1, 6), "two": (-1, -1, 3)}
    chosen, batch = np.array([4, 0]), np.array([4, 0, 3])
    partners = torch.randint(20, (2, 20, 5), generator=torch.Generator().manual_seed(0))
    one, two = data.targets(chosen, batch, partners).values()
    assert (tuple(one.shape), tuple(two.shape)) == ((2, 20, 6), (2, 20, 5, 3))
    for row, length, pairs, near in zip(chosen, (7, 9), two, partners, strict=True):
        stored = torch.from_numpy(data.stores["two"].read("representation", [row])[0]).reshape(length, length, 3)
        square = torch.nn.functional.pad(stored, (0, 0, 0, 20 - length, 0, 20 - length))
        assert torch.equal(pairs.float(), square[torch.arange(20)[:, None], near].float())


def test_costs_follow_the_entries_of_each_batch(folder):
    one = trainer(folder, DISCRETE)
    order, count = one.order, len(one.order.sizes)
    assert order.seen(count) == len(LENGTHS)
    entries = [order.entries(step) for step in range(count + 1)]
    assert max(entries) <= TOKENS
    assert len(set(entries)) > 1
    journal = Journal()
    counted = Curve(journal, order, one.ranks)
    counted.enter(0, one.flops)
    for step in range(count + 1):
        counted.add(step + 1, {"denoise": torch.tensor(1.0)})
        if step in (0, count):
            counted.settle()
    assert journal.costs["flops"] == pytest.approx(one.flops(0) * sum(entries) / entries[0])
    assert one.flops(0) > 0


def test_batches_too_small_for_their_parts_are_one_line(folder):
    with pytest.raises(ConfigError, match=r"a batch of \d+ rows is too small"):
        trainer(folder, DISCRETE, accumulation=12)


def test_a_batch_in_which_nothing_is_masked_adds_nothing(folder):
    one = trainer(folder, REED, accumulation=2)
    draw = one.learner.draw
    one.learner.draw = lambda batch, streams: (made := draw(batch, streams)) | {"noisy": made["tokens"]}
    found = one.update(0)
    assert [float(found[name]) for name in ("denoise", "two@edge1")] == [0.0, 0.0]
    assert float(found["one@structure"]) != 0  # counts all residues
