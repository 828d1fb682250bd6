"""Qwen2-VL and Qwen2.5-VL as transformers has them: conversations about images, answers, hidden states, their mean.

Wang et al. 2024, https://arxiv.org/abs/2409.12191; Bai et al. 2025, https://arxiv.org/abs/2502.13923. The published
processors bring an image to multiples of 28 pixels, and 28 x 28 pixels are a token: 256 x 256 pixels are 81 tokens.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from reedbench.core.errors import ConfigError
from reedbench.nn.channels import grey_or_coloured

FAMILIES = ("qwen2_vl", "qwen2_5_vl")  # `model_type` of a checkpoint's config.json


def known(config: Any, who: str) -> Any:
    """A checkpoint's configuration, whose `model_type` then chooses the class: its name says nothing.

    Raises:
        ConfigError: it is that of another family.
    """
    if config.model_type not in FAMILIES:
        raise ConfigError(f"{who} reads models of type {' or '.join(FAMILIES)}, and this is one of {config.model_type}")
    return config


def shorten(config: Any, layer: int, who: str) -> bool:
    """Leave out the decoder layers above `layer`, before the network is built; says whether there are any.

    Raises:
        ConfigError: the network has no such layer.
    """
    text = config.text_config
    if layer > text.num_hidden_layers:
        raise ConfigError(f"{who}: layer {layer} does not exist, this model has {text.num_hidden_layers}")
    shorter = layer < text.num_hidden_layers
    text.num_hidden_layers, text.layer_types = layer, text.layer_types[:layer]
    return shorter


def open_ended(network: Any) -> Any:
    """The same network, which gives the output of its last layer as it is: the norm belongs after those left out."""
    network.language_model.norm = nn.Identity()
    return network


def speaking(processor: Any, who: str) -> Any:
    """A processor with a chat template, which may lie in a file of its own or beside the tokenizer.

    Raises:
        ConfigError: there is none.
    """
    processor.chat_template = processor.chat_template or processor.tokenizer.chat_template
    if not processor.chat_template:
        raise ConfigError(f"{who} needs the checkpoint's chat template (chat_template.json or .jinja), and it has none")
    return processor


def conversation(processor: Any, question: str, answer: str | None = None, *, asked: bool) -> str:
    """An image and a question, and the answer, in the words of the checkpoint's own chat template.

    Args:
        processor: of the checkpoint.
        question: follows the image.
        answer: the assistant's turn, if it has spoken.
        asked: whether the assistant's turn is opened, once more after an answer.

    Raises:
        ConfigError: a text has words in it that stand for an image or a video.
    """
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    if answer is not None:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    text: str = processor.apply_chat_template(turns, add_generation_prompt=asked, tokenize=False)
    if text.count(processor.image_token) != 1 or processor.video_token in text:
        marks = f"{processor.image_token} or {processor.video_token}"
        raise ConfigError(f"a text has {marks} in it, which stand for images: '{(answer or question)[:80]}'")
    return text


def inputs(
    processor: Any, images: np.ndarray, texts: Sequence[str], side: Literal["left", "right"], device: Any
) -> Any:
    """What the network takes.

    Args:
        processor: of the checkpoint.
        images: (n, 1 or 3, height, width) uint8; grey becomes three equal ones.
        texts: conversations, one per image.
        side: of padding.
        device: where images are prepared and the network computes.

    Raises:
        ConfigError: images have another number of channels.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(grey_or_coloured(images))).to(device).expand(-1, 3, -1, -1)
    given = processor(
        images=list(pixels),
        text=list(texts),
        padding=True,
        padding_side=side,
        input_data_format="channels_first",
        return_tensors="pt",
    )
    return given.to(device)


def be_greedy(network: Any, processor: Any) -> None:
    """Take the likeliest token always, whatever the checkpoint's generation_config.json says beside where to stop."""
    from transformers import GenerationConfig

    ends, padding = network.generation_config.eos_token_id, processor.tokenizer.pad_token_id
    network.generation_config = GenerationConfig(do_sample=False, eos_token_id=ends, pad_token_id=padding)


def answers(network: Any, processor: Any, images: np.ndarray, question: str, most: int, *, whole: bool) -> list[str]:
    """What the network says of each image.

    Args:
        network: with a head, in eval mode.
        processor: of the checkpoint.
        images: as in `inputs`.
        question: follows each image.
        most: tokens of an answer.
        whole: with all that was said before, as the checkpoint's template words it.
    """
    asked = [conversation(processor, question, asked=True)] * len(images)
    # Padded on the left: answers begin where the conversation ends.
    given = inputs(processor, images, asked, "left", network.device)
    with torch.no_grad():
        said = network.generate(**given, max_new_tokens=most)
    begin = 0 if whole else given["input_ids"].shape[1]
    texts = processor.batch_decode(said[:, begin:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return list(texts) if whole else [text.strip() for text in texts]


def mean_state(network: Any, given: Any, padding: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """(n, width) float32: mean of the last hidden states over a text's own tokens, those of the image among them.

    Args:
        network: without a head, in eval mode.
        given: as from `inputs`, padded on the right, so that no text sees padding.
        padding: (n,) positions of padding that count as well, and (width,) the state that each of them has.
    """
    with torch.no_grad():
        hidden = network(**given, use_cache=False).last_hidden_state.float()
    own = given["attention_mask"].bool().unsqueeze(-1)
    total, count = torch.where(own, hidden, 0).sum(1), own.sum(1)
    if padding is not None:
        further = padding[0].to(count).unsqueeze(-1)
        total, count = total + further * padding[1], count + further
    return total / count


def padding_state(network: Any, token: int) -> Tensor:
    """(width,) float32: last hidden state at a position of padding under flash attention.

    Flash attention leaves such positions out and gives them zeros, so that the perceptrons of the layers alone act on
    the embedding of the token: it is the same in every text and on either side of it.
    """
    text = network.language_model
    with torch.no_grad():
        hidden = text.embed_tokens(torch.tensor([[token]], device=network.device))
        for layer in text.layers:
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return text.norm(hidden)[0, 0].float()
