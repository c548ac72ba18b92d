"""Families whose members are made one from another, as arrays.

What is asked for at a variable's place is made of all members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.build import Maker, substituted
from tpc.train.records import ArrayExpr, CollectedStep, Index, Member
from tpc.train.scene import Scene

if TYPE_CHECKING:
    from tpc.train.forward import Forward

Place = tuple[int, ...]


@dataclass
class Members:
    """The members of the family `name`, and what is around the line that has made them."""

    forward: Forward
    name: str
    members: Mapping[Place, ArrayExpr]
    span: Span
    # the lengths of the axes that tell them apart, None if they are no array: a place is missing, or they
    # differ in shape or width
    counts: Place | None = field(init=False)
    whole: ArrayExpr | None = None

    def __post_init__(self) -> None:
        self.counts = counts_of(self.members, self.forward.scene)
        self.around = self.forward.around()

    def value(self) -> ArrayExpr:
        """The family. An entry at numbers is that of a member."""
        first, m = next(iter(self.members.values())), Maker(self.span)
        axes = len(next(iter(self.members)))
        own: tuple[Tree | None, ...] = (
            (None,) * axes if self.counts is None else tuple(map(m.number, self.counts))
        )
        width = next((v.width for v in self.members.values() if v.width is not None), first.width)
        return ArrayExpr(
            width, (*own, *first.shape), self.entry, members=dict(self.members), array=self.array
        )

    def entry(self, index: Index) -> Tree:
        place = tuple(map(self.forward.scene.integer, index[: len(next(iter(self.members)))]))
        member = self.members.get(place)  # type: ignore[arg-type]
        return self.array().at(index) if member is None else member.at(index[len(place) :])

    def array(self) -> ArrayExpr:
        """All members as one variable, made when it is first asked for."""
        if self.whole is None:
            if self.counts is None:
                raise RefusedError(catalogue.networks.network_ragged(self.span, self.name))
            with self.forward.back_to(self.around):
                self.whole = self.collected(self.counts)
        return self.whole

    def collected(self, counts: Place) -> ArrayExpr:
        forward, m = self.forward, Maker(self.span)
        values = [self.members[place] for place in product(*map(range, counts))]
        vector = next((v for v in values if v.width is not None), None)
        given, own = len(forward.axes), forward.own_axes(values[0].shape, m.number(0))
        at = tuple(m.name(a.variable) for a in own)
        zero = None if vector is None else tree.Chain(self.span, (m.number(0), vector.at(at)), ("*",))
        parts = tuple(
            Member(tuple(map(m.number, place)), v.at(at), None if v.width is not None else zero)
            for place, v in zip(product(*map(range, counts)), values, strict=True)
        )
        out = forward.var(
            self.name,
            None if vector is None else vector.width,
            [*map(m.number, counts), *(a.count for a in own)],
        )
        forward.steps.append(CollectedStep(out, (*forward.axes, *own), parts, self.span, given))
        return forward.of_var(out)


def counts_of(members: Mapping[Place, ArrayExpr], scene: Scene) -> Place | None:
    """The lengths of a family's axes, if all of its places have members of one shape."""
    counts = tuple(max(places) + 1 for places in zip(*members, strict=True))
    total = 1
    for count in counts:
        total *= count
    # a family is asked for this at each of its members
    widths = {v.width for v in members.values()} - {None}
    first, *others = {v.shape for v in members.values()}
    alike = all(a is not None for a in first) and all(same_shape(shape, first, scene) for shape in others)
    return counts if total == len(members) and len(widths) < 2 and alike else None


def same_shape(one: Sequence[Tree | None], other: Sequence[Tree | None], scene: Scene) -> bool:
    return len(one) == len(other) and all(
        a is not None and b is not None and scene.equal(a, b) for a, b in zip(one, other, strict=True)
    )


def member_by_member(
    forward: Forward, line: tree.Define, name: str, index: Sequence[Tree], env: dict[str, ArrayExpr]
) -> None:
    """A line of a network's body that makes a family one member from another."""
    members = dict(env[name].members or {}) if name in env else {}
    rounds: list[dict[str, Tree]] = [{}]
    for clause in line.clauses:
        count = forward.count(substituted(clause.count, rounds[0] if rounds else {}), len(rounds))
        rounds = [
            {**r, clause.variable.name: Maker(clause.span).number(k)} for r in rounds for k in range(count)
        ]
    unfinished = ArrayExpr(None, (None,) * len(index), no_entry(name, line), members=members)
    for r in rounds:
        place = tuple(forward.constant(substituted(i, r), name) for i in index)
        wish = "_".join([name, *map(str, place)])
        members[place] = forward.expr_named(substituted(line.value, r), wish, {**env, name: unfinished})
    env[name] = Members(forward, name, members, line.span).value() if members else unfinished


def no_entry(name: str, at: tree.Node) -> Callable[[Index], Tree]:
    def entry(index: Index) -> Tree:
        raise RefusedError(catalogue.networks.network_index(at.span, name))

    return entry


def place_of(
    forward: Forward, value: ArrayExpr, name: str, positions: Index, index: Sequence[Tree]
) -> Place | None:
    """Which member of a family made member by member is meant.

    None if that depends on variables, or is a part of it, and it can be an array. index: as written.
    """
    axes = len(next(iter(value.members or {})))
    if value.array is None:
        return tuple(forward.constant(i, name, written) for i, written in zip(positions, index, strict=True))[
            :axes
        ]
    place = tuple(number for i in positions[:axes] if (number := forward.scene.integer(i)) is not None)
    return place if len(place) == axes else None
