"""An encoder that training asks in every step: its targets are those that would be kept, its costs are the run's."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from forked import in_processes, killed

sys.path.insert(0, str(Path(__file__).parents[1] / "encoders"))

import vit_file

from reedbench import steps
from reedbench.core import faults, io, paths, provenance, stores
from reedbench.schema import planning, runs, suite
from reedbench.steps.train import build
from reedbench.training.ranks import Ranks

ENCODER = "{uses: vit, weights: made/vit.safetensors, width: 32, depth: 2, heads: 2, grid: 4, standardise: true%s}"
PRETRAIN = ["pretrain", "--dataset", "digits", "--encoder", "patches"]
RUN = ["train", "--benchmark", "tiny", "--method", "repa", "--seed", "0", "--segment"]


def run(*argv: str) -> int:
    suite.load.cache_clear()
    return steps.main(list(argv))


@pytest.fixture
def online(workspace):
    """The tiny benchmark whose REPA asks a vision transformer in every step."""
    (workspace / "made").mkdir()
    vit_file.write(workspace / "made" / "vit.safetensors")
    said(workspace, ", mode: online")
    assert run("prepare", "--dataset", "digits") == 0
    assert run(*PRETRAIN) == 0
    return workspace


def said(workspace, mode):
    text = Path(__file__).parents[1].joinpath("tiny.yaml").read_text()
    kept = "{uses: invariant-patches, dim: 16, steps: 2, batch: 32}"
    assert kept in text
    (workspace / "config/benchmarks/tiny.yaml").write_text(text.replace(kept, ENCODER % mode))
    suite.load.cache_clear()


def digests():
    return [io.sha256(file) for file in sorted(Path(paths.run("tiny", "repa", 0)).glob("segment-*/step-*"))]


def forget():
    for folder in ("work", paths.run("tiny", "repa", 0)):
        shutil.rmtree(folder)


def trainer():
    suite.load.cache_clear()
    return build(runs.of(suite.load(), "tiny", "repa", 0), Ranks.alone("cpu"))


def test_its_targets_are_those_that_would_be_kept_up_to_half_precision(online):
    asked, read = trainer()
    batch = asked._share_of(0).batch
    assert "images" not in batch
    assert any("vit.safetensors" in file for file in read)

    said(online, "")
    assert run(*PRETRAIN) == 0
    assert run("represent", "--dataset", "digits", "--encoder", "patches") == 0
    kept, _ = trainer()
    wanted = kept._share_of(0).batch
    assert batch.keys() == wanted.keys()
    (target,) = (name for name in batch if batch[name].shape[1:] == (16, 32))
    torch.testing.assert_close(batch[target], wanted[target], atol=2e-3, rtol=1e-3)
    assert not torch.equal(batch[target], wanted[target])
    torch.testing.assert_close(batch["x_1"], wanted["x_1"])
    assert asked.flops(0) > 1.2 * kept.flops(0)


def test_it_sees_no_more_images_at_once_than_it_takes(online, monkeypatch):
    from reedbench.nn.vision_transformers import PublishedTransformer

    calls, tokens = [], PublishedTransformer.tokens

    def counted(self, images):
        calls.append(len(images))
        return tokens(self, images)

    monkeypatch.setattr(PublishedTransformer, "tokens", counted)
    whole = trainer()[0]._share_of(0).batch
    said(online, ", mode: online, batch: 3")
    parts = trainer()[0]._share_of(0).batch
    assert calls == [8, 3, 3, 2]
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, atol=1e-5, rtol=1e-4)


def test_nothing_is_represented_and_training_waits_for_its_moments(online):
    planned = [job.command for job in planning.jobs(runs.benchmark(suite.load(), "tiny"))]
    assert not any("represent" in command and "--encoder patches" in command for command in planned)
    assert any("pretrain" in command and "patches" in command for command in planned)
    assert run(*RUN, "0") == 0
    mark = provenance.read(paths.receipt("tiny", "repa", 0, 0))
    assert {paths.weights(paths.encoder("digits", "patches")), "made/vit.safetensors"} <= set(mark["inputs"])


def test_what_was_asked_online_is_another_recipe(online):
    key = runs.of(suite.load(), "tiny", "repa", 0).key
    said(online, "")
    assert runs.of(suite.load(), "tiny", "repa", 0).key != key


def test_killed_and_resumed_it_ends_in_the_same_bytes(online, monkeypatch):
    assert run(*RUN, "0") == 0
    wanted = digests()
    assert len(wanted) == 2
    forget()
    monkeypatch.setenv(faults.VARIABLE, "before-step@8")
    killed(lambda: run(*RUN, "0"))
    monkeypatch.delenv(faults.VARIABLE)
    assert run(*RUN, "0") == 0
    assert digests() == wanted


def test_two_ranks_ask_for_their_own_rows(online):
    assert run(*RUN, "0") == 0
    one = stores.receipt(paths.receipt("tiny", "repa", 0, 0))
    weights = io.read_tensors(f"{paths.segment('tiny', 'repa', 0, 0)}/step-0000010.safetensors")
    forget()
    assert in_processes(2, lambda: run(*RUN, "0")) == [0, 0]
    assert stores.receipt(paths.receipt("tiny", "repa", 0, 0))["key"] == one["key"]
    again = io.read_tensors(f"{paths.segment('tiny', 'repa', 0, 0)}/step-0000010.safetensors")
    for name, tensor in weights.items():
        torch.testing.assert_close(torch.from_numpy(again[name]), torch.from_numpy(tensor), atol=1e-5, rtol=1e-4)
