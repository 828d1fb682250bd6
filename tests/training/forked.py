"""Ranks for tests: forked processes (nothing is imported again) that find each other as a launcher's would."""

import multiprocessing
import os
import pickle
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from reedbench.training.ranks import Ranks, joined

SECONDS = 120.0
LOST = "ended without a word"
# Where they meet is this machine. Gloo would ask a name server who it is, and torch asks what 127.0.0.1 is called:
# where none answers, that is a second and not ten.
HERE = {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo", "RES_OPTIONS": "timeout:1 attempts:1"}


def on_ranks(world: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """What `work` returns or raises in each of several processes that have joined as ranks."""

    def inside() -> Any:
        with joined("cpu") as ranks:
            return work(ranks)

    return in_processes(world, inside)


def in_processes(world: int, work: Callable[[], Any]) -> list[Any]:
    """What `work` returns or raises in each of several processes whose environment calls them ranks."""
    context = multiprocessing.get_context("fork")
    ends = [context.Pipe(duplex=False) for _ in range(world)]
    with _reserved_port() as port:
        children = [
            context.Process(target=_child, args=(rank, world, port, work, ends[rank][1]), daemon=True)
            for rank in range(world)
        ]
        for child, (_, sending) in zip(children, ends, strict=True):
            child.start()
            sending.close()
        deadline = time.monotonic() + SECONDS
        try:
            return [_received(end, deadline) for end, _ in ends]
        finally:
            for child in children:
                child.kill()
                child.join()


def _child(rank: int, world: int, port: int, work: Callable[[], Any], end: Connection) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {**HERE, "MASTER_PORT": str(port)}
    try:
        result = work()
    except Exception as error:
        result = error
    end.send_bytes(pickle.dumps(result))  # by value, also tensors: this process does not outlive its word
    end.close()
    os._exit(0)  # as an interpreter that ends: nobody is told


def _received(end: Connection, deadline: float) -> Any:
    if not end.poll(max(deadline - time.monotonic(), 0)):
        raise TimeoutError(f"a rank said nothing for {SECONDS:.0f} s")
    try:
        return pickle.loads(end.recv_bytes())
    except EOFError:
        return LOST


@contextmanager
def _reserved_port() -> Iterator[int]:
    """A port that nobody else is given meanwhile; a rank can listen on it, as this socket does not."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield int(reserved.getsockname()[1])


def started(work: Callable[[], int]) -> int:
    """Do something in a forked process, which ends with the status that it returns; gives its pid."""
    child = os.fork()
    if child == 0:
        try:
            status = work()
        except BaseException:  # ends here, too: else a second process would go on with the tests
            traceback.print_exc()
            status = 1
        os._exit(status)
    return child


def killed(work: Callable[[], int]) -> None:
    """Do something in a forked process, which has to be killed at it."""
    _, status = os.waitpid(started(work), 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
