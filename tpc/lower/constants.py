"""Numbers that a program is written with: those that no float can hold, and constants that have no value."""

from __future__ import annotations

from math import inf, isinf, isnan

from tpc.core.expr import Call, Expr, Number, Pow
from tpc.core.laws import is_constant, is_zero, law_number
from tpc.core.printer import print_expr
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span

LARGEST = 10**300  # of a number, and of the parts of a fraction


def require_number(x: Expr, at: Span) -> None:
    """Raises RefusedError if `x` is a constant that no float can hold, or that has no value."""
    if isinstance(x, Number):
        _require_size(x, at)
    elif isinstance(x, Pow) and is_constant(x.exponent) and is_zero(x.base):
        if law_number(x.exponent, {}, ()) < 0:
            raise RefusedError(catalogue.kinds.division_by_zero(at))
    elif is_constant(x):
        _require_value(x, at)


def _require_size(x: Number, at: Span) -> None:
    if max(abs(x.value.numerator), x.value.denominator) > LARGEST:
        large, small = abs(x.value) > LARGEST, 0 < abs(x.value) * LARGEST < 1
        why = catalogue.kinds.overflow if large else catalogue.kinds.underflow
        raise RefusedError((why if large or small else catalogue.kinds.too_many_digits)(at))


def _require_value(x: Expr, at: Span) -> None:
    value = float(law_number(x, {}, ()))
    if isnan(value) or (value == -inf and isinstance(x, Call)):  # of log(0), which is no large number
        raise RefusedError(catalogue.kinds.no_value(at, print_expr(x)))
    if isinf(value):
        raise RefusedError(catalogue.kinds.overflow(at))
    if value == 0 and isinstance(x, Pow):
        raise RefusedError(catalogue.kinds.underflow(at))
