"""Memory: how much of it networks may take here, giving it back, and errors that say that it ran out."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

CPU = "cpu"
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # glibc's numbers of these options
SMALL, LARGE = 1 << 18, 32 << 20  # bytes from which an allocation gets pages of its own, in the block and after it
CGROUP = Path("/sys/fs/cgroup/memory.max")  # what a container may use
OF_MEMORY, OF_ACCELERATOR = 0.5, 0.9  # shares that networks may take if nobody says how much
SIGNS = ("out of memory", "can't allocate memory", "cudnn_status_alloc_failed", "cublas_status_alloc_failed")


def measured(memory: int = 0, accelerator: int = 0, share: float = 1.0) -> Mapping[str, int]:
    """Return budgets for this machine: bytes by device.

    Args:
        memory, accelerator: bytes; 0 takes half of the machine's memory (of the container's, if that is less) and 90 %
            of each accelerator's.
        share: of all that, if several processes divide it.
    """
    found = {CPU: memory or round(OF_MEMORY * _memory())}
    if find_spec("torch") is not None:
        found |= _accelerators(accelerator)
    return {device: int(size * share) for device, size in found.items()}


def _accelerators(accelerator: int) -> dict[str, int]:
    import torch

    found = {}
    for number in range(torch.cuda.device_count()):
        whole = torch.cuda.get_device_properties(number).total_memory
        found[f"cuda:{number}"] = accelerator or round(OF_ACCELERATOR * whole)
    if torch.backends.mps.is_available():
        found["mps"] = accelerator or round(OF_ACCELERATOR * torch.mps.recommended_max_memory())
    return found


def _memory() -> int:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 << 30
    with contextlib.suppress(OSError, ValueError):
        whole = min(whole, int(CGROUP.read_text()))
    return whole


@contextlib.contextmanager
def own_pages() -> Iterator[None]:
    """Lay what is allocated in a ``with`` block, if it is large, into pages of its own, which go back when it goes.

    glibc keeps what a thread frees below 32 MB for the thread; of networks that come and go in threads that is twice
    their budget (measured: `benchmarks/pool.py`, 280 MB under a budget of 90).
    """
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, SMALL)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE)  # where glibc itself comes to after a while
            ctypes.CDLL(None).mallopt(TRIM_THRESHOLD, 2 * LARGE)


def release_memory() -> None:
    """Give back what nobody holds: garbage, the accelerator's cache, free pages of the process."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Does an error of any library say that memory ran out?"""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)
