"""Cotangents as sums: what every use of a variable contributes, for one entry of its cotangent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in, walk
from tpc.train.build import Maker, substituted
from tpc.train.padding import Margin, padded
from tpc.train.records import FiniteAxis, Index, Var
from tpc.train.scene import Scene
from tpc.train.shifted_reads import Solution, shifted, solved


@dataclass(frozen=True, slots=True)
class Contribution:
    """A term of the cotangent of an entry."""

    index: Index  # which entry
    axes: tuple[FiniteAxis, ...]  # the variables that are bound in it, to be summed over but for the index
    value: Tree | None  # None while it is not written: then it is a product with a matrix


@dataclass
class _Fixed:
    """The bound variables of a contribution, as far as an entry of the cotangent fixes them."""

    marks: dict[str, FiniteAxis]  # by what they are called: names that nothing else has
    left: dict[str, FiniteAxis]  # by mark: those that are summed over
    env: dict[str, Tree] = field(default_factory=dict)  # by mark: what the others stand for
    tests: list[tuple[Tree, Tree]] = field(default_factory=list)  # what must be equal for there to be a term
    places: dict[str, Solution] = field(default_factory=dict)  # by mark: those that are read at a shift


@dataclass
class CotangentSums:
    """The sums of one backward pass."""

    scene: Scene
    prefix: tuple[str, ...]  # the variables of the loops around
    examples: tuple[Range, ...]  # the ranges of those that are not time
    spreads: dict[tuple[str, Index], str] = field(default_factory=dict)
    lines: list[tree.Define] = field(default_factory=list)  # those of arrays with zeros around them

    def axes_of(self, shape: Sequence[Tree], contributions: Sequence[Contribution]) -> tuple[FiniteAxis, ...]:
        """Axes of an array that contributions are made for; no sum in these has their variables."""
        variables = self.scene.names.variables(len(shape), [*self.prefix, *summed(contributions)])
        return tuple(FiniteAxis(v, count) for v, count in zip(variables, shape, strict=True))

    def is_alias(self, c: Contribution, var: Var) -> bool:
        """Whether the contribution is something that has a name, entry by entry."""
        own = [i.name if isinstance(i, tree.Name) else "" for i in c.index]
        lengths = {a.variable: a.count for a in c.axes}
        return (
            isinstance(c.value, tree.Name | tree.Indexed)
            and sorted(own) == sorted(lengths)
            and len(own) == len(var.shape)
            and all(self.scene.equal(lengths[v], count) for v, count in zip(own, var.shape, strict=True))
        )

    def gathered(self, c: Contribution, index: Index, of: Var, m: Maker) -> Tree:
        """A contribution as a term for the entry `index` of the cotangent `of`.

        Variables that the entry fixes put in, the others summed over.
        """
        assert c.value is not None
        fixed = self._fixed(c, index, of, m)
        rest = [a for a in c.axes if fixed.marks[a.variable].variable in fixed.left]
        taken = [
            *self.prefix,
            *(n.name for i in index for n in names_in(i)),
            *(a.variable for a in rest),
            *summed([c]),
        ]
        fresh = self.scene.names.variables(len(rest), taken)
        new: dict[str, Tree] = {
            fixed.marks[a.variable].variable: m.name(v) for a, v in zip(rest, fresh, strict=True)
        }
        final = {mark: substituted(x, new) for mark, x in fixed.env.items()} | new
        if any(place.before or place.after for place in fixed.places.values()):
            entry = shifted(m, fixed.marks.values(), fixed.places, final)
            value: Tree = m.member(self._spread(c, fixed, of, m), (*map(m.name, self.prefix), *entry))
        else:
            value = substituted(c.value, {v: final[a.variable] for v, a in fixed.marks.items()})
        ranges = [m.range(v, a.count) for v, a in zip(fresh, rest, strict=True)]
        tests = (m.equal(a, substituted(b, final)) for a, b in fixed.tests)
        return m.sum(ranges, m.mul(value, *tests))

    def _fixed(self, c: Contribution, index: Index, of: Var, m: Maker) -> _Fixed:
        marks = {a.variable: FiniteAxis(f"#{k}", a.count) for k, a in enumerate(c.axes)}
        marked: dict[str, Tree] = {v: m.name(a.variable) for v, a in marks.items()}
        fixed = _Fixed(marks, {a.variable: a for a in marks.values()})
        left, env = fixed.left, fixed.env
        for wanted, given, count in zip(index, c.index or index, of.shape, strict=True):
            own = substituted(substituted(given, marked), env) if c.index else given
            if (
                isinstance(own, tree.Name)
                and own.name in left
                and self.scene.equal(left[own.name].count, count)
            ):
                del left[own.name]
                env[own.name] = wanted
            elif own == wanted:
                continue
            elif (place := solved(self.scene, own, wanted, count, left.values())) is not None:
                del left[place.variable]  # as `x[p+1]`: p is what is wanted less 1
                env[place.variable], fixed.places[place.variable] = place.value, place
            else:
                fixed.tests.append((wanted, own))  # as `x[0]`: of the terms, those with 0 = wanted
        return fixed

    def _spread(self, c: Contribution, fixed: _Fixed, of: Var, m: Maker) -> str:
        """A contribution as an array with zeros around it; its name.

        So the places where an entry is not read contribute nothing.
        """
        assert c.value is not None
        key = (of.name, c.index)
        if key not in self.spreads:
            self.spreads[key] = self.scene.names.fresh(f"{of.name}_part")
        around = {
            v: (fixed.places[a.variable].before, fixed.places[a.variable].after)
            for v, a in fixed.marks.items()
            if a.variable in fixed.places
        }
        margins = [
            Margin(a.variable, a.count, *map(m.number, around.get(a.variable, (0, 0)))) for a in c.axes
        ]
        prefix = tuple(map(m.name, self.prefix))
        self.lines += padded(
            m,
            lambda i: m.member(self.spreads[key], (*prefix, *i)),
            margins,
            c.value,
            of.width is not None,
            self.examples,
            "part of a gradient",
        )
        return self.spreads[key]


def summed(contributions: Iterable[Contribution]) -> set[str]:
    """The variables of the sums in contributions."""
    return {
        r.variable.name
        for c in contributions
        if c.value is not None
        for node in walk(c.value)
        if isinstance(node, tree.Summation)
        for r in node.ranges
    }


def bound_in(x: Tree, leaf: Tree) -> tuple[FiniteAxis, ...]:
    """The ranges of the sums in `x` whose variables are in the index of `leaf`."""
    wanted: Mapping[str, None] = dict.fromkeys(name.name for name in names_in(leaf))
    ranges = {
        r.variable.name: r
        for node in walk(x)
        if isinstance(node, tree.Summation)
        for r in node.ranges
        if r.variable.name in wanted
    }
    return tuple(FiniteAxis(name, r.count) for name, r in ranges.items())
