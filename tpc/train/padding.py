"""Arrays with zeros around them, written as families that are defined part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.train.build import Maker, is_number
from tpc.train.records import Index


@dataclass(frozen=True, slots=True)
class Margin:
    """An axis with zeros before and after it."""

    # `variable`, `count`: of what is inside
    variable: str
    count: Tree
    before: Tree
    after: Tree

    def all(self, m: Maker) -> Tree:
        return plus(m, self.before, self.count, self.after)


def padded(
    m: Maker,
    target: Callable[[Index], Tree],
    axes: Sequence[Margin],
    value: Tree,
    vector: bool,
    clauses: Sequence[Range],
    what: str = "",
) -> list[tree.Define]:
    """The lines that make an array.

    `value`, of the axes' variables, shifted by what is before it, and 0 around it. target: its entries.

    clauses: the ranges around, that all lines have.
    """

    def shifted(a: Margin) -> Tree:
        return plus(m, m.name(a.variable), a.before)

    lines = [
        m.define(
            target(tuple(map(shifted, axes))),
            value,
            [*clauses, *(m.range(a.variable, a.count) for a in axes)],
            what,
        )
    ]
    zero = m.number(0)
    if vector:
        zero = tree.Chain(
            m.span,
            (zero, target(tuple(a.before if not is_number(a.count, 0) else m.number(0) for a in axes))),
            ("*",),
        )
    for k, axis in enumerate(axes):
        for size, start in ((axis.before, m.number(0)), (axis.after, plus(m, axis.before, axis.count))):
            if is_number(size, 0):
                continue
            index = (
                *map(shifted, axes[:k]),
                plus(m, m.name(axis.variable), start),
                *(m.name(a.variable) for a in axes[k + 1 :]),
            )
            ranges = [
                *(m.range(a.variable, a.count) for a in axes[:k]),
                m.range(axis.variable, size),
                *(m.range(a.variable, a.all(m)) for a in axes[k + 1 :]),
            ]
            lines.append(m.define(target(index), zero, [*clauses, *ranges], what))
    return lines


def plus(m: Maker, *terms: Tree) -> Tree:
    """The sum, numbers added up."""
    number = sum((t.value for t in terms if isinstance(t, tree.Literal)), start=Fraction(0))
    return m.add(*(t for t in terms if not isinstance(t, tree.Literal)), m.number(number))
