"""What instructions use of what others make.

References with the loops and sums around them, and loops whose rounds do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import Expr, Ref, Sum, Value
from tpc.core.places import may_meet
from tpc.core.program import For, Instruction, MatMul, OuterMul, instructions


def references(op: Instruction, ranges: Ranges) -> Iterator[tuple[Ref, Ranges]]:
    """Every use of a vector or scalar in `op`, with the ranges around it, outermost first.

    These are `ranges` and those of the sums.
    """
    if isinstance(op, MatMul):
        yield op.operand, ranges
    elif isinstance(op, OuterMul):
        yield op.table, ranges
        yield op.operand, ranges
        if op.vectors is not None:
            yield from expr_references(op.vectors, ranges)
    else:
        yield from expr_references(op.phi, ranges)


def expr_references(x: Expr, ranges: Ranges) -> Iterator[tuple[Ref, Ranges]]:
    return ((value.ref, inside) for value, inside in values_within(x, ranges))


def values_within(x: Expr, ranges: Ranges) -> Iterator[tuple[Value, Ranges]]:
    """Every vector and scalar in `x`, with `ranges` and those of the sums around it."""
    if isinstance(x, Value):
        yield x, ranges
    inner = (*ranges, (x.variable, x.count)) if isinstance(x, Sum) else ranges
    for part in x.parts:
        yield from values_within(part, inner)


def is_parallel(loop: For, outer: Ranges) -> bool:
    """Whether no round of `loop` uses what another round makes, so that all may be run at once."""
    inner = [
        (op, (*outer, (loop.variable, loop.count), *((r.variable, r.count) for r in around)))
        for op, around in instructions(loop.body)
    ]
    made: dict[str, list[tuple[Ref, Ranges]]] = {}
    for op, ranges in inner:
        made.setdefault(op.out.name, []).append((op.out, ranges))
    free = {loop.variable, *(variable for variable, _ in outer)}
    for op, around in inner:
        for used, ranges in references(op, around):
            if any(
                not _apart(used, ranges, out, wide, loop.variable, free)
                for out, wide in made.get(used.name, ())
            ):
                return False
    return True


def _apart(used: Ref, ranges: Ranges, out: Ref, wide: Ranges, variable: str, free: set[str]) -> bool:
    """Whether `used` in one round is certainly not `out` of another one.

    It is not, if in some position both have one index that tells the rounds apart, or the values of the two
    indices have nothing in common.
    """
    for i, j in zip(used.index, out.index, strict=True):
        if isinstance(i, Affine) and i == j and i.coefficient(variable) and i.variables <= free:
            return True
        if not may_meet(i, ranges, j, wide):
            return True
    return False
