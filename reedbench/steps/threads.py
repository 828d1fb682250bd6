"""How many CPU threads compute: what the settings say, never what a job was given, as sums in another order round."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Threads of torch and of the libraries below numpy and scipy, inside the block."""
    import torch
    from threadpoolctl import threadpool_limits

    if find_spec("scipy"):
        import_module("scipy.linalg")  # brings its own library, which is not pinned if it is loaded inside the block
    before = torch.get_num_threads()
    with threadpool_limits(threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
