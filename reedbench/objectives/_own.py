"""What a method may say of its own training: from which weights it starts, how long it is, how it is optimised."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from reedbench.core.frozen import Frozen

Decay = Annotated[float, Field(ge=0, lt=1)]
LAST_STEP = 9_999_999  # what a path can say


class Optimiser(Frozen):
    """AdamW with a constant learning rate, as SiT, REPA and REED train, unless a warm-up or a decay is asked for."""

    lr: float = Field(1.0e-4, gt=0)
    """Learning rate."""
    warmup: int = Field(0, ge=0)
    """Steps over which the learning rate rises linearly: step i of them, from 1, takes lr * i / warmup."""
    decay_over: int = Field(0, ge=0)
    """Step up to which the learning rate falls linearly to 0, from the end of the warm-up on; 0 for never."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay of the moments."""
    eps: float = Field(1.0e-8, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay."""
    clip: float = Field(1.0, gt=0)
    """Largest global gradient norm."""

    @model_validator(mode="after")
    def _falls_after_it_has_risen(self) -> "Optimiser":
        if 0 < self.decay_over <= self.warmup:
            raise ValueError(f"decay_over {self.decay_over} must lie behind the warm-up ({self.warmup} steps)")
        return self

    def rate(self, step: int) -> float:
        """Learning rate of a step, 0 being the first: a function of the step alone, so that no state need hold it."""
        rate = self.lr * min(1.0, (step + 1) / max(1, self.warmup))
        if self.decay_over and step >= self.warmup:
            rate *= max(0.0, (self.decay_over - step) / (self.decay_over - self.warmup))
        return rate


class OwnOptimiser(Frozen):
    """What a method says of its optimiser in place of the benchmark's; the rest is as there."""

    lr: float | None = Field(None, gt=0)
    """Learning rate."""
    warmup: int | None = Field(None, ge=0)
    """As in `Optimiser`."""
    decay_over: int | None = Field(None, ge=0)
    """As in `Optimiser`."""
    betas: tuple[Decay, Decay] | None = None
    """Decay of the moments."""
    eps: float | None = Field(None, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float | None = Field(None, ge=0)
    """Decoupled weight decay."""
    clip: float | None = Field(None, gt=0)
    """Largest global gradient norm."""

    def over(self, shared: Optimiser) -> Optimiser:
        """The benchmark's optimiser with this on top.

        Raises:
            ValueError: together they make no sense.
        """
        given = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        try:
            return Optimiser(**{**{name: getattr(shared, name) for name in Optimiser.model_fields}, **given})
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["ctx"]["error"])) from error


class Teacher(Frozen):
    """A run, under the student's seed, and the step of its published (averaged) weights that are taken."""

    benchmark: str = ""
    """Benchmark of the run, on the same dataset and codec; the student's own where it is left out."""
    method: str
    """Method of the run."""
    step: int = Field(ge=1, le=LAST_STEP)
    """One of the steps at which its weights are saved, up to its last."""

    @property
    def place(self) -> str:
        """`digits/sit`, or `sit` of the student's own benchmark."""
        return f"{self.benchmark}/{self.method}" if self.benchmark else self.method


class OwnTraining(Frozen):
    """Settings of every objective beside its loss; they are part of a recipe by what they make of it."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"teacher", "optimiser", "ema_decay", "steps"})
    asks_teacher: ClassVar[bool] = False  # whether its loss looks up a teacher, or its network holds one

    teacher: Teacher | None = None
    """The run that it starts from, or that its loss asks. That one is trained first, and what it cost is one-off cost
    here."""
    init: Literal["scratch", "teacher"] = "scratch"
    """Weights and average at step 0: `scratch` as every network starts, or the teacher's; what that lacks (a head)
    starts as ever."""
    optimiser: OwnOptimiser | None = None
    """In place of `train.optimiser`, key by key."""
    ema_decay: float | None = Field(None, ge=0, lt=1)
    """In place of `train.ema_decay`; 0 publishes the trained weights themselves."""
    steps: int | None = Field(None, ge=1, le=LAST_STEP)
    """Steps that it is trained, on the grid of `train.save_every`: it is evaluated at those steps of `evaluate` that
    come before, and at this one, where it is compared. As long as the benchmark says where it is left out."""

    @model_validator(mode="after")
    def _a_teacher_for_something(self) -> "OwnTraining":
        if self.teacher is None and self.asks_teacher:
            raise ValueError("needs a teacher: {method: <name>, step: <saved step>}, and benchmark where it is another")
        if self.teacher is None and self.init == "teacher":
            raise ValueError("init: teacher needs a teacher: {method: <name>, step: <saved step>}")
        if self.teacher is not None and not self.asks_teacher and self.init == "scratch":
            raise ValueError("teacher has no effect: the loss asks none; say init: teacher, or take it out")
        return self

    def taught_by(self) -> Teacher | None:
        """The run that it learns from."""
        return self.teacher

    def length(self) -> int | None:
        """Steps that it is trained, where the benchmark does not say it."""
        return self.steps

    def own_training(self, shared: Any) -> Any:
        """The benchmark's settings of training, with what it says of its own in their place.

        Raises:
            ValueError: together they make no sense.
        """
        own: dict[str, Any] = {}
        if self.optimiser is not None:
            own["optimiser"] = self.optimiser.over(shared.optimiser)
        if self.ema_decay is not None:
            own["ema_decay"] = self.ema_decay
        return shared.model_copy(update=own) if own else shared

    def misfit(self, train: Any, last: int) -> str | None:
        """Why it cannot be trained under a benchmark's `train`, or not to a `last` step; none where it can."""
        return None

    def inherited(self, name: str) -> str:
        """The name in its network of a weight that its teacher publishes."""
        return name


class Pool(Frozen):
    """Samples of the teacher, under the student's seed, that stand for data: those of one of its cells."""

    sampler: str
    """A sampler of the teacher's benchmark, which draws at the teacher's step. It draws as many samples as
    `sampling.count` says there, which must be of all classes."""


class PooledTraining(OwnTraining):
    """Of an objective whose batches have a sample of the teacher for each row, as `nn.learner.POOL`."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"pool"})
    asks_teacher: ClassVar[bool] = True

    pool: Pool = Field(examples=[{"sampler": "ode"}])
    """Samples of the teacher that the loss sets against data. They are drawn first, and that is one-off cost here."""

    def pooled(self) -> Pool | None:
        """Which of its teacher's samples it learns from."""
        return self.pool

    def unpooled(self, sampler: Any) -> str | None:
        """Why samples of a sampler cannot stand against data, with what to change; none where they can."""
        return None
