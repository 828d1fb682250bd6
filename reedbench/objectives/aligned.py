"""Velocity loss with zero, one or several aligned layers and a curriculum: SiT, REPA and REED are settings of it.

Source: SiT arXiv:2401.08740, REPA arXiv:2410.06940, REED arXiv:2507.08980 (loss.py and train.py:363-385 @0a4527e).
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.constants import ALIGNMENT_WEIGHT, LABEL_DROPOUT, PROJECTOR_WIDTH
from reedbench.core.errors import ConfigError
from reedbench.core.frozen import Frozen
from reedbench.objectives import AbstractObjective
from reedbench.objectives._schedule import Schedule


class Alignment(Frozen):
    """One hidden layer pulled towards one representation."""

    encoder: str
    """Name of one of the benchmark's encoders."""
    depth: int = Field(ge=1)
    """Block whose output is aligned, 1-based."""
    weight: float = Field(ALIGNMENT_WEIGHT, ge=0)
    """Coefficient of the term; 0 switches it off (REED's code turns 0 into 1)."""
    time_weight: Literal["constant", "linear", "cosine", "sigmoid", "loglinear", "cutoff"] = "constant"
    """Weight over time t (0 noise, 1 data); all but `constant` and `cutoff` favour clean samples."""
    between: tuple[float, float] = (0.0, 1.0)
    """Times where `cutoff` is 1, both ends included, in our time; for `cutoff` only."""
    time_weighting: Literal["per-sample", "reference"] = "per-sample"
    """`reference` multiplies by the batch mean of the weight, as REED's code does (quirk Q1)."""
    projector_width: int = Field(PROJECTOR_WIDTH, ge=1)
    """Hidden width of the projector."""
    probe: bool = False
    """Train the projector only: the backbone's features are detached."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Kinds of encoders that fit."""
        return ("tokens", "vector")

    @model_validator(mode="after")
    def _window_of_the_cutoff(self) -> "Alignment":
        low, high = self.between
        if not 0.0 <= low < high <= 1.0:
            raise ValueError(f"between [{low}, {high}] must satisfy 0 <= low < high <= 1")
        if self.time_weight != "cutoff" and self.between != (0.0, 1.0):
            raise ValueError(f"between is for time_weight: cutoff, and time_weight is {self.time_weight}")
        return self


class Aligned(AbstractObjective):
    """Denoising plus alignments, each with its factor over training."""

    domain: ClassVar[str] = "image"
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "yu2025repa", "wang2025reed")
    uses: Literal["aligned"] = "aligned"

    alignments: tuple[Alignment, ...] = ()
    """None for SiT, one for REPA, several for REED."""
    reduce: Literal["sum", "mean"] = "sum"
    """Over alignments: REED sums, REPA averages."""
    denoise: Schedule = Schedule()
    """Factor omega of the denoising loss; REED ramps it in."""
    align: Schedule = Schedule()
    """Factor rho of all alignments."""
    path: Literal["linear", "gvp"] = "linear"
    """Interpolant between noise and data."""
    times: Literal["uniform", "lognormal"] = "uniform"
    """Law of the training times."""
    label_dropout: float = Field(LABEL_DROPOUT, ge=0, lt=1)
    """Share of labels replaced by the null label."""

    @model_validator(mode="after")
    def _terms_have_distinct_names(self) -> "Aligned":
        names = [self._term(alignment) for alignment in self.alignments]
        if len(set(names)) < len(names):
            raise ValueError("two alignments have the same encoder and depth; merge them into one")
        return self

    @staticmethod
    def _term(alignment: Alignment) -> str:
        return f"{alignment.encoder}@{alignment.depth}"

    def encoders(self) -> tuple[str, ...]:
        """Encoders in order of first use."""
        return tuple(dict.fromkeys(alignment.encoder for alignment in self.alignments))

    def depths(self) -> tuple[int, ...]:
        """Tapped blocks."""
        return tuple(alignment.depth for alignment in self.alignments)

    def interpolant(self) -> str:
        """The path."""
        return self.path

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.aligned import AlignedLearner, AlignedNetwork
        from reedbench.nn.alignment import Projector
        from reedbench.nn.flow import FlowMatching

        self._check_tokens(backbone.tokens, targets)
        projectors = [Projector(backbone.width, a.projector_width, targets[a.encoder][-1]) for a in self.alignments]
        backbone.initialise(generator)
        for j, projector in enumerate(projectors):
            # Named by what it aligns, not by position: a projector is the same in REPA and in REED.
            prefix = f"projectors.{self._term(self.alignments[j])}"
            projector.initialise(lambda name, prefix=prefix: generator(f"{prefix}.{name}"))
        network = AlignedNetwork(backbone, projectors, [self._tap(a, targets[a.encoder]) for a in self.alignments])
        flow = FlowMatching(self.path, self.times, self.label_dropout, null_label=backbone.null_label)
        return AlignedLearner(
            network,
            flow,
            self.denoise.function(),
            self.align.function(),
            mean_over_encoders=self.reduce == "mean",
        )

    def _check_tokens(self, tokens: int, targets: Mapping[str, tuple[int, ...]]) -> None:
        for alignment in self.alignments:
            shape = targets[alignment.encoder]
            if len(shape) == 2 and shape[0] != tokens:
                raise ConfigError(
                    f"alignment of encoder '{alignment.encoder}': it has {shape[0]} tokens per datum, the backbone "
                    f"has {tokens}: choose a patch size that gives as many"
                )

    def _tap(self, alignment: Alignment, shape: tuple[int, ...]) -> Any:
        from reedbench.nn.aligned import Tap
        from reedbench.nn.alignment import TIME_WEIGHTS, cutoff

        low, high = alignment.between
        weights = {**TIME_WEIGHTS, "cutoff": lambda t: cutoff(t, low, high)}
        return Tap(
            term=self._term(alignment),
            target=f"target/{alignment.encoder}",
            depth=alignment.depth,
            weight=alignment.weight,
            time_weight=weights[alignment.time_weight],
            mode=alignment.time_weighting,
            pooled=len(shape) == 1,
            probe=alignment.probe,
        )
