"""Families made index by index: each index once, and nothing used before it is made.

Exact, over all rounds of all loops.

Few rounds are gone through. Many are first reasoned about (`symbolic`), which settles indices like `x[t+1]`;
what that leaves open is gone through as well, up to a limit. Errors are always found by going through the
rounds, so that they name one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from tpc.core.affine import Affine, bounds
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic
from tpc.diagnostics.spans import Span
from tpc.syntax import certain as symbolic
from tpc.syntax.scope import Loop

MAX_MEMBERS = 20_000_000  # of a family that is declared, or gone through
MAX_FAMILY = 200_000_000  # of any family, and rounds of any definition
MAX_ROUNDS = 100_000_000  # gone through in one file
FEW = 4096  # rounds that are not worth reasoning about
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
class Reference:
    """A reference to members of a family, from an instruction at `stamp`.

    `loops` include the ranges of sums around it.
    """

    name: str
    index: tuple[Affine, ...]
    loops: tuple[Loop, ...]
    stamp: Affine
    span: Span


@dataclass(frozen=True)
class MadeFamily:
    """A family that `makings` make without fault."""

    shape: tuple[int, ...]
    makings: tuple[Making, ...]

    @cached_property
    def history(self) -> tuple[np.ndarray, np.ndarray]:
        """When each member is made, NEVER if it is not, and by which of `makings` (else -1)."""
        when, by = np.full(prod(self.shape), NEVER), np.full(prod(self.shape), -1, dtype=np.int32)
        for number, making in enumerate(self.makings):
            for grid in _grids(making.loops):
                columns = _columns(making.index, grid)
                flat = _flat(columns, self.shape, grid)
                when[flat] = making.stamp.over(grid)
                by[flat] = number
        return when.reshape(self.shape), by.reshape(self.shape)


def greatest(count: Affine, loops: Sequence[Loop]) -> int:
    """The largest value of `count` over the loops around it (at least 0)."""
    return max(
        0,
        count.const if not count.terms else bounds(count, [(loop.variable, loop.count) for loop in loops])[1],
    )


def instances(loops: Sequence[Loop]) -> int:
    """Rounds of nested loops, as if each had its largest count."""
    return prod(greatest(loop.count, loops[:i]) for i, loop in enumerate(loops))


class TooManyRoundsError(Exception):
    """There are more rounds to go through than can be."""


class Order:
    """Checks the families of one file.

    Problems are appended to `errors`; `made` has the families without any.

    Methods raise TooManyRoundsError, with an error appended, where they cannot tell.
    """

    def __init__(self, errors: list[Diagnostic]) -> None:
        self.errors = errors
        self.made: dict[str, MadeFamily] = {}
        self.left = MAX_ROUNDS

    def make(self, name: str, makings: Sequence[Making]) -> None:
        """The members that `makings` make: no index negative, none made twice, not too many."""
        rounds = sum(instances(making.loops) for making in makings)
        shape = symbolic.extents(makings) if rounds > FEW else None
        limit = MAX_MEMBERS if shape is None else MAX_FAMILY
        if shape is None:
            shape = self.extents(name, makings)
        if shape is None:
            return
        if prod(shape) > limit:
            self.errors.append(catalogue.indices.dim_size(makings[0].span, prod(shape), limit))
            return
        made = MadeFamily(shape, tuple(makings))
        if limit == MAX_FAMILY or self.once(name, made):
            self.made[name] = made

    def extents(self, name: str, makings: Sequence[Making]) -> tuple[int, ...] | None:
        top = [0] * len(makings[0].index)
        for making in makings:
            for grid in self.grids(making):
                for axis, column in enumerate(_columns(making.index, grid)):
                    if column.min() < 0:
                        at = int(np.argmin(column))
                        self.errors.append(
                            catalogue.indices.negative_target(
                                making.span, name, int(column[at]), _rounds(grid, at, making.loops)
                            )
                        )
                        return None
                    top[axis] = max(top[axis], int(column.max()) + 1)
        return tuple(top)

    def once(self, name: str, made: MadeFamily) -> bool:
        by = np.full(prod(made.shape), -1, dtype=np.int32)
        for number, making in enumerate(made.makings):
            for grid in _grids(making.loops):
                columns = _columns(making.index, grid)
                flat = _flat(columns, made.shape, grid)
                order = np.argsort(flat, kind="stable")
                taken = by[flat] >= 0
                taken[order[1:][flat[order[1:]] == flat[order[:-1]]]] = True
                if taken.any():
                    at = int(np.argmax(taken))
                    earlier = made.makings[by[flat[at]]].span if by[flat[at]] >= 0 else making.span
                    self.errors.append(
                        catalogue.indices.made_twice(
                            making.span, _member(name, columns, at), earlier, _rounds(grid, at, making.loops)
                        )
                    )
                    return False
                by[flat] = number
        return True

    def use(self, use: Reference) -> None:
        """Every instance of `use` is inside its family, and its member made before.

        Nothing is said of a family that has errors itself.
        """
        made = self.made.get(use.name)
        rounds = instances(use.loops)
        if made is None or (
            (rounds > FEW or prod(made.shape) > FEW) and symbolic.made_before(use, made.makings)
        ):
            return
        if prod(made.shape) > MAX_MEMBERS:
            self.errors.append(catalogue.indices.dim_size(use.span, prod(made.shape), MAX_MEMBERS))
            return
        when, by = made.history
        for grid in self.grids(use):
            columns = _columns(use.index, grid)
            if not self.inside(use, made.shape, grid, columns):
                return
            found = when[tuple(columns)] if columns else np.broadcast_to(when, (_size(grid),))
            late = found >= use.stamp.over(grid)
            if late.any():
                at = int(np.argmax(late))
                member, where = _member(use.name, columns, at), _rounds(grid, at, use.loops)
                if found[at] == NEVER:
                    self.errors.append(catalogue.indices.never_made(use.span, member, where))
                else:
                    maker = made.makings[int(by[tuple(c[at] for c in columns)])]
                    self.errors.append(catalogue.indices.from_the_future(use.span, member, where, maker.span))
                return

    def given(self, use: Reference, shape: tuple[int, ...]) -> None:
        """The same for a use of an input, a matrix or an initial vector.

        Their members are all there from the start.
        """
        rounds = instances(use.loops)
        if rounds > FEW and symbolic.within(use, shape):
            return
        for grid in self.grids(use):
            if not self.inside(use, shape, grid, _columns(use.index, grid)):
                return

    def whole(self, name: str, span: Span) -> None:
        """All members of a family, which is reported as a whole, are made."""
        made = self.made.get(name)
        if made is None:
            return
        loops = tuple(Loop(f"#{axis}", Affine(extent)) for axis, extent in enumerate(made.shape))
        self.use(
            Reference(name, tuple(Affine.var(loop.variable) for loop in loops), loops, Affine(NEVER), span)
        )

    def grids(self, event: Making | Reference) -> Iterator[Grid]:
        """The rounds of `event`, in pieces, up to the limit."""
        for rounds, grid in _pieces(event.loops):
            self.left -= rounds
            if self.left < 0:
                self.errors.append(
                    catalogue.indices.too_many_rounds(event.span, instances(event.loops), MAX_ROUNDS)
                )
                raise TooManyRoundsError
            if _size(grid):
                yield grid

    def inside(
        self, use: Reference, shape: tuple[int, ...], grid: Grid, columns: Sequence[np.ndarray]
    ) -> bool:
        for axis, (column, extent) in enumerate(zip(columns, shape, strict=True)):
            outside = (column < 0) | (column >= extent)
            if outside.any():
                at = int(np.argmax(outside))
                self.errors.append(
                    catalogue.indices.out_of_range(
                        use.span, use.name, axis, int(column[at]), extent, _rounds(grid, at, use.loops)
                    )
                )
                return False
        return True


def _grids(loops: Sequence[Loop]) -> Iterator[Grid]:
    """Values of the loop variables over all rounds, in pieces; no piece is empty."""
    return (grid for _, grid in _pieces(loops) if _size(grid))


def _pieces(loops: Sequence[Loop]) -> Iterator[tuple[int, Grid]]:
    """The same, each piece with what it costs to look at."""
    if not loops:
        yield 1, {}
        return
    extents = [greatest(loop.count, loops[:i]) for i, loop in enumerate(loops)]
    total = prod(extents)
    for start in range(0, total, CHUNK):
        end = min(start + CHUNK, total)
        flat = np.arange(start, end)
        grid: Grid = {}
        for loop, extent in reversed(list(zip(loops, extents, strict=True))):
            flat, grid[loop.variable] = np.divmod(flat, extent)
        inside = np.ones(end - start, dtype=bool)
        for loop in loops:
            if loop.count.terms:
                inside &= grid[loop.variable] < loop.count.over(grid)
        yield end - start, grid if inside.all() else {v: values[inside] for v, values in grid.items()}


def _size(grid: Grid) -> int:
    return len(next(iter(grid.values()))) if grid else 1


def _rounds(grid: Grid, at: int, loops: Sequence[Loop]) -> str:
    shown = [
        f"{loop.variable.split('#')[0]} = {grid[loop.variable][at]}"
        for loop in loops
        if not loop.variable.startswith("#")
    ]
    return f", at {', '.join(shown)}" if shown else ""


def _columns(index: Sequence[Affine], grid: Grid) -> list[np.ndarray]:
    return [np.broadcast_to(i.over(grid), (_size(grid),)) if grid else np.array([i.const]) for i in index]


def _flat(columns: Sequence[np.ndarray], shape: tuple[int, ...], grid: Grid) -> np.ndarray:
    """The place of each member among all of a family."""
    return np.ravel_multi_index(tuple(columns), shape) if columns else np.zeros(_size(grid), dtype=np.int64)


def _member(name: str, columns: Sequence[np.ndarray], at: int) -> str:
    return name + (f"[{', '.join(str(c[at]) for c in columns)}]" if columns else "")
