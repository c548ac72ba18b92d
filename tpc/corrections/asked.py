"""A Gaussian matrix as what it has been asked: exactly its law at finite width, without its entries.

Given the products of W and Wᵀ that are known, the next one is what these say of it, and a fresh Gaussian
beyond (conditioning; Bolthausen, "An iterative construction of solutions of the TAP equations", 2014). In
jets nothing has a square root: directions are orthogonal and not of norm 1, and a fresh Gaussian has the
variance of its product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tpc.corrections.coefficients import Coefficients, scaled, total

TINY = 1e-11  # of floats: what rounding leaves of a squared norm, or of a difference, relative to its parts


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A direction, its squared norm and what the matrix makes of it: as coefficients, or drawn."""

    vector: Any
    square: Any
    image: Any


@dataclass(slots=True)
class SideOfMatrix:
    """One way to multiply: what has been asked of W, or of Wᵀ."""

    operands: Any
    images: Any
    # of a product with a vector of norm 1, in norms that are means: σ², or ρσ² of the transpose
    variance: Any
    # ⟨W x, y⟩ = scale ⟨x, Wᵀ y⟩ of these norms: 1/ρ, or ρ of the transpose
    scale: Any
    met: list[Answer] = field(default_factory=list)


def product(near: SideOfMatrix, far: SideOfMatrix, x: Coefficients) -> Coefficients:
    """W x; `near` has what is new of x then. Raises TooLargeError."""
    parts: list[Coefficients] = []
    rest = _rest(near, x, parts, 0)
    for y in _new_of(near, x, rest):
        done = len(near.met)
        beyond = y if y is rest and near.operands.over.exact else _rest(near, y, [], 0)
        if _is_new(near, y, beyond):
            near.met.append(_answered(near, far, beyond))
            rest = _rest(near, rest, parts, done)
    return total(parts) if parts else near.images.vector(near.images.over.zeros(1))


def _rest(near: SideOfMatrix, x: Coefficients, parts: list[Coefficients], start: int) -> Coefficients:
    """What is left of x beyond the directions from `start` on; images of the rest of it go to `parts`."""
    minus = near.operands.over.jet(-1)
    for asked in near.met[start:]:
        share = near.operands.inner(asked.vector, x) / asked.square
        parts.append(scaled(asked.image, share))
        x = total([x, scaled(asked.vector, minus * share)])
    return x


def _new_of(near: SideOfMatrix, x: Coefficients, rest: Coefficients) -> Iterator[Coefficients]:
    """Vectors that span `rest` to second order.

    What is 0 in the limit, and is not at finite width, is a combination of constant vectors with
    coefficients that tend to 0; to ask the matrix for these is to ask it more than is needed, which changes
    no law.
    """
    if _is_new(near, x, rest):
        yield rest
        return
    sizes = [float(np.max(np.abs(table), initial=0)) for table in (x.value, x.first, x.second)]
    least = 0.0 if near.operands.over.exact else TINY * max(sizes)
    for table in (rest.first, rest.second):
        for e in range(table.shape[1]):
            if np.max(np.abs(table[:, e]), initial=0) > least:
                yield near.operands.vector(table[:, e])


def _is_new(near: SideOfMatrix, x: Coefficients, rest: Coefficients) -> bool:
    if not near.variance or not rest.value.any():
        return False
    if near.operands.over.exact:
        return True
    left, whole = near.operands.inner(rest, rest).value, near.operands.inner(x, x).value
    return bool(left > TINY * whole)


def _answered(near: SideOfMatrix, far: SideOfMatrix, p: Coefficients) -> Answer:
    """What the matrix makes of p, which is orthogonal to all that it has been asked."""
    numbers = near.operands.over
    square = near.operands.inner(p, p)
    fresh = near.images.new(near.variance * square.value)
    size = square / numbers.jet(square.value)
    half, eighth = (Fraction(1, 2), Fraction(1, 8)) if numbers.exact else (0.5, 0.125)
    root = size.mapped(numbers.number(1), half, -eighth)
    parts = [scaled(fresh, root)]
    for q in far.met:
        known = numbers.jet(near.scale) * near.operands.inner(q.image, p) / q.square
        unknown = root * near.images.inner(q.vector, fresh) / q.square
        parts.append(scaled(q.vector, known - unknown))
    return Answer(p, square, total(parts))
