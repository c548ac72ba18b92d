"""Which monomials of the standard Gaussians can occur in a vector.

For each Gaussian the greatest power, and whether even and odd powers occur.

Supports are closed under what a program does, and they are all that exactness needs: a product of
Gauss–Hermite rules integrates a polynomial if it does so in each Gaussian. Parity is what makes them sharp:
the mean of anything odd in one Gaussian is 0, and with it many a coefficient of Ż.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tpc.core.expr import Add, Expr, Gather, Mul, Number, Position, Pow, Ref, Sum, Value, children

EVEN, ODD = 1, 2
Key = tuple[str, tuple[int | None, ...]]  # a family and an index, None where an input decides


@dataclass(frozen=True, eq=False, slots=True)
class Support:
    """Where a polynomial may have coefficients; what is known to be 0 is None instead."""

    # the greatest power of every Gaussian
    degree: np.ndarray
    # EVEN and ODD, which kinds of power of it occur
    powers: np.ndarray

    @property
    def has_mean(self) -> bool:
        """Whether the mean is not known to be 0."""
        return bool(np.all(self.powers & EVEN))


MaybeSupport = Support | None


def constant(gaussians: int) -> Support:
    return Support(np.zeros(gaussians, dtype=np.int64), np.full(gaussians, EVEN, dtype=np.uint8))


def gaussian(gaussians: int, row: int) -> Support:
    one = constant(gaussians)
    one.degree[row], one.powers[row] = 1, ODD
    return one


def plus(terms: Iterable[MaybeSupport]) -> MaybeSupport:
    found = [term for term in terms if term is not None]
    if len(found) < 2:
        return found[0] if found else None
    return Support(
        np.maximum.reduce([x.degree for x in found]), np.bitwise_or.reduce([x.powers for x in found])
    )


def times(a: MaybeSupport, b: MaybeSupport) -> MaybeSupport:
    if a is None or b is None:
        return None
    even = (a.powers & b.powers & EVEN) | ((a.powers & b.powers & ODD) >> 1)
    odd = ((a.powers & EVEN) << 1 & b.powers) | ((b.powers & EVEN) << 1 & a.powers)
    return Support(a.degree + b.degree, even | odd)


def correlated(a: MaybeSupport, b: MaybeSupport) -> bool:
    """Whether E ab is not known to be 0."""
    product = times(a, b)
    return product is not None and product.has_mean


def of_expression(
    x: Expr, at: Mapping[str, int], lookup: Callable[[Key], MaybeSupport], one: Support
) -> MaybeSupport:
    """The support of a polynomial, loop variables being `at`.

    `one` is that of a number; scalars that are known to be 0 have None.
    """
    match x:
        case Number(value):
            return one if value else None
        case Position(index):
            return one if index.at(at) else None
        case Value(ref, _):
            return lookup(key(ref, at))
        case Add(terms):
            return plus(of_expression(term, at, lookup, one) for term in terms)
        case Mul(factors):
            product: MaybeSupport = one
            for factor in factors:
                product = times(product, of_expression(factor, at, lookup, one))
                if product is None:
                    return None
            return product
        case Pow(base, Number(k)) if k.denominator == 1 and k > 0:
            return power(of_expression(base, at, lookup, one), int(k))
        case Sum(variable, count, body):
            return plus(of_expression(body, {**at, variable: s}, lookup, one) for s in range(count.at(at)))
    return one  # any other function of scalars


def power(x: MaybeSupport, k: int) -> MaybeSupport:
    if x is None:
        return None
    return Support(
        x.degree * k, x.powers if k % 2 else np.where(x.powers == ODD, EVEN, x.powers).astype(np.uint8)
    )


def key(ref: Ref, at: Mapping[str, int]) -> Key:
    return ref.name, tuple(None if isinstance(i, Gather) else i.at(at) for i in ref.index)


def keys_read(x: Expr, at: Mapping[str, int]) -> Iterable[Key]:
    """Every member that an expression reads."""
    match x:
        case Value(ref, _):
            yield key(ref, at)
        case Sum(variable, count, body):
            for s in range(count.at(at)):
                yield from keys_read(body, {**at, variable: s})
        case _:
            for part in children(x):
                yield from keys_read(part, at)
