"""Branches of `where` that are excluded.

Emitted code computes both, and what it computes in the wrong one must be finite, with all its derivatives.

JAX's derivative of `where(x > 0, sqrt(x), 0)` at x < 0 is 0 times that of the root, which is no number. So
inside a branch the operands of functions that are not defined, or not bounded, everywhere are replaced, where
the branch is excluded, by a number at which they are.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from tpc.core.expr import (
    ONE,
    Call,
    Compare,
    Expr,
    Number,
    Pow,
    Value,
    children,
    is_vector,
    power,
    rebuild,
    values,
    walk,
)
from tpc.core.functions import elementwise, is_defined
from tpc.core.program import Nonlin, Op, OuterNonlin, Scalar, instructions

Condition = tuple[Compare, bool]  # and whether it holds
BOUNDED = 2  # the square of a number, and its derivative, are numbers for all but the largest


def finite_branches(x: Expr, doubtful: Container[str] = ()) -> Expr:
    """`x` with such operands replaced.

    doubtful: families that may themselves be no numbers at some points.
    """
    return _guarded(x, (), doubtful) if any(isinstance(node, Compare) for node in walk(x)) else x


def _guarded_branches(
    decided: Compare, branches: Sequence[Expr], conditions: tuple[Condition, ...], doubtful: Container[str]
) -> Expr:
    """A `where`: in its first branch the condition holds, and in the other it does not."""
    sides = (_guarded(side, conditions, doubtful) for side in (decided.left, decided.right))
    condition = Compare(decided.op, *sides)
    guarded = (
        _guarded(branch, (*conditions, (condition, holds)), doubtful)
        for branch, holds in zip(branches, (True, False), strict=True)
    )
    return Call("where", (condition, *guarded))


def _guarded(x: Expr, conditions: tuple[Condition, ...], doubtful: Container[str]) -> Expr:
    match x:
        case Call("where", (Compare() as condition, *branches)):
            return _guarded_branches(condition, branches, conditions, doubtful)
        case Call(function, (operand,)) if (harmless := elementwise(function).harmless) is not None:
            inner = operand if isinstance(operand, Value) else _guarded(operand, conditions, doubtful)
            return Call(function, (_replaced(inner, harmless, conditions),))
        case Pow(base, exponent):
            if _is_bounded(exponent):
                return power(_guarded(base, conditions, doubtful), exponent)
            inner = base if isinstance(base, Value) else _guarded(base, conditions, doubtful)
            return power(_replaced(inner, ONE, conditions), _guarded(exponent, conditions, doubtful))
        case Value(ref, _) if ref.name in doubtful:
            return _replaced(x, ONE, conditions)
    parts = children(x)
    return rebuild(x, [_guarded(part, conditions, doubtful) for part in parts]) if parts else x


def doubtful_families(body: tuple[Op, ...]) -> frozenset[str]:
    """Families made elementwise by functions not defined everywhere, or of members of such."""
    lines = [
        (op.out.name, op.phi) for op, _ in instructions(body) if isinstance(op, Nonlin | OuterNonlin | Scalar)
    ]
    found = {name for name, phi in lines if not is_defined(phi)}
    while more := {
        name for name, phi in lines if name not in found and any(v.ref.name in found for v in values(phi))
    }:
        found |= more
    return frozenset(found)


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
