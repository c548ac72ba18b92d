"""Iverson's bracket [i = j], 1 where i = j and else 0, as programs have it.

That is `where(i <= j, where(i >= j, 1, 0), 0)`.
"""

from __future__ import annotations

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Add, Call, Compare, Delta, Expr, Mul, Number, Position, delta


def compared(x: Expr) -> tuple[Expr, Expr] | None:
    """i and j, if `x` is their bracket."""
    match x:
        case Call("where", (Compare("<=", i, j), Call("where", (Compare(">=", k, l), one, zero)), no)):
            return (i, j) if (i, j, one, zero, no) == (k, l, ONE, ZERO, ZERO) else None
    return None


def as_delta(x: Expr) -> Expr:
    """The bracket of two combinations of loop variables as a Delta."""
    sides = compared(x)
    if sides is None:
        return x
    left, right = index_of(sides[0]), index_of(sides[1])
    return x if left is None or right is None else delta(left, right)


def difference(x: Expr) -> Affine | None:
    """i − j of a bracket: it is 1 where that is 0."""
    if isinstance(x, Delta):
        left, right = x.left, x.right
        return left - right if isinstance(left, Affine) and isinstance(right, Affine) else None
    sides = compared(x)
    if sides is None:
        return None
    i, j = index_of(sides[0]), index_of(sides[1])
    return None if i is None or j is None else i - j


def index_of(x: Expr) -> Affine | None:
    """An affine combination of loop variables."""
    match x:
        case Position(index):
            return index
        case Number(value) if value.denominator == 1:
            return Affine(int(value))
        case Add(terms):
            out = Affine(0)
            for term in terms:
                part = index_of(term)
                if part is None:
                    return None
                out = out + part
            return out
        case Mul((Number(k), rest)) if k.denominator == 1:
            part = index_of(rest)
            return None if part is None else part.scaled(int(k))
    return None
