"""Dropout that follows the datum: what is dropped in a row depends on the seed of that row, and on nothing around it.

An entry's fate is a hash of its row's seed, the place in the network and its own indices, not the next number of a
generator. So it is the same in any batch, on any rank or device, and however much the batch is padded.
"""

import torch
from torch import Tensor

WORD = 0xFFFFFFFF
FACTOR = 0x7FEB352D  # odd and below 2^31: its product with 32 bits fits into int64


def mixed(word: Tensor) -> Tensor:
    """Scramble 32-bit words held as int64, in place: a bijection of xor-shifts and products, as hash tables use."""
    for shift in (16, 15):
        word.bitwise_xor_(word >> shift).mul_(FACTOR).bitwise_and_(WORD)
    return word.bitwise_xor_(word >> 16)


def uniform_words(seeds: Tensor, site: int, shape: tuple[int, ...]) -> Tensor:
    """Words 0 .. 2^32 - 1 (b, *shape), int64, each a function of its row's seed, the site and its own indices.

    Args:
        seeds: (b,) int64, not negative.
        site: number of the place in the network.
        shape: of a row; a larger one has the words of a smaller one at the same indices.
    """
    words = mixed(mixed(seeds & WORD).bitwise_xor_(seeds >> 32))
    words = mixed(words ^ mixed(torch.full_like(seeds, site)))
    for size in shape:
        # Indices are scrambled too: otherwise those of two axes would differ in the same few bits.
        words = mixed(words[..., None] ^ mixed(torch.arange(size, device=seeds.device)))
    return words


class RowDropout:
    """One forward pass's dropout.

    Args:
        probability: of an entry being dropped, below 1; kept ones are scaled up.
        seeds: (b,) int64, one per row of the batch, not negative; None: nothing is dropped.
    """

    def __init__(self, probability: float, seeds: Tensor | None) -> None:
        self.probability, self.seeds = probability, seeds if probability > 0 else None

    def __call__(self, x: Tensor, site: int) -> Tensor:
        """Values x (b, ...) with a part dropped; `site` numbers the place in the network."""
        if self.seeds is None:
            return x
        words = uniform_words(self.seeds.to(x.device), site, tuple(x.shape[1:]))
        return x.masked_fill(words < round(self.probability * (WORD + 1)), 0.0) / (1 - self.probability)
