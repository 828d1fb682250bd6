"""The data order is a function of benchmark, seed and step, and representations belong to the rows they come with."""

import numpy as np
import pytest
import torch

from reedbench.codecs.pixels import Pixels
from reedbench.core import io, shards
from reedbench.core.errors import MissingArtefact
from reedbench.domains import image, rows
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.training import loaders
from reedbench.training.loaders import TrainingData
from reedbench.training.order import RowOrder

ROWS, TRAINING = 12, 9


def drawn(order: RowOrder, steps: range) -> list[int]:
    return [int(row) for step in steps for row in order.rows(step)]


@pytest.mark.parametrize("batch", [1, 4, 10, 25])
def test_every_row_comes_once_per_epoch_whatever_the_batch(batch):
    order = RowOrder(10, batch, "b", 0)
    chain = drawn(order, range(20 * 10 // batch))
    for epoch in range(len(chain) // 10):
        assert sorted(chain[epoch * 10 : (epoch + 1) * 10]) == list(range(10))


def test_a_batch_straddles_epochs_and_has_its_full_size():
    chain = drawn(RowOrder(10, 1, "b", 0), range(30))
    straddling = RowOrder(10, 8, "b", 0)
    assert [len(straddling.rows(step)) for step in range(3)] == [8, 8, 8]
    assert drawn(straddling, range(3)) == chain[:24]


def test_epochs_differ():
    chain = drawn(RowOrder(50, 50, "b", 0), range(2))
    assert chain[:50] != chain[50:]


def test_a_step_has_the_same_rows_whatever_was_asked_before():
    order = RowOrder(10, 4, "b", 0)
    forward = {step: order.rows(step).tolist() for step in range(12)}
    backward = {step: order.rows(step).tolist() for step in reversed(range(12))}
    fresh = {step: RowOrder(10, 4, "b", 0).rows(step).tolist() for step in range(12)}
    assert forward == backward == fresh


def test_another_seed_or_dataset_has_another_order():
    orders = {tuple(drawn(RowOrder(50, 50, b, k), range(1))) for b, k in (("b", 0), ("b", 1), ("c", 0))}
    assert len(orders) == 3


@pytest.fixture
def folders(tmp_path):
    """A dataset whose every third or so row is for testing, and representations of its training rows."""
    split = [TEST if i % 4 == 1 else TRAIN for i in range(ROWS)]
    images = np.arange(ROWS, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    made = Rows([f"{i:02d}" for i in range(ROWS)], split, {"images": images, "labels": np.arange(ROWS) % 3})
    rows.write(tmp_path / "data", made, {"classes": 3})
    kept = made.where(TRAIN)
    _represent(tmp_path / "enc", kept.arrays["labels"][:, None] * np.ones(4), kept.ids)
    return tmp_path / "data", tmp_path / "enc"


def _represent(folder, values, ids) -> None:
    shards.write(folder / "shards", {"representation": values.astype(np.float16)})
    io.write_json(folder / "index.json", {"train_ids": rows.ids_digest(ids)})


@pytest.mark.parametrize("resident", [loaders.RESIDENT, 0])
def test_a_batch_holds_latents_labels_and_representations_of_the_same_training_rows(resident, folders, monkeypatch):
    monkeypatch.setattr(loaders, "RESIDENT", resident)
    data = TrainingData(folders[0], {"enc": folders[1]}, Pixels())
    assert (data.size, data.shape(), data.target_shapes()) == (TRAINING, (1, 2, 2), {"enc": (4,)})
    chosen = np.array([8, 0, 3])
    batch = data.batch(chosen, chosen) | data.targets(chosen, chosen)
    ids = np.array([i for i in range(ROWS) if i % 4 != 1])[[8, 0, 3]]
    expected = image.to_signed(ids.astype(np.uint8))
    np.testing.assert_array_equal(batch["x_1"].numpy(), np.broadcast_to(expected[:, None, None, None], (3, 1, 2, 2)))
    assert batch["labels"].tolist() == (ids % 3).tolist()
    assert batch["target/enc"].numpy()[:, 0].tolist() == (ids % 3).tolist()
    assert (batch["x_1"].dtype, batch["target/enc"].dtype) == (torch.float32, torch.float16)


@pytest.mark.parametrize("fault", ["other ids", "other order", "fewer rows"])
def test_representations_of_other_rows_are_refused_with_the_command_that_makes_them_again(folders, fault):
    ids = [f"{i:02d}" for i in range(ROWS) if i % 4 != 1]
    if fault == "other ids":
        ids[0] = "xx"
    elif fault == "other order":
        ids = ids[::-1]
    _represent(folders[1], np.zeros((TRAINING - (fault == "fewer rows"), 4)), ids)
    with pytest.raises(MissingArtefact, match=r"was made of other rows.*snakemake -f .*enc/index\.json"):
        TrainingData(folders[0], {"enc": folders[1]}, Pixels())
