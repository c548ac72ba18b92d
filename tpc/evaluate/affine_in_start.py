"""Which outputs are affine in some inputs, and which depend on them, seen from the instructions."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tpc.core.expr import Add, Call, Expr, Mul, Number, Pow, Sum, Value, children
from tpc.core.program import Instruction, MatMul, OuterMul, Program, instructions

OTHER = 2  # a degree: not affine


def affine_outputs(program: Program, names: Collection[str]) -> set[str]:
    """The outputs that are affine in the inputs `names`, seen from the instructions."""
    return {name for name, degree in _degrees(program, names).items() if degree < OTHER}


def dependent_outputs(program: Program, names: Collection[str]) -> set[str]:
    """The outputs that depend on the inputs `names`, seen from the instructions."""
    return {name for name, degree in _degrees(program, names).items() if degree > 0}


def _degrees(program: Program, names: Collection[str]) -> dict[str, int]:
    """The degree of every output in the inputs `names`, OTHER if it is not known to be less."""
    degrees = dict.fromkeys(names, 1)
    ops = [op for op, _ in instructions(program.body)]
    changed = True
    while changed:
        changed = False
        for op in ops:
            own = _degree_of(op, degrees)
            if own > degrees.get(op.out.name, 0):
                degrees[op.out.name] = own
                changed = True
    return {output.name: degrees.get(output.ref.name, 0) for output in program.outputs}


def _degree_of(op: Instruction, degrees: Mapping[str, int]) -> int:
    if isinstance(op, MatMul):
        return degrees.get(op.operand.name, 0)
    if isinstance(op, OuterMul):
        return min(OTHER, degrees.get(op.table.name, 0) + degrees.get(op.operand.name, 0))
    return _degree(op.phi, degrees)


def _degree(x: Expr, degrees: Mapping[str, int]) -> int:
    if isinstance(x, Value):
        return degrees.get(x.ref.name, 0)
    parts = [_degree(part, degrees) for part in children(x)]
    match x:
        case Add() | Sum():
            return max(parts, default=0)
        case Mul():
            return min(sum(parts), OTHER)
        case Pow(_, Number(exponent)) if exponent == 1:
            return parts[0]
        case Call("where", _):
            return OTHER if parts[0] else max(parts[1:])
        case _:
            return OTHER if any(parts) else 0
