"""Which images published networks take: grey ones, which become three equal channels, and coloured ones."""

from typing import Any

from reedbench.core.errors import ConfigError

WANTED = "images of 1 or 3 channels"


def grey_or_coloured(images: Any, who: str = "") -> Any:
    """The same images (n, channels, height, width), if they have one channel or three; `who` asks, for the message.

    Raises:
        ConfigError: they have another number of channels.
    """
    if images.shape[1] not in (1, 3):
        rule = f"{who} takes {WANTED}" if who else f"{WANTED} are read"
        raise ConfigError(f"{rule}, and these have {images.shape[1]}")
    return images
