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
    """A family that a forward or backward pass makes, once for each round of the loops around the pass.

    width: None for scalars. shape: the lengths of its finite axes.
    """

    name: str
    width: str | None
    shape: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayExpr:
    """An elementwise expression over variables and inputs, an array over finite axes.

    `at` gives the entry at an index.

    shape: lengths of the axes, None where not known. leaf: the variable that it is, if it is just one.
    picked: the one entry that is not 0, if it is a one-hot array: then a product with it is a member.
    members: of a family that is defined member by member; array: all of them as one variable.
    """

    width: str | None
    shape: tuple[Tree | None, ...]
    at: Callable[[Index], Tree]
    leaf: Var | None = None
    members: dict[tuple[int, ...], ArrayExpr] | None = field(default=None, compare=False)
    picked: Tree | None = None
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
    """`out[axes] = weight @ operand`.

    axes: those of `out`; the last is the weight's finite side, if what comes out is on one (`far`).

    given: how many of the axes, the first, are those of the line's clauses, whose variables stand in the
    operand already, and in `member`, which tells the weight among its family.
    """

    out: Var
    axes: tuple[FiniteAxis, ...]
    weight: str
    transposed: bool
    operand: ArrayExpr
    far: bool
    span: Span
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
    """`out[…, p + before, …] = operand[…, p, …]` and 0 elsewhere, for every axis of the operand.

    margins: (before, after) for each of them.

    axes: those of the line's clauses, `given` of them, and those of the operand.
    """

    out: Var
    axes: tuple[FiniteAxis, ...]
    operand: ArrayExpr
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
    """An entry at a place, of the variables of the axes that all members have.

    zero: what makes a vector of a scalar, to be added.
    """

    place: Index
    entry: Tree
    zero: Tree | None


@dataclass(frozen=True, slots=True)
class CollectedStep:
    """`out[…, place, …] = entry` for every place of a family whose members have been made one from another.

    axes: those of the line's clauses, `given` of them, and those that all members have.
    """

    out: Var
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

    a, b: entries on the weight's two sides, `a(j)` where that side is finite. coefficient: scalars in front.
    member: of which weight of a family.
    """

    ranges: tuple[Range, ...]
    a: Callable[[Index], Tree]
    b: Callable[[Index], Tree]
    coefficient: Tree
    span: Span
    member: Index = ()


@dataclass(frozen=True, slots=True)
class Upto:
    """A descent up to a time: its steps before `time` have been taken.

    outer: the round of the loops around it. tasks: which of its tasks.
    """

    descent: Descent
    outer: Index
    time: Tree
    tasks: Index = ()


State = tuple[Upto, ...]  # what has happened to the weights, in order


def variables_of(ranges: Sequence[Range]) -> list[str]:
    return [r.variable.name for r in ranges]
