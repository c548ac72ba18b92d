"""Series of functions of tables as operators."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.core.expr import ZERO, Expr
from tpc.core.spectral import SpectralMap
from tpc.expand.growth import GrowsError, SmallError
from tpc.expand.terms import F0, NONE, Series

if TYPE_CHECKING:
    from tpc.expand.series import Expander

# functions that are homogeneous in their first table, by its power in them
DEGREES = {"left_gram": 2, "right_gram": 2, "preconditioned": 1}


def spectral_series(expander: Expander, x: SpectralMap, cut: Fraction) -> Series:
    """A series, of the first terms of tables alone: those below would need a derivative, which is refused."""
    if x.function in DEGREES:
        return _homogeneous(expander, x, DEGREES[x.function], cut)
    if (expander.power_of(x.table) or F0) > 0:
        raise GrowsError(x.function, *expander.largest([x.table]))
    table, *scalars = (expander.series(part, min(cut, F0)) for part in x.parts)
    if F0 not in table:
        if expander.settled and cut <= 0:
            raise SmallError(x.function)
        return NONE
    out = {F0: x.with_parts([table[F0], *(terms.get(F0, ZERO) for terms in scalars)])}
    below = max((p for p in table if p < 0), default=None)
    return out if below is None or below < cut else {**out, below: expander.rough(x.function)}


def spectral_power(x: SpectralMap, own: Fraction | None) -> Fraction | None:
    """A power that no term of it exceeds, `own` being that of the first table."""
    return F0 if x.function not in DEGREES else None if own is None else own * DEGREES[x.function]


def _homogeneous(expander: Expander, x: SpectralMap, degree: int, cut: Fraction) -> Series:
    """All else is of order 1, and as in the limit."""
    others = x.parts[1:]
    if any((expander.power_of(part) or F0) > 0 for part in others):
        raise GrowsError(x.function, *expander.largest(others))
    top = expander.power_of(x.table)
    if top is None:
        if not expander.settled:
            expander.series(x.table, min(cut, F0))
        return NONE
    terms = expander.series(x.table, min(cut - top * (degree - 1), top))
    first = max(terms, default=None)
    if first is None or first * degree < cut:
        return NONE
    rest = [expander.series(part, min(cut - first * degree, F0)) for part in others]
    parts: list[Expr] = [terms[first], *(own.get(F0, ZERO) for own in rest)]
    moves = [p - first for p in terms if p < first] + [p for own in rest for p in own if p < 0]
    below = first * degree + max(moves, default=cut - 1 - first * degree)
    out = {first * degree: x.with_parts(parts)}
    return out if below < cut else {**out, below: expander.rough(x.function)}
