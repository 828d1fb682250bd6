"""Captions as vectors by a sentence encoder of transformers, such as MiniLM: REED's second modality, text alone.

Mean of the last hidden states over the text's own tokens, at length 1, as sentence-transformers does for these models
(Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import pins, pretrained
from reedbench.core.console import Track
from reedbench.encoders import Encode, Kind, Material
from reedbench.encoders._captions import CaptionEncoder


class Text(CaptionEncoder):
    """A sentence encoder from a folder of transformers: one vector per caption."""

    kind: ClassVar[Kind] = "vector"
    cites: ClassVar[tuple[str, ...]] = ("reimers2019sbert",)
    uses: Literal["text"] = "text"

    weights: pins.Weights
    """A name of config/weights.yaml, or a folder with a / in it (from the working directory or $REEDBENCH_DATA), of
    config.json, the tokenizer's files and model.safetensors."""
    tokens: int = Field(256, ge=2)
    """Tokens after which a text is cut off."""
    batch: int = Field(64, ge=1)
    """Texts at a time, of like length."""

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read tokenizer and model; nothing is downloaded. It gives (n, width) float32 of length 1.

        Raises:
            ConfigError: transformers is not installed, or the folder holds something else.
            MissingArtefact: there is no such folder.
        """
        tokenizer, model = self._read(device)

        def encode(part: Material) -> np.ndarray:
            assert part.captions is not None, "captions are gathered for encoders that read them"
            return self._encoded(tokenizer, model, part.captions)

        return encode

    def _encoded(self, tokenizer: Any, model: Any, texts: list[str]) -> np.ndarray:
        import torch
        from torch.nn.functional import normalize

        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = np.empty((len(texts), model.config.hidden_size), np.float32)
        with torch.no_grad(), Track("text", len(texts), unit="caption") as track:
            for begin in range(0, len(order), self.batch):
                chosen = order[begin : begin + self.batch]
                words = tokenizer(
                    [texts[i] for i in chosen],
                    padding=True,
                    truncation=True,
                    max_length=self.tokens,
                    return_tensors="pt",
                ).to(model.device)
                mask = words["attention_mask"].unsqueeze(-1).float()
                hidden = model(**words).last_hidden_state.float()
                out[chosen] = normalize((hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)).cpu().numpy()
                track.update(begin + len(chosen))
        return out

    def _read(self, device: str) -> tuple[Any, Any]:
        (folder,), who = self.files(), f"encoder {self.uses}"
        tokenizer = pretrained.read("AutoTokenizer", folder, who)
        model = pretrained.network("AutoModel", folder, who, unneeded="pooler.")
        return tokenizer, model.to(device=device).float()
