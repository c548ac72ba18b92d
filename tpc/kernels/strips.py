"""Arrays of inputs in blocks, and pairs of these side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from tpc.machine.memory import SURE, free_memory

T = TypeVar("T")
Part = tuple[int, int, np.ndarray]  # some rows, with where they begin and end


def unlike(work: Sequence[tuple[Part, Part]]) -> list[tuple[Part, Part]]:
    """One pair of blocks of every kind: on the diagonal, and off it."""
    return [*work[:1], *[pair for pair in work[1:] if pair[0][0] != pair[1][0]][:1]]


def side_by_side(work: Callable[[T], None], items: Sequence[T], alone: int, each: float) -> None:
    """Does `work` for all items, on all processors, but for the first ones, which come by themselves.

    A block's arithmetic keeps one of them busy.

    each: bytes that one takes.
    """
    for item in items[:alone]:
        work(item)
    with ThreadPoolExecutor(threads(each, len(items))) as pool:
        for done in [pool.submit(work, item) for item in items[alone:]]:
            done.result()


def threads(each: float, count: int) -> int:
    """How many of so many blocks are evaluated at a time, where each takes so many bytes."""
    return max(1, min(os.cpu_count() or 1, count, int(SURE * free_memory() // max(each, 1))))


def parts_of(rows: np.ndarray, block: int) -> Iterator[Part]:
    """The rows in blocks of one size, with where each begins and ends.

    The last one has its last row several times, if there are others.
    """
    for start in range(0, len(rows), block):
        stop = min(start + block, len(rows))
        part = rows[start:stop]
        lacking = block - len(part) if start else 0
        yield start, stop, np.concatenate([part, np.repeat(part[-1:], lacking, axis=0)]) if lacking else part
