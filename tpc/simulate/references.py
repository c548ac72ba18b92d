"""The members of families that an instruction uses, with the loops and sums around each use."""

from __future__ import annotations

from collections.abc import Iterator

from tpc.core.expr import Expr, Ref, Sum, Value, children
from tpc.core.program import Instruction, MatMul
from tpc.core.ranges import Ranges


def references(op: Instruction, ranges: Ranges) -> Iterator[tuple[Ref, Ranges]]:
    """Every use of a vector or scalar in `op`, with `ranges` and the ranges of the sums around it, outermost first."""
    if isinstance(op, MatMul):
        yield op.operand, ranges
    else:
        yield from expr_references(op.phi, ranges)


def expr_references(x: Expr, ranges: Ranges) -> Iterator[tuple[Ref, Ranges]]:
    if isinstance(x, Value):
        yield x.ref, ranges
        return
    inner = (*ranges, (x.variable, x.count)) if isinstance(x, Sum) else ranges
    for part in children(x):
        yield from expr_references(part, inner)
