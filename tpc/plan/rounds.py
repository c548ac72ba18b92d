"""How often loops are run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpc.core.affine import Ranges, bounds
from tpc.core.dependence import is_parallel
from tpc.core.program import For, Op, Program


def rounds_in_order(program: Program) -> int:
    """The rounds of loops that depend on each other, which covariances would write out.

    The most of any instruction.
    """
    return _most(program.body, (), 1, in_order=True)


def total_rounds(program: Program) -> int:
    """The rounds of all loops around the instruction that has the most."""
    return _most(program.body, (), 1, in_order=False)


def turns(loops: Sequence[For]) -> int:
    """How often the body of these loops is run, at most."""
    ranges = tuple((loop.variable, loop.count) for loop in loops)
    return math.prod(max(0, bounds(count, ranges[:k])[1]) for k, (_, count) in enumerate(ranges))


def _most(body: Sequence[Op], outer: Ranges, rounds: int, *, in_order: bool) -> int:
    """The most rounds of an instruction in `body`, which is run `rounds` times itself.

    in_order: counting only loops whose rounds depend on each other. Each loop is looked at once."""
    most = 0
    for op in body:
        if not isinstance(op, For):
            most = max(most, rounds)
            continue
        counts = not (in_order and is_parallel(op, outer))
        times = max(0, bounds(op.count, outer)[1]) if counts else 1
        most = max(most, _most(op.body, (*outer, (op.variable, op.count)), rounds * times, in_order=in_order))
    return most
