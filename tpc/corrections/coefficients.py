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

from tpc.corrections.jets import Field, Jet, Numbers, grown


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

    def __post_init__(self) -> None:
        self.variances.append(self.over.number(1))

    def new(self, variance: Any) -> Coefficients:
        """A Gaussian that is independent of all that there are. Raises TooLargeError."""
        own = len(self.variances)
        if own > self.most:
            raise TooLargeError(f"{self.most} Gaussians of one width")
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
        a, b = levelled((x, y))
        n = np.array(self.variances[: len(a.value)], dtype=a.value.dtype)
        scaled, both = n * a.value, n * b.value
        first = scaled @ b.first + both @ a.first
        second = scaled @ b.second + both @ a.second + n @ (a.first * b.first)
        jet = grown(Jet(scaled @ b.value, first, second), len(self.directions.variances))
        # the entries of E that these coefficients meet: those of later Gaussians are not there
        met = int(np.searchsorted(self.columns, len(a.value)))
        at, i, j = np.array(self.numbers[:met], int), self.rows[:met], self.columns[:met]
        a, b = wide(a, len(jet.first)), wide(b, len(jet.first))
        cross = a.value[i] * b.value[j] + a.value[j] * b.value[i]
        slope = a.first[i, at] * b.value[j] + a.value[i] * b.first[j, at]
        slope = slope + a.first[j, at] * b.value[i] + a.value[j] * b.first[i, at]
        once = np.equal(i, j)
        jet.first[at] += np.where(once, cross / 2 if not self.over.exact else _halved(cross), cross)
        jet.second[at] += np.where(once, slope / 2 if not self.over.exact else _halved(slope), slope)
        return jet


def _halved(x: Numbers) -> Numbers:
    found: Numbers = x * Fraction(1, 2)
    return found


def scaled(x: Coefficients, by: Jet) -> Coefficients:
    count = max(x.first.shape[1], len(by.first))
    x, by = wide(x, count), grown(by, count)
    return Coefficients(
        by.value * x.value,
        by.value * x.first + x.value[:, None] * by.first,
        by.value * x.second + x.first * by.first + x.value[:, None] * by.second,
    )


def total(parts: Sequence[Coefficients]) -> Coefficients:
    first, *rest = levelled(parts)
    value, slope, bend = first.value, first.first, first.second
    for part in rest:
        value, slope, bend = value + part.value, slope + part.first, bend + part.second
    return Coefficients(value, slope, bend)


def levelled(parts: Sequence[Coefficients]) -> list[Coefficients]:
    """All with as many Gaussians and directions."""
    rows = max(len(p.value) for p in parts)
    columns = max(p.first.shape[1] for p in parts)
    return [wide(p, columns, rows) for p in parts]


def wide(x: Coefficients, columns: int, rows: int = 0) -> Coefficients:
    more = ((0, max(0, rows - len(x.value))), (0, max(0, columns - x.first.shape[1])))
    if not (more[0][1] or more[1][1]):
        return x
    return Coefficients(np.pad(x.value, more[0]), np.pad(x.first, more), np.pad(x.second, more))
