"""Which outputs need a look at their integrands, or none at their rounding, seen from the instructions.

They may have heavy tails, or kinks and jumps, or change by jumps alone.

What a vector is at infinity is followed through the program as the degree of a polynomial in Gaussians that
bounds it, INFINITE if none does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from tpc.core.elementwise import Elementwise
from tpc.core.expr import (
    Add,
    Call,
    Compare,
    Expr,
    Mul,
    Number,
    Pow,
    Sum,
    Value,
    children,
    is_vector,
    neg,
    walk,
)
from tpc.core.functions import elementwise
from tpc.core.program import Instruction, MatMul, Moment, OuterMul, Program, instructions
from tpc.core.signs import nonnegative

TAME = 4  # the degree of integrands whose means have right errors at 2,048 points (tests/bench/claims.py)
INFINITE = math.inf
MOST = 64  # a degree that loops make larger than this is not bounded


@dataclass(frozen=True, slots=True)
class Growth:
    """How a value grows."""

    # of the bound, 0 of a scalar
    degree: float = 0
    # whether a mean that it depends on has an integrand of a degree above TAME
    heavy: bool = False
    # whether it depends on a function of vectors with a kink or a jump
    edged: bool = False
    # whether it depends on Gaussians, and on them in other ways than by jumps
    drawn: bool = False
    varies: bool = False


class Looks(NamedTuple):
    """Names of outputs."""

    # those that may have a heavy tail
    heavy: tuple[str, ...]
    # those that depend on a kink or a jump of vectors
    edged: tuple[str, ...]
    # those of which repeats may agree without rounding's having a part in that: what changes by jumps alone,
    # as the share of inputs that are told right, and what is looked at to see that a jump is none at 0, where
    # the spread of repeats is all that counts
    unrounded: tuple[str, ...]


def looks(program: Program) -> Looks:
    """What outputs ask for; of those that are looked at to see that a jump is none at 0, nothing."""
    drawn = Growth(1, drawn=True, varies=True)
    known = {name: drawn for group in program.gaussians for name in group.names}
    ops = [op for op, _ in instructions(program.body)]
    changed = True
    while changed:
        changed = False
        for op in ops:
            old, new = known.get(op.out.name, Growth()), _growth(op, known)
            both = _join((old, new))
            if both != old:
                known[op.out.name], changed = both, True
    found = [(o, known.get(o.ref.name, Growth())) for o in program.outputs]
    return Looks(
        tuple(o.name for o, g in found if g.heavy and not o.jump),
        tuple(o.name for o, g in found if g.edged and not o.jump),
        tuple(o.name for o, g in found if o.jump or (g.drawn and not g.varies)),
    )


def _growth(op: Instruction, known: dict[str, Growth]) -> Growth:
    if isinstance(op, MatMul):  # a Gaussian, and a combination of what the transpose has met
        own = known.get(op.operand.name, Growth())
        heavy = own.heavy or 2 * own.degree > TAME
        return Growth(max(1, own.degree), heavy, own.edged, drawn=True, varies=True)
    if isinstance(op, OuterMul) and op.vectors is not None:  # a combination of what its rows, or columns, are
        return _join(known.get(v.ref.name, Growth()) for v in walk(op.vectors) if isinstance(v, Value))
    if isinstance(op, OuterMul):
        table, operand = (known.get(ref.name, Growth()) for ref in (op.table, op.operand))
        both = _join((table, operand))
        degree = table.degree + operand.degree
        return replace(both, degree=degree, heavy=both.heavy or degree > TAME)
    parts = _join(known.get(v.ref.name, Growth()) for v in walk(op.phi) if isinstance(v, Value))
    degree = _degree(op.phi, known)
    edged = parts.edged or any(_edge(x) for x in walk(op.phi))
    varies = _varies(op.phi, known)
    if isinstance(op, Moment):
        return Growth(0, parts.heavy or degree > TAME, edged, parts.drawn, varies)
    return Growth(degree, parts.heavy, edged, parts.drawn, varies)


def _varies(x: Expr, known: dict[str, Growth]) -> bool:
    """Whether an expression depends on Gaussians in other ways than by jumps."""
    match x:
        case Value():
            return known.get(x.ref.name, Growth()).varies
        case Compare():
            return False
        case Call(function, arguments):
            slopes = elementwise(function).derivatives  # none by what it jumps in
            return any(
                slope is not None and _varies(a, known) for a, slope in zip(arguments, slopes, strict=True)
            )
        case _:
            return any(_varies(part, known) for part in children(x))


def _edge(x: Expr) -> bool:
    return isinstance(x, Call) and elementwise(x.function).shape != "smooth" and is_vector(x)


def _join(parts: Iterable[Growth]) -> Growth:
    found = list(parts)
    degree = max((g.degree for g in found), default=0)
    return Growth(
        degree if degree <= MOST else INFINITE,
        any(g.heavy for g in found),
        any(g.edged for g in found),
        any(g.drawn for g in found),
        any(g.varies for g in found),
    )


def _degree(x: Expr, known: dict[str, Growth]) -> float:
    """The degree that bounds an expression."""
    if isinstance(x, Value):
        return known.get(x.ref.name, Growth()).degree if x.vector else 0
    if not is_vector(x):
        return 0
    parts = [_degree(part, known) for part in children(x)]
    match x:
        case Add() | Sum():
            return max(parts, default=0)
        case Mul():
            return sum(parts)
        case Pow(_, Number(exponent)) if exponent >= 0:
            return parts[0] * float(exponent)
        case Pow(base, Number()) if _positive(base):
            return 0
        case Call("exp", (exponent,)) if nonnegative(neg(exponent)):
            return 0
        case Call(function, _):
            return _degree_of(elementwise(function), max(parts))
        case Pow():
            return INFINITE
        case Compare():
            return 0
        case _:
            return max(parts)


def _degree_of(function: Elementwise, degree: float) -> float:
    """The degree that bounds a function of what is bounded by one."""
    if function.bounded:
        return 0
    if function.degree is not None:
        return degree * float(function.degree)
    return degree if function.growth == "polynomial" else INFINITE


def _positive(x: Expr) -> bool:
    """Whether a vector is seen to stay above a positive number."""
    return isinstance(x, Add) and nonnegative(x) and any(isinstance(part, Number) for part in x.terms)
