"""REED's second modality: an image and its caption through Qwen2-VL or Qwen2.5-VL, the mean hidden state of a layer.

The headline run of REED (arXiv:2507.08980) has the 15th of the 28 layers of Qwen2-VL-7B-Instruct, with captions of
Qwen2-VL-2B-Instruct. Facts about REED are those of vlm_captioning/captioning_embedding.py of its repository. It chooses
the class by the checkpoint's name, which never fits Qwen2.5-VL; here config.json chooses it.

Representations are stored in half precision, where REED has float32. A few positions of large language models have huge
values (Sun et al. 2024, https://arxiv.org/abs/2402.17762); stored is a mean, and the step refuses one beyond 65504.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import numerics, pins, pretrained
from reedbench.core.console import Track
from reedbench.core.errors import MissingArtefact
from reedbench.encoders import Encode, Kind, Material
from reedbench.encoders._captions import CaptionEncoder

REED = "wang2025reed"  # key of the bibliography
TEXTS = 4096  # of which the lengths are counted at once


class QwenVlStates(CaptionEncoder):
    """Image, question and caption as a chat with a vision-language model: its mean hidden state at a layer."""

    kind: ClassVar[Kind] = "vector"
    cites: ClassVar[tuple[str, ...]] = (REED, *pretrained.QWEN_PAPERS)
    uses: Literal["qwen-vl"] = "qwen-vl"

    weights: pins.Weights
    """A name of config/weights.yaml, or a folder with a / in it (from the working directory or $REEDBENCH_DATA), of
    the files of Qwen2-VL or Qwen2.5-VL as published: config, preprocessor_config, tokenizer, chat template,
    safetensors."""
    layer: int = Field(15, ge=0)
    """Layer whose output is taken: 0 is the embedding of the tokens, the last layer is normalised. Layers above it are
    neither read nor computed."""
    question: str = "Describe this image."
    """What stands between image and caption."""
    pooling: Literal["masked-mean", "reference"] = "masked-mean"
    """Mean over the tokens of the chat, or as in REED (`reference`): with the opening of another turn of the assistant,
    and with padding up to the longest chat of REED's batch, so that a vector depends on its neighbours."""
    neighbours: int = Field(32, ge=1)
    """Rows of a batch of REED, consecutive ones in the order of their ids, for pooling: reference. REED has 32, divided
    by the number of its processes."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of weights and activations; means are in fp32. On a CPU without instructions for bf16 fp32 is taken in its
    place."""
    batch: int = Field(32, ge=1)
    """Images at a time, with captions of like length."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "QwenVlStates":
        if self.pooling != "reference":
            self.refuse("neighbours", where=f"on pooling: {self.pooling}")
        return self

    def cited(self) -> tuple[str, ...]:
        """REED, and the model by the name of its weights."""
        return (REED, pretrained.qwen_paper(self.weights))

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """By config.json of the folder; None where that is not there yet."""
        try:
            (folder,) = self.files()
        except MissingArtefact:
            return None
        said = pretrained.configured(folder)
        width = (said.get("text_config") or said).get("hidden_size")
        return (width,) if isinstance(width, int) else None

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read processor and model; nothing is downloaded. It gives (n, width) float32.

        Raises:
            ConfigError: transformers is not installed, the folder holds something else, or there is no such layer.
            MissingArtefact: there is no such folder.
        """
        from reedbench.nn import qwen_vl

        processor, network = self._read(device)
        padding = None
        if self.pooling == "reference":
            blank = qwen_vl.padding_state(network, processor.tokenizer.pad_token_id)
            padding = self._padding(processor, material), blank

        def encode(part: Material) -> np.ndarray:
            return self._encoded(processor, network, part, padding)

        return encode

    def _read(self, device: str) -> tuple[Any, Any]:
        import torch

        from reedbench.nn import qwen_vl

        (folder,), who = self.files(), f"encoder {self.uses}"
        config = qwen_vl.known(pretrained.read("AutoConfig", folder, who), f"{folder}: {who}")
        shorter = qwen_vl.shorten(config, self.layer, f"{folder}: {who}")
        processor = qwen_vl.speaking(pretrained.read("AutoProcessor", folder, who), f"{folder}: {who}")
        kind = torch.bfloat16 if numerics.computes_in(self.precision, device) == "bf16" else torch.float32
        network = pretrained.network("AutoModel", folder, who, config=config, dtype=kind).to(device)
        return processor, qwen_vl.open_ended(network) if shorter else network

    def _chats(self, processor: Any, captions: list[str]) -> list[str]:
        from reedbench.nn import qwen_vl

        asked = self.pooling == "reference"
        return [qwen_vl.conversation(processor, self.question, caption, asked=asked) for caption in captions]

    def _padding(self, processor: Any, material: Material) -> Callable[[Material], Any]:
        """Positions of padding that each row gets from its neighbours in all of the material, for any part of it.

        Images of a data set have one size, and so one number of tokens: texts alone make the difference.
        """
        import torch

        assert material.captions is not None, "captions are gathered for encoders that read them"
        lengths = np.zeros(len(material.rows), np.int64)
        with Track(f"encoder {self.uses}: lengths", len(lengths), unit="caption") as track:
            for begin in range(0, len(lengths), TEXTS):
                texts = self._chats(processor, list(material.captions[begin : begin + TEXTS]))
                lengths[begin : begin + len(texts)] = [len(ids) for ids in processor.tokenizer(texts)["input_ids"]]
                track.update(begin + len(texts))
        order = np.argsort(np.asarray(material.rows.ids), kind="stable")
        longest = np.maximum.reduceat(lengths[order], range(0, len(order), self.neighbours))
        lacks = np.empty_like(lengths)
        lacks[order] = np.repeat(longest, self.neighbours)[: len(order)] - lengths[order]
        by_id = dict(zip(material.rows.ids, lacks.tolist(), strict=True))
        return lambda part: torch.tensor([by_id[name] for name in part.rows.ids])

    def _encoded(
        self, processor: Any, network: Any, part: Material, padding: tuple[Callable[[Material], Any], Any] | None
    ) -> np.ndarray:
        from reedbench.nn import qwen_vl

        assert part.captions is not None, "captions are gathered for encoders that read them"
        texts, images = self._chats(processor, list(part.captions)), part.rows.arrays["images"]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = np.empty((len(texts), network.config.text_config.hidden_size), np.float32)
        further = None if padding is None else padding[0](part)
        with Track(f"encoder {self.uses}", len(texts), unit="image") as track:
            for begin in range(0, len(order), self.batch):
                some = order[begin : begin + self.batch]
                given = qwen_vl.inputs(processor, images[some], [texts[i] for i in some], "right", network.device)
                counted = None if padding is None else (further[some], padding[1])
                out[some] = qwen_vl.mean_state(network, given, counted).cpu().numpy()
                track.update(begin + len(some))
        return out
