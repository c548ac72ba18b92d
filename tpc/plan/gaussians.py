"""The standard Gaussians of a program.

They belong to initial vectors and to directions of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tpc.core.affine import Ranges
from tpc.core.expr import Ref
from tpc.core.program import Gaussians, MatMul, Program, instructions, loop_ranges
from tpc.plan.matrix_members import multiplied

Side = tuple[str, bool]  # a matrix, and whether it is its transpose that multiplies
RefInLoops = tuple[Ref, Ranges]  # what an instruction makes in which loops, which no other one makes
Confined = Mapping[RefInLoops, int]  # see `lay_out`


@dataclass(frozen=True, slots=True)
class Rows:
    """A run of standard Gaussians, `start` … `start + count − 1`."""

    start: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Layout:
    """Which vectors and directions have which standard Gaussians."""

    # the rows of every group of initial vectors, by its first name
    initial: Mapping[str, Rows]
    # the directions of one matrix of a family, by side: as many as the one that is multiplied most often may
    # meet
    capacity: Mapping[Side, int]
    # the directions that products of vectors confined to one round may add, shared by all rounds
    extra: Mapping[Side, int]
    # the matrices of a family
    members: Mapping[str, int]
    # how many vectors a matrix is multiplied to at once, where it is several
    rows: int = 1

    @property
    def first_direction(self) -> int:
        return max((rows.stop for rows in self.initial.values()), default=0)

    @property
    def directions(self) -> int:
        """The directions that last, of all matrices."""
        return sum(k * self.members[matrix] for (matrix, _), k in self.capacity.items())

    @property
    def total(self) -> int:
        """The number of all rows."""
        directions = sum(
            k * self.members[matrix]
            for side in (self.capacity, self.extra)
            for (matrix, _), k in side.items()
        )
        return self.first_direction + directions


def group_size(group: Gaussians) -> int:
    return len(group.names) * math.prod(count for _, count in group.axes)


def lay_out(program: Program, confined: Confined, limit: int | None) -> Layout:
    """The layout of a program's Gaussians.

    confined: for products whose vectors stay in one round of a parallel loop, by what they make, how many of
    the loops around lead up to that one.
    """
    initial: dict[str, Rows] = {}
    start = 0
    for group in program.gaussians:
        initial[group.names[0]] = Rows(start, group_size(group))
        start += group_size(group)
    shapes = {m.name: tuple(count for _, count in m.axes) for m in program.matrices}
    met: dict[Side, np.ndarray] = {}
    met_extra: dict[Side, np.ndarray] = {}
    for op, loops in instructions(program.body):
        if isinstance(op, MatMul):
            first = confined.get((op.out, loop_ranges(loops)), 0)
            table = met_extra if first else met
            side, times = (
                (op.matrix.name, op.transposed),
                multiplied(op, shapes[op.matrix.name], loops, first),
            )
            table[side] = table[side] + times if side in table else times
    capacity, extra = (
        {side: int(times.max(initial=0)) for side, times in table.items()} for table in (met, met_extra)
    )
    members = {name: math.prod(shape) for name, shape in shapes.items()}
    if limit is not None:
        capacity = {side: min(k, limit) for side, k in capacity.items()}
    return Layout(initial, capacity, extra, members)
