"""Objectives: training losses as code, one file each, and weights that were trained elsewhere.

A *method* of a benchmark is a YAML entry that uses one.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.core.constants import LABEL_DROPOUT
from reedbench.core.errors import ConfigError
from reedbench.core.pins import Weights
from reedbench.core.plugins import Plugin
from reedbench.objectives._card import Card, Tier, source_of
from reedbench.objectives._own import LAST_STEP, OwnTraining, Pool, Teacher
from reedbench.objectives._schedule import Schedule

Place = tuple[str | int, ...]  # keys from the method's entry down
Tap = int | tuple[str, int]  # what is tapped of a block, as backbones take it: its output, or what it is called


def block_of(tap: Tap) -> int:
    """The block, 1-based."""
    return tap if isinstance(tap, int) else tap[1]


class AbstractMethod(Plugin):
    """What a method of a benchmark is: a training loss with settings, or weights that were trained elsewhere.

    Its card, what `reedbench method` prints and notes of tables say: `tier`, `formula`, `cost`, `choices`, `source` and
    `cites`, see `_card.Card`. Where they depend on settings, it overrides `card`.
    """

    domain: ClassVar[str]
    tier: ClassVar[Tier] = "unstated"
    formula: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    choices: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = ""
    unkeyed: ClassVar[frozenset[str]] = frozenset({"label", "note", "samplers"})
    weights_are: ClassVar[str] = "ema"  # what is sampled, in the tables' column `weights`
    # Where the guidance of a sampler comes from: `pair`, a second evaluation without label; `input`, the network reads
    # the scale (`steered`); `built-in`, it was trained for one.
    guided_by: ClassVar[Literal["pair", "input", "built-in"]] = "pair"
    conditions: ClassVar[Literal["labels", "own"]] = "labels"  # what its network is told of a datum
    joint: ClassVar[bool] = False  # whether its network generates something along with the data, see `companions`
    guides_companions: ClassVar[bool] = True  # whether guidance by a pair steers that, too
    label: str
    """Name in tables and figures."""
    note: str = ""
    """One line for the reader of the table."""
    samplers: tuple[str, ...] | None = None
    """Names of the samplers that draw from it; all of the benchmark's where it is left out."""

    def words(self) -> dict[str, Any]:
        """What reports say of it beside its numbers."""
        return {"label": self.label, "note": self.note, "card": self.card().words()}

    @classmethod
    def general(cls) -> Card:
        """The card of all its settings."""
        return Card("", cls.tier, cls.formula, cls.cost, cls.choices, cls.source or source_of(cls), cls.cites)

    def card(self) -> Card:
        """The card under these settings."""
        return self.general()

    def cited(self) -> tuple[str, ...]:
        """As its card says."""
        return self.card().cites

    def own_step(self) -> int | None:
        """The only step whose weights there are, of those that were trained elsewhere; None where a run is trained."""
        return None

    def taught_by(self) -> Teacher | None:
        """The run whose weights it starts from or compares itself with."""
        return None

    def pooled(self) -> Pool | None:
        """Which samples of that run its loss sets against data."""
        return None

    def length(self) -> int | None:
        """Steps that it is trained, where the benchmark does not say it."""
        return None

    def own_training(self, shared: Any) -> Any:
        """The benchmark's settings of training as they are for this method."""
        return shared

    def few_steps(self) -> int | None:
        """The number of Euler steps that its network was trained for; None: any number, and any sampler."""
        return None

    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders that it asks: targets, and judges."""
        return ()

    def judges(self) -> tuple[str, ...]:
        """Names of those of them that judge samples in training; their representations are not read."""
        return ()

    def targets(self) -> tuple[str, ...]:
        """Names of those whose representations of training rows it reads: all the others."""
        return tuple(name for name in self.encoders() if name not in self.judges())

    def depths(self) -> tuple[Tap, ...]:
        """What it taps of blocks, 1-based."""
        return ()

    def reads(self) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
        """Where its settings name an encoder, which one, and what kinds of encoders fit there (none: any).

        An objective with a list `alignments` names them there.
        """
        entries = getattr(self, "alignments", ())
        for i, entry in enumerate(entries):
            yield ("alignments", i, "encoder"), entry.encoder, getattr(entry, "takes", ())
        if not entries:
            yield from (((), name, ()) for name in self.encoders())

    def taps(self) -> Iterator[tuple[Place, Tap]]:
        """Where its settings name a block, and what is tapped of it, as far as that has a meaning there."""
        entries = getattr(self, "alignments", ())
        for i, entry in enumerate(entries):
            if entry.depth in self.depths():
                yield ("alignments", i, "depth"), entry.depth
        if not entries:
            yield from (((), depth) for depth in self.depths())

    def interpolant(self) -> str:
        """For objectives of flows: name of the path from noise to data that networks are sampled on."""
        return "linear"

    def scales(self) -> tuple[float, float]:
        """Least and largest guidance that a sampler may ask for, of networks that are not guided by a pair."""
        return (1.0, 1.0)

    def steered(self, network: Any, x: Any, t: Any, y: Any, scale: float) -> Any:
        """Velocity at x (b, ...), times t (b,) and labels y (b,) under a guidance that the network reads.

        Raises:
            TypeError: it reads none.
        """
        raise TypeError(f"{type(self).__name__} has no network that reads a scale")

    def conditioned(self, network: Any, condition: Mapping[str, Any], streams: Callable[[str], Any]) -> dict[str, Any]:
        """What a sampler starts from, given what the codec does: a method that asks for no labels changes these.

        Args:
            network: as `network` makes it, with its weights.
            condition: `x_0`, `labels`, ...
            streams: gives by name one stream per sample.
        """
        return dict(condition)

    def companions(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """What is generated along with data of a shape, and thrown away: by name the shape of each, in order.

        If there are any, the network reads and predicts flat states, see `nn.joint.Layout`.
        """
        return {}

    def network(self, backbone: Any) -> Any:
        """What is trained and sampled, beside projectors: the backbone, or a network made around it.

        Its `state_dict` is what is published; it is called as the backbone is, and has its `initialise`.
        """
        return backbone


class ImportedMethod(AbstractMethod):
    """Weights that were trained elsewhere, at the step at which they were published; a final class says its domain.

    They stand under every seed of the benchmark: the same weights, with the sampling noise of that seed, so that they
    are paired with other methods. Bounds over seeds are then those of sampling alone. What training them took is not
    known: they have no curve and take no part in speed-ups.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"step", "batch"})
    weights_are: ClassVar[str] = "imported"
    formula: ClassVar[str] = "none here: weights as they were published"
    cost: ClassVar[str] = "none here; what their training took is not known"

    weights: Weights
    """Pinned weights, or a path: a state dict or a training checkpoint, of which the average is taken. `reedbench
    import-checkpoint FILE` says what a file is."""
    step: int = Field(ge=1, le=LAST_STEP, examples=[7_000_000])
    """Training step of the weights; the only one at which the method is sampled and scored."""
    batch: int = Field(256, ge=1)
    """The authors' global batch: the table's samples_seen is `step` times this."""

    def own_step(self) -> int:
        """The step of the weights."""
        return self.step

    def samples_seen(self) -> int:
        """Of its authors' training."""
        return self.step * self.batch

    def words(self) -> dict[str, Any]:
        """With what no key of its weights holds."""
        return {**super().words(), "step": self.step, "batch": self.batch}


