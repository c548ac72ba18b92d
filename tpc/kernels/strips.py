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


def one_of_few(count: int) -> int:
    """The next number that is a power of two, or half as large again: at most a third more."""
    power = 1 << max(0, count - 1).bit_length()
    return 3 * power // 4 if power >= 4 and count <= 3 * power // 4 else power


def parts_of(rows: np.ndarray, block: int) -> Iterator[Part]:
    """The rows in blocks of one size, with where each begins and ends.

    The last one has its last row several times, to be of the size of the others, or if there are none, of one
    of few sizes: so not every number of rows has to be compiled for.
    """
    for start in range(0, len(rows), block):
        stop = min(start + block, len(rows))
        part = rows[start:stop]
        lacking = (block if start else min(block, one_of_few(len(part)))) - len(part)
        yield start, stop, np.concatenate([part, np.repeat(part[-1:], lacking, axis=0)]) if lacking else part
