"""ReDi: an image generated together with a map of its features. Source: arXiv:2504.16064."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.core.errors import ConfigError
from reedbench.objectives import FlowObjective, Place


class JointFeatures(FlowObjective):
    """Denoising of image and feature map together, the map as further channels."""

    cites: ClassVar[tuple[str, ...]] = ("kouzelis2025redi",)
    joint: ClassVar[bool] = True
    guides_companions: ClassVar[bool] = False
    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = (
        "|v - (x_1 - x_0)|^2 + lam k |v_f - (f_1 - f_0)|^2, k 0 and f_1 = 0 in a share p of the steps, else 1"
    )
    cost: ClassVar[str] = "3F and k more channels in and out, + E, or E once where representations are kept"
    choices: ClassVar[tuple[str, ...]] = (
        "principal components are those of an encoder `pca`, fitted and standardised over training tokens",
        "a map of another grid is resized bilinearly to the latent's",
        "the share of dropped steps is .2 by default (from memory), one draw for the whole global batch",
        "the image's channels start as in other methods, the map's embedding beside them, its head at 0",
    )
    uses: Literal["redi"] = "redi"

    features: str = Field(examples=["patches"])
    """Name of the encoder whose tokens are the map, such as a `pca` of another one's."""
    components: int = Field(8, ge=1, examples=[6])
    """Channels of the map: dimensions of a token."""
    feature_weight: float = Field(1.0, gt=0)
    """Coefficient lam of its velocity's error."""
    drop: float = Field(0.2, ge=0, lt=1)
    """Share p of the steps in which the map is 0 for all rows and its error does not count."""

    def encoders(self) -> tuple[str, ...]:
        """The map's."""
        return (self.features,)

    def reads(self) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
        """The map's, which are tokens."""
        yield ("features",), self.features, ("tokens",)

    def companions(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """The map, as fine as the data."""
        return {"features": (self.components, *shape[1:])}

    def network(self, backbone: Any) -> Any:
        """The backbone with further channels."""
        from reedbench.nn.backbones.joint_sit import FeatureSiT

        return FeatureSiT(backbone, self.components)

    def flow(self, backbone: Any) -> Any:
        """The draws and errors of both parts."""
        from reedbench.nn.joint import JointFlow

        companions = self.companions((backbone.channels, backbone.size, backbone.size))
        return JointFlow(self.path, self.times, self.label_dropout, backbone.null_label, companions)

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name.

        Raises:
            ConfigError: tokens have other dimensions, or are no square grid.
        """
        from reedbench.nn.alignment import TappedNetwork
        from reedbench.nn.joint_features import JointFeaturesLearner

        tokens, dim = targets[self.features]
        if dim != self.components:
            raise ConfigError(
                f"encoder '{self.features}' has {dim} dimensions, and the method says components: {self.components}; "
                "take an encoder pca of it with so many"
            )
        if math.isqrt(tokens) ** 2 != tokens:
            raise ConfigError(f"encoder '{self.features}' has {tokens} tokens, which are no square grid")
        network = self.network(backbone)
        network.initialise(generator)
        factor = self.denoise.factor()
        return JointFeaturesLearner(
            TappedNetwork(network, ()), self.flow(backbone), factor, self.features, self.feature_weight, self.drop
        )
