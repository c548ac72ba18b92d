"""Representations of L².

Theory: an element of the limit's Hilbert space is whatever can be added, multiplied by numbers and has inner
products.

A space says which programs it can represent, and which forms of Nonlin and Moment it emits. Elements are
arrays [M] in every one of them, the inner product is `a @ (weights * b)`, so that ZMatMul is written once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from tpc.core.expr import Add, Call, Compare, Expr, Mul, Number, Pow, Sum, Value, children, is_vector
from tpc.core.printer import as_written
from tpc.core.program import Moment, Nonlin, OuterNonlin, Program, instructions
from tpc.plan.sectors import Sectors


class Space(Protocol):
    """One representation."""

    @property
    def pointwise(self) -> bool:
        """Whether an element is its values at points: functions apply coordinate by coordinate."""

    @property
    def sectors(self) -> Sectors:
        """Which vectors have points of their own."""

    def refuses(self, program: Program) -> str | None:
        """Why the program cannot be represented, None if it can."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Coefficients on 1 and the standard Gaussians.

    Exact for programs that are linear in their vectors, with moments of second order.
    """

    pointwise: bool = False
    sectors: Sectors = field(default_factory=Sectors)

    def refuses(self, program: Program) -> str | None:
        factored = program.factored
        for op, _ in instructions(program.body):
            if isinstance(op, OuterNonlin) and op.out.name not in factored:
                return f"`{as_written(op.out)}` ({op.origin}) is a table"
            if isinstance(op, Nonlin) and degree(op.phi) > 1:
                return f"`{as_written(op.out)}` ({op.origin}) is not linear in its vectors"
            if isinstance(op, Moment) and degree(op.phi) > 2:
                return f"`{as_written(op.out)}` ({op.origin}) is a mean of more than products of two vectors"
        return None


@dataclass(frozen=True, slots=True)
class Nodes:
    """Values at weighted points of the space of the standard Gaussians.

    For any program, as exact as the points.
    """

    pointwise: bool = True
    sectors: Sectors = field(default_factory=Sectors)

    def refuses(self, program: Program) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Chaos:
    """Values at the nodes of rules that integrate exactly what occurs (see `chaos.py`).

    For polynomials, with moments of any order.
    """

    sectors: Sectors
    pointwise: bool = True

    def refuses(self, program: Program) -> str | None:
        factored = program.factored
        for op, _ in instructions(program.body):
            if isinstance(op, OuterNonlin) and op.out.name not in factored:
                return f"`{as_written(op.out)}` ({op.origin}) is a table"
            if isinstance(op, Nonlin | Moment) and degree(op.phi) == math.inf:
                what = "no polynomial in" if isinstance(op, Nonlin) else "no mean of a polynomial in"
                return f"`{as_written(op.out)}` ({op.origin}) is {what} its vectors"
        return None


def degree(x: Expr) -> float:
    """The degree of a polynomial in the vectors, ∞ if it is none."""
    match x:
        case Value(_, vector):
            return 1 if vector else 0
        case Add(terms):
            return max(map(degree, terms))
        case Mul(factors):
            return sum(map(degree, factors))
        case Pow(base, Number(k)) if k.denominator == 1 and k > 0:
            return degree(base) * int(k)
        case Pow() | Call() | Compare():
            return math.inf if is_vector(x) else 0
        case Sum(_, _, body):
            return degree(body)
    return max((degree(part) for part in children(x)), default=0)
