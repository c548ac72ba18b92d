"""Data as text (CSV): arrays by the names of their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

import numpy as np

# `y`, or `x[0]`, `x[1]`, … for the entries of a row of x
COLUMN = re.compile(r"\s*(\w+)\s*(?:\[\s*(\d{1,6}(?:\s*,\s*\d{1,6})*)\s*\])?\s*")

MARKS = {";": "semicolons", "\t": "tabs"}


def read_csv(text: str, stem: str) -> dict[str, np.ndarray]:
    """The arrays of a text with an entry, or a row, for each line.

    A first line without numbers names the columns: `y` is an array with as many entries as there are lines,
    `x[0]`, `x[1]` are the columns of one. Without it all is one array, named after the file, of
    one axis if it has one column. Raises ValueError, with the reason.
    """
    rows = [(number, row) for number, row in enumerate(_rows(text), 1) if any(cell.strip() for cell in row)]
    if not rows:
        raise ValueError("it is empty")
    (_, first), *others = rows
    other = next((mark for mark in (";", "\t") if len(first) == 1 and mark in first[0]), None)
    if other is not None:
        raise ValueError(f"its columns are separated by {MARKS[other]}, and not by commas")
    if all(_number(cell) is not None for cell in first):
        whole = _numbers(rows, [f"column {k}" for k in range(1, len(first) + 1)])
        return {stem: whole[:, 0] if whole.shape[1] == 1 else whole}
    return _by_name(first, _numbers(others, first))


def _rows(text: str) -> list[list[str]]:
    try:
        return list(csv.reader(text.splitlines(), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(rows: Sequence[tuple[int, Sequence[str]]], names: Sequence[str]) -> np.ndarray:
    """[rows, columns]. names: of the columns, for messages."""
    table = np.empty((len(rows), len(names)))
    for k, (line, row) in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"line {line} has {len(row)} cells, and the first one {len(names)}")
        for j, cell in enumerate(row):
            value = _number(cell)
            if value is None:
                raise ValueError(f"{cell.strip()!r:.40} in line {line}, {names[j].strip():.40}, is no number")
            table[k, j] = value
    return table


def _by_name(header: Sequence[str], table: np.ndarray) -> dict[str, np.ndarray]:
    columns: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    for j, cell in enumerate(header):
        found = COLUMN.fullmatch(cell)
        if found is None:
            raise ValueError(f"{cell!r:.40} is no name of a column: these are as `y` or `x[0]`")
        index = tuple(int(part) for part in found[2].split(",")) if found[2] else ()
        if index in columns.setdefault(found[1], {}):
            raise ValueError(f"the column `{cell.strip():.40}` is there twice")
        columns[found[1]][index] = table[:, j]
    return {name: _assembled(name, parts) for name, parts in columns.items()}


def _assembled(name: str, parts: dict[tuple[int, ...], np.ndarray]) -> np.ndarray:
    """The array whose entries these columns are, by their indices."""
    indices = list(parts)
    axes = len(indices[0])
    shape = [1 + max(index[k] for index in indices if len(index) > k) for k in range(axes)]
    if any(len(index) != axes for index in indices) or np.prod(shape, dtype=float) != len(indices):
        raise ValueError(f"the columns of `{name:.40}` are not one for each index from 0 on")
    rows = len(parts[indices[0]])
    out = np.empty((rows, *shape))
    for index, column in parts.items():
        np.moveaxis(out, 0, -1)[index] = column
    return out
