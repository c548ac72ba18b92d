"""Numbers as polynomials of second degree along many directions at once.

A jet is `value + first[e] ε + second[e] ε²` along each direction e, of a family of directions that grows
while it is computed with: entries that are not there are 0. Its numbers are exact fractions, or floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Numbers = np.ndarray
OBJECTS = np.dtype(object)  # of arrays of fractions


@dataclass(frozen=True, slots=True, eq=False)
class Jet:
    """A number, `first` and `second` [directions]."""

    value: Any
    first: Numbers
    second: Numbers

    @property
    def constant(self) -> bool:
        return not (self.first.any() or self.second.any())

    def __add__(self, other: Jet) -> Jet:
        a, b = level(self, other)
        return Jet(a.value + b.value, plus(a.first, b.first), plus(a.second, b.second))

    def __sub__(self, other: Jet) -> Jet:
        return self + other.mapped(-other.value, -1, 0)

    def __mul__(self, other: Jet) -> Jet:
        a, b = level(self, other)
        return Jet(
            a.value * b.value,
            plus(times(a.value, b.first), times(b.value, a.first)),
            plus(times(a.value, b.second), times(a.first, b.first), times(b.value, a.second)),
        )

    def __truediv__(self, other: Jet) -> Jet:
        return self * other.mapped(1 / other.value, -1 / other.value**2, 1 / other.value**3)

    def __pow__(self, exponent: int) -> Jet:
        """A whole power. Raises ZeroDivisionError for a negative one of 0."""
        k, v = exponent, self.value
        half = k * (k - 1) // 2
        return self.mapped(v**k, k * v ** (k - 1) if k else 0, half * v ** (k - 2) if half else 0)

    def mapped(self, value: Any, slope: Any, half: Any) -> Jet:
        """A function of it with this value, derivative and half of the second derivative there."""
        squares = times(half, times(self.first, self.first))
        return Jet(value, times(slope, self.first), plus(times(slope, self.second), squares))


def level(a: Jet, b: Jet) -> tuple[Jet, Jet]:
    """Both with as many directions."""
    count = max(len(a.first), len(b.first))
    return grown(a, count), grown(b, count)


def grown(jet: Jet, count: int) -> Jet:
    if len(jet.first) == count:
        return jet
    return Jet(jet.value, extended(jet.first, count), extended(jet.second, count))


def extended(x: Numbers, *shape: int) -> Numbers:
    """`x` with zeros up to a shape."""
    if x.shape == shape:
        return x
    out: Numbers = np.zeros(shape, x.dtype)
    out[tuple(map(slice, x.shape))] = x
    return out


def times(a: Any, b: Any) -> Numbers:
    """The product of two arrays, or of a number and an array.

    Of fractions most are 0, and to multiply these takes as long as others.
    """
    if OBJECTS not in (getattr(a, "dtype", None), getattr(b, "dtype", None)):
        product: Numbers = a * b
        return product
    a, b = np.broadcast_arrays(np.asarray(a, object), np.asarray(b, object))
    out: Numbers = np.zeros(a.shape, object)
    there = a.astype(bool) & b.astype(bool)
    out[there] = a[there] * b[there]
    return out


def plus(first: Numbers, *others: Numbers) -> Numbers:
    """The sum of arrays of one shape, in which zeros of fractions take no time, either."""
    if first.dtype != OBJECTS:
        return sum(others, start=first)
    out: Numbers = first.copy()
    for other in others:
        there = other.astype(bool)
        out[there] += other[there]
    return out


@dataclass(frozen=True, slots=True)
class Field:
    """Which numbers are computed with: exact fractions, or floats."""

    exact: bool

    def number(self, x: Any) -> Any:
        """`x`; of a float the shortest decimal that stands for it, if fractions are computed with."""
        if not self.exact:
            return float(x)
        return Fraction(repr(float(x))) if isinstance(x, float | np.floating) else Fraction(x)

    def zeros(self, *shape: int) -> Numbers:
        return np.full(shape, 0, dtype=object) if self.exact else np.zeros(shape)

    def jet(self, x: Any) -> Jet:
        return Jet(self.number(x), self.zeros(0), self.zeros(0))
