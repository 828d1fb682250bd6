"""A run whose samples an encoder rewards reads that one's weights, and no representations of it."""

from pathlib import Path

import pytest
from tiny_steps import benchmark, edit, must, run

from reedbench.core import io, paths, provenance
from reedbench.encoders.small_classifier import SmallClassifier
from reedbench.steps import gather, outlook

ENCODER = "\n  reward: {uses: small-classifier, dim: 8, steps: 5, half: even}\nextractors:\n"
METHOD = """
  rl:
    uses: reward
    label: RL
    judge: reward
    teacher: {method: sit, step: 5}
    init: teacher
    rollout: 3
    transitions: 2
    steps: 5
table: [sit, rl]
"""
SIT, RL = (f"train --benchmark tiny --method {m} --seed 0 --segment 0" for m in ("sit", "rl"))
JUDGE = paths.weights(paths.encoder("digits", "reward"))


@pytest.fixture
def taught(workspace):
    """The teacher is trained; the judge is not."""
    edit("\nextractors:\n", ENCODER)
    edit("table: [sit, repa, reed]", METHOD)
    must("prepare --dataset digits")
    must(SIT)


def test_it_waits_for_the_judge_and_is_priced_with_its_training(taught, capfd):
    assert run(RL) == 3
    assert JUDGE in capfd.readouterr().err
    must("pretrain --dataset digits --encoder reward")
    must(RL)
    assert not Path(paths.representation("digits", "reward")).exists()
    assert provenance.read(paths.receipt("tiny", "rl", 0, 0))["inputs"][JUDGE] == io.sha256(JUDGE)
    rl, sit = benchmark().run("rl", 0), gather._training(benchmark().run("rl", 0).teacher)
    assert gather.preparation(rl, "reward") == [JUDGE]
    assert gather._one_off(rl)["oneoff_flops"] == provenance.cost(JUDGE)["flops"] + sit["flops"]


def test_a_run_does_not_go_on_with_another_file_of_a_judge_that_is_not_trained_here(taught, monkeypatch, capfd):
    """Of such a one no earlier step has read the file."""
    must("pretrain --dataset digits --encoder reward")
    weights = io.read_tensors(JUDGE)
    own = Path("judge.bin")
    own.write_bytes(b"one")
    monkeypatch.setattr(SmallClassifier, "pretrained", False)
    monkeypatch.setattr(SmallClassifier, "files", lambda self: (own,))
    found = SmallClassifier.log_probabilities
    monkeypatch.setattr(SmallClassifier, "log_probabilities", lambda self, w, m: found(self, weights, m))
    must(RL)
    own.write_bytes(b"two")
    assert run(RL) == 2
    assert "judge.bin has other content than when this run was trained" in capfd.readouterr().err


def test_a_plan_neither_counts_nor_keeps_representations_of_the_judge(taught):
    found = outlook.Outlook(benchmark())
    assert found.stand_ins == []
    assert [what for what, *_ in found.disk() if "reward" in what] == []
    done = found.operations()
    assert JUDGE in done
    assert paths.index(paths.representation("digits", "reward")) not in done
