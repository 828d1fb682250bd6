"""Qwen2-VL and Qwen2.5-VL at a tiny size, with random weights: folders of files as the published ones are."""

import json
from pathlib import Path
from typing import Any

import torch

MARKS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip
BYTES = 256  # tokens before the marks
END, IMAGE = BYTES + 2, BYTES + 5
LAYERS, WIDTH = 3, 32
LETTERS = "abcdefghijklmnopqrstuvwxzy"
TEMPLATE = (
    "{% for turn in messages %}"
    "{% if loop.first %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ turn.role }}\n{% for part in turn.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PREPROCESSOR = {
    "min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor",
}  # fmt: skip
DRAWING = {"do_sample": True, "repetition_penalty": 1.0, "temperature": 0.01, "top_p": 0.001, "top_k": 1}
VISION: dict[str, dict[str, Any]] = {
    "qwen2_vl": {"depth": 1, "embed_dim": WIDTH, "hidden_size": WIDTH, "num_heads": 2, "mlp_ratio": 2},
    "qwen2_5_vl": {
        "depth": 1, "hidden_size": WIDTH, "out_hidden_size": WIDTH, "num_heads": 2, "intermediate_size": 48,
        "fullatt_block_indexes": [0], "window_size": 112,
    },
}  # fmt: skip


def write(folder: Path, family: str = "qwen2_vl", *, tied: bool = False, layers: int = LAYERS) -> Path:
    """Write configuration, tokenizer, processor, chat template and weights; config.json is flat, as the published ones.

    An untied model says letters alone, and sometimes ends.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(folder)
    _json(folder / "preprocessor_config.json", PREPROCESSOR)
    _json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    _json(folder / "generation_config.json", {**DRAWING, "eos_token_id": [END, BYTES], "pad_token_id": BYTES})
    config = {
        "model_type": family, "architectures": ["any"], "vocab_size": BYTES + len(MARKS), "hidden_size": WIDTH,
        "intermediate_size": 48, "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "rope_theta": 1e6, "hidden_act": "silu", "rms_norm_eps": 1e-6,
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}, "tie_word_embeddings": tied,
        "use_sliding_window": False, "bos_token_id": BYTES, "eos_token_id": END, "image_token_id": IMAGE,
        "vision_start_token_id": BYTES + 3, "vision_end_token_id": BYTES + 4, "video_token_id": BYTES + 6,
        "vision_config": VISION[family],
    }  # fmt: skip
    _json(folder / "config.json", config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim > 1:  # larger than at the start of a training, so that a text depends on its image
                    parameter.normal_(std=0.3 if "visual" in name else 0.15)
        if not tied:
            _says_letters(model)
    model.save_pretrained(folder)
    _json(folder / "config.json", config)
    _json(folder / "generation_config.json", {**DRAWING, "eos_token_id": [END, BYTES], "pad_token_id": BYTES})
    return folder


def _says_letters(model: Any) -> None:
    """Nothing but letters; where it would say a y, it ends."""
    rows = [ord(letter) - ord("!") for letter in LETTERS]  # as byte-level vocabularies begin
    with torch.no_grad():
        said = model.lm_head.weight[rows].clone()
        model.lm_head.weight.zero_()
        model.lm_head.weight[[*rows[:-1], END]] = said


def _tokenizer(folder: Path) -> None:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2TokenizerFast

    vocabulary = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    _json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("#version: 0.2\n")
    Qwen2TokenizerFast(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        unk_token=None,
        pad_token=MARKS[0],
        eos_token=MARKS[2],
        extra_special_tokens=list(MARKS[1:]),
    ).save_pretrained(folder)


def _json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content))
