"""What samplers of a continuous flow share: steps, classifier-free guidance, noise from every sample's own stream."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.samplers import AbstractSampler, Streams

GUIDANCE, INTERVAL = "ho2022guidance", "kynkaanniemi2024interval"  # keys of the bibliography


class GuidedSampler(AbstractSampler):
    """A sampler of the continuous flow with classifier-free guidance."""

    domain: ClassVar[str] = "image"
    cites: ClassVar[tuple[str, ...]] = (GUIDANCE, INTERVAL)

    guidance: float = Field(1.0, ge=1.0)
    """Classifier-free guidance scale s in v_u + s (v_c - v_u); 1 is off."""
    interval: tuple[float, float] = (0.0, 1.0)
    """Times between which guidance is on, inclusive, in our time (REPA's guidance_high 0.7 is [0.3, 1] here)."""
    channels: Literal["all", "first-three"] = "all"
    """Which channels are guided: `all` as REPA and REED; `first-three` as DiT and SiT, whose fourth one stays
    conditional."""

    @model_validator(mode="after")
    def _interval_of_the_guidance(self) -> "GuidedSampler":
        low, high = self.interval
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"interval [{low}, {high}] must satisfy 0 <= low <= high <= 1")
        if self.guidance == 1.0:
            self.refuse("interval", "channels", where="at guidance: 1, which is off")
        return self

    def cited(self) -> tuple[str, ...]:
        """Guidance, and its interval, where they are on."""
        on = {GUIDANCE: self.guidance > 1, INTERVAL: self.interval != (0.0, 1.0)}
        return tuple(key for key in self.cites if on.get(key, True))

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """The first three channels must not be all that there are: one experiment would have two keys."""
        few = self.channels == "first-three" and shape[0] <= 3
        return f"channels: first-three are all of {shape[0]}: take it out" if few else None

    def unfit(self, objective: Any) -> str | None:
        """A network that is guided by itself takes its guidance whole, and only as much as it was trained for."""
        if objective.joint and self.channels != "all":
            return "it generates more than the image, whose channels are not counted: take out channels"
        steps = objective.few_steps()
        if steps is not None and (self.uses, getattr(self, "steps", None)) != ("euler", steps):
            return (
                f"its network is trained for {steps} steps of euler: take `uses: euler, steps: {steps}`, and name the "
                "samplers that may draw from it in the method's `samplers`"
            )
        if objective.guided_by == "pair":
            return None
        low, high = objective.scales()
        if not low <= self.guidance <= high:
            has = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            return (
                f"its network has guidance {has} built in, and this sampler asks for {self.guidance:g}: name the "
                "samplers that may draw from it in the method's `samplers`"
            )
        if self.guidance > 1 and (self.interval, self.channels) != ((0.0, 1.0), "all"):
            return "its network has guidance built in, at all times and in all channels: take out interval and channels"
        return None

    def doubling(self, objective: Any) -> float:
        """The scale of the guidance that takes a second evaluation of the network."""
        return self.guidance if objective.guided_by == "pair" else 1.0

    def velocity(self, network: Any, labels: Any, objective: Any, leading: int | None = None) -> Any:
        """What is followed, `nn.samplers.Velocity`: the network's answer for these labels, guided.

        `leading`: how many entries of a flat state are guided; None: all, or the `channels`.
        """
        from reedbench.nn.guidance import guided

        if objective.guided_by == "input":
            return lambda x, t, at: objective.steered(network, x, t, labels, self.guidance)
        guided_channels = leading if self.channels == "all" else 3
        field = guided(
            lambda x, t, y: network(x, t, y)[0],
            network.null_label,
            self.doubling(objective),
            self.interval,
            guided_channels,
        )
        return lambda x, t, at: field(x, t, labels, at=at)

    @abstractmethod
    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data)."""


class FlowSampler(GuidedSampler):
    """One whose steps are known before."""

    steps: int = Field(250, ge=1)
    """Number of steps."""

    def nfe(self, objective: Any) -> int:
        """Network evaluations per sample, with the second evaluation that guidance needs."""
        from reedbench.nn.guidance import evaluations

        scale = self.doubling(objective)
        return evaluations(self.uses, self.steps, scale, self.interval, **self.decides_evaluations())

    def decides_evaluations(self) -> dict[str, Any]:
        """Further settings that move or add evaluations, as `nn.samplers.decision_times` calls them."""
        return {}

    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """`x_1`, from `x_0` and `labels`."""
        from reedbench.nn.interpolants import INTERPOLANTS

        state = Sampled(objective, condition["x_0"], streams)
        velocity = self.velocity(network, condition["labels"], objective, state.guided)
        path = INTERPOLANTS[objective.interpolant()]
        return {"x_1": state.data(self.run(velocity, state.begun, path=path, noise=state.noise()))}


class Sampled:
    """What a sampler follows: the data alone, or one flat state of them and what is generated along.

    The data have the noise that they would have alone; every companion has its own streams.

    Attributes:
        begun: at t = 0.
        guided: how many leading entries guidance steers; None: all.
    """

    def __init__(self, objective: Any, x_0: Any, streams: Streams) -> None:
        shape = tuple(x_0.shape[1:])
        self._streams, self._companions = streams, objective.companions(shape) if objective.joint else {}
        self._shapes, self._device = {"": shape, **self._companions}, x_0.device
        self.begun, self.guided = x_0, None
        if self._companions:
            running = {name: streams(f"{name}-noise") for name in self._companions}
            self.begun = self._joined([x_0, *(self._normal(running[name], name) for name in running)])
            self.guided = None if objective.guides_companions else self._layout.entries

    def noise(self) -> Any:
        """`noise(i)` of noisy step i: samplers ask in order, so that each sample's streams run on."""
        names = ["transitions", *(f"{name}-transitions" for name in self._companions)]
        running = dict(zip(self._shapes, map(self._streams, names), strict=True))

        def noise(i: int) -> Any:
            drawn = [self._normal(stream, name, "float64") for name, stream in running.items()]
            return self._joined(drawn) if self._companions else drawn[0]

        return noise

    def data(self, state: Any) -> Any:
        """Of a state; what was generated along is thrown away."""
        return self._layout.split(state)[0] if self._companions else state

    @property
    def _layout(self) -> Any:
        from reedbench.nn.joint import Layout

        return Layout(self._shapes[""], self._companions)

    def _joined(self, parts: Any) -> Any:
        return self._layout.joined(parts)

    def _normal(self, stream: Any, name: str, dtype: str = "float32") -> Any:
        import torch

        return torch.from_numpy(stream.normal(*self._shapes[name], dtype=dtype)).to(self._device)
