"""An autoencoder of diffusers with random weights, as small as they come, in the published layout."""

from pathlib import Path

import torch


def save(folder: Path, *, images: int = 1, channels: int = 2, blocks: int = 2, seed: int = 0) -> Path:
    """Images of so many channels, latents of so many; every block after the first halves the sides."""
    from diffusers import AutoencoderKL

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = AutoencoderKL(
            in_channels=images,
            out_channels=images,
            down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks,
            block_out_channels=(4,) * blocks,
            latent_channels=channels,
            norm_num_groups=2,
            sample_size=8,
        )
    network.save_pretrained(folder, safe_serialization=True)
    return folder
