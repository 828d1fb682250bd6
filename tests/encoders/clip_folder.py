"""CLIP at a tiny size, with random weights: a folder of files as the published one is, images and all."""

import json
from pathlib import Path

import torch

POSITIONS, WIDTH, PROJECTED = 77, 16, 8
START, END = "<|startoftext|>", "<|endoftext|>"


def write(folder: Path) -> Path:
    """Write configuration, tokenizer and weights; the last word of the vocabulary ends a text, as published."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(ByteLevel.alphabet())
    words = {word: i for i, word in enumerate([*letters, *(f"{letter}</w>" for letter in letters), START, END])}
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt")).save_pretrained(folder)
    small = {"hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(words), "max_position_embeddings": POSITIONS, "projection_dim": PROJECTED}
    # The published files say that a text ends with word 2, which transformers knows not to believe.
    text |= {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    vision = {**small, "image_size": 8, "patch_size": 4, "projection_dim": PROJECTED}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=PROJECTED))
        for parameter in model.parameters():
            parameter.data.normal_(std=0.3)
        model.save_pretrained(folder)
    return folder
