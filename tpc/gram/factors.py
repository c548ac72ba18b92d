"""Functions of one Gaussian as combinations of those whose expectations are known (`Factor`)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb, factorial
from typing import Literal

from tpc.core.expr import (
    HALF,
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
    Value,
    add,
    call,
    is_vector,
    mul,
    neg,
    number,
    power,
)
from tpc.core.functions import PI, elementwise
from tpc.gram.ir import Factor

Combination = dict[Factor, Expr]
MOST_POWER = 12
LOGISTIC = frozenset({"tanh", "tanh'", "tanh''", "softplus"})


def combination(x: Expr) -> Combination | None:
    """`x`, a function of one vector, as Σ coefficient·Factor; None if it is none."""
    if not is_vector(x):
        return {Factor(): x}
    match x:
        case Value():
            return {Factor(1): ONE}
        case Add(terms):
            return _sum([combination(term) for term in terms])
        case Mul(factors):
            return _product([combination(f) for f in factors])
        case Pow(base, Number(k)) if k.denominator == 1 and 0 < k <= MOST_POWER and not is_vector(x.exponent):
            return _product([combination(base)] * int(k))
        case Call("exp", (argument,)):
            return _exponential(argument)
        case Call("where", (Compare(op, left, right), yes, no)):
            step = combination(
                call("step", add(left, neg(right)) if op in (">", ">=") else add(right, neg(left)))
            )
            return _sum(
                [_product([step, combination(yes)]), combination(no), _product([step, combination(neg(no))])]
            )
        case Call(function, args) if (simpler := elementwise(function).simpler) is not None:
            return combination(simpler(*args))
        case Call(function, (argument,)):
            slope = _slope(argument)
            return None if slope is None else _function(function, slope)
    return None


def _function(function: str, k: Expr) -> Combination | None:
    """`function(k·z)`."""
    match function:
        case "erf" | "sin" | "cos":
            return {Factor(0, function, k): ONE}
        case "tanh" | "tanh'":
            return _tanh(function, k)
        case "softplus":
            return {Factor(0, "softplus", k): ONE}
    if not isinstance(k, Number):
        return None  # for kinks the sign must be known
    forward = k.value > 0
    match function:
        case "step":
            return {Factor(0, "step"): ONE} if forward else {Factor(0, "step"): MINUS_ONE, Factor(): ONE}
        case "sign":
            return {Factor(0, "step"): number(2 if forward else -2), Factor(): number(-1 if forward else 1)}
    return None


def _tanh(function: Literal["tanh", "tanh'"], k: Expr) -> Combination:
    """`function(k·z)`, with a scale that is positive if it is a number."""
    if isinstance(k, Number) and k.value < 0:
        return {Factor(0, function, neg(k)): MINUS_ONE if function == "tanh" else ONE}
    return {Factor(0, function, k): ONE}


def _slope(x: Expr) -> Expr | None:
    """k of `k·z`."""
    found = combination(x)
    return found[Factor(1)] if found is not None and set(found) == {Factor(1)} else None


def _exponential(argument: Expr) -> Combination | None:
    """`exp(a + b·z + c·z²)`."""
    found = combination(argument)
    if found is None or not set(found) <= {Factor(), Factor(1), Factor(2)}:
        return None
    a, b, c = (found.get(Factor(k), ZERO) for k in range(3))
    return {
        Factor(0, "one" if b == ZERO else "exp", ONE if b == ZERO else b, neg(c)): ONE
        if a == ZERO
        else call("exp", a)
    }


def _sum(parts: Sequence[Combination | None]) -> Combination | None:
    out: Combination = {}
    for part in parts:
        if part is None:
            return None
        for factor, coefficient in part.items():
            out[factor] = _plus(out[factor], coefficient) if factor in out else coefficient
    return {f: c for f, c in out.items() if c != ZERO}


def _plus(a: Expr, b: Expr) -> Expr:
    return ZERO if a == neg(b) else add(a, b)


def _product(parts: Sequence[Combination | None]) -> Combination | None:
    out: Combination = {Factor(): ONE}
    for part in parts:
        if part is None:
            return None
        terms: list[Combination | None] = []
        for f, a in out.items():
            for g, b in part.items():
                terms.append(_times(f, g, mul(a, b)))
        found = _sum(terms)
        if found is None:
            return None
        out = found
    return out


def _times(f: Factor, g: Factor, coefficient: Expr) -> Combination | None:
    """`coefficient·f·g`."""
    if g.kind == "one" or f.kind == "one":
        kind, scale = (f.kind, f.scale) if g.kind == "one" else (g.kind, g.scale)
        return {Factor(f.power + g.power, kind, scale, add(f.weight, g.weight)): coefficient}
    rest = f.power + g.power, add(f.weight, g.weight)
    both = {f.kind, g.kind}
    if both == {"step"}:
        return {Factor(rest[0], "step", ONE, rest[1]): coefficient}
    if both == {"exp"}:
        scale = add(f.scale, g.scale)
        if scale == ZERO:
            return {Factor(rest[0], "one", ONE, rest[1]): coefficient}
        return {Factor(rest[0], "exp", scale, rest[1]): coefficient}
    if both <= {"sin", "cos"}:
        return _waves(f, g, coefficient, rest)
    if both == {"tanh", "tanh'"} and f.scale == g.scale:
        return {Factor(rest[0], "tanh''", f.scale, rest[1]): mul(Number(Fraction(-1, 2)), coefficient)}
    return None


def _waves(f: Factor, g: Factor, coefficient: Expr, rest: tuple[int, Expr]) -> Combination:
    """Products of sines and cosines as sums."""
    half = mul(HALF, coefficient)
    if f.kind == "cos" and g.kind == "sin":
        f, g = g, f
    plus, minus = add(f.scale, g.scale), ZERO if f.scale == g.scale else add(f.scale, neg(g.scale))
    if f.kind == g.kind:
        return _merged(
            [
                (_wave("cos", minus, rest), half),
                (_wave("cos", plus, rest), half if f.kind == "cos" else neg(half)),
            ]
        )
    return _merged([(_wave("sin", plus, rest), half), (_wave("sin", minus, rest), half)])


def _wave(kind: str, scale: Expr, rest: tuple[int, Expr]) -> Factor | None:
    if scale == ZERO:
        return Factor(rest[0], "one", ONE, rest[1]) if kind == "cos" else None
    return Factor(rest[0], kind, scale, rest[1])  # type: ignore[arg-type]


def _merged(terms: Sequence[tuple[Factor | None, Expr]]) -> Combination:
    out: Combination = {}
    for factor, coefficient in terms:
        if factor is not None:
            out[factor] = add(out[factor], coefficient) if factor in out else coefficient
    return out


def closed_together(f: Factor, g: Factor) -> bool:
    """Whether `E f(u)·g(v)` is known.

    Polynomials times steps, error functions and their mixtures, or times waves and exponentials.
    """
    kinds = {f.kind, g.kind} - {"one"}
    return kinds <= {"step", "erf"} | LOGISTIC or kinds <= {"sin", "cos", "exp"}


def symmetry(f: Factor) -> int:
    """1 for an even function, −1 for an odd one, 0 for neither."""
    own = {"one": 1, "tanh''": -1}.get(f.kind) or elementwise(f.kind).parity
    return -own if f.power % 2 else own


def polynomial(f: Factor) -> bool:
    return f.kind == "one" and f.weight == ZERO


def moment(a: int, b: int, q: Expr, c: Expr, r: Expr) -> Expr:
    """`E u^a·v^b` (Isserlis): Σ over the number of pairs (u, v)."""
    if (a + b) % 2:
        return ZERO
    terms = []
    for pairs in range(a % 2, min(a, b) + 1, 2):
        matched = comb(a, pairs) * comb(b, pairs) * factorial(pairs)
        ways = matched * _double(a - pairs) * _double(b - pairs)
        terms.append(
            mul(
                number(ways),
                power(q, Number(Fraction(a - pairs, 2))),
                power(c, number(pairs)),
                power(r, Number(Fraction(b - pairs, 2))),
            )
        )
    return add(*terms)


def half_moment(a: int, q: Expr) -> Expr:
    """`E u^a·step(u)`."""
    if a % 2 == 0:
        return mul(HALF, moment(a, 0, q, ZERO, ONE))
    ways = number(2 ** (a // 2) * factorial(a // 2))
    return mul(ways, power(q, Number(Fraction(a, 2))), power(call("sqrt", mul(number(2), PI)), MINUS_ONE))


def _double(n: int) -> int:
    """(n − 1)!!, the number of pairings of n."""
    return (n - 1) * _double(n - 2) if n > 2 else 1