class AbstractObjective(OwnTraining, AbstractMethod):
    """Settings of a training loss; `build` turns them into a learner (see `nn.learner.Learner`)."""

    def untaught(self, teacher: AbstractMethod) -> str | None:
        """Why it cannot learn from a method as teacher, with what to change; none where it can.

        What a teacher has beyond a plain network that a pair guides, the student must have, too: else its samples
        would be guided twice, or its network told what it has not learnt. To be extended by an objective that asks
        more of the network that it looks up.
        """
        if teacher.guided_by not in ("pair", self.guided_by):
            return f"{teacher.uses} has its guidance in the network: take a teacher that is guided by a pair"
        if teacher.joint and not self.joint:
            return f"{teacher.uses} generates something along with the data: take a teacher that does not"
        if teacher.conditions not in ("labels", self.conditions):
            return f"{teacher.uses} is told conditions of its own: take a teacher that is told labels"
        if (its := teacher.interpolant()) != (own := self.interpolant()):
            return f"is on path {its}, and this method on {own}: make path: equal, or take another teacher"
        return None

    def rewarded(self, learner: Any, judges: Mapping[str, Callable[[Any], Any]]) -> None:
        """Give a learner its judges: of latents (b, ...) the log-probabilities of their classes, (b, classes)."""

    @abstractmethod
    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner for this backbone.

        Args:
            backbone: network from `AbstractBackbone.build`, parameters not yet initialised.
            targets: shape of one representation per encoder name: (tokens, dim) or (dim,); (-1, dim) or (-1, -1, dim)
                with one entry per residue, or per pair of residues.
            generator: the named stream that initialises a parameter.
        """


class FlowObjective(AbstractObjective):
    """The velocity loss of flow matching on images or latents, and the further terms of a subclass.

    A loss on hidden states says at which `depths` it taps the backbone, names its terms in `further`, and gives their
    values in `extra`; it needs nothing else.
    """

    domain: ClassVar[str] = "image"

    denoise: Schedule = Schedule()
    """Factor of the velocity loss."""
    path: Literal["linear", "gvp"] = "linear"
    """Interpolant between noise and data."""
    times: Literal["uniform", "lognormal"] = "uniform"
    """Law of the training times."""
    label_dropout: float = Field(LABEL_DROPOUT, ge=0, lt=1)
    """Share of labels replaced by the null label."""

    def interpolant(self) -> str:
        """The path."""
        return self.path

    def asks_null_label(self) -> None:
        """To be called by an objective whose targets lean on what the network says without label.

        Raises:
            ValueError: it never learns that.
        """
        if not self.label_dropout:
            raise ValueError(
                f"label_dropout: 0 leaves the null label untrained, and targets of {self.uses} lean on it: take it out"
            )

    def further(self) -> Mapping[str, Any]:
        """Further terms, each with its coefficient, or with an `nn.schedules.Factor` if that changes over training."""
        return {}

    def extra(self, hidden: Any, batch: Any) -> Mapping[str, Any]:
        """The further terms of a micro-batch.

        Args:
            hidden: what is tapped at `depths`, in their order: of a block's output (b, tokens, width).
            batch: what `nn.flow.FlowMatching.draw` gives: x_1, x_0, t, y, labels; and `velocity`, the prediction.

        Returns:
            One value per row, (b,), of every term.
        """
        return {}

    def rows_per_group(self) -> int:
        """How many consecutive rows `extra` compares with each other, see `nn.learner.Learner.group`."""
        return 1

    def needs_classes(self) -> bool:
        """Whether its loss tells classes apart, and means nothing where methods see fewer than two."""
        return False

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name.

        Raises:
            ConfigError: it needs classes, and there are no two.
        """
        from reedbench.nn.alignment import TappedNetwork

        if self.needs_classes() and backbone.null_label < 2:
            raise ConfigError(f"{self.uses} tells classes apart, and the data have fewer than two that methods may see")
        network = self.network(backbone)
        network.initialise(generator)
        return self.learner(TappedNetwork(network, self.depths()), self.flow(backbone))

    def learner(self, network: Any, flow: Any) -> Any:
        """The learner of a `nn.alignment.TappedNetwork`; a subclass that looks up other networks has its own."""
        from reedbench.nn.flow import FlowLearner

        return FlowLearner(network, flow, self.denoise.factor(), self.factors(), self.extra, self.rows_per_group())

    def factors(self) -> Mapping[str, Any]:
        """The `nn.schedules.Factor` of every further term."""
        from reedbench.nn.schedules import Factor

        return {n: x if isinstance(x, Factor) else Factor().times(x) for n, x in self.further().items()}

    def flow(self, backbone: Any) -> Any:
        """The draws and the velocity error."""
        from reedbench.nn.flow import FlowMatching

        return FlowMatching(self.path, self.times, self.label_dropout, null_label=backbone.null_label)
