"""What the passes over networks pass on.

Variables, values, the steps of a forward pass, and what a network's weights have become at some time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tpc.diagnostics.spans import Span
from tpc.syntax.tree import Range, Tree
from tpc.train.build import Maker, is_number

if TYPE_CHECKING:
    from tpc.train.descent import Descent

Index = tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class FiniteAxis:
    """A finite axis: its variable, and its length as written (None: not known here)."""

    variable: str
    count: Tree


@dataclass(frozen=True, slots=True)
class Var:
    """A family that a forward or backward pass makes, once for each round of the loops around the pass."""

    name: str
    # None for scalars
    width: str | None
    # the lengths of its finite axes
    shape: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayExpr:
    """An elementwise expression over variables and inputs, an array over finite axes.

    `at` gives the entry at an index.
    """

    width: str | None
    # lengths of the axes, None where not known
    shape: tuple[Tree | None, ...]
    at: Callable[[Index], Tree]
    # the variable that it is, if it is just one
    leaf: Var | None = None
    # of a family that is defined member by member
    members: dict[tuple[int, ...], ArrayExpr] | None = field(default=None, compare=False)
    # the one entry that is not 0, if it is a one-hot array: then a product with it is a member
    picked: Tree | None = None
    # all of them as one variable
    array: Callable[[], ArrayExpr] | None = field(default=None, compare=False)


def without_one(value: ArrayExpr) -> ArrayExpr:
    """An array of scalars read as its entry along its last axis if that is written `1`.

    As a side of a weight it has no index.
    """
    last = value.shape[-1] if value.shape else None
    if value.width is not None or value.array is not None or last is None or not is_number(last, 1):
        return value
    return ArrayExpr(None, value.shape[:-1], lambda i: value.at((*i, Maker(last.span).number(0))))


@dataclass(frozen=True, slots=True)
class ElementwiseStep:
    """`out[axes] = value`, or its mean over coordinates."""

    out: Var
    axes: tuple[FiniteAxis, ...]
    value: Tree
    span: Span
    mean: bool = False


@dataclass(frozen=True, slots=True)
class ProductStep:
    """`out[axes] = weight @ operand`."""

    out: Var
    # those of `out`; the last is the weight's finite side, if what comes out is on one (`far`)
    axes: tuple[FiniteAxis, ...]
    weight: str
    transposed: bool
    operand: ArrayExpr
    far: bool
    span: Span
    # how many of the axes, the first, are those of the line's clauses, whose variables stand in the operand
    # already, and in `member`, which tells the weight among its family
    given: int = 0
    member: Index = ()

    @property
    def rest(self) -> tuple[FiniteAxis, ...]:
        """The axes that are not the weight's."""
        return self.axes[:-1] if self.far else self.axes

    def entry(self, outer: Index, own: Index) -> Tree:
        """An entry of the operand. outer: an index for each of `rest`."""
        return self.operand.at((*outer[self.given :], *own))


@dataclass(frozen=True, slots=True)
class PaddedStep:
    """`out[…, p + before, …] = operand[…, p, …]` and 0 elsewhere, for every axis of the operand."""

    out: Var
    # those of the line's clauses, `given` of them, and those of the operand
    axes: tuple[FiniteAxis, ...]
    operand: ArrayExpr
    # (before, after) for each of them
    margins: tuple[tuple[Tree, Tree], ...]
    span: Span
    given: int = 0

    @property
    def entry(self) -> Tree:
        """An entry of the operand, of the axes' variables."""
        m = Maker(self.span)
        return self.operand.at(tuple(m.name(a.variable) for a in self.axes[self.given :]))


@dataclass(frozen=True, slots=True)
class Member:
    """An entry at a place, of the variables of the axes that all members have."""

    place: Index
    entry: Tree
    # what makes a vector of a scalar, to be added
    zero: Tree | None


@dataclass(frozen=True, slots=True)
class CollectedStep:
    """`out[…, place, …] = entry` for every place of a family whose members are made one from another."""

    out: Var
    # those of the line's clauses, `given` of them, and those that all members have
    axes: tuple[FiniteAxis, ...]
    parts: tuple[Member, ...]
    span: Span
    given: int = 0

    def index(self, place: Index) -> Index:
        """The index of `out` at a place, where the axes' variables are as they are."""
        own = tuple(Maker(self.span).name(a.variable) for a in self.axes)
        return (*own[: self.given], *place, *own[self.given :])


Step = ElementwiseStep | ProductStep | PaddedStep | CollectedStep


def read_by(step: Step) -> Tree:
    """An expression of all that a step reads, its indices apart."""
    if isinstance(step, CollectedStep):
        return Maker(step.span).add(*(part.entry for part in step.parts))
    return (
        step.operand.at(tuple(Maker(step.span).name("_") for _ in step.operand.shape))
        if isinstance(step, ProductStep)
        else step.entry
        if isinstance(step, PaddedStep)
        else step.value
    )


@dataclass(frozen=True, slots=True)
class Record:
    """A rank-one term `c a bᵀ` of a weight's gradient, for every index of `ranges`.

    Functions of the variables of these ranges.
    """

    ranges: tuple[Range, ...]
    # `a`, `b`: entries on the weight's two sides, `a(j)` where that side is finite
    a: Callable[[Index], Tree]
    b: Callable[[Index], Tree]
    # scalars in front
    coefficient: Tree
    span: Span
    # of which weight of a family
    member: Index = ()


@dataclass(frozen=True, slots=True)
class Upto:
    """A descent up to a time: its steps before `time` have been taken."""

    descent: Descent
    # the round of the loops around it
    outer: Index
    time: Tree
    # which of its tasks
    tasks: Index = ()


State = tuple[Upto, ...]  # what has happened to the weights, in order


def variables_of(ranges: Sequence[Range]) -> list[str]:
    return [r.variable.name for r in ranges]
