"""The processes that train one run together: which of them this one is, and the few words that they exchange.

A launcher or `torchrun` starts them and says in the environment who each is. Words are numbers on the CPU and go over
gloo whatever the device, so that they never wait for a GPU; gradients go another way (`training.summed`).
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from reedbench.core import console
from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import ConfigError, ReedbenchError, RunAgain

VARIABLES = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # beside WORLD_SIZE
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
LOST = re.compile(r"by peer|pair closure|broken pipe|timed? ?out|NCCL", re.IGNORECASE)
NOT_JOINED = re.compile(
    r"timed? ?out|likely closed|socket closed|by peer|broken pipe|connection refused|EADDRINUSE|address already in use",
    re.IGNORECASE,
)
PATIENCE = timedelta(minutes=30)  # with a rank that is late: the first one may be writing a large state
LATE = timedelta(days=30)  # with one that has more to do than others


@dataclass(frozen=True)
class Ranks:
    """All processes of a run as one of them sees them.

    Attributes:
        world: how many there are.
        rank: which one this is; the first, 0, is the one that reads, writes and speaks for all.
        local: which one it is on its node, and so which of the GPUs that the node shows is its own.
        device: `cpu` or `cuda`.
    """

    world: int
    rank: int
    local: int
    device: str

    @classmethod
    def alone(cls, device: str) -> "Ranks":
        """One process, with nobody to wait for."""
        return cls(1, 0, 0, device)

    @property
    def first(self) -> bool:
        """Whether this is the rank that speaks for all."""
        return self.rank == 0

    def mine(self, count: int) -> slice:
        """This rank's rows of a global batch."""
        return part(count, self.rank, self.world)

    def total(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, the same bits on each; on the CPU where there are several."""
        if self.world > 1:
            tensor = tensor.to("cpu", copy=True)
            dist.all_reduce(tensor)
        return tensor

    def agree(self, value: int) -> Callable[[], int]:
        """Ask all ranks for a number; what is returned gives the largest, once all have asked, when it is called."""
        if self.world == 1:
            return lambda: value
        largest = torch.tensor(int(value))
        asked = dist.all_reduce(largest, dist.ReduceOp.MAX, async_op=True)

        def answer() -> int:
            asked.wait()
            return int(largest)

        return answer

    def patient(self) -> Callable[[int], int]:
        """Asked while ranks are together: what is returned gives the largest of their numbers, though some come late.

        By days, even; a rank that ends meanwhile is noticed all the same.
        """
        if self.world == 1:
            return lambda value: value
        group = dist.new_group(timeout=LATE, backend="gloo")

        def largest(value: int) -> int:
            found = torch.tensor(int(value))
            dist.all_reduce(found, dist.ReduceOp.MAX, group=group)
            return int(found)

        return largest

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        self.agree(0)()

    def tell(self, value: int) -> int:
        """The first rank's number, on all of them."""
        told = torch.tensor(int(value))
        if self.world > 1:
            dist.broadcast(told, src=0)
        return int(told)

    def lead(self, decide: Callable[[], int]) -> int:
        """Let the first rank alone decide on a number, not negative; all get it, or end with that rank.

        Raises:
            ReedbenchError: `decide` raised it; without words on the other ranks.
        """
        if self.first:
            try:
                return self.tell(decide())
            except Exception as error:
                self.tell(-getattr(error, "exit_code", 1))
                raise
        if (decided := self.tell(0)) >= 0:
            return decided
        failed = ReedbenchError("")
        failed.exit_code = -decided
        raise failed

    def together(self, error: ReedbenchError) -> ReedbenchError:
        """An error that every rank raises: it has words on the first alone, so that they are read once."""
        return error if self.first else type(error)("")


def part(count: int, index: int, parts: int) -> slice:
    """One of nearly equal parts of `count` rows; they differ by a row at most, and none is left out."""
    return slice(count * index // parts, count * (index + 1) // parts)


@contextmanager
def joined(device: str, patience: timedelta = PATIENCE) -> Iterator[Ranks]:
    """Join the processes that the environment speaks of (RANK, WORLD_SIZE, ...); stay alone if it does not.

    Ranks other than the first are silent inside.

    Raises:
        ConfigError: the environment is incomplete, or the node shows fewer GPUs than it has ranks.
        RunAgain: another rank has ended or never came, and this one cannot go on without it.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks.alone(device)
        return
    if missing := [name for name in VARIABLES if name not in os.environ]:
        raise ConfigError(f"WORLD_SIZE is {world}, and {', '.join(missing)} not set: whoever starts ranks sets all")
    ranks = Ranks(world, int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"]), device)
    if device == "cuda":
        _take_gpu(ranks)
    _join(ranks, patience)
    try:
        with nullcontext() if ranks.first else console.muted():
            yield ranks
    except RuntimeError as error:  # which is what gloo and NCCL raise
        if not LOST.search(str(error)):
            raise
        said = str(error).strip().splitlines()[0]
        raise RunAgain(f"rank {ranks.rank} has lost another one, run again to go on ({said})") from error
    # Not after an error: this waits for sums that others may never join, and a rank that failed must end at once.
    dist.destroy_process_group()


def _join(ranks: Ranks, patience: timedelta) -> None:
    try:
        dist.init_process_group(BACKENDS[ranks.device], timeout=patience)
        # A rank has met the others before these have met each other. If it then ended, with an error of its own, they
        # would say that they lost it: no rank goes on before all are here.
        ranks.barrier()
    except RuntimeError as error:
        if not NOT_JOINED.search(str(error)):
            raise
        address, said = "{MASTER_ADDR}:{MASTER_PORT}".format_map(os.environ), str(error).strip().splitlines()[0]
        raise RunAgain(
            f"rank {ranks.rank} has not met the other {ranks.world - 1} at {address} ({said}): run again to go on; if "
            "it stays so, see whether all nodes reach that address (MASTER_ADDR, MASTER_PORT)"
        ) from error


def _take_gpu(ranks: Ranks) -> None:
    visible = torch.cuda.device_count()
    if visible == 1 and int(os.environ.get(GPUS_VARIABLE) or 0) > ranks.local:
        torch.cuda.set_device(0)  # the site binds GPUs to processes: each sees its own alone
        return
    if ranks.local >= visible:
        raise ConfigError(
            f"rank {ranks.rank} is number {ranks.local + 1} on its node, and {visible} GPU(s) are visible there: "
            "each rank needs one of its own"
        )
    torch.cuda.set_device(ranks.local)
