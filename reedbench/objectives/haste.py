"""HASTE: alignment of hidden states and of attention that ends early. Source: arXiv:2505.16792."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.core.frozen import Frozen
from reedbench.objectives import Place, Tap
from reedbench.objectives._aligned_flow import AlignedFlow
from reedbench.objectives._schedule import Schedule

ATTENTION_WEIGHT = 0.5


class AttentionOf(Frozen):
    """The attention of one block drawn towards that of one layer of an encoder."""

    encoder: str
    """Name of one of the benchmark's encoders that give attention."""
    depth: int = Field(ge=1)
    """Block of the backbone, 1-based."""
    layer: int = Field(ge=1)
    """Which of the layers that the encoder gives, 1-based in their order."""
    heads: tuple[tuple[int, int], ...] = ()
    """Pairs [head of the block, head of the layer] that are compared, 1-based. Where it is left out the first heads of
    the block are compared with all of the layer, one by one; a block that has fewer needs the pairs."""

    @model_validator(mode="after")
    def _each_head_once(self) -> "AttentionOf":
        for heads in zip(*self.heads, strict=True):
            if min(heads) < 1 or len(set(heads)) < len(heads):
                raise ValueError("heads must name each head once, the first one as 1")
        return self


class Haste(AlignedFlow):
    """Denoising, alignments and attention, the last two of which have one factor over training: it stops them."""

    cites: ClassVar[tuple[str, ...]] = ("wang2025haste",)
    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = (
        "|v - (x_1 - x_0)|^2 + align(step) (L_align + attention_weight L_att); "
        "L_att = mean -softmax(teacher logits) . log softmax(own logits)"
    )
    cost: ClassVar[str] = "before the stop 3F + E (tokens kept) and the logits of the paired blocks; after it 3F"
    choices: ClassVar[tuple[str, ...]] = (
        "the encoder is not asked after the stop, where the released loop goes on asking it",
        "tokens may be kept on disk while attention is asked in every step: E once",
        "where a block has fewer heads than the layer, the pairs must be named",
        "the step of the stop is 250 000 of 400 000 in the paper and scales with the length of a run",
    )
    uses: Literal["haste"] = "haste"

    attention: tuple[AttentionOf, ...] = Field(
        min_length=1, examples=[({"encoder": "attention", "depth": 1, "layer": 1},)]
    )
    """Pairs of a block and a layer; the term is their mean. HASTE: blocks 5-8 and DINOv2-B's layers 9-12."""
    attention_weight: float = Field(ATTENTION_WEIGHT, gt=0)
    """Coefficient of the term."""
    align: Schedule = Schedule()
    """Factor of alignments and attention together: HASTE has {shape: stop, start: 250000} in runs of 400,000 steps."""

    def misfit(self, train: Any, last: int) -> str | None:
        """Something must stop."""
        if self.align.shape == "constant":
            return "align: nothing stops; say {shape: stop, start: <step>}, or another shape that ends"
        if self.align.start >= last:
            return f"align: start {self.align.start} is no step of a run of {last}: scale it with the length"
        return super().misfit(train, last)

    def encoders(self) -> tuple[str, ...]:
        """Encoders in order of first use."""
        return tuple(dict.fromkeys((*super().encoders(), *(pair.encoder for pair in self.attention))))

    def depths(self) -> tuple[int, ...]:
        """Tapped blocks."""
        return (*super().depths(), *(pair.depth for pair in self.attention))

    def reads(self) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
        """Alignments, and the attention."""
        yield from super().reads() if self.alignments else ()
        for i, pair in enumerate(self.attention):
            yield ("attention", i, "encoder"), pair.encoder, ("attention",)

    def taps(self) -> Iterator[tuple[Place, Tap]]:
        """Alignments, and the attention."""
        yield from super().taps() if self.alignments else ()
        for i, pair in enumerate(self.attention):
            yield ("attention", i, "depth"), ("attention", pair.depth)

    def _a_factor_of_something(self) -> "Haste":
        return self  # attention is there

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name.

        Raises:
            ConfigError: an encoder gives fewer layers, other tokens, or heads that do not fit.
        """
        from reedbench.nn.attention_alignment import AttentiveLearner, AttentiveNetwork

        pairs = [_pair(one, targets[one.encoder], backbone) for one in self.attention]
        parts = self.aligned(backbone, targets, generator)
        return AttentiveLearner(
            AttentiveNetwork(*parts, [pair.depth for pair in pairs]),
            self.flow(backbone),
            self.denoise.factor(),
            self.align.factor(),
            pairs,
            self.attention_weight,
            mean_over_encoders=self.reduce == "mean",
        )


def _pair(one: AttentionOf, shape: tuple[int, ...], backbone: Any) -> Any:
    """A pair as the loss sees it, of logits of this shape (layers, heads, n, n)."""
    from reedbench.nn.attention_alignment import AttentionPair

    layers, heads, tokens, _ = shape
    what = f"attention of encoder '{one.encoder}' at depth {one.depth}"
    if tokens != backbone.tokens:
        raise ConfigError(f"{what}: it is between {tokens} tokens, and the backbone has {backbone.tokens}")
    if one.layer > layers:
        raise ConfigError(f"{what}: layer {one.layer} is beyond the {layers} that the encoder gives")
    if not one.heads and backbone.heads < heads:
        raise ConfigError(
            f"{what}: the block has {backbone.heads} heads and the layer {heads}: name the pairs in `heads`"
        )
    compared = one.heads or tuple((i, i) for i in range(1, heads + 1))
    own, its = zip(*compared, strict=True)
    if max(own) > backbone.heads or max(its) > heads:
        raise ConfigError(f"{what}: heads go up to [{backbone.heads}, {heads}], and {max(own)}, {max(its)} are named")
    return AttentionPair(one.encoder, one.depth, one.layer - 1, *(tuple(i - 1 for i in h) for h in (own, its)))
