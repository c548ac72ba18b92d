"""Whether a vocabulary fits into memory, before anything is allocated."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from tpc.syntax import catalogue_experiments as catalogue
from tpc.syntax.diagnostic import TpcError

ARRAYS = 3                                             # of the vocabulary's length and width: where the words start, U and V
BESIDES = 400 << 20                                    # bytes: JAX, the text, a batch


def free_memory() -> float:
    """Bytes that are free where JAX puts its arrays, infinite if that is not known."""
    import jax
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return float(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    found = [math.inf]
    with suppress(OSError, KeyError, ValueError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        found.append(float(lines["MemAvailable"].split()[0]) * 1024)
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        found.append(float((group / "memory.max").read_text()) - float((group / "memory.current").read_text()))
    return min(found)


def needed(vocabulary: int, width: int | None, itemsize: int) -> float:
    """Bytes, of a net of this width or of the limit."""
    return ARRAYS * float(vocabulary) * (vocabulary + 1 if width is None else width) * itemsize + BESIDES


def require(vocabulary: int, width: int | None, itemsize: int, file: str) -> None:
    """Raises TpcError (TP628) with the number of words that would fit, if these do not."""
    free = free_memory()
    if needed(vocabulary, width, itemsize) > free:
        cells = max(0.0, free - BESIDES) / (ARRAYS * itemsize)
        fits = (math.isqrt(4 * int(cells) + 1) - 1) // 2 if width is None else int(cells / width)
        raise TpcError([catalogue.too_many_words(vocabulary, needed(vocabulary, width, itemsize), fits, free)], file)
