"""Derivatives of elementwise expressions."""

from __future__ import annotations

from collections.abc import Callable

from tpc.core.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    Mul,
    Number,
    Pow,
    Sum,
    add,
    call,
    children,
    mul,
    power,
    summed,
)
from tpc.core.functions import elementwise, has_kinks


class NotDifferentiableError(Exception):
    """The derivative of a function that jumps was needed. `function` is its name."""

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function


def differentiate(x: Expr, seed: Callable[[Expr], Expr | None], *, across_where: bool = True) -> Expr:
    """The derivative of `x` along `seed`, which gives the derivative of each leaf.

    None: look inside the node.

    A `where` is differentiated branch by branch if `across_where`, which is right if it is continuous.
    Raises NotDifferentiableError where a step or sign (or else a `where`) would have to be differentiated.
    """
    memo: dict[int, Expr] = {}  # formulas share their parts, and to hash one goes through all of them

    def d(node: Expr) -> Expr:
        key = id(node)
        if key not in memo:
            own = seed(node)
            memo[key] = rule(node) if own is None else own
        return memo[key]

    def rule(node: Expr) -> Expr:
        match node:
            case Add(terms):
                return add(*(d(term) for term in terms))
            case Mul(factors):
                return _product(factors, [d(factor) for factor in factors])
            case Pow(base, exponent):
                return add(_power_base(base, exponent, d(base)), _power_exponent(node, base, d(exponent)))
            case Call(function, args):
                return _call(
                    function,
                    args,
                    [ZERO if isinstance(a, Compare) else d(a) for a in args],
                    any(d(part) != ZERO for a in args if isinstance(a, Compare) for part in children(a)),
                    across_where,
                )
            case Sum(variable, count, body):
                return summed(variable, count, d(body))
            case _:
                return ZERO

    return d(x)


def _product(factors: tuple[Expr, ...], dfactors: list[Expr]) -> Expr:
    """Leibniz' rule."""
    terms = (mul(*factors[:i], slope, *factors[i + 1 :]) for i, slope in enumerate(dfactors) if slope != ZERO)
    return add(*terms)


def _power_base(base: Expr, exponent: Expr, dbase: Expr) -> Expr:
    if dbase == ZERO:
        return ZERO
    lower = Number(exponent.value - 1) if isinstance(exponent, Number) else add(exponent, MINUS_ONE)
    slope = mul(exponent, power(base, lower), dbase)
    return at_rest(base, slope) if isinstance(exponent, Number) and 0 < exponent.value < 1 else slope


def at_rest(base: Expr, slope: Expr) -> Expr:
    """The derivative of a root of `base`.

    0, not infinity times 0, where `base` is 0 and, its function having a kink, may stay there.
    """
    if not has_kinks(base):
        return slope
    return call(
        "where", Compare("<=", base, ZERO), call("where", Compare(">=", base, ZERO), ZERO, slope), slope
    )


def _power_exponent(node: Expr, base: Expr, dexponent: Expr) -> Expr:
    return ZERO if dexponent == ZERO else mul(node, call("log", base), dexponent)


def _call(
    function: str, args: tuple[Expr, ...], dargs: list[Expr], condition_moves: bool, across_where: bool
) -> Expr:
    if function == "where" and not across_where and (condition_moves or any(da != ZERO for da in dargs)):
        raise NotDifferentiableError(function)
    terms = []
    for build, da in zip(elementwise(function).derivatives, dargs, strict=True):
        if da == ZERO:
            continue
        if build is None:
            raise NotDifferentiableError(function)
        slope = da if function == "where" and da == ONE else mul(build(*args), da)
        terms.append(at_rest(args[0], slope) if elementwise(function).is_root else slope)
    if function == "where":  # one `where` instead of a sum of two
        return call("where", args[0], dargs[1], dargs[2]) if terms else ZERO
    return add(*terms)
