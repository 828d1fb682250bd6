"""Objectives: training losses as code, one file each. A *method* of a benchmark is a YAML entry that uses one."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from reedbench.core.plugins import Plugin

Place = tuple[str | int, ...]  # keys from the method's entry down


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

    def reads(self) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
        """Where its settings name an encoder, which one, and what kinds of encoders fit there (none: any).

        An objective with a list `alignments` names them there.
        """
        entries = getattr(self, "alignments", ())
        for i, entry in enumerate(entries):
            yield ("alignments", i, "encoder"), entry.encoder, getattr(entry, "takes", ())
        if not entries:
            yield from (((), name, ()) for name in self.encoders())

    def taps(self) -> Iterator[tuple[Place, int]]:
        """Where its settings name a block, and which one, as far as that has a meaning there."""
        entries = getattr(self, "alignments", ())
        for i, entry in enumerate(entries):
            if entry.depth in self.depths():
                yield ("alignments", i, "depth"), entry.depth
        if not entries:
            yield from (((), depth) for depth in self.depths())

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
