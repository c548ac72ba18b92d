"""Vectors that are linear in Gaussians, at a width n that is large but finite.

The coordinates of one width enter only by the Gram matrix of its Gaussians, S_ij = (1/n) Σ_α z_i,α z_j,α,
which is N_i δ_ij + E_ij/√n: N_i is the variance of z_i, Var E_ij = N_i N_j, Var E_ii = 2 N_i², and
different entries are uncorrelated. The first Gaussian of a width stands for the constant 1, with S_00 = 1.
So every entry of E is a direction in which outputs are differentiated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tpc.corrections.jets import Field, Jet, Numbers, extended, grown, plus, times


class TooLargeError(Exception):
    """More Gaussians, or longer fractions, than can be computed with."""


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """A vector by its coefficients: `value` [Gaussians], `first`, `second` [Gaussians, directions]."""

    value: Numbers
    first: Numbers
    second: Numbers

    @property
    def zero(self) -> bool:
        return not (self.value.any() or self.first.any() or self.second.any())


@dataclass(slots=True)
class Directions:
    """The entries of E of all widths, in the order in which they were met."""

    # what their variances are divided by: the ratio of their width to the first one
    ratios: list[Any] = field(default_factory=list)
    variances: list[Any] = field(default_factory=list)

    def add(self, variance: Any, ratio: Any) -> None:
        self.variances.append(variance)
        self.ratios.append(ratio)


@dataclass(slots=True)
class GaussiansOfWidth:
    """The Gaussians of one width: the constant 1, and those that were met."""

    over: Field
    directions: Directions
    # of the width, to the first one
    ratio: Any
    # the most that may be met
    most: int
    variances: list[Any] = field(default_factory=list)
    # for each direction of this width its number, row and column
    numbers: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    # of so many Gaussians, as arrays
    tables: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.variances.append(self.over.number(1))

    def new(self, variance: Any) -> Coefficients:
        """A Gaussian that is independent of all that there are. Raises TooLargeError."""
        own = len(self.variances)
        if own > self.most:
            raise TooLargeError(f"more than {self.most} Gaussians of one width")
        for other, its in enumerate(self.variances):
            self._direction(other, own, its * variance)
        self._direction(own, own, 2 * variance * variance)
        self.variances.append(variance)
        return self.unit(own)

    def _direction(self, row: int, column: int, variance: Any) -> None:
        self.numbers.append(len(self.directions.variances))
        self.rows.append(row)
        self.columns.append(column)
        self.directions.add(variance, self.ratio)

    def unit(self, k: int) -> Coefficients:
        value = self.over.zeros(k + 1)
        value[k] = self.over.number(1)
        return self.vector(value)

    @property
    def one(self) -> Coefficients:
        return self.unit(0)

    def vector(self, value: Numbers) -> Coefficients:
        return Coefficients(value, self.over.zeros(len(value), 0), self.over.zeros(len(value), 0))

    def inner(self, x: Coefficients, y: Coefficients) -> Jet:
        """⟨x, y⟩ = Σ_ij x_i S_ij y_j."""
        count = len(self.directions.variances)
        a, b = (wide(part, count, max(len(x.value), len(y.value))) for part in (x, y))
        n = np.array(self.variances[: len(a.value)], dtype=a.value.dtype)
        left, right = times(n, a.value), times(n, b.value)
        first = plus(_combined(left, b.first), _combined(right, a.first))
        second = plus(
            _combined(left, b.second), _combined(right, a.second), _combined(n, times(a.first, b.first))
        )
        # the entries of E that these coefficients meet: those of later Gaussians are not there
        at, i, j = self._met(len(a.value))
        cross = plus(times(a.value[i], b.value[j]), times(a.value[j], b.value[i]))
        slope = plus(
            times(a.first[i, at], b.value[j]),
            times(a.value[i], b.first[j, at]),
            times(a.first[j, at], b.value[i]),
            times(a.value[j], b.first[i, at]),
        )
        once = np.where(i == j, self.over.number(Fraction(1, 2)), self.over.number(1))
        first[at] = plus(first[at], times(once, cross))
        second[at] = plus(second[at], times(once, slope))
        return Jet(left @ b.value, first, second)

    def _met(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The numbers of the directions among the first Gaussians, their rows and columns."""
        if count not in self.tables:
            met = int(np.searchsorted(self.columns, count))
            table = np.array([self.numbers[:met], self.rows[:met], self.columns[:met]], dtype=int)
            self.tables[count] = table[0], table[1], table[2]
        return self.tables[count]


def _combined(x: Numbers, rows: Numbers) -> Numbers:
    """x @ rows."""
    if rows.dtype != object:
        product: Numbers = x @ rows
        return product
    out: Numbers = np.zeros(rows.shape[1], object)
    for k in np.flatnonzero(x.astype(bool)):
        out = plus(out, times(x[k], rows[k]))
    return out


def scaled(x: Coefficients, by: Jet) -> Coefficients:
    count = max(x.first.shape[1], len(by.first))
    x, by = wide(x, count), grown(by, count)
    column = x.value[:, None]
    return Coefficients(
        times(by.value, x.value),
        plus(times(by.value, x.first), times(column, by.first)),
        plus(times(by.value, x.second), times(x.first, by.first), times(column, by.second)),
    )


def total(parts: Sequence[Coefficients]) -> Coefficients:
    first, *rest = levelled(parts)
    value, slope, bend = first.value, first.first, first.second
    for part in rest:
        value, slope, bend = plus(value, part.value), plus(slope, part.first), plus(bend, part.second)
    return Coefficients(value, slope, bend)


def levelled(parts: Sequence[Coefficients]) -> list[Coefficients]:
    """All with as many Gaussians and directions."""
    rows = max(len(p.value) for p in parts)
    columns = max(p.first.shape[1] for p in parts)
    return [wide(p, columns, rows) for p in parts]


def wide(x: Coefficients, columns: int, rows: int = 0) -> Coefficients:
    shape = max(rows, len(x.value)), max(columns, x.first.shape[1])
    if x.first.shape == shape:
        return x
    return Coefficients(extended(x.value, shape[0]), extended(x.first, *shape), extended(x.second, *shape))
