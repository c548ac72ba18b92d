"""How often loops are run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpc.core.affine import Ranges, bounds
from tpc.core.dependence import is_parallel
from tpc.core.program import For, Program, instructions


def rounds_in_order(program: Program) -> int:
    """The rounds of loops that depend on each other, which covariances would write out: the most of any
    instruction."""
    return max((turns(loops, in_order=True) for _, loops in instructions(program.body)), default=0)


def total_rounds(program: Program) -> int:
    """The rounds of all loops around the instruction that has the most."""
    return max((turns(loops) for _, loops in instructions(program.body)), default=0)


def turns(loops: Sequence[For], *, in_order: bool = False) -> int:
    """How often the body of these loops is run, at most. in_order: counting only loops whose rounds depend
    on each other."""
    ranges: Ranges = ()
    counts = []
    for loop in loops:
        if not (in_order and is_parallel(loop, ranges)):
            counts.append(max(0, bounds(loop.count, ranges)[1]))
        ranges = (*ranges, (loop.variable, loop.count))
    return math.prod(counts)
