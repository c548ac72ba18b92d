"""What is known of the errors of a kernel's entries, and how a user is told where they are not small."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic

SMALL = 1e-6  # of √(K(x, x)·K(z, z)): entries are taken to be as good as that, unless something is said


class KernelWarning(UserWarning):
    """Some entries of a kernel have estimated errors that are not small (TP640).

    `worst` says how large the largest one is, and where.
    """

    def __init__(self, worst: Worst) -> None:
        super().__init__(worst)  # of which it can be made again in another process
        self.worst = worst

    def __str__(self) -> str:
        return f"{self.worst.diagnostic.code}: {self.worst.diagnostic.message}; {self.worst.diagnostic.help}"


@dataclass(frozen=True, slots=True)
class Worst:
    """The entry of the largest estimated error in units of √(K(x, x)·K(z, z)), `relative`."""

    kind: str
    relative: float
    row: int
    column: int
    # entries where that is more than SMALL
    count: int

    @property
    def diagnostic(self) -> Diagnostic:
        return catalogue.kernels.entries_inaccurate(
            self.kind, self.count, self.relative, self.row, self.column
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "relative": self.relative,
            "row": self.row,
            "column": self.column,
            "entries": self.count,
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Worst:
        return cls(
            str(found["kind"]),
            float(found["relative"]),
            int(found["row"]),
            int(found["column"]),
            int(found["entries"]),
        )

    def joined(self, other: Worst | None) -> Worst:
        """The worst entry of two parts of a matrix together."""
        if other is None:
            return self
        most = max(self, other, key=lambda worst: worst.relative)
        return Worst(most.kind, most.relative, most.row, most.column, self.count + other.count)

    def moved(self, rows: int, columns: int) -> Worst:
        """The same entry in a matrix, of which this is the part that begins at `rows` and `columns`."""
        return Worst(self.kind, self.relative, self.row + rows, self.column + columns, self.count)


def scale(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """√(K(x, x)·K(z, z)) as an array like the kernel's.

    rows, columns: its values of inputs with themselves, [N, *positions, *positions].
    """
    left, right = (np.sqrt(np.maximum(variances(diagonal), 0)) for diagonal in (rows, columns))
    positions = left.ndim - 1
    left = left.reshape(len(left), 1, *left.shape[1:], *(1,) * positions)
    return np.asarray(left * right.reshape(1, len(right), *(1,) * positions, *right.shape[1:]))


def scale_of_own(diagonal: np.ndarray) -> np.ndarray:
    """The same for the values of inputs with themselves."""
    root = np.sqrt(np.maximum(variances(diagonal), 0))
    positions, there = root.shape[1:], (1,) * (root.ndim - 1)
    return np.asarray(
        root.reshape(len(root), *positions, *there) * root.reshape(len(root), *there, *positions)
    )


def variances(diagonal: np.ndarray) -> np.ndarray:
    """[N, *positions]: every position with itself."""
    positions = (diagonal.ndim - 1) // 2
    flat = diagonal.reshape(len(diagonal), int(np.prod(diagonal.shape[1 : 1 + positions], dtype=int)), -1)
    return np.diagonal(flat, axis1=1, axis2=2).reshape(diagonal.shape[: 1 + positions])


def no_less(errors: np.ndarray, values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The errors, and what values are beyond Cauchy & Schwarz' bound where that is more."""
    return np.asarray(np.maximum(errors, np.maximum(np.abs(values) - of, 0)))


def worst(kind: str, errors: np.ndarray, of: np.ndarray) -> Worst | None:
    """None if no error is more than SMALL.

    of: √(K(x, x)·K(z, z)). The errors are of a matrix, or (an odd number of axes) of a diagonal.
    """
    if not errors.size:
        return None
    relative = np.divide(errors, of, out=np.where(errors > 0, 1.0, 0.0), where=of > 0)
    count = int(np.count_nonzero(relative > SMALL))
    if not count:
        return None
    place = np.unravel_index(int(np.argmax(relative)), relative.shape)
    row, column = place[:2] if of.ndim % 2 == 0 else (place[0], place[0])
    return Worst(kind, float(relative.max()), int(row), int(column), count)


def warn(found: Sequence[Worst], stacklevel: int) -> None:
    """Warns of matrices whose errors are not all small."""
    for one in found:
        warnings.warn(KernelWarning(one), stacklevel=stacklevel + 1)
