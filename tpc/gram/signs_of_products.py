"""Signs and absolute values of products, as the products of those of their factors.

The sign of one example's gradient, `sign(χ·ξ·dx·φ'(h))`, is then a product of functions of one Gaussian each.
"""

from __future__ import annotations

import dataclasses

from tpc.core.affine import Affine
from tpc.core.expr import (
    ONE,
    ZERO,
    Call,
    Compare,
    Expr,
    Mul,
    Number,
    Sum,
    call,
    is_vector,
    mul,
    number,
    rebuild,
)
from tpc.core.functions import elementwise
from tpc.core.passes import rewrite
from tpc.core.program import Instruction, Moment, Nonlin, Program
from tpc.core.signs import nonnegative
from tpc.core.traverse import map_phi, substitute


def signs_in_factors(program: Program) -> Program:
    """The program with these in what it does to vectors."""

    def rule(op: Instruction) -> Instruction:
        return map_phi(op, with_signs_of_factors) if isinstance(op, Nonlin | Moment) else op

    return dataclasses.replace(program, body=rewrite(program.body, rule))


def with_signs_of_factors(x: Expr) -> Expr:
    """`x` with the signs of factors in place of those of products."""
    if not any(is_vector(part) for part in x.parts):
        return x
    parts = [with_signs_of_factors(part) for part in x.parts]
    match x:
        case Call("sign"):
            return _sign(parts[0])
        case Call("abs"):
            return _absolute(parts[0])
    return rebuild(x, parts) if any(a is not b for a, b in zip(parts, x.parts, strict=True)) else x


def _sign(x: Expr) -> Expr:
    """Its sign, but for what is 0 with probability 0."""
    match x:
        case Number(value):
            return number((value > 0) - (value < 0))
        case Mul(factors):
            return mul(*map(_sign, factors))
        case Sum(variable, count, body) if count.constant == 1:
            return _sign(substitute(body, {variable: Affine()}))
        case Call("relu" | "step" as function, (argument,)):
            return call("where", Compare(">" if function == "relu" else ">=", argument, ZERO), ONE, ZERO)
        case Call(function, (argument,)) if elementwise(function).sign == "of its argument":
            return _sign(argument)
        case Call(function) if elementwise(function).sign == "positive":
            return ONE
    return call("sign", x)


def _absolute(x: Expr) -> Expr:
    match x:
        case Number(value):
            return Number(abs(value))
        case Mul(factors):
            return mul(*map(_absolute, factors))
        case Sum(variable, count, body) if count.constant == 1:
            return _absolute(substitute(body, {variable: Affine()}))
    return x if nonnegative(x) else call("abs", x)
