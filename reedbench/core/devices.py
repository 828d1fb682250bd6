"""What devices can do at most, as their makers publish it: what a measured or planned speed is compared with."""

import re
from collections.abc import Mapping
from typing import Final

# Dense bf16 products of one device, operations per second. NVIDIA's data sheets print twice as much, "with sparsity",
# for all but A100, A10, A30 and A40.
PEAKS: Final[Mapping[str, float]] = {
    "a10": 125e12,
    "a30": 165e12,
    "a40": 149.7e12,
    "a100": 312e12,
    "l4": 121e12,
    "l40s": 362e12,
    "h100": 989e12,
    "h100-pcie": 756e12,
    "h100-nvl": 835e12,
    "h200": 989e12,
    "h200-nvl": 835e12,
}
VARIANTS = ("pcie", "nvl")


def known(name: str) -> str | None:
    """The key in `PEAKS` of a device, by its name as the driver tells it (`NVIDIA H100 80GB HBM3`).

    None for another device, and for a slice of one (MIG).
    """
    words = re.split(r"[\s_-]+", name.lower())
    if "mig" in words:
        return None
    found = next((word for word in words if word in PEAKS), None)
    variants = (f"{found}-{variant}" for variant in VARIANTS if variant in words)
    return next((variant for variant in variants if variant in PEAKS), found)


def peak(name: str) -> float | None:
    """Dense bf16 operations per second of a device at most, by its name; None where it is not known."""
    found = known(name)
    return None if found is None else PEAKS[found]
