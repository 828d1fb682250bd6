"""What `reedbench step train` builds from a benchmark file: at equal seed all methods start from the same weights."""

import torch

from reedbench.schema import runs, suite
from reedbench.steps.train import build
from reedbench.training.ranks import Ranks


def initial(m: str, k: int) -> dict[str, torch.Tensor]:
    trainer, _ = build(runs.of(suite.load(), "tiny", m, k), Ranks.alone("cpu"))
    return trainer.published()


def test_at_equal_seed_all_methods_start_from_the_same_weights(run):
    sit, repa, reed = (initial(m, 0) for m in ("sit", "repa", "reed"))
    for name, tensor in sit.items():
        assert torch.equal(tensor, repa[name]), name
        assert torch.equal(tensor, reed[name]), name
    shared = repa.keys() & reed.keys() - sit.keys()
    assert any(name.startswith("projectors.0.") for name in shared)
    assert all(torch.equal(repa[name], reed[name]) for name in shared)


def test_another_seed_starts_from_other_weights(run):
    sit, other = initial("sit", 0), initial("sit", 1)
    assert not torch.equal(sit["blocks.0.attn.qkv.weight"], other["blocks.0.attn.qkv.weight"])


def test_settings_of_the_optimiser_arrive(run):
    from pathlib import Path

    file = Path("config/benchmarks/tiny.yaml")
    text = file.read_text()
    assert "optimiser: {" in text
    given = "betas: [0.7, 0.9], eps: 0.003, weight_decay: 0.125, "
    file.write_text(text.replace("optimiser: {", "optimiser: {" + given, 1))
    suite.load.cache_clear()
    trainer, _ = build(runs.of(suite.load(), "tiny", "sit", 0), Ranks.alone("cpu"))
    given = trainer.optimiser
    assert (tuple(given.betas), given.eps, given.weight_decay) == ((0.7, 0.9), 0.003, 0.125)
