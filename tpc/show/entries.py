"""Entries of arrays: which are printed, how they are written in JSON, where they are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_SHOWN = 12


def shown_indices(shape: tuple[int, ...], most: int) -> list[tuple[int, ...] | None]:
    """The indices of an array in order; of more than `most` the first and last ones, None between them."""
    count = math.prod(shape)
    half = most // 2
    flat = range(count) if count <= most else (*range(half), *range(count - half, count))
    found: list[tuple[int, ...] | None] = [tuple(map(int, np.unravel_index(k, shape))) for k in flat]
    return found if count <= most else [*found[:half], None, *found[half:]]


def print_entries(name: str, shape: tuple[int, ...], number: Callable[[tuple[int, ...]], str]) -> list[str]:
    """A line `name[i, j] = number` per entry; the middle of long arrays is left out."""
    left_out = math.prod(shape) - MOST_SHOWN
    indices = shown_indices(shape, MOST_SHOWN if left_out > 1 else MOST_SHOWN + 1)
    lines = [(f"  … {left_out} more" if i is None else f"  {name}{list(i) if i else ''}", i) for i in indices]
    width = max((len(text) for text, i in lines if i is not None), default=0)
    return [text if i is None else f"{text:<{width}} = {number(i)}" for text, i in lines]


def print_finite(
    name: str, shape: tuple[int, ...], end: End | None, number: Callable[[tuple[int, ...]], str]
) -> list[str]:
    """The entries as far as they are finite, and where that ends."""
    if end is None:
        return print_entries(name, shape, number)
    before = print_entries(name, (end.at, *shape[1:]), number) if shape else []
    return [
        *before,
        f"  {name}{end.entry} is not finite" + (f"; {end.after} more not shown" if end.after else ""),
    ]


def plain(x: Any) -> Any:
    """Arrays as nested lists, NaN and infinities as None, which JSON has."""
    if isinstance(x, np.ndarray) and x.ndim:
        return [plain(part) for part in x]
    return float(x) if x is not None and np.isfinite(x) else None


def whole(x: np.ndarray) -> Any:
    """Nested lists of whole numbers, None where there is none."""
    if x.ndim:
        return [whole(np.asarray(part)) for part in x]
    return int(x) if np.isfinite(x) else None


@dataclass(frozen=True, slots=True)
class End:
    """Where an array leaves the finite range.

    It does so at index `at` of its first axis, `entry` as it is written (empty for a single number).
    """

    at: int
    entry: str
    # whether nothing after it is finite
    lasting: bool
    # how many entries of the first axis follow
    after: int


def end_of(*arrays: np.ndarray) -> End | None:
    """Where one of the arrays, which have one shape, first is not finite; None if all are finite."""
    bad = ~np.logical_and.reduce([np.isfinite(array) for array in arrays])
    if not bad.any():
        return None
    if not bad.ndim:
        return End(0, "", True, 0)
    rows = bad.reshape(len(bad), -1).any(axis=1)
    at = int(np.argmax(rows))
    return End(
        at, f"[{', '.join([str(at), *[':'] * (bad.ndim - 1)])}]", bool(rows[at:].all()), len(rows) - at - 1
    )
