"""Memory: what is free, what a compiled computation takes, and what is said where there is too little."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

SURE = 0.9  # of what is free, that may be planned on: other programs live, too
MOMENT = 0.05  # seconds within which more of what is being freed is free
LITTLE = 1e6  # bytes that a process has more and less of all the time
MAPPED, RESIDENT = 0, 1  # pages, in what Linux tells of a process


def physical_memory() -> float:
    """Bytes of memory of this machine; infinite if it does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return math.inf


def free_memory() -> float:
    """Bytes that this process may still take.

    It is the least of what the machine has, its caches included, and of what the limits leave that are set
    to the process and its group.
    """
    return min(physical_memory(), _available(), _left_to_group(), _left_to_process())


def free_of_devices(devices: int = 1) -> float:
    """Bytes that are free on each of the first devices, where JAX puts its arrays.

    Devices that are processors share one memory.
    """
    import jax

    found = []
    for device in jax.local_devices()[:devices]:
        stats = device.memory_stats() if device.platform != "cpu" else None
        if stats and "bytes_limit" in stats:
            found.append(float(stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    return min(found) if found else free_memory() / devices


def _available() -> float:
    with suppress(OSError, KeyError, ValueError, IndexError):
        told = dict(
            line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        )
        return float(told["MemAvailable"].split()[0]) * 1024
    return math.inf


def _left_to_group() -> float:
    """What a container leaves.

    The files that it has read do not count, which are given up for anything else.
    """
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most = float((group / "memory.max").read_text(encoding="ascii"))  # "max" is no number
        told = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return (
            most
            - float((group / "memory.current").read_text(encoding="ascii"))
            + float(told.get("inactive_file", 0))
        )
    return math.inf


def _left_to_process() -> float:
    """What the limit of addresses leaves (`ulimit -v`)."""
    if sys.platform == "win32":
        return math.inf
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    with suppress(OSError, ValueError, IndexError):
        if most != resource.RLIM_INFINITY:
            return max(0.0, most - _of_process(MAPPED))
    return math.inf


def _of_process(which: int) -> float:
    """Bytes of this process, where Linux tells them."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[which]
    return float(pages) * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Gives the system what C's library keeps of freed memory, as long as it has more.

    That is gigabytes of arrays too small to be mapped apart, into whose gaps the next ones do not fit. What
    a computation took JAX frees in a thread of its own, after its results are there. Nothing is done where
    the library has no such call.
    """
    import ctypes

    if sys.platform != "linux" or not hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        return
    library.malloc_trim(0)
    with suppress(OSError):
        before, now = math.inf, _of_process(RESIDENT)
        while now < before - LITTLE:
            time.sleep(MOMENT)
            library.malloc_trim(0)
            before, now = now, _of_process(RESIDENT)


def require_memory(
    needed: float,
    file: str,
    *,
    free: float | None = None,
    remedy: str | None = None,
    of_program: bool = False,
) -> None:
    """Refuses what does not fit into the memory that this machine has, or has left.

    remedy: what to change. Raises TpcError (TP604).
    """
    if needed > physical_memory():
        raise TpcError([catalogue.running.too_much_memory(needed, None, remedy)], file, of_program=of_program)
    free = free_memory() if free is None else free
    if needed > free:
        raise TpcError([catalogue.running.too_much_memory(needed, free, remedy)], file, of_program=of_program)


def account(compiled: Any) -> float:
    """Bytes that a computation that JAX has compiled takes while it runs; 0 if that is not known.

    Its arguments and results are among them, by the compiler's own account.
    """
    told = compiled.memory_analysis()
    if told is None:
        return 0.0
    return float(
        told.argument_size_in_bytes
        + told.output_size_in_bytes
        + told.temp_size_in_bytes
        - told.alias_size_in_bytes
    )


def is_lack(error: BaseException) -> bool:
    """Whether an exception says that memory could not be had.

    JAX has one class for all that XLA reports: its text begins with the kind.
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and (
        str(error).startswith("RESOURCE_EXHAUSTED") or "bad_alloc" in str(error)
    )


@contextmanager
def refusing(file: str, *, remedy: str | None = None, of_program: bool = False) -> Iterator[None]:
    """Raises TpcError (TP604) for what needs more memory than there is, although it was let begin.

    Whatever library said so.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack(error):
            raise
        raise TpcError(
            [catalogue.running.out_of_memory(free_memory(), remedy)], file, of_program=of_program
        ) from None
