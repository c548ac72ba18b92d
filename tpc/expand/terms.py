"""Series as data: powers of n, and what stands before each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    Mul,
    Number,
    Pow,
    add,
    children,
    coefficient,
    is_vector,
    mul,
    neg,
    power,
    rebuild,
    walk,
)
from tpc.core.functions import elementwise

Series = Mapping[Fraction, Expr]
NONE: Series = {}
F0 = Fraction(0)


def same_first(one: Series, other: Series) -> bool:
    """Whether the terms of the greatest power are the same."""
    top = max((*one, *other), default=None)
    return top is not None and one.get(top) == other.get(top)


def collected(terms: Iterable[tuple[Fraction, Expr]]) -> Series:
    """Like powers put together, greatest first, zeros left out."""
    found: dict[Fraction, list[Expr]] = {}
    for p, e in terms:
        found.setdefault(p, []).append(e)
    return {p: total for p in sorted(found, reverse=True) if (total := cancelled(found[p])) != ZERO}


def cancelled(terms: Sequence[Expr]) -> Expr:
    """The sum, with what occurs in it with coefficients that add up to 0 left out."""
    flat = [part for term in terms for part in (term.terms if isinstance(term, Add) else (term,))]
    like = [monomial(part) for part in flat]
    totals: dict[Expr, Fraction] = {}
    for part, kind in zip(flat, like, strict=True):
        totals[kind] = totals.get(kind, F0) + coefficient(part).value
    return add(*(part for part, kind in zip(flat, like, strict=True) if totals[kind]))


def monomial(x: Expr) -> Expr:
    """A product without the number in front."""
    return (
        mul(*(f for f in x.factors if not isinstance(f, Number)))
        if isinstance(x, Mul)
        else ONE
        if isinstance(x, Number)
        else x
    )


Lower = tuple[int, Fraction, Expr]


def multisets(items: Sequence[Lower], cut: Fraction) -> Iterator[tuple[Lower, ...]]:
    """All multisets of terms whose powers add up to `cut` or more, the empty one first."""
    yield ()
    for i, item in enumerate(items):
        if item[1] >= cut:
            for rest in multisets(items[i:], cut - item[1]):
                yield (item, *rest)


def folded(x: Expr) -> Expr:
    """`x` with functions of 0, and those of numbers that are rational, worked out."""
    parts = [folded(part) for part in children(x)]
    if isinstance(x, Call) and all(part == ZERO for part in parts):
        value = elementwise(x.function).at_zero
        if value is not None:
            return value
    whole = rebuild(x, parts)
    if isinstance(whole, Call | Pow) and all(isinstance(part, Number) for part in parts):
        return _rational(whole) or whole
    return whole


@lru_cache(maxsize=256)
def _rational(x: Call | Pow) -> Number | None:
    """The value of a function of numbers, None if it is not known to be rational, or too long."""
    import sympy

    numbers = [part.value for part in children(x) if isinstance(part, Number)]
    if isinstance(x, Pow):
        base, k = numbers
        root = _number(sympy.Pow(sympy.Rational(base), sympy.Rational(1, k.denominator)))
        whole = None if root is None else power(root, Number(Fraction(k.numerator)))
        return whole if isinstance(whole, Number) else None
    function = elementwise(x.function).sympy
    return None if function is None else _number(function(sympy, *map(sympy.Rational, numbers)))


def _number(x: Any) -> Number | None:
    """What sympy has as a rational number."""
    return Number(Fraction(int(x.p), int(x.q))) if x.is_Rational else None


def jumps_of(x: Expr) -> Iterator[Expr]:
    """The vectors in `x` at whose zeros a function of it jumps."""
    for node in walk(x):
        if isinstance(node, Call) and elementwise(node.function).shape == "jump":
            at = node.args[0]
            place = add(at.left, neg(at.right)) if isinstance(at, Compare) else at
            if is_vector(place):
                yield place
