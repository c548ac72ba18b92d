"""Functions of Gaussians as expressions: which are in one, its derivatives, its parity, its linear parts."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from tpc.core.calculus import differentiate
from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Call,
    Expr,
    Mul,
    Number,
    Pow,
    Value,
    add,
    call,
    children,
    is_vector,
    mul,
    neg,
    number,
    power,
    values,
)
from tpc.core.functions import elementwise
from tpc.core.like_terms import like_terms
from tpc.gram.axes import skeleton
from tpc.gram.ir import Factor

NESTED = 12  # functions inside of each other in one integrand


def gaussians(x: Expr) -> list[str]:
    """The names of the Gaussians in it, each as often as it is."""
    return [v.ref.name for v in values(x) if v.vector]


def derivative(x: Expr, name: str) -> Expr:
    """The derivative in the Gaussian `name`. Raises NotDifferentiableError.

    Raises NotDifferentiableError.
    """
    return differentiate(
        x,
        lambda node: (ONE if node.ref.name == name else ZERO) if isinstance(node, Value) else None,
        across_where=False,
    )


def normal_form(x: Expr) -> tuple[Expr, Expr]:
    """A linear expression as a number times one whose first term has no number in front.

    Like terms are one.
    """
    collected = like_terms(x)
    terms = sorted((rest for rest, k in collected.items() if k), key=skeleton) or [
        next(t for t in collected if is_vector(t))
    ]
    head = collected[next(t for t in terms if is_vector(t))]
    return Number(head), add(*(mul(Number(collected[t] / head if head else Fraction(1)), t) for t in terms))


def parity(x: Expr) -> int:
    """1 if `x` is even in all Gaussians together, −1 if it is odd, 0 if neither is known."""
    if not is_vector(x):
        return 1
    match x:
        case Value():
            return -1
        case Mul(factors):
            return prod(map(parity, factors))
        case Add(terms):
            kinds = {parity(term) for term in terms}
            return kinds.pop() if len(kinds) == 1 else 0
        case Pow(base, Number(k)) if k.denominator == 1:
            return parity(base) if k % 2 else abs(parity(base))
        case Call(function, args):
            kinds = {parity(a) for a in args}
            if kinds == {1}:
                return 1
            return elementwise(function).parity if kinds == {-1} else 0
    return 0


def expression_of(factor: Factor, z: Expr) -> Expr:
    """A factor as an expression."""
    parts = [power(z, number(factor.power))]
    if factor.kind == "step" and factor.power == 1:
        parts = [call("relu", z)]
    elif factor.kind != "one":
        parts.append(call(factor.kind, z if factor.kind == "step" else mul(factor.scale, z)))
    if factor.weight != ZERO:
        parts.append(call("exp", neg(mul(factor.weight, power(z, number(2))))))
    return mul(*parts)


def is_nested(x: Expr) -> bool:
    """Whether functions stand inside of each other more than NESTED times.

    An integrand that no quadrature resolves, and deeper than the stack.
    """
    waiting = [(x, 0)]
    while waiting:
        node, depth = waiting.pop()
        depth += isinstance(node, Call)
        if depth > NESTED:
            return True
        waiting += [(part, depth) for part in children(node)]
    return False
