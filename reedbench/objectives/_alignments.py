"""What alignments of all domains have in common, as settings."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.core.frozen import Frozen
from reedbench.objectives import AbstractObjective
from reedbench.objectives._card import Card, Tier, under_settings, with_alignments
from reedbench.objectives._schedule import Schedule


class AbstractAlignment(Frozen, ABC):
    """One hidden layer pulled towards one representation."""

    encoder: str
    """Name of one of the benchmark's encoders."""
    weight: float = Field(1.0, ge=0)
    """Coefficient of the term; 0 switches it off: it is not computed."""
    projector: Literal["mlp", "conv"] = "mlp"
    """From hidden states to the representation: `mlp`, or `conv`, one 3x3 convolution over the grid of tokens, as in
    iREPA."""
    projector_width: int = Field(0, ge=0)
    """Hidden width of the projector `mlp`; 0 is twice the width of the representation."""
    norm: Literal["none", "batch", "reference", "spatial"] = "none"
    """How targets are standardised: over the entries of the batch that count (`batch`; `reference` takes REED's
    standard deviation, to which the others add the squared mean), over those of each datum (`spatial`, as in iREPA), or
    not at all (`none`)."""
    norm_share: float = Field(1.0, ge=0, le=1)
    """Share of the mean that norm `spatial` subtracts; iREPA's latent runs take 0.6."""
    probe: bool = False
    """Train the projector only: the backbone's features are detached."""

    @property
    @abstractmethod
    def term(self) -> str:
        """Name of its loss term."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "AbstractAlignment":
        if self.norm != "spatial":
            self.refuse("norm_share", where=f"on norm: {self.norm}")
        if self.projector == "conv":
            self.refuse("projector_width", where="on projector: conv")
        return self

    def hidden(self, width: int, dim: int) -> int:
        """Hidden width of the projector where none is given, by the widths of hidden states and representation."""
        return 2 * dim

    def common(self) -> dict[str, Any]:
        """Arguments of its `nn.alignment.Tap` in every domain."""
        names = ("encoder", "weight", "norm", "probe")
        return {"term": self.term, "share": self.norm_share, **{name: getattr(self, name) for name in names}}

    def network(
        self, width: int, shape: tuple[int, ...], generator: Callable[[str], Any], *, layers: int, law: Any
    ) -> Any:
        """Its projector, initialised by what it aligns and not by position: it is the same in all methods that have it.

        Args:
            width: of the hidden states.
            shape: of a representation.
            generator: the named stream that initialises a parameter.
            layers: linear layers of an `mlp`.
            law: by which they are initialised, see `nn.alignment.Projector`.

        Raises:
            ConfigError: the representation is one vector per datum, and the projector or the norm needs several.
        """
        from reedbench.nn.alignment import ConvProjector, Projector

        if len(shape) == 1 and (self.projector == "conv" or self.norm == "spatial"):
            what = "projector: conv" if self.projector == "conv" else "norm: spatial"
            raise ConfigError(
                f"alignment {self.term}: {what} is for several tokens, and '{self.encoder}' gives one vector"
            )
        dim = shape[-1]
        if self.projector == "conv":
            made: Any = ConvProjector(width, dim)
        else:
            made = Projector(width, self.projector_width or self.hidden(width, dim), dim, layers=layers, law=law)
        made.initialise(lambda name: generator(f"projectors.{self.term}.{name}"))
        return made


class AligningObjective(AbstractObjective):
    """A denoising loss and alignments, each with its factor over training.

    Its card: `formula`, `cost`, `choices` and `cites` are those of the denoising loss alone where the class says its
    name, `unaligned`: alignments add theirs, and their tier is `aligned_tier`. Elsewhere they are those of the whole.
    """

    unaligned: ClassVar[str] = ""
    aligned_tier: ClassVar[Tier] = "faithful"

    alignments: tuple[Any, ...] = ()
    """None for the plain denoising loss, one for REPA, several for REED."""
    denoise: Schedule = Schedule()
    """Factor omega of the denoising loss; REED ramps it in."""
    align: Schedule = Schedule()
    """Factor rho of all alignments; REED lets it decay on proteins."""

    @model_validator(mode="after")
    def _terms_have_distinct_names(self) -> "AligningObjective":
        names = [alignment.term for alignment in self.alignments]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two alignments are called {twice[0]}: same encoder, same place; merge them into one")
        return self

    @model_validator(mode="after")
    def _a_factor_of_something(self) -> "AligningObjective":
        if not self.alignments:
            cure = "take it out; where it comes from `base`, say align: {shape: constant}"
            self.refuse("align", where="without alignments", cure=cure)
        return self

    @classmethod
    def general(cls) -> Card:
        """With alignments, as many as there may be."""
        bare = super().general()
        return with_alignments(bare) if cls.unaligned else bare

    def card(self) -> Card:
        """By its alignments and factors: the plain loss, REPA, REED, or REPA as iREPA or HASTE have it."""
        bare = replace(super().general(), cost=self.own_cost())
        return under_settings(bare, self) if self.unaligned else bare

    @property
    def reduces(self) -> str:
        """Whether alignments are divided by their number (`mean`) or not (`sum`)."""
        return str(getattr(self, "reduce", "sum"))

    def own_cost(self) -> str:
        """Of a step without alignments."""
        return self.cost

    def encoders(self) -> tuple[str, ...]:
        """Encoders in order of first use."""
        return tuple(dict.fromkeys(alignment.encoder for alignment in self.alignments))
