"""Captions as vectors or tokens by the text tower of CLIP, by transformers: lighter than a vision-language model.

Radford et al. 2021, https://arxiv.org/abs/2103.00020: a text is read at its last token, after the final norm; what is
compared with images is a projection of that.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import pins, pretrained
from reedbench.core.console import Track
from reedbench.encoders import Encode, Kind, Material
from reedbench.encoders._captions import CaptionEncoder


class ClipText(CaptionEncoder):
    """The text tower of CLIP: one vector per caption, or one per position."""

    cites: ClassVar[tuple[str, ...]] = ("radford2021clip",)
    uses: Literal["clip-text"] = "clip-text"

    weights: pins.Weights
    """A name of config/weights.yaml, or a folder with a / in it (from the working directory or $REEDBENCH_DATA), of
    config.json, the tokenizer's files and model.safetensors, of CLIP or of its text tower alone."""
    output: Literal["projected", "pooled", "tokens"] = "projected"
    """What CLIP compares with images; the state of the last token before that projection; or the states of all
    positions (77 in the published models), those beyond the end of a text too, as text-to-image models read them."""
    batch: int = Field(64, ge=1)
    """Texts at a time, of like length."""

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """As `output` says."""
        return "tokens" if self.output == "tokens" else "vector"

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read tokenizer and model; nothing is downloaded. It gives (n, width) or (n, positions, width) float32.

        A text that is longer than the model's positions is cut off.

        Raises:
            ConfigError: transformers is not installed, or the folder holds something else.
            MissingArtefact: there is no such folder.
        """
        import torch

        (folder,), who = self.files(), f"encoder {self.uses}"
        tokenizer = pretrained.read("AutoTokenizer", folder, who)
        tower = "CLIPTextModelWithProjection" if self.output == "projected" else "CLIPTextModel"
        network = pretrained.network(tower, folder, who, dtype=torch.float32).to(device)

        def encode(part: Material) -> np.ndarray:
            assert part.captions is not None, "captions are gathered for encoders that read them"
            return self._encoded(tokenizer, network, list(part.captions))

        return encode

    def _encoded(self, tokenizer: Any, network: Any, texts: list[str]) -> np.ndarray:
        import torch

        order, found = sorted(range(len(texts)), key=lambda i: len(texts[i])), []
        with torch.no_grad(), Track(f"encoder {self.uses}", len(texts), unit="caption") as track:
            for begin in range(0, len(order), self.batch):
                words = tokenizer(
                    [texts[i] for i in order[begin : begin + self.batch]],
                    padding="max_length" if self.output == "tokens" else True,
                    truncation=True,
                    max_length=network.config.max_position_embeddings,
                    return_tensors="pt",
                )
                # No mask: no position sees those after it, and text-to-image models give none.
                said = network(input_ids=words["input_ids"].to(network.device))
                found.append(self._of(said).float().cpu().numpy())
                track.update(begin + len(found[-1]))
        return np.concatenate(found)[np.argsort(order)]

    def _of(self, said: Any) -> Any:
        if self.output == "projected":
            return said.text_embeds
        return said.pooler_output if self.output == "pooled" else said.last_hidden_state
