"""Terms as a number in front and the rest, and the sums of those with the same rest."""

from __future__ import annotations

from fractions import Fraction

from tpc.core.expr import ONE, Add, Expr, Mul, Number, coefficient, mul


def split(term: Expr) -> tuple[Fraction, Expr]:
    """The number in front of a term, and the rest."""
    if isinstance(term, Number):
        return term.value, ONE
    rest = mul(*term.factors[1:]) if isinstance(term, Mul) and isinstance(term.factors[0], Number) else term
    return coefficient(term).value, rest


def like_terms(x: Expr) -> dict[Expr, Fraction]:
    """The terms of a sum without the numbers in front of them, and these, of like ones added up."""
    found: dict[Expr, Fraction] = {}
    for number, rest in map(split, x.terms if isinstance(x, Add) else (x,)):
        found[rest] = found.get(rest, Fraction(0)) + number
    return found
