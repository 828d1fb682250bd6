"""SGDF: a diffusion model without labels is guided by clusters that it finds in its own features."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.objectives import FlowObjective

STAGE_2_DROPOUT = 0.15


class Clustered(FlowObjective):
    """The velocity loss, first without any condition, then with clusters of the network's own. arXiv:2312.08825."""

    cites: ClassVar[tuple[str, ...]] = ("hu2023sgdf",)
    tier: ClassVar[str] = "own data"
    formula: ClassVar[str] = (
        "|v(x_t,t,c) - v*|^2 + min(step/stage, 1) 1{.8 < t < .9} H(Sinkhorn(s), softmax(s/.1)), s = scores of the "
        "class token; c = prototype of argmax s_ema(x_.85) from step `stage` on"
    )
    source: ClassVar[str] = "arXiv:2312.08825 and its released code (dongzhuoyao/sgfm @103d158)"
    cost: ClassVar[str] = "3F; from step `stage` on F/2 more: the weight average up to the middle block"
    choices: ClassVar[tuple[str, ...]] = (
        "a SiT from scratch with a class token, in place of a pretrained UViT; LayerNorm in the head, not BatchNorm",
        "the condition is added to that of time after a linear layer, as a label is in SiT",
        "3 clusters per class that the data have; codes are shared within `group` rows where that is not the batch",
        "samples are drawn from the clusters that the average saw in about the last thousand steps",
        "weights that are published in stage 1 are those of the network, its average does not begin before stage 2",
    )
    conditions: ClassVar[Literal["labels", "own"]] = "own"
    uses: Literal["clustered"] = "clustered"

    clusters: int = Field(ge=2, examples=[30])
    """Prototypes. The paper's are 300 for 100 classes; it needs about as many rows as that in a batch, or `group`."""
    stage: int = Field(ge=1, examples=[400])
    """First step of stage 2, in which rows are told their cluster; the paper's is half of the training."""
    group: int = Field(0, ge=0)
    """Consecutive rows of a batch that share codes; 0 for all, which one process must then hold at once."""
    label_dropout: float = Field(STAGE_2_DROPOUT, ge=0, lt=1)
    """Share of rows that are told no cluster in stage 2."""

    @model_validator(mode="after")
    def _codes_among_enough_rows(self) -> "Clustered":
        if 0 < self.group < self.clusters:
            raise ValueError(f"{self.clusters} clusters cannot be shared by a group of {self.group} rows: raise group")
        return self

    def rows_per_group(self) -> int:
        """The group."""
        return self.group

    def network(self, backbone: Any) -> Any:
        """The network with a class token, a head and prototypes.

        Raises:
            ConfigError: the backbone is no SiT.
        """
        from reedbench.nn.backbones.clustered import ClusteredSiT

        try:
            return ClusteredSiT(backbone, self.clusters)
        except ValueError as error:
            raise ConfigError(f"objective {self.uses}: {error}") from error

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, which taps the scores of clusters."""
        from reedbench.nn.alignment import TappedNetwork
        from reedbench.nn.backbones.clustered import SCORES

        flow, network = self.flow(backbone), self.network(backbone)
        network.initialise(generator)
        return self.learner(TappedNetwork(network, (SCORES,)), flow)

    def learner(self, network: Any, flow: Any) -> Any:
        """With two stages."""
        from reedbench.nn.clustered import Clustered
        from reedbench.nn.schedules import factor

        clusters = factor("linear-ramp", 0, self.stage)
        return Clustered(network, flow, self.denoise.factor(), clusters, stage=self.stage, group=self.group)

    def conditioned(self, network: Any, condition: Mapping[str, Any], streams: Callable[[str], Any]) -> dict[str, Any]:
        """A cluster for every sample from its own stream, as often as training saw them; in stage 1 none."""
        import torch

        from reedbench.nn.clustered import drawn_clusters

        labels = torch.full_like(condition["labels"], network.null_label)
        if bool(network.histogram.any()):
            chance = torch.from_numpy(streams("cluster").uniform())
            labels = drawn_clusters(network.histogram, chance.to(network.histogram.device))
        return {**condition, "labels": labels}
