"""Whole numbers in emitted code: indices and counts are integers, what is computed with them is floating.

An index is an integer where it picks a member, bounds a loop, is compared or is an exponent; there its
arithmetic is exact, and small enough for 32 bits. Wherever else it is a number it is converted first:
integers wrap, and have no negative powers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tpc.core.affine import Affine, Ranges, bounds
from tpc.core.expr import Add, Expr, Mul, Number, Position, Pow, Ref, Value, children, walk
from tpc.core.laws import NUMPY
from tpc.core.numeric import evaluate, real_power
from tpc.emit import python as py
from tpc.emit.python import Py

GREATEST = 2**31 - 1  # of JAX's integers in single precision
Bounds = tuple[int, int]


def number_py(value: Fraction) -> Py:
    """A number beside floating ones: a small whole one as an integer."""
    if max(abs(value.numerator), value.denominator) > GREATEST:
        return real_py(value)
    return (
        py.integer(value.numerator)
        if value.denominator == 1
        else py.ratio(value.numerator, value.denominator)
    )


def real_py(value: Fraction) -> Py:
    """A number that is floating by itself."""
    if value.denominator == 1 or max(abs(value.numerator), value.denominator) > GREATEST:
        return py.floating(real_power(value, 1))
    return py.ratio(value.numerator, value.denominator)


def is_constant(x: Expr) -> bool:
    """Whether `x` is arithmetic of numbers alone.

    Python would do that in integers, and stop at divisions by zero.
    """
    match x:
        case Number():
            return True
        case Add() | Mul():
            return all(is_constant(part) for part in children(x))
        case Pow(base, Number(exponent)):
            return exponent.denominator == 1 and is_constant(base)
    return False


def constant_py(x: Expr) -> Py:
    """What arithmetic of numbers comes to that has not been folded, being too large or dividing by zero."""
    return py.floating(float(evaluate(x, lambda node: None, NUMPY)))


def counts(x: Expr) -> bool:
    """Whether an expression is made of numbers and loop variables alone, and so has no derivative."""
    return not any(isinstance(node, Value) for node in walk(x))


def index_bounds(index: Affine, ranges: Ranges) -> Bounds | None:
    """The least and greatest value of an index, if all its variables are bound.

    None, too, if 32 bits do not hold it, and every part of it.
    """
    variables = dict(ranges)
    if not index.variables <= variables.keys():
        return None
    parts = [bounds(Affine.of(0, {v: k}), ranges) for v, k in index.terms]
    if abs(index.const) + sum(max(abs(low), abs(high)) for low, high in parts) > GREATEST:
        return None
    return bounds(index, ranges)


def whole_bounds(x: Expr, ranges: Ranges, bound_of: Callable[[str], int | None]) -> Bounds | None:
    """The same of an expression of whole numbers, indices and index inputs (`bound_of` has their bounds).

    None if it is something else.
    """
    match x:
        case Number(value) if value.denominator == 1 and abs(value) <= GREATEST:
            return int(value), int(value)
        case Position(index):
            return index_bounds(index, ranges)
        case Value(ref, False):
            bound = bound_of(ref.name)
            return None if bound is None else (0, bound - 1)
        case Add(terms):
            found = _all([whole_bounds(term, ranges, bound_of) for term in terms])
            return (
                None
                if found is None
                else _fitting(
                    sum(low for low, _ in found),
                    sum(high for _, high in found),
                    sum(max(abs(low), abs(high)) for low, high in found),
                )
            )
        case Mul(factors):
            found = _all([whole_bounds(factor, ranges, bound_of) for factor in factors])
            product: Bounds | None = (1, 1)
            for low, high in found or ():
                if product is not None:
                    ends = [a * b for a in product for b in (low, high)]
                    product = _fitting(min(ends), max(ends))
            return None if found is None else product
    return None


def _all(found: list[Bounds | None]) -> list[Bounds] | None:
    own = [b for b in found if b is not None]
    return own if len(own) == len(found) else None


def _fitting(low: int, high: int, size: int = 0) -> Bounds | None:
    return (low, high) if max(size, abs(low), abs(high)) <= GREATEST else None


def whole_py(x: Expr, affine: Callable[[Affine], Py], member: Callable[[Ref], Py]) -> Py:
    """An expression that has `whole_bounds`, as one of integers."""
    match x:
        case Number(value):
            return py.integer(int(value))
        case Position(index):
            return affine(index)
        case Value(ref, _):
            return member(ref)
        case Add(terms):
            return py.total([(False, whole_py(term, affine, member)) for term in terms])
        case Mul((Number(value), *rest)) if value == -1:
            return py.total([(True, whole_py(Mul(tuple(rest)), affine, member))])
        case Mul(factors):
            return py.product([whole_py(factor, affine, member) for factor in factors])
    raise TypeError(f"{type(x).__name__} is no whole number")


def as_real(x: Py) -> Py:
    return py.call("jnp.asarray", x, py.name("dtype"))


def index_py(index: Affine, ranges: Ranges, affine: Callable[[Affine], Py]) -> Py:
    """An index used as a number."""
    if index_bounds(index, ranges) is not None:
        return as_real(affine(index))
    terms = [
        (
            k < 0,
            py.product([number_py(Fraction(abs(k))), as_real(affine(Affine.var(v)))])
            if abs(k) != 1
            else as_real(affine(Affine.var(v))),
        )
        for v, k in index.terms
    ]
    return py.total(
        [*terms, *([(index.const < 0, number_py(Fraction(abs(index.const))))] if index.const else [])]
    )
