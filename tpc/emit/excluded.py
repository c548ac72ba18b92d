"""Branches of `where` that are excluded: emitted code computes both, and what it computes in the wrong one must be finite, with all its derivatives.

JAX's derivative of `where(x > 0, sqrt(x), 0)` at x < 0 is 0 times that of the root, which is no number. So inside a branch the operands of functions
that are not defined, or not bounded, everywhere are replaced, where the branch is excluded, by a number at which they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from tpc.core.expr import ONE, ZERO, Call, Compare, Expr, Number, Pow, children, is_vector, power, rebuild, values, walk

Condition = tuple[Compare, bool]                 # and whether it holds
HARMLESS: Mapping[str, Expr] = {"sqrt": ONE, "log": ONE, "exp": ZERO, "sinh": ZERO, "cosh": ZERO}
BOUNDED = 2                                      # the square of a number, and its derivative, are numbers for all but the largest


def finite_branches(x: Expr) -> Expr:
    """`x` with such operands replaced."""
    return _guarded(x, ()) if any(isinstance(node, Compare) for node in walk(x)) else x


def _guarded(x: Expr, conditions: tuple[Condition, ...]) -> Expr:
    match x:
        case Call("where", (Compare(op, left, right), one, other)):
            condition = Compare(op, _guarded(left, conditions), _guarded(right, conditions))
            branches = (_guarded(branch, (*conditions, (condition, holds))) for branch, holds in ((one, True), (other, False)))
            return Call("where", (condition, *branches))
        case Call(function, (operand,)) if function in HARMLESS:
            return Call(function, (_replaced(_guarded(operand, conditions), HARMLESS[function], conditions),))
        case Pow(base, exponent):
            inner = _guarded(base, conditions)
            return power(inner if _is_bounded(exponent) else _replaced(inner, ONE, conditions), _guarded(exponent, conditions))
    parts = children(x)
    return rebuild(x, [_guarded(part, conditions) for part in parts]) if parts else x


def _is_bounded(exponent: Expr) -> bool:
    return isinstance(exponent, Number) and exponent.value.denominator == 1 and 0 <= exponent.value <= BOUNDED


def _replaced(x: Expr, harmless: Expr, conditions: tuple[Condition, ...]) -> Expr:
    """`x`, and `harmless` unless all conditions hold; a scalar is no other where those of vectors do not."""
    if not values(x):
        return x
    for condition, holds in reversed(conditions):
        if is_vector(x) or not is_vector(condition):
            x = Call("where", (condition, x, harmless) if holds else (condition, harmless, x))
    return x
