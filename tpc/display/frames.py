"""Outputs as data frames of pandas, which is imported only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Columns:
    """One output: what its axes are called, and arrays of its shape by the name of their column."""

    axes: Sequence[str]
    arrays: Mapping[str, np.ndarray]


def frame(outputs: Mapping[str, Columns]) -> Any:
    """A row for each entry of each output: `output`, its indices, and its numbers.

    An output has no value (NA) in the columns of axes that others have. Raises ModuleNotFoundError.
    """
    import pandas

    parts = [_frame_of(columns).reset_index().assign(output=name) for name, columns in outputs.items()]
    axes = list(dict.fromkeys(axis for columns in outputs.values() for axis in columns.axes))
    numbers = list(dict.fromkeys(key for columns in outputs.values() for key in columns.arrays))
    if not parts:
        return pandas.DataFrame(columns=["output", *axes, *numbers])
    made = pandas.concat([part.dropna(axis="columns", how="all") for part in parts], ignore_index=True)
    made = made.reindex(columns=["output", *axes, *numbers])
    return made.astype(dict.fromkeys(axes, "Int64") | dict.fromkeys(numbers, float))


def frame_of_one(columns: Columns) -> Any:
    """One output, indexed by its axes. Raises ModuleNotFoundError."""
    return _frame_of(columns).set_index(list(columns.axes)) if columns.axes else _frame_of(columns)


def _frame_of(columns: Columns) -> Any:
    import pandas

    shape = next(iter(columns.arrays.values())).shape
    indices = np.indices(shape).reshape(len(shape), -1) if shape else ()
    numbers = {key: np.asarray(array, dtype=float).ravel() for key, array in columns.arrays.items()}
    return pandas.DataFrame({**dict(zip(columns.axes, indices, strict=True)), **numbers})


def distinct(axes: Sequence[str], taken: Sequence[str]) -> tuple[str, ...]:
    """Names of columns for axes: none is empty, twice there, or one of those taken."""
    made: list[str] = []
    for k, axis in enumerate(axes):
        name = axis or f"i{k}"
        while name in made or name in taken:
            name += "_"
        made.append(name)
    return tuple(made)
