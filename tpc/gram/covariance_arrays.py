"""The arrays of a covariance program, as they are found: one for each formula that is worth a name."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.core.affine import Affine
from tpc.core.expr import Delta, Expr, Mul, Number, Ref, Sum, Value, replace, values
from tpc.core.program import Scalar
from tpc.core.traverse import free_variables, substitute
from tpc.gram.axes import Axes
from tpc.gram.boxes import Boxes
from tpc.gram.ir import Definition, Formula, Piece, determined, formula_variables
from tpc.gram.labels import array_name, best_name, comment_of, name_of
from tpc.gram.marked_variables import place_of_axis


class CovarianceArrays:
    """Arrays by their names, in the order in which they are found."""

    def __init__(self, axes: Axes, sites: Boxes) -> None:
        self.axes, self.sites = axes, sites
        self.definitions: dict[str, Definition] = {}
        self.sums: dict[tuple[Expr, ...], Expr] = {}
        self.formulas: dict[Formula, Expr] = {}

    def shared(self, x: Expr, key: Sequence[Expr] = ()) -> Expr:
        """A sum by the name of an array, the same for equal sums. key: what it is."""
        own, back = self.axes.canonical([x])
        if own not in self.sums:
            self.sums[own] = self.array(_whole(own[0], list(back), self.axes), list(back), key or own)
        elif key:
            found = self.sums[own]
            assert isinstance(found, Value)
            self.definitions[found.ref.name].also.append(name_of(key))
        return substitute(self.sums[own], back)

    def expectation(self, formula: Formula, key: Sequence[Expr]) -> Expr:
        """The formula, in axes of the array that it is a part of, by the name of an array."""
        formula = determined(formula)
        if formula not in self.formulas:
            axes = sorted(formula_variables(formula), key=place_of_axis)
            self.formulas[formula] = self.named(formula, axes, key)
        return self.formulas[formula]

    def named(self, formula: Formula, axes: Sequence[str], key: Sequence[Expr]) -> Expr:
        """The formula, by the name of an array if it is worth one."""
        if isinstance(formula, Expr) and _simple(formula):
            found = next((v for v in values(formula) if v.ref.name in self.definitions), None)
            if found is not None and formula == found:
                self.definitions[found.ref.name].also.append(name_of(key))
            return formula
        if isinstance(formula, Sum):
            return self.shared(formula, key)
        if isinstance(formula, Expr):
            free = free_variables(formula)
            axes = [axis for axis in axes if axis in free]
        return self.array(_whole(formula, axes, self.axes), axes, key)

    def array(self, pieces: tuple[Piece, ...], axes: Sequence[str], key: Sequence[Expr]) -> Value:
        """What these pieces make over the axes, by the name of a new array. key: what it is."""
        name = array_name(len(self.definitions))
        shape = tuple(self.axes.extents[axis] for axis in axes)
        known = [replace(x, self._by_name) for x in key]
        self.definitions[name] = Definition(
            name, shape, pieces, comment_of(known), [name_of(known)], self._guarded(key)
        )
        return Value(Ref(name, tuple(Affine.var(axis) for axis in axes)), False)

    def _by_name(self, x: Expr) -> Expr | None:
        """A member of an array under the name that it will have."""
        if isinstance(x, Value) and x.ref.name in self.definitions:
            return Value(Ref(best_name(self.definitions[x.ref.name].also), x.ref.index), False)
        return None

    def _guarded(self, key: Sequence[Expr]) -> bool:
        """Whether what is asked for are moments, not scalars that the program makes of scalars."""
        first = key[0]
        return (
            not isinstance(first, Value)
            or first.vector
            or not any(isinstance(site.op, Scalar) for site in self.sites.of(first.ref))
        )


def _simple(x: Expr) -> bool:
    """Whether an expression is as good as a name: a number, a member, or a multiple of it.

    What has a Delta is as good: a sum over it uses that up.
    """
    factors = x.factors if isinstance(x, Mul) else (x,)
    if any(isinstance(f, Delta) for f in factors):
        return True
    return sum(not isinstance(f, Number) for f in factors) <= 1 and all(
        isinstance(f, Number | Value) for f in factors
    )


def _whole(formula: Formula, axes: Sequence[str], table: Axes) -> tuple[Piece, ...]:
    """The one piece of an array that is made by one formula."""
    return (Piece((0,) * len(axes), tuple(table.extents[axis] for axis in axes), tuple(axes), formula),)
