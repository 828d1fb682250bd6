"""How this process gets memory from the kernel.

glibc gives every freed block of some size back to the kernel, and a convolutional network frees and asks for its large
activations all the time: half of its time then goes into pages that the kernel clears. `keep` holds on to them.
"""

import ctypes

# Parameters of mallopt, from malloc.h. The environment's MALLOC_TRIM_THRESHOLD_ and so on do the same, but are read
# before the first line of Python runs.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
KEPT = 2**31 - 1  # bytes of free memory, above which some is given back
AT_A_TIME = 64 << 20  # bytes asked for at a time


def keep() -> bool:
    """Keep freed memory for the next time; says whether the C library can be told so (glibc can)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl, macOS
        return False
    return all([mallopt(MMAP_MAX, 0), mallopt(TRIM_THRESHOLD, KEPT), mallopt(TOP_PAD, AT_A_TIME)])
