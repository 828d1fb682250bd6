"""How the cells of a benchmark are scored: by which metrics, with the eyes of whom, and under which settings."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reedbench.schema import settings
from reedbench.schema.settings import Settings
from reedbench.schema.suite import Suite
from reedbench.schema.versions import VERSIONS


@dataclass(frozen=True)
class Scoring:
    """Metrics of a benchmark and what they need; the same for all of its cells."""

    suite: Suite = field(repr=False)
    dataset: str
    spec: Any = field(repr=False, compare=False)
    """What the benchmark's file says."""
    repeats: int = 1
    """Samples of each thing that is asked for."""

    @property
    def extractors(self) -> list[str]:
        """Extractors that some metric uses, in file order."""
        used = {name for metric in self.spec.metrics for name in metric.extractors()}
        return [name for name in self.spec.extractors if name in used]

    @property
    def witnesses(self) -> list[str]:
        """Extractors under which some metric needs test data, in file order."""
        used = {name for metric in self.spec.metrics for name in metric.witnesses()}
        return [name for name in self.spec.extractors if name in used]

    @property
    def looks_inside(self) -> bool:
        """Whether some metric asks for hidden states, so that scoring needs weights."""
        return any(metric.blocks() for metric in self.spec.metrics)

    def folder(self, name: str) -> Settings:
        """Which folder, with which weights."""
        return settings.identity(self.suite, self.spec.folders[name])

    @property
    def folders(self) -> list[str]:
        """Folders that some metric uses, each once."""
        return list(dict.fromkeys(name for metric in self.spec.metrics for name in metric.folders()))

    @property
    def reads(self) -> list[str]:
        """What scoring reads beside samples and statistics: cards of pinned weights, and what witnesses need."""
        read = [other for name in self.extractors for other in self.spec.extractors[name].reads_encoders()]
        extractors = [self.spec.extractors[name] for name in [*self.extractors, *read]]
        cards = settings.pinned(*extractors, *(self.spec.folders[name] for name in self.folders))
        needed = (settings.encoder_weights(self.suite, self.dataset, name) for name in self.witnesses)
        return list(dict.fromkeys([*cards, *(file for files in needed for file in files)]))

    @cached_property
    def settings(self) -> Settings:
        """Settings of `evaluate`."""
        metrics = self.spec.metrics
        folders = {name: self.folder(name) for metric in metrics for name in metric.folders()}
        witnesses = {name: settings.encoder(self.suite, self.dataset, name) for name in self.witnesses}
        return {
            "step": VERSIONS["evaluate"],
            "metrics": [metric.identity() for metric in metrics],
            "streams": self.spec.sampling.streams,
            **({"repeats": self.repeats} if self.repeats > 1 else {}),  # in ids, which once lacked it
            "extractors": {name: settings.encoder(self.suite, self.dataset, name) for name in self.extractors},
            **({"folders": folders} if folders else {}),
            **({"witnesses": witnesses} if witnesses else {}),
        }

    @cached_property
    def key(self) -> str:
        """Under which its cells must have been scored."""
        return settings.key(self.settings)

    @property
    def through_codec(self) -> bool:
        """Whether the floor shows real data through the codec, too: where these do not come back whole."""
        return bool(self.spec.codec.lossy and self.extractors)

    def codec_weights(self, *, floor: bool = False) -> list[str]:
        """Cards of the codec's pinned weights, where cells, or the floor, need it for more than to read samples."""
        return settings.pinned(self.spec.codec) if self.looks_inside or (floor and self.through_codec) else []

    @cached_property
    def floor_settings(self) -> Settings:
        """Settings of the floor: those of its cells, and what else real data and an untrained network pass through.

        Where nothing else does they are those of the cells.
        """
        more: Settings = {}
        if self.through_codec:
            codec, count = settings.identity(self.suite, self.spec.codec), self.spec.sampling.count
            more["through_codec"] = {"codec": codec, "count": count}
        if any(metric.of_real for metric in self.spec.metrics):
            more["real_data"] = {"count": self.spec.sampling.count}
        if self.looks_inside:
            more["before_training"] = {
                "backbone": self.spec.backbone.identity(),
                "codec": settings.codec(self.suite, self.spec.codec),
                "dataset": settings.dataset(self.suite, self.dataset),
                "path": next(iter(self.spec.methods.values())).interpolant(),
                "seed": self.spec.seeds[0],
            }
        return {**self.settings, **more}

    @cached_property
    def floor_key(self) -> str:
        """Under which the floor must have been made."""
        return settings.key(self.floor_settings)
