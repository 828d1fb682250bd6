"""Objectives: training losses as code, one file each. A *method* of a benchmark is a YAML entry that uses one."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from reedbench.core.plugins import Plugin


class AbstractObjective(Plugin):
    """Settings of a training loss; `build` turns them into a learner (see `nn.learner.Learner`)."""

    domain: ClassVar[str]
    cites: ClassVar[tuple[str, ...]] = ()
    unkeyed: ClassVar[frozenset[str]] = frozenset({"label", "note"})

    label: str
    """Name in tables and figures."""
    note: str = ""
    """One line for the reader of the table."""

    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders whose representations it reads."""
        return ()

    def depths(self) -> tuple[int, ...]:
        """Blocks that it taps, 1-based."""
        return ()

    def interpolant(self) -> str:
        """For objectives of flows: name of the path from noise to data that networks are sampled on."""
        return "linear"

    @abstractmethod
    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner for this backbone.

        Args:
            backbone: network from `AbstractBackbone.build`, parameters not yet initialised.
            targets: shape of one representation per encoder name: (tokens, dim) or (dim,); (-1, dim) or (-1, -1, dim)
                with one entry per residue, or per pair of residues.
            generator: the named stream that initialises a parameter.
        """
