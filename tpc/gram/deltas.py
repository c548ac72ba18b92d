"""Deltas that all parts of an array have.

The array is made without them, and without the axis that they take away. Deltas that exclude others.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.core.affine import Affine
from tpc.core.expr import (
    ZERO,
    Add,
    Delta,
    Expr,
    Mul,
    add,
    mul,
)
from tpc.core.traverse import substitute
from tpc.gram.ir import Piece


def without_deltas(
    pieces: Sequence[Piece], axes: Sequence[str]
) -> tuple[list[Delta], list[Piece], list[str]]:
    """The deltas of two whole axes that every piece has, the pieces without them, the axes left."""
    found: list[Delta] = []
    left, names = list(pieces), list(axes)
    while True:
        delta = next(
            (
                d
                for d in _deltas(left[0])
                if all(d in _deltas(p) for p in left) and set(_axes(d)) <= set(names)
            ),
            None,
        )
        if delta is None:
            return found, left, names
        kept, dropped = _axes(delta)
        found.append(delta)
        place = names.index(dropped)
        left = [
            Piece(
                p.low[:place] + p.low[place + 1 :],
                p.extent[:place] + p.extent[place + 1 :],
                p.variables[:place] + p.variables[place + 1 :],
                _without(p, delta, kept, dropped),
            )
            for p in left
        ]
        del names[place]


def _factors(piece: Piece) -> Sequence[Expr]:
    if not isinstance(piece.formula, Expr):
        return ()
    return piece.formula.factors if isinstance(piece.formula, Mul) else (piece.formula,)


def _deltas(piece: Piece) -> list[Delta]:
    """The deltas of two variables.

    A variable of a part that is not a whole axis has another name, and is none of the array's.
    """
    return [f for f in _factors(piece) if isinstance(f, Delta) and len(_axes(f)) == 2]


def _axes(delta: Delta) -> list[str]:
    sides = (delta.left, delta.right)
    return [
        i.terms[0][0]
        for i in sides
        if isinstance(i, Affine) and len(i.terms) == 1 and i == Affine.var(i.terms[0][0])
    ]


def _without(piece: Piece, delta: Delta, kept: str, dropped: str) -> Expr:
    return substitute(mul(*(f for f in _factors(piece) if f != delta)), {dropped: Affine.var(kept)})


def agreeing(x: Expr, other: Expr) -> Expr:
    """`other` as a factor of `x`.

    If it is a sum, without the terms whose deltas and those of `x` are not 1 together.
    """
    at = _numbers(x)
    if not at or not isinstance(other, Add):
        return other
    terms = [term for term in other.terms if all(at.get(v, k) == k for v, k in _numbers(term).items())]
    return other if len(terms) == len(other.terms) else add(*terms) if terms else ZERO


def _numbers(x: Expr) -> dict[str, int]:
    """What variables must be for the deltas of a product to be 1, where that is a number."""
    found: dict[str, int] = {}
    for factor in x.factors if isinstance(x, Mul) else (x,):
        if isinstance(factor, Delta) and isinstance(factor.left, Affine) and isinstance(factor.right, Affine):
            difference = factor.left - factor.right
            if len(difference.terms) == 1 and abs(difference.terms[0][1]) == 1:
                ((variable, k),) = difference.terms
                found[variable] = -difference.const * k
    return found
