"""The derivative of tanh as a function of its own.

1 − tanh² loses the digits of what is near 1, and products of it would be multiplied out.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from tpc.core.expr import (
    HALF,
    ONE,
    ZERO,
    Add,
    Call,
    Expr,
    Mul,
    Number,
    Pow,
    add,
    call,
    children,
    is_vector,
    mul,
    neg,
    number,
    power,
    rebuild,
    replace,
)
from tpc.core.like_terms import split
from tpc.core.passes import rewrite
from tpc.core.program import Instruction, Moment, Nonlin, Program
from tpc.core.traverse import map_phi

SLOPE = "tanh'"


def slopes_in(program: Program) -> Program:
    """The program with these functions in what it does to vectors."""

    def rule(op: Instruction) -> Instruction:
        return map_phi(op, with_slopes) if isinstance(op, Nonlin | Moment) else op

    return dataclasses.replace(program, body=rewrite(program.body, rule))


def with_slopes(x: Expr) -> Expr:
    """`x` with tanh'(s) for 1 − tanh(s)² and tanh'(s/2)/4 for sigmoid(s)·(1 − sigmoid(s))."""
    parts = children(x)
    if not parts:
        return x
    found = rebuild(x, [with_slopes(part) for part in parts])
    match found:
        case Add():
            return _of_sum(found)
        case Mul():
            return _of_product(found)
    return found


def without_slopes(x: Expr) -> Expr:
    """With 1 − tanh(s)² for tanh'(s)."""
    return replace(
        x,
        lambda node: (
            add(ONE, neg(power(call("tanh", *map(without_slopes, node.args)), number(2))))
            if isinstance(node, Call) and node.function == SLOPE
            else None
        ),
    )


def _of_sum(x: Add) -> Expr:
    """`n − k·tanh(s)²` with n ≥ k > 0, or with n ≤ k < 0, and k·sigmoid(s) − k·sigmoid(s)²."""
    terms = list(x.terms)
    for term in x.terms:
        k, square = split(term)
        match square:
            case Pow(Call("tanh", (s,)), Number(two)) if two == 2 and is_vector(s):
                there = next((t for t in terms if isinstance(t, Number)), None)
                if there is not None and there.value * k < 0 and abs(there.value) >= abs(k):
                    terms.remove(there)
                    terms[terms.index(term)] = mul(Number(-k), call(SLOPE, s))
                    terms.append(Number(there.value + k))
            case Pow(Call("sigmoid", (s,)) as sigmoid, Number(two)) if two == 2 and is_vector(s):
                linear = mul(Number(-k), sigmoid)
                if linear in terms:
                    terms.remove(linear)
                    terms[terms.index(term)] = mul(Number(-k / 4), call(SLOPE, mul(HALF, s)))
    return add(*(t for t in terms if t != ZERO)) if terms != list(x.terms) else x


def _of_product(x: Mul) -> Expr:
    factors = list(x.factors)
    for factor in x.factors:
        match factor:
            case Call("sigmoid", (s,)) if is_vector(s):
                rest = add(ONE, neg(factor))
                if factor in factors and rest in factors:
                    factors.remove(factor)
                    factors[factors.index(rest)] = mul(Number(Fraction(1, 4)), call(SLOPE, mul(HALF, s)))
    return mul(*factors) if factors != list(x.factors) else x
