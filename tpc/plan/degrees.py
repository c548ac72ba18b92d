"""The degrees of all polynomials in a run of a program.

Loops are followed round by round, with supports in place of vectors.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product

import numpy as np

from tpc.core.expr import ZERO, Gather, OuterProduct
from tpc.core.printer import as_written
from tpc.core.program import (
    For,
    Gaussians,
    Instruction,
    MatMul,
    Moment,
    Nonlin,
    Op,
    OuterMul,
    OuterNonlin,
    Product,
    Program,
    loop_ranges,
)
from tpc.plan.gaussians import Confined, Layout, Side
from tpc.plan.sectors import Sectors
from tpc.plan.support import (
    Key,
    MaybeSupport,
    Support,
    constant,
    correlated,
    gaussian,
    key,
    keys_read,
    of_expression,
    plus,
    times,
)

# instructions, and pairs of a vector and a direction, all rounds counted
MAX_FOLLOWED, MAX_PAIRS = 20_000, 200_000
MAX_DEGREE = 1000  # in one Gaussian; E g^302 is about the greatest float64
MAX_POINTS = 2**30  # of one sector
Round = tuple[int, ...]  # of a loop that is run at once: its place, and the variables around it
Member = tuple[int, ...]  # of a family of matrices


class TooMuchError(Exception):
    """The degrees, or the instructions, are more than can be followed.

    The message completes "chaos would need …".
    """


@dataclass(frozen=True, slots=True)
class Instance:
    """One instruction of one round."""

    op: Instruction
    at: Mapping[str, int]
    confined_to: Round | None

    @property
    def out(self) -> Key:
        return key(self.op.out, self.at)

    def reads(self) -> Iterable[Key]:
        return (
            [key(self.op.operand, self.at)]
            if isinstance(self.op, Product)
            else keys_read(self.op.phi, self.at)
        )


@dataclass(frozen=True, slots=True)
class Degrees:
    """How high the polynomials are that a program integrates."""

    # the greatest power of every Gaussian, sector by sector, in any polynomial that is integrated
    need: list[list[int]]
    # how many instructions were
    followed: int


def degrees(program: Program, layout: Layout, sectors: Sectors, confined: Confined) -> Degrees:
    """What has to be integrated for the outputs. Raises TooMuchError."""
    found = list(islice(_instances(program.body, {}, (), (), confined), MAX_FOLLOWED + 1))
    follower = _Follower(program, layout, sectors)
    if len(found) > MAX_FOLLOWED:
        follower.follow(found)  # to say which degree is too high, if one is
        raise TooMuchError(f"more than {MAX_FOLLOWED:,} instructions to be followed round by round")
    needed = _needed(program, found)
    follower.follow(found, needed)
    return Degrees(follower.by_sector(follower.rules()), len(needed))


def _instances(
    body: Sequence[Op], at: Mapping[str, int], loops: tuple[For, ...], path: Round, confined: Confined
) -> Iterator[Instance]:
    for k, op in enumerate(body):
        if isinstance(op, For):
            for t in range(op.count.at(at)):
                yield from _instances(op.body, {**at, op.variable: t}, (*loops, op), (*path, k), confined)
        elif first := confined.get((op.out, loop_ranges(loops))):
            yield Instance(op, at, (*path[:first], *(at[loop.variable] for loop in loops[:first])))
        else:
            yield Instance(op, at, None)


def _needed(program: Program, found: Sequence[Instance]) -> set[int]:
    """The instances on which an output depends, by position.

    What the last round makes for a next one that does not come is none of them.
    """
    wanted: set[Key] = set()
    choices: dict[str, set[Key]] = defaultdict(set)  # members that an input chooses, of every family

    def want(member: Key) -> None:
        wanted.add(member)
        if None in member[1]:
            choices[member[0]].add(member)

    for output in program.outputs:
        for index in product(*(range(n) for _, n in output.axes)):
            want(key(output.ref, dict(zip([v for v, _ in output.axes], index, strict=True))))
    live = set()
    for place in reversed(range(len(found))):
        out = found[place].out
        if out in wanted or any(_matches(pattern, out) for pattern in choices[out[0]]):
            live.add(place)
            for read in found[place].reads():
                want(read)
    return live


def _matches(pattern: Key, member: Key) -> bool:
    return all(p is None or p == i for p, i in zip(pattern[1], member[1], strict=True))


@dataclass(slots=True)
class _Basis:
    """The products of one side of one matrix.

    The Gaussian of each, and the support of what was multiplied (None if 0 or of no consequence).
    """

    rows: list[int] = field(default_factory=list)
    met: list[MaybeSupport] = field(default_factory=list)


class _Follower:
    """Follows instances, and notes the degrees of what is integrated."""

    def __init__(self, program: Program, layout: Layout, sectors: Sectors) -> None:
        self.layouts = [sectors.layout(layout, k) for k in range(sectors.count)]
        self.offsets = [sum(part.total for part in self.layouts[:k]) for k in range(sectors.count)]
        self.total = sum(part.total for part in self.layouts)
        self.sectors = sectors
        self.axes = {m.name: tuple(n for _, n in m.axes) for m in program.matrices}
        self.one = constant(self.total)
        self.need = np.zeros(self.total, dtype=np.int64)
        self.pairs = 0
        self.values: dict[Key, MaybeSupport] = {}
        self.members: dict[str, list[Key]] = defaultdict(list)
        self.scalars = {item.name for item in program.inputs}
        self.own: dict[tuple[Side, Member], _Basis] = defaultdict(_Basis)
        self.extra: dict[tuple[Side, Member, Round], _Basis] = defaultdict(_Basis)
        self.places = {
            (extra, side): rows
            for k in range(sectors.count)
            for extra in (False, True)
            for side, rows in self._rows(k, extra).items()
        }
        for group in program.gaussians:
            self._initial(group)

    # Gaussians

    def _rows(self, sector: int, extra: bool) -> dict[Side, list[int]]:
        """The Gaussians of every side, in the order in which its members' bases take them.

        Those of all sides lie in turns.
        """
        part = self.layouts[sector]
        table = part.extra if extra else part.capacity
        start = self.offsets[sector] + part.first_direction
        if extra:
            start += sum(k * part.members[side[0]] for side, k in part.capacity.items())
        turns = sorted(
            (row, group)
            for group, (side, k) in enumerate(table.items())
            for row in range(k * part.members[side[0]])
        )
        return {
            side: [start + place for place, (_, of) in enumerate(turns) if of == group]
            for group, side in enumerate(table)
        }

    def _initial(self, group: Gaussians) -> None:
        sector = self.sectors.vectors.get(group.names[0], 0)
        start = self.offsets[sector] + self.layouts[sector].initial[group.names[0]].start
        size = len(group.names)
        for place, index in enumerate(product(*(range(n) for _, n in group.axes))):
            for i, (name, involved) in enumerate(zip(group.names, _root(group), strict=True)):
                parts: list[MaybeSupport] = [gaussian(self.total, start + place * size + j) for j in involved]
                self._set((name, index), plus([*parts, self.one] if group.mean[i] != ZERO else parts))

    def rules(self) -> np.ndarray:
        """The degrees to be integrated.

        A basis takes its Gaussians in order, one for a new direction: each may stand for any that comes
        later.
        """
        need = self.need.copy()
        for table, places in self.places.items():
            k = self._capacity(*table)
            for first in range(0, len(places), k or 1):
                rows = places[first : first + k]
                need[rows] = np.maximum.accumulate(need[rows][::-1])[::-1]
        return need

    def _capacity(self, extra: bool, side: Side) -> int:
        part = self.layouts[self.sectors.outputs.get(side, 0)]
        return (part.extra if extra else part.capacity)[side]

    # instructions

    def follow(self, found: Sequence[Instance], live: set[int] | None = None) -> None:
        for place, instance in enumerate(found):
            alive = live is None or place in live
            if isinstance(instance.op, MatMul):
                self._product(instance, instance.op, alive)
            elif alive and isinstance(instance.op, OuterMul):
                self._set(instance.out, self._checked(self._combination(instance.op, instance.at), instance))
            elif alive and not isinstance(instance.op, Product | OuterNonlin):
                value = of_expression(instance.op.phi, instance.at, self._get, self.one)
                if isinstance(instance.op, Moment):
                    value = self._mean(value, instance)
                self._set(
                    instance.out, self._checked(value, instance) if isinstance(instance.op, Nonlin) else value
                )

    def _combination(self, op: OuterMul, at: Mapping[str, int]) -> MaybeSupport:
        """The support of a product of a table in factors: of all that its rows, or its columns, are."""
        assert isinstance(op.vectors, OuterProduct)
        far = op.vectors.parts[1 if op.transposed else 0]
        return of_expression(far, at, self._get, self.one)

    def _get(self, member: Key) -> MaybeSupport:
        if member[0] in self.scalars:
            return self.one
        if None not in member[1]:
            return self.values[member]
        return plus(self.values[other] for other in self.members[member[0]] if _matches(member, other))

    def _set(self, member: Key, value: MaybeSupport) -> None:
        self.values[member] = value
        self.members[member[0]].append(member)

    def _checked(self, value: MaybeSupport, instance: Instance) -> MaybeSupport:
        if value is not None and value.degree.max(initial=0) > MAX_DEGREE:
            raise TooMuchError(
                f"polynomials of degree over {MAX_DEGREE} (`{as_written(instance.op.out)}`, "
                f"{instance.op.origin})"
            )
        return value

    def _mean(self, value: MaybeSupport, instance: Instance) -> MaybeSupport:
        """The support of a number, E value, for which a rule has to be good enough.

        Unless it is 0 by symmetry.
        """
        self._checked(value, instance)
        if value is None or not value.has_mean:
            return None
        need = np.maximum(self.need, value.degree)
        if np.any(need != self.need):
            self.need = need
            for points in points_of(self.by_sector(need)):
                if points > MAX_POINTS:
                    raise TooMuchError(
                        f"more than {MAX_POINTS:.0e} points (`{as_written(instance.op.out)}`, "
                        f"{instance.op.origin})"
                    )
        return self.one

    def _count(self, pairs: int) -> None:
        self.pairs += pairs
        if self.pairs > MAX_PAIRS:
            raise TooMuchError(f"more than {MAX_PAIRS:,} pairs of a vector and a direction to be followed")

    def by_sector(self, rows: np.ndarray) -> list[list[int]]:
        """Numbers of all Gaussians, those of one sector together."""
        return [
            rows[start : start + part.total].tolist()
            for start, part in zip(self.offsets, self.layouts, strict=True)
        ]

    def _product(self, instance: Instance, op: MatMul, alive: bool) -> None:
        """ZMatMul. A product of no consequence takes its Gaussian all the same."""
        x = self._get(key(op.operand, instance.at)) if alive else None
        side = op.matrix.name, op.transposed
        parts: list[MaybeSupport] = []
        for member in self._matrices(op, instance.at):
            bases = self._bases(side, member, instance.confined_to)
            extra = instance.confined_to is not None
            places, capacity = self.places[extra, side], self._capacity(extra, side)
            slot = min(len(bases[-1].rows), capacity - 1)
            bases[-1].rows.append(places[self._flat(op, member) * capacity + slot])
            bases[-1].met.append(x)
            if alive and x is not None:
                parts += self._hat(x, bases, instance)
                parts += self._dot(
                    x, self._bases((side[0], not side[1]), member, instance.confined_to), instance
                )
        if alive:
            self._set(instance.out, self._checked(plus(parts), instance))

    def _matrices(self, op: MatMul, at: Mapping[str, int]) -> Iterable[Member]:
        """The member that is multiplied, or all that an input may choose."""
        choices = [
            range(n) if isinstance(i, Gather) else [i.at(at)]
            for i, n in zip(op.matrix.index, self.axes[op.matrix.name], strict=True)
        ]
        return product(*choices)

    def _flat(self, op: MatMul, member: Member) -> int:
        shape = self.axes[op.matrix.name]
        return int(np.ravel_multi_index(member, shape)) if shape else 0

    def _bases(self, side: Side, member: Member, confined_to: Round | None) -> list[_Basis]:
        own = [self.own[side, member]] if (False, side) in self.places else []
        return own + (
            [self.extra[side, member, confined_to]]
            if confined_to is not None and (True, side) in self.places
            else []
        )

    def _hat(self, x: Support, bases: Sequence[_Basis], instance: Instance) -> Iterator[MaybeSupport]:
        """Ẑ: the Gaussians of the directions that x has a part along."""
        along = False
        for basis in bases:
            self._count(len(basis.rows))
            for row, y in zip(basis.rows, basis.met, strict=True):
                if self._mean(times(x, y), instance) is not None:
                    along = True
                if along:
                    yield gaussian(self.total, row)

    def _dot(self, x: Support, bases: Sequence[_Basis], instance: Instance) -> Iterator[MaybeSupport]:
        """Ż: the directions whose Gaussians x is correlated with, and those that they were made from.

        These are the ones before them in their bases.
        """
        for basis in bases:
            self._count(len(basis.rows))
            last = -1
            for place, row in enumerate(basis.rows):
                if correlated(x, gaussian(self.total, row)):
                    self._mean(times(x, gaussian(self.total, row)), instance)
                    last = place
            yield from basis.met[: last + 1]


def points_of(need: Sequence[Sequence[int]]) -> list[int]:
    """How many points the product of rules has in every sector: n of them integrate degree 2n - 1."""
    return [math.prod(k // 2 + 1 for k in sector) for sector in need]


def _root(group: Gaussians) -> list[list[int]]:
    """Which of its independent Gaussians each vector of a joint group is made of.

    The nonzero entries of a triangular root of the covariance."""
    rows: list[list[int]] = []
    for i, covariances in enumerate(group.covariance):
        own: list[int] = []
        for j in range(i):
            if covariances[j] != ZERO or set(own) & set(rows[j]):
                own.append(j)
        rows.append([*own, i])
    return rows
