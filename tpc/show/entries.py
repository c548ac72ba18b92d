"""Which entries of an array are printed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_SHOWN = 12


def print_entries(name: str, shape: tuple[int, ...], number: Callable[[tuple[int, ...]], str]) -> list[str]:
    """A line `name[i, j] = number` per entry; the middle of long arrays is left out."""
    indices = list(np.ndindex(shape))
    lines: list[tuple[str, tuple[int, ...] | None]] = [(f"  {name}{list(i) if i else ''}", i) for i in indices]
    left_out = len(lines) - MOST_SHOWN
    if left_out > 1:
        lines = [*lines[:MOST_SHOWN // 2], (f"  … {left_out} more", None), *lines[-MOST_SHOWN // 2:]]
    width = max((len(text) for text, i in lines if i is not None), default=0)
    return [text if i is None else f"{text:<{width}} = {number(i)}" for text, i in lines]
