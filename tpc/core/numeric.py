"""Values of elementwise expressions on arrays, NumPy's or JAX's."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tpc.core.comparisons import COMPARISONS
from tpc.core.expr import Add, Call, Compare, Constant, Expr, Mul, Number, Pow, children
from tpc.core.functions import elementwise


@dataclass(frozen=True, slots=True)
class Namespace:
    """The array modules to compute with.

    `np` (numpy or jax.numpy) and `special` (scipy.special or jax.scipy.special).
    """

    np: Any
    special: Any


def evaluate(x: Expr, leaf: Callable[[Expr], Any | None], ns: Namespace) -> Any:
    """The value of `x`.

    `leaf` gives the value of every Value, Position, Extent and Sum in it, and None to have a node computed
    from its parts.
    """
    own = leaf(x)
    if own is not None:
        return own
    match x:
        case Number(value):
            return real_power(value, 1)
        case Pow(Number(value), Number(k)) if k.denominator == 1:
            return real_power(value, int(k))
        case Constant(name):
            return math.pi if name == "pi" else math.e
    parts = [evaluate(part, leaf, ns) for part in children(x)]
    match x:
        case Add():
            return sum(parts[1:], start=parts[0])
        case Mul():
            return math.prod(parts[1:], start=parts[0])
        case Pow(_, exponent):
            if isinstance(exponent, Number) and exponent.value.denominator == 1:
                return _power(parts[0], int(exponent.value))
            return ns.np.power(parts[0], parts[1])
        case Call(function, _):
            return elementwise(function).array(ns, *parts)
        case Compare(op, _, _):
            return COMPARISONS[op](parts[0], parts[1])
    raise TypeError(f"no value for {type(x).__name__}")


def real_power(value: Fraction, exponent: int) -> float:
    """`value^exponent`, to the nearest number but for the last bit if it is a power.

    What is too large is infinite.
    """
    if exponent == 1:
        try:
            return value.numerator / value.denominator
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if not value:
        return 1.0 if exponent == 0 else 0.0 if exponent > 0 else math.inf
    exact = decimal.Context(prec=60, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])
    base = exact.divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator))
    return float(exact.power(base, exponent))


def _power(base: Any, exponent: int) -> Any:
    """`base^exponent`. Python's own numbers raise where arrays give infinity."""
    try:
        return base**exponent if exponent >= 0 else 1.0 / base**-exponent
    except ZeroDivisionError:
        return math.inf
    except OverflowError:
        return 0.0 if exponent < 0 else -math.inf if base < 0 and exponent % 2 else math.inf
