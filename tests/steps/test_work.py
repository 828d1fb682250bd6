"""One-off work: no clock runs while operations are counted, and a short pass stands for all."""

from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest
import torch

from reedbench import steps
from reedbench.core import paths, provenance
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import TRAIN, Rows
from reedbench.encoders import AbstractEncoder, Material, Pretrained
from reedbench.encoders.invariant_patches import InvariantPatches
from reedbench.nn import flops
from reedbench.steps import caption, pretrain, represent, streamed, work


def products(count: int, size: int = 4) -> float:
    """Operations of `count` products of square matrices, which are computed."""
    for _ in range(count):
        torch.ones(size, size) @ torch.ones(size, size)
    return 2.0 * count * size**3


def rows(n: int, lengths: list[int] | None = None) -> Rows:
    arrays = {"x": np.zeros(n)} if lengths is None else {"x": Ragged.of([np.zeros(length) for length in lengths])}
    return Rows([str(i) for i in range(n)], [TRAIN] * n, arrays)


class Trained(AbstractEncoder):
    """Per step 3 products, and one per training row in the end."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[str] = "vector"
    uses: str = "trained"
    steps: int = 50

    def pretrain(self, train, test, stream):
        products(3 * self.steps), products(len(train.rows))
        return Pretrained({}, {})

    def represent(self, weights, material):
        raise NotImplementedError


ENCODER = ["--encoder", "patches"]


@pytest.mark.parametrize("steps", [0, 1, 6, 7, 50])
@pytest.mark.parametrize("count", [10, 256, 1000, 1437])
def test_operations_of_a_training_follow_from_its_first_steps(steps, count):
    found = work.operations_of_training(Trained(steps=steps), Material(rows(count)), Material(rows(10)), "x")
    assert found == pytest.approx(products(3 * steps) + products(count), rel=1e-6)


class Sampling(Trained):
    """Three products per row of at most 300 rows of either split."""

    steps: int = 0

    def studied_rows(self, count):
        return min(count, 300)

    def pretrain(self, train, test, stream):
        products(3 * (self.studied_rows(len(train.rows)) + self.studied_rows(len(test.rows))))
        return Pretrained({}, {})


class Thinning(Sampling):
    """Three products per fifth row."""

    def studied_rows(self, count):
        return len(range(0, count, 5))


@pytest.mark.parametrize("encoder", [Sampling(), Thinning()])
@pytest.mark.parametrize("count", [100, 600, 5000])
def test_operations_grow_with_the_rows_at_which_an_encoder_looks(encoder, count):
    found = work.operations_of_training(encoder, Material(rows(count)), Material(rows(count // 5)), "x")
    studied = encoder.studied_rows(count) + encoder.studied_rows(count // 5)
    assert found == pytest.approx(products(3 * studied), rel=0.05)  # a fifth of few rows is rounded up


def test_an_encoder_whose_shapes_tell_its_operations_is_not_asked_twice(workspace, monkeypatch):
    asked, own = [], InvariantPatches.pretrain
    monkeypatch.setattr(InvariantPatches, "pretrain", lambda *given: asked.append(given) or own(*given))
    monkeypatch.setattr(InvariantPatches, "pretraining_flops", lambda one, facts, train, test: 1e3 * train + test)
    assert steps.main(["prepare", "--dataset", "digits"]) == 0
    assert steps.main(["pretrain", "--dataset", "digits", *ENCODER]) == 0
    assert len(asked) == 1
    assert provenance.cost(paths.weights(paths.encoder("digits", "patches")))["flops"] == 1e3 * 1437 + 360


@pytest.mark.parametrize("count", [0, 1, 10, 1000])
def test_operations_of_a_map_follow_from_a_few_rows(count):
    assert work.operations_per_row(lambda some: products(2 * len(some)), rows(count)) == products(2 * count)


def test_the_few_rows_stand_for_all_lengths():
    lengths = np.random.default_rng(0).integers(10, 200, 500)
    each = rows(500, lengths.tolist())
    found = work.operations_per_row(lambda some: products(int((lengths[some] ** 2).sum()) // 100), each)
    assert found == pytest.approx(products(int((lengths**2).sum()) // 100), rel=0.05)


def test_words_of_a_pass_that_counts_are_not_shown(capfd):
    from reedbench.core.console import say

    assert work.operations(lambda: say("twice") or products(1)) == products(1)
    assert capfd.readouterr().err == ""


def test_no_clock_runs_while_operations_are_counted(workspace, monkeypatch):
    """The profiler slows torch down; seconds are those of the work alone."""
    running, counted = [], []

    def counter():
        counted.append(len(running))
        return real()

    @contextmanager
    def block(*device):
        running.append(True)
        with timed(*device) as found:
            yield found
        running.pop()

    def once(self, *asked, **named):
        prepared.append(self.uses)
        return own(self, *asked, **named)

    real, timed, own, prepared = flops.counter, work.timed, InvariantPatches.prepared, []
    monkeypatch.setattr(InvariantPatches, "prepared", once)
    monkeypatch.setattr(flops, "counter", counter)
    for module in (caption, pretrain, represent, streamed):
        monkeypatch.setattr(module, "timed", block)
    assert steps.main(["prepare", "--dataset", "digits"]) == 0
    for verb, names in {"caption": ["--captioner", "measured"], "pretrain": ENCODER, "represent": ENCODER}.items():
        before = len(counted)
        assert steps.main([verb, "--dataset", "digits", *names]) == 0
        assert set(counted[before:]) == {0}
    assert prepared == ["invariant-patches"]  # it may load gigabytes
    marks = [paths.weights(paths.encoder("digits", "patches")), paths.index(paths.representation("digits", "patches"))]
    assert all(provenance.cost(mark)["flops"] > 1e6 for mark in marks)
