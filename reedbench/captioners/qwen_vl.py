"""Captions by Qwen2-VL or Qwen2.5-VL: REED's are those of Qwen2-VL-2B-Instruct (arXiv:2507.08980).

Facts about REED are those of vlm_captioning/captioning.py of its repository. It chooses the class by the checkpoint's
name, which never fits Qwen2.5-VL; here config.json chooses it. Its captions keep the chat that came before the answer.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.captioners import AbstractCaptioner
from reedbench.core import numerics, pins, pretrained, seeds
from reedbench.core.console import Track
from reedbench.core.parts import BYTES
from reedbench.domains.rows import Rows


class QwenVlCaptions(AbstractCaptioner):
    """What a vision-language model says when it is asked to describe the image."""

    domain: ClassVar[str] = "image"
    on_gpu: ClassVar[bool] = True
    at_once: ClassVar[int] = BYTES  # it prepares no more than a batch of them
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch"})
    cites: ClassVar[tuple[str, ...]] = pretrained.QWEN_PAPERS
    uses: Literal["qwen-vl"] = "qwen-vl"

    weights: pins.Weights
    """A name of config/weights.yaml, or a folder with a / in it (from the working directory or $REEDBENCH_DATA), of
    the files of Qwen2-VL or Qwen2.5-VL as published: config, generation_config, preprocessor_config, tokenizer, chat
    template, safetensors."""
    question: str = "Describe this image."
    """What the model is asked, after the image."""
    prompt: Literal["strip", "reference"] = "strip"
    """Whether the caption is the answer alone, or, as REED has it (`reference`), the whole chat: `system`, its text,
    `user`, the question, `assistant`, the answer, a line each."""
    generation: Literal["greedy", "reference"] = "greedy"
    """The likeliest token always, or the checkpoint's own generation_config.json, as in REED. Published ones draw by
    settings that leave hardly a token but the likeliest: chance decides between equal logits, and `batch` matters."""
    tokens: int = Field(200, ge=1)
    """Tokens after which an answer is cut off."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of weights and activations. On a CPU without instructions for bf16 fp32 is taken in its place."""
    batch: int = Field(32, ge=1)
    """Images at a time."""

    def identity(self) -> dict[str, Any]:
        """With the batch where it decides what chance draws."""
        return super().identity() | ({"batch": self.batch} if self.generation == "reference" else {})

    def cited(self) -> tuple[str, ...]:
        """The model's paper, by the name of its weights."""
        return (pretrained.qwen_paper(self.weights),)

    def files(self) -> tuple[Path, ...]:
        """The folder."""
        return (pins.folder(self.weights),)

    def captions(self, rows: Rows) -> list[str]:
        """Made ready and used once."""
        return self.prepared()(rows)

    def prepared(self, device: str = "cpu") -> Callable[[Rows], list[str]]:
        """Read processor and model; nothing is downloaded.

        Raises:
            ConfigError: transformers is not installed, or the folder holds something else.
            MissingArtefact: there is no such folder.
        """
        import torch

        from reedbench.nn import qwen_vl

        (folder,), who = self.files(), f"captioner {self.uses}"
        config = qwen_vl.known(pretrained.read("AutoConfig", folder, who), f"{folder}: {who}")
        processor = qwen_vl.speaking(pretrained.read("AutoProcessor", folder, who), f"{folder}: {who}")
        kind = torch.bfloat16 if numerics.computes_in(self.precision, device) == "bf16" else torch.float32
        network = pretrained.network("AutoModelForImageTextToText", folder, who, config=config, dtype=kind).to(device)
        if self.generation == "greedy":
            qwen_vl.be_greedy(network, processor)

        def captions(rows: Rows) -> list[str]:
            texts: list[str] = []
            with Track(who, len(rows), unit="image") as track:
                for begin in range(0, len(rows), self.batch):
                    part = range(begin, min(begin + self.batch, len(rows)))
                    texts += self._answers(network, processor, rows.take(part))
                    track.update(len(texts))
            return texts

        return captions

    def _answers(self, network: Any, processor: Any, rows: Rows) -> list[str]:
        """What is said of a batch of images; chance, where it has a say, is that of the batch's first image."""
        import torch

        from reedbench.nn import qwen_vl

        on_gpu = network.device.type == "cuda"
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if on_gpu else []):
            torch.manual_seed(seeds.of("caption", rows.ids[0]))
            whole = self.prompt == "reference"
            images = rows.arrays["images"]
            return qwen_vl.answers(network, processor, images, self.question, self.tokens, whole=whole)
