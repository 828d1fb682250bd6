"""The encoder of ProteinMPNN with its published weights: what a structure alone says about each residue.

Source: Dauparas et al. 2022, https://doi.org/10.1126/science.add2187, code and weights @8907e66 (MIT).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import checkpoint, pins
from reedbench.core.console import Track
from reedbench.core.errors import ConfigError
from reedbench.domains.protein import padded
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode, Kind, Material, PreparedEncoder
from reedbench.encoders._chains import collected, on_device_of, passes

HOW = (
    "say `weights: proteinmpnn-v48-020`, or get v_48_020.pt (or another one) from "
    "https://github.com/dauparas/ProteinMPNN, folder vanilla_model_weights, and give `weights` its path"
)


class MpnnStructure(PreparedEncoder):
    """Nodes of the encoder of ProteinMPNN, 128 per residue, 0 where a residue is not resolved."""

    domain: ClassVar[str] = "protein"
    kind: ClassVar[Kind] = "residues"
    pretrained: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn",)
    uses: Literal["mpnn-structure"] = "mpnn-structure"

    weights: pins.Weights
    """A name of config/weights.yaml, or a .pt file of the published (vanilla) weights, from the working directory or
    $REEDBENCH_DATA. It also says how many neighbours a residue has."""
    tokens: int = Field(4096, ge=1)
    """Padded residues of a pass; a longer chain is a pass of its own."""

    def files(self) -> tuple[Path, ...]:
        """The weights."""
        return (pins.file(self.weights),)

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read the weights; it gives plain values of the network, float32.

        Raises:
            ConfigError: the file holds something else, or asks for code.
            MissingArtefact: there is no such file.
        """
        network = self._network().to(device)
        return lambda part: collected(part.rows.arrays["chain"].lengths, self._nodes(network, part.rows))

    def _nodes(self, network: Any, rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
        """Row number and nodes (L, 128) of every chain, shortest chains first."""
        import torch

        lengths, count = rows.arrays["chain"].lengths, 0
        with torch.no_grad(), Track("mpnn-structure", len(rows), unit="chain") as track:
            for chosen in passes(lengths, self.tokens):
                chains = {n: on_device_of(network, x) for n, x in padded(rows.take(chosen).arrays).items()}
                del chains["tokens"]
                for row, values in zip(chosen.tolist(), network.encode(**chains).nodes.cpu().numpy(), strict=True):
                    yield row, values[: lengths[row]]
                track.update(count := count + len(chosen))

    def _network(self) -> Any:
        import torch

        from reedbench.nn.backbones.mpnn import ProteinMPNN
        from reedbench.nn.backbones.stock_mpnn import load_stock

        (file,) = self.files()
        found = checkpoint.load(file, HOW)
        state = found.get("model_state_dict") if isinstance(found, dict) else None
        neighbours = found.get("num_edges") if isinstance(found, dict) else None
        if not isinstance(state, dict) or not all(torch.is_tensor(x) for x in state.values()):
            raise ConfigError(f"{file}: must hold a dict of tensors `model_state_dict`; {HOW}")
        if type(neighbours) is not int or neighbours < 1:
            raise ConfigError(f"{file}: must hold `num_edges`, the number of neighbours of a residue; {HOW}")
        if broken := [name for name, x in state.items() if not x.isfinite().all()]:
            raise ConfigError(f"{file}: tensor '{broken[0]}' is not finite; {HOW}")
        network = ProteinMPNN(neighbours=neighbours, learnable_node=False)
        try:
            load_stock(network, state)
        except ValueError as error:
            raise ConfigError(f"{file}: {error}; {HOW}") from error
        return network.eval().requires_grad_(False)
