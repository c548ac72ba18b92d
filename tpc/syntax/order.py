"""Families made index by index: each index once, and nothing used before it is made. Checked exactly, over all rounds of all loops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tpc.affine import Affine
from tpc.syntax import catalogue
from tpc.syntax.diagnostic import Diagnostic
from tpc.syntax.scope import Loop
from tpc.syntax.spans import Span

MAX_MEMBERS = 20_000_000
MAX_INSTANCES = 200_000_000
CHUNK = 1 << 20
NEVER = np.iinfo(np.int64).max
Grid = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Making:
    """A definition of members of a family: `stamp` tells, in loop variables, when."""

    name: str
    index: tuple[Affine, ...]
    loops: tuple[Loop, ...]
    stamp: Affine
    span: Span


@dataclass(frozen=True, slots=True)
class Use:
    """A reference to members of a family, from an instruction at `stamp`; `loops` include the ranges of sums around it."""

    name: str
    index: tuple[Affine, ...]
    loops: tuple[Loop, ...]
    stamp: Affine
    span: Span


@dataclass(frozen=True, slots=True)
class Made:
    """When each member of a family is made, NEVER if it is not, and by which of `makings`."""

    when: np.ndarray
    by: np.ndarray
    makings: tuple[Making, ...]


def greatest(count: Affine, loops: Sequence[Loop]) -> int:
    """The largest value of `count` over the loops around it (at least 0)."""
    out = count
    for loop in reversed(loops):
        k = out.coefficient(loop.variable)
        if k:
            last = loop.count + -1 if k > 0 else Affine(0)
            out = out.substitute({loop.variable: last})
    return max(0, out.const)


def instances(loops: Sequence[Loop]) -> int:
    total = 1
    for i, loop in enumerate(loops):
        total *= greatest(loop.count, loops[:i])
    return total


def grids(loops: Sequence[Loop]) -> Iterator[Grid]:
    """Values of the loop variables over all instances, in pieces."""
    extents = [greatest(loop.count, loops[:i]) for i, loop in enumerate(loops)]
    if 0 in extents:
        return
    total = int(np.prod(extents, dtype=np.int64)) if extents else 1
    for start in range(0, total, CHUNK):
        flat = np.arange(start, min(start + CHUNK, total))
        grid: Grid = {}
        for loop, values in zip(loops, np.unravel_index(flat, extents) if extents else (), strict=True):
            grid[loop.variable] = values
        inside = np.ones(len(flat), dtype=bool)
        for loop in loops:
            if loop.count.terms:
                inside &= grid[loop.variable] < loop.count.over(grid)
        yield grid if inside.all() else {v: values[inside] for v, values in grid.items()}


def _rounds(grid: Grid, at: int, loops: Sequence[Loop]) -> str:
    shown = [f"{loop.variable.split('#')[0]} = {grid[loop.variable][at]}" for loop in loops if not loop.variable.startswith("#")]
    return f", at {', '.join(shown)}" if shown else ""


def _columns(index: Sequence[Affine], grid: Grid) -> list[np.ndarray]:
    size = len(next(iter(grid.values()))) if grid else 1
    return [np.broadcast_to(i.over(grid), (size,)) for i in index]


def _member(name: str, columns: Sequence[np.ndarray], at: int) -> str:
    return name + (f"[{', '.join(str(c[at]) for c in columns)}]" if columns else "")


def make(name: str, makings: Sequence[Making], errors: list[Diagnostic]) -> Made | None:
    """The members that `makings` make. Appends an error and gives None if an index is negative, made twice, or too large."""
    shape = _shape(name, makings, errors)
    if shape is None:
        return None
    when = np.full(shape, NEVER)
    by = np.full(shape, -1, dtype=np.int32)
    for number, making in enumerate(makings):
        for grid in grids(making.loops):
            columns = _columns(making.index, grid)
            size = len(columns[0]) if columns else len(next(iter(grid.values()))) if grid else 1
            stamp = np.broadcast_to(making.stamp.over(grid), (size,))
            if not size:
                continue
            flat = np.ravel_multi_index(tuple(columns), shape) if shape else np.zeros(size, dtype=np.int64)
            taken = when.reshape(-1)[flat] != NEVER
            order = np.argsort(flat, kind="stable")
            taken[order[1:][flat[order[1:]] == flat[order[:-1]]]] = True
            if taken.any():
                at = int(np.argmax(taken))
                earlier = int(by.reshape(-1)[flat[at]])
                errors.append(catalogue.made_twice(making.span, _member(name, columns, at), makings[earlier].span if earlier >= 0 else making.span,
                                                   _rounds(grid, at, making.loops)))
                return None
            when.reshape(-1)[flat] = stamp
            by.reshape(-1)[flat] = number
    return Made(when, by, tuple(makings))


def _shape(name: str, makings: Sequence[Making], errors: list[Diagnostic]) -> tuple[int, ...] | None:
    top = [0] * len(makings[0].index)
    for making in makings:
        if instances(making.loops) > MAX_INSTANCES:
            errors.append(catalogue.dim_size(making.span, instances(making.loops), MAX_INSTANCES))
            return None
        for grid in grids(making.loops):
            for axis, column in enumerate(_columns(making.index, grid)):
                if not len(column):
                    continue
                if column.min() < 0:
                    at = int(np.argmin(column))
                    errors.append(catalogue.negative_target(making.span, name, int(column[at]), _rounds(grid, at, making.loops)))
                    return None
                top[axis] = max(top[axis], int(column.max()) + 1)
    members = int(np.prod([float(t) for t in top]))
    if members > MAX_MEMBERS:
        errors.append(catalogue.dim_size(makings[0].span, members, MAX_MEMBERS))
        return None
    return tuple(top)


def check_use(use: Use, made: Made, errors: list[Diagnostic]) -> None:
    """Appends an error if an instance of `use` is outside the family or before its member is made."""
    if instances(use.loops) > MAX_INSTANCES:
        errors.append(catalogue.dim_size(use.span, instances(use.loops), MAX_INSTANCES))
        return
    for grid in grids(use.loops):
        columns = _columns(use.index, grid)
        if not check_range(use, made.when.shape, grid, columns, errors):
            return
        size = len(columns[0]) if columns else len(next(iter(grid.values()))) if grid else 1
        when = made.when[tuple(columns)] if columns else np.broadcast_to(made.when, (size,))
        late = when >= np.broadcast_to(use.stamp.over(grid), (size,))
        if late.any():
            at = int(np.argmax(late))
            member, rounds = _member(use.name, columns, at), _rounds(grid, at, use.loops)
            if when[at] == NEVER:
                errors.append(catalogue.never_made(use.span, member, rounds))
            else:
                by = int(made.by[tuple(c[at] for c in columns)])
                errors.append(catalogue.from_the_future(use.span, member, rounds, made.makings[by].span))
            return


def check_given(use: Use, shape: tuple[int, ...], errors: list[Diagnostic]) -> None:
    """The same for an input, a matrix or an initial vector, whose members are all there from the start."""
    if instances(use.loops) > MAX_INSTANCES:
        errors.append(catalogue.dim_size(use.span, instances(use.loops), MAX_INSTANCES))
        return
    for grid in grids(use.loops):
        if not check_range(use, shape, grid, _columns(use.index, grid), errors):
            return


def check_range(use: Use, shape: tuple[int, ...], grid: Grid, columns: Sequence[np.ndarray], errors: list[Diagnostic]) -> bool:
    for axis, (column, extent) in enumerate(zip(columns, shape, strict=True)):
        outside = (column < 0) | (column >= extent)
        if outside.any():
            at = int(np.argmax(outside))
            errors.append(catalogue.out_of_range(use.span, use.name, axis, int(column[at]), extent, _rounds(grid, at, use.loops)))
            return False
    return True
