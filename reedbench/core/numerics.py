"""What only rounds: under other numerics the same recipe gives the same run but for its last bits.

None of it is in a key. Receipts and sidecars carry it, so that a run that was trained under several is named as such.
"""

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

Numerics = dict[str, Any]
Precision = Literal["fp32", "bf16"]
THEN = " then "


def here(device: str = "cpu", *, ranks: int = 1, accumulation: int = 1, compiled: bool = False) -> Numerics:
    """The numerics of this process, as plain values; torch is asked where it is loaded, and not loaded for it.

    Args:
        device: `cpu`, or what runs on a GPU: `cuda` or its name.
        ranks: processes over which sums are split.
        accumulation: micro-batches over which they are split further.
        compiled: whether kernels are the compiler's; said only where they are.
    """
    found: Numerics = {"ranks": ranks, "accumulation": accumulation, **({"compiled": True} if compiled else {})}
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "__version__"):  # not loaded, or just being loaded
        return found | {"device": "cpu", "cpu": cpu_model(), "threads": _threads_asked()}
    found |= {"torch": str(torch.__version__), "matmul": torch.get_float32_matmul_precision()}
    if not torch.cuda.is_initialized() or device.startswith("cpu"):
        capability = torch.backends.cpu.get_cpu_capability()
        cpu = {"device": "cpu", "cpu": cpu_model(), "cpu_capability": capability, "threads": torch.get_num_threads()}
        return found | cpu
    return found | {
        "device": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "tf32": bool(torch.backends.cuda.matmul.allow_tf32),
        "tf32_convolutions": bool(torch.backends.cudnn.allow_tf32),
    }


@cache
def cpu_model() -> str:
    """The processor's name; its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bf16; where it does not, torch imitates it at a twentieth of the speed."""
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return False
    return not words.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def computes_in(precision: Precision, device: str) -> Precision:
    """bf16 where that is asked for and is fast: a CPU without such instructions would take twenty times as long."""
    return "bf16" if precision == "bf16" and (device != "cpu" or cpu_has_bf16()) else "fp32"


def changes(old: Numerics, new: Numerics) -> str:
    """`threads 1 -> 2, torch 2.8.0 -> 2.9.0`; empty where nothing changed."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return ", ".join(f"{name} {_word(old.get(name))} -> {_word(new.get(name))}" for name in names)


def joined(parts: Sequence[Numerics]) -> Numerics:
    """One plain dict for work that was done under several, one after the other: `1 then 2` where they differ."""
    if len(parts) == 1:
        return dict(parts[0])
    names = sorted(set().union(*parts))
    values = {name: list(_runs(part.get(name) for part in parts)) for name in names}
    return {name: value[0] if len(value) == 1 else THEN.join(map(_word, value)) for name, value in values.items()}


def _runs(values: Iterable[Any]) -> Iterable[Any]:
    last: Any = object()
    for value in values:
        if value != last:
            yield value
        last = value


def _word(value: Any) -> str:
    return "-" if value is None else str(value)


def _threads_asked() -> int | None:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() else None
