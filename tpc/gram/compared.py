"""Comparisons of whole numbers in programs as deltas."""

from __future__ import annotations

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Add, Call, Compare, Expr, Mul, Number, Position, delta


def as_delta(x: Expr) -> Expr:
    """A test of whole numbers for equality, `where(i <= j, where(i >= j, 1, 0), 0)`, as a Delta."""
    match x:
        case Call("where", (Compare("<=", i, j), Call("where", (Compare(">=", k, l), one, zero)), no)) if (
            i,
            j,
            one,
            zero,
            no,
        ) == (k, l, ONE, ZERO, ZERO):
            left, right = _whole_number(i), _whole_number(j)
            return x if left is None or right is None else delta(left, right)
    return x


def _whole_number(x: Expr) -> Affine | None:
    """An affine combination of loop variables."""
    match x:
        case Position(index):
            return index
        case Number(value) if value.denominator == 1:
            return Affine(int(value))
        case Add(terms):
            out = Affine(0)
            for term in terms:
                part = _whole_number(term)
                if part is None:
                    return None
                out = out + part
            return out
        case Mul((Number(k), rest)) if k.denominator == 1:
            part = _whole_number(rest)
            return None if part is None else part.scaled(int(k))
    return None
