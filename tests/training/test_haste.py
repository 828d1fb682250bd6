"""HASTE in training: what it costs until its stop, the heads that it compares, and what is refused."""

from typing import Any

import pytest
import torch
from first_update import gradients
from joint_runs import BARE, HASTE, PAIRS, STOP, TOKENS
from pydantic import ValidationError
from test_phases import closed_form, targets_read
from tiny_runs import BATCH, SIDE, WIDTH

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.alignment import TappedNetwork
from reedbench.objectives import Schedule
from reedbench.objectives.haste import AttentionOf, Haste


def test_haste_costs_its_logits_until_the_stop_and_nothing_after_it(make):
    trainer = make(HASTE)
    read = targets_read(trainer)
    logits = 2.0 * BATCH * 3 * len(PAIRS) * TOKENS**2 * WIDTH
    assert trainer.flops(0) == closed_form((16, 6)) + logits
    assert trainer.flops(STOP) == closed_form()
    read.clear()
    values = [trainer.update(step).keys() for step in range(STOP + 1)]
    assert values[STOP - 1] == {"denoise", "patches@1", "attention", "gradient_norm"}
    assert values[STOP] == {"denoise", "gradient_norm"}
    assert read == [["target/attention", "target/patches"]] * STOP + [[]]


def test_attention_compares_the_heads_that_are_named(make):
    """The head that is not named gets no gradient from the attention."""
    pair = AttentionOf(encoder="attention", depth=1, layer=1, heads=((2, 1),))
    trainer = make(Haste(label="-", attention=(pair,), denoise=Schedule(shape="stop", start=0)), shaken=True)
    gradient = gradients(trainer)["backbone.blocks.0.attn.qkv.weight"].unflatten(0, (3, 2, -1))
    assert not gradient[:2, 0].any()
    assert gradient[:2, 1].any()
    assert not gradient[2].any()  # values come behind the logits


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ({"layer": 3}, "layer 3 is beyond the 2 that the encoder gives"),
        ({"layer": 1, "heads": ((3, 1),)}, r"heads go up to \[2, 2\], and 3, 1 are named"),
    ],
)
def test_attention_that_does_not_fit_is_one_line(make, pair, words):
    with pytest.raises(ConfigError, match=words) as error:
        make(Haste(label="-", attention=(AttentionOf(encoder="attention", depth=1, **pair),)))
    assert "\n" not in str(error.value)


def test_other_head_counts_need_a_map(folder):
    build = HASTE.build
    with pytest.raises(ConfigError, match="the block has 2 heads and the layer 3: name the pairs in `heads`"):
        build(BARE, {"patches": (TOKENS, 6), "attention": (2, 3, TOKENS, TOKENS)}, generator)
    with pytest.raises(ConfigError, match="it is between 4 tokens, and the backbone has 16"):
        build(BARE, {"patches": (TOKENS, 6), "attention": (2, 2, 4, 4)}, generator)
    with pytest.raises(ValidationError, match="heads must name each head once"):
        AttentionOf(encoder="attention", depth=1, layer=1, heads=((1, 1), (1, 2)))


def generator(name: str) -> Any:
    return seeds.stream("init", name)


def test_attention_is_tapped_like_a_hidden_state_also_where_only_taps_are_wanted():
    inputs = torch.randn(3, 1, SIDE, SIDE), torch.rand(3), torch.zeros(3, dtype=torch.long)
    network = TappedNetwork(BARE, [("attention", 1), 2, 1])
    _, (logits, second, first) = network(*inputs)
    assert logits.shape == (3, 2, TOKENS, TOKENS)
    nothing, (again, before) = network(*inputs, wanted=[0, 2], only_taps=True)
    assert nothing.numel() == 0
    torch.testing.assert_close((again, before), (logits, first))
    assert not torch.equal(first, second)


def test_haste_says_where_its_encoders_and_blocks_are_named():
    assert HASTE.encoders() == ("patches", "attention")
    assert list(HASTE.reads())[1:] == [(("attention", i, "encoder"), "attention", ("attention",)) for i in (0, 1)]
    assert list(HASTE.taps())[1:] == [(("attention", i, "depth"), ("attention", i + 1)) for i in (0, 1)]
    assert HASTE.depths() == (1, 1, 2)
