"""Whether a vocabulary fits into memory, before anything is allocated."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tpc.syntax import catalogue_experiments as catalogue
from tpc.syntax.diagnostic import TpcError

ARRAYS = 3                                             # of the vocabulary's length and width: where the words start, U and V
DRAWN = 32                                             # bytes for a coordinate of a point while points are drawn, four arrays in double precision
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


Length = Callable[[int], int]                          # of a word's vector, by the number of words


def of_coefficients(words: int) -> int:
    """The length of vectors that are exact in the limit."""
    return words + 1


def needed(vocabulary: int, length: Length, itemsize: int, *, drawn: bool = False) -> float:
    """Bytes. drawn: whether vectors stand at points that are drawn for the limit."""
    return (DRAWN if drawn else ARRAYS * itemsize) * float(vocabulary) * length(vocabulary) + BESIDES


def require(vocabulary: int, length: Length, itemsize: int, file: str, *, drawn: bool = False) -> None:
    """Raises TpcError (TP628) with the number of words that would fit, if these do not."""
    def bytes_of(words: int) -> float:
        return needed(words, length, itemsize, drawn=drawn)
    free = free_memory()
    if bytes_of(vocabulary) > free:
        fits = bisect_right(range(1, vocabulary), free, key=bytes_of)
        raise TpcError([catalogue.too_many_words(vocabulary, bytes_of(vocabulary), fits, free)], file)
