"""Outputs as rows of a table: single numbers as such, arrays as a small picture and folded entries."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tpc.display.html_tables import folded, table
from tpc.display.markup import Markup, element, joined
from tpc.display.sparkline import heat_map, sparkline
from tpc.show.entries import shown_indices

MOST_ENTRIES = 200  # of a folded table; the middle of longer arrays is left out
Number = Callable[[tuple[int, ...]], str]


def family_row(
    name: str, values: np.ndarray, errors: np.ndarray | None, number: Number
) -> tuple[str, str, str]:
    """Name, picture and numbers of one output. number: an entry as text, with its error."""
    if values.ndim == 0:
        return name, "", number(())
    if not values.size:
        return f"{name}{list(values.shape)}", "", "no entries"
    shape = f"{name}[{', '.join(map(str, values.shape))}]"
    return shape, _picture(values, errors), _entries(name, values.shape, number)


def _picture(values: np.ndarray, errors: np.ndarray | None) -> Markup:
    if values.ndim == 1:
        return sparkline(values, errors) if len(values) > 1 else Markup("")
    return heat_map(values.reshape(len(values), -1))


def _entries(name: str, shape: tuple[int, ...], number: Number) -> Markup:
    """Few entries one under another; of more the first and the last, which unfold to all."""
    indices = shown_indices(shape, MOST_ENTRIES)
    left_out = f"… {math.prod(shape) - MOST_ENTRIES} more"
    rows = [(left_out, "") if i is None else (f"{name}{_of(i)}", number(i)) for i in indices]
    if len(indices) <= 4:
        return joined(element("div", f"{entry} = {value}") for entry, value in rows)
    (first, one), (last, other) = rows[0], rows[-1]
    return folded(f"{first} = {one}, …, {last} = {other}", table((), rows))


def _of(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]"
