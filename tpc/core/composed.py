"""Functions that programs may call and that stand for others: what is known of these is known of them.

A function that others compose is added here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tpc.core.expr import (
    HALF,
    ONE,
    ZERO,
    Constant,
    Expr,
    Number,
    add,
    call,
    divide,
    mul,
    neg,
    number,
    power,
)

# of the smooth part of `gelu(x, σ)`: at σ = 0 it is relu(x), without a division by 0
LEAST_WIDTH = Number(Fraction(1, 10**6))
SLOPE = Number(Fraction(1, 100))  # of leaky_relu below 0
# of selu, for which means and variances of layers have the fixed point 0 and 1 (Klambauer et al. 2017)
SELU_SLOPE = Number(Fraction("1.0507009873554805"))
SELU_DEPTH = Number(Fraction("1.6732632423543773"))


@dataclass(frozen=True, slots=True)
class Composed:
    """A name with the expression that it stands for."""

    name: str
    # the fewest and the most arguments
    least: int
    most: int
    # the expression by those that are given
    made: Callable[..., Expr] = field(compare=False)


def _nested(name: str) -> Callable[..., Expr]:
    def made(first: Expr, *others: Expr) -> Expr:
        out = first
        for x in others:
            out = call(name, out, x)
        return out

    return made


def _gelu(x: Expr, sigma: Expr | None = None) -> Expr:
    """With a width σ that of TP4: x/2·(1 + erf(x/σ)) + σ/(2√π)·e^{−x²/σ²}."""
    if sigma is None:
        return call("gelu", x)
    if sigma == ZERO:
        return call("relu", x)
    ratio = divide(x, sigma if isinstance(sigma, Number) else call("max", sigma, LEAST_WIDTH))
    smooth = divide(
        mul(sigma, call("exp", neg(power(ratio, number(2))))),
        mul(number(2), call("sqrt", Constant("pi"))),
    )
    return add(mul(HALF, x, add(ONE, call("erf", ratio))), smooth)


def _leaky(x: Expr, slope: Expr = SLOPE) -> Expr:
    return add(call("relu", x), neg(mul(slope, call("relu", neg(x)))))


def _elu(x: Expr, depth: Expr = ONE) -> Expr:
    return add(call("relu", x), mul(depth, add(call("exp", call("min", x, ZERO)), neg(ONE))))


def _clipped(least: int, most: int) -> Callable[[Expr], Expr]:
    return lambda x: call("max", call("min", x, number(most)), number(least))


_ENTRIES = (
    Composed("square", 1, 1, lambda x: power(x, number(2))),
    Composed("gelu", 1, 2, _gelu),
    Composed("max", 2, 64, _nested("max")),
    Composed("min", 2, 64, _nested("min")),
    Composed("leaky_relu", 1, 2, _leaky),
    Composed("elu", 1, 2, _elu),
    Composed("selu", 1, 1, lambda x: mul(SELU_SLOPE, _elu(x, SELU_DEPTH))),
    Composed("silu", 1, 1, lambda x: mul(x, call("sigmoid", x))),
    Composed("mish", 1, 1, lambda x: mul(x, call("tanh", call("softplus", x)))),
    Composed("softsign", 1, 1, lambda x: divide(x, add(ONE, call("abs", x)))),
    Composed("hardtanh", 1, 1, _clipped(-1, 1)),
    Composed("relu6", 1, 1, _clipped(0, 6)),
)
COMPOSED: Mapping[str, Composed] = {entry.name: entry for entry in _ENTRIES}
