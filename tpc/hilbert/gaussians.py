"""The standard Gaussians of a program: which initial vectors and which directions of which matrices have which."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tpc.affine import bounds
from tpc.core.expr import Gather
from tpc.core.program import For, Gaussians, MatMul, Program, instructions

Side = tuple[str, bool]                                # a matrix, and whether it is its transpose that multiplies
Confined = Mapping[int, tuple[tuple[For, ...], int]]   # see `lay_out`


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
    """initial: the rows of every group of initial vectors, by its first name. capacity: the directions of one matrix of a family, by side.
    extra: the directions that products of vectors confined to one round may add, shared by all rounds. total: the number of all rows.
    rows: how many vectors a matrix is multiplied to at once, where it is several."""

    initial: Mapping[str, Rows]
    capacity: Mapping[Side, int]
    extra: Mapping[Side, int]
    members: Mapping[str, int]
    rows: int = 1

    @property
    def first_direction(self) -> int:
        return max((rows.stop for rows in self.initial.values()), default=0)

    @property
    def total(self) -> int:
        directions = sum(k * self.members[matrix] for side in (self.capacity, self.extra) for (matrix, _), k in side.items())
        return self.first_direction + directions


def group_size(group: Gaussians) -> int:
    return len(group.names) * math.prod(count for _, count in group.axes)


def products(op: MatMul, loops: tuple[For, ...], first: int = 0) -> int:
    """How many times one matrix of the family is multiplied by this instruction in the loops from the first one on, at most."""
    own = {v for i in op.matrix.index if not isinstance(i, Gather) for v in i.variables}
    gathered = any(isinstance(i, Gather) for i in op.matrix.index)
    ranges = tuple((loop.variable, loop.count) for loop in loops)
    counts = [max(0, bounds(loop.count, ranges[:i])[1]) for i, loop in enumerate(loops)
              if i >= first and (gathered or loop.variable not in own)]
    return math.prod(counts)


def lay_out(program: Program, confined: Confined, limit: int | None) -> Layout:
    """confined: for products whose vectors stay in one round of a parallel loop (by `id` of the instruction), the loops around, and how many of them
    lead up to that one."""
    initial: dict[str, Rows] = {}
    start = 0
    for group in program.gaussians:
        initial[group.names[0]] = Rows(start, group_size(group))
        start += group_size(group)
    capacity: dict[Side, int] = {}
    extra: dict[Side, int] = {}
    for op, loops in instructions(program.body):
        if isinstance(op, MatMul):
            table, (around, first) = (extra, confined[id(op)]) if id(op) in confined else (capacity, (loops, 0))
            side = op.matrix.name, op.transposed
            table[side] = table.get(side, 0) + products(op, around, first)
    members = {m.name: math.prod(count for _, count in m.axes) for m in program.matrices}
    if limit is not None:
        capacity = {side: min(k, limit) for side, k in capacity.items()}
    return Layout(initial, capacity, extra, members)
