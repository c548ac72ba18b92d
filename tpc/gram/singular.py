"""Functions of the singular values of tables in factors: an array of all coefficients at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Number, Position, Ref, Sum, Value
from tpc.core.spectral import SpectralEntry
from tpc.core.traverse import substitute
from tpc.gram.covariance_pass import CovariancePass
from tpc.gram.in_coefficients import Term, terms_of
from tpc.gram.ir import NotGramError, Piece, Spectral


class SpectralArrays:
    """The arrays of coefficients that have been asked for."""

    def __init__(self, engine: CovariancePass) -> None:
        self.engine = engine
        self.made: dict[object, Value] = {}

    def entry(self, x: SpectralEntry) -> Expr:
        """One coefficient."""
        rows, columns = terms_of(x.rows), terms_of(x.columns)
        parts = [self.engine.axes.canonical([part]) for part in x.whole]
        if any(back for _, back in parts):
            raise NotGramError("a table's vectors depend on an index")
        key = (x.function, x.steps, *(part for part, _ in parts))
        if key not in self.made:
            self.made[key] = self._array(x, rows, columns)
        array = self.made[key]
        i, j = x.block
        at = [one.index if isinstance(one, Position) else Affine(_whole(one)) for one in x.at]
        split = len(rows[i][0])
        places = _place(rows, i, at[:split]), _place(columns, j, at[split:])
        return Value(Ref(array.ref.name, places), False)

    def _array(self, x: SpectralEntry, rows: Sequence[Term], columns: Sequence[Term]) -> Value:
        engine, taken = self.engine, 0

        def axes(terms: Sequence[Term]) -> tuple[tuple[str, ...], ...]:
            nonlocal taken
            found = []
            for ranges, _ in terms:
                # numbers: loops that they depend on are written out (`tpc.gram.boxes`)
                counts = [count.const for _, count in ranges]
                found.append(tuple(engine.axes.axis(taken + k, n) for k, n in enumerate(counts)))
                taken += len(counts)
            return tuple(found)

        near, far = axes(rows), axes(columns)
        twins = axes(rows), axes(columns)
        cells = iter(x.cells)
        table = tuple(tuple(engine.scalar(_body(next(cells), (*i, *j))) for j in far) for i in near)
        sides = [
            tuple(
                tuple(
                    engine.product([_member(a, i), _member(b, j)]) for b, j in zip(terms, twin, strict=True)
                )
                for a, i in zip(terms, own, strict=True)
            )
            for terms, own, twin in ((rows, near, twins[0]), (columns, far, twins[1]))
        ]
        formula = Spectral(
            x.function, x.steps, tuple(map(engine.scalar, x.coefficients)), near, far, twins, table, *sides
        )
        ends = [engine.axes.axis(k, sum(map(_size, terms))) for k, terms in enumerate((rows, columns))]
        extents = tuple(engine.axes.extents[v] for v in ends)
        shown = Value(Ref(f"{x.function}_{_body(x.cells[0], (*near[0], *far[0])).ref.name}"), False)
        return engine.arrays.array((Piece((0, 0), extents, tuple(ends), formula),), ends, [shown])


def _whole(x: Expr) -> int:
    assert isinstance(x, Number)
    return int(x.value)


def _size(term: Term) -> int:
    return math.prod(count.const for _, count in term[0])


def _place(terms: Sequence[Term], block: int, at: Sequence[Affine]) -> Affine:
    """The row, or column, of a member of a block."""
    found = Affine(sum(map(_size, terms[:block])))
    counts = [count.const for _, count in terms[block][0]]
    for k, index in enumerate(at):
        found = found + index.scaled(math.prod(counts[k + 1 :]))
    return found


def _member(term: Term, axes: Sequence[str]) -> Expr:
    ranges, ref = term
    at = {v: Affine.var(axis) for (v, _), axis in zip(ranges, axes, strict=True)}
    return substitute(Value(ref, True), at)


def _body(cell: Expr, axes: Sequence[str]) -> Value:
    """The member that a sum is of, at other variables."""
    for axis in axes:
        assert isinstance(cell, Sum)
        cell = substitute(cell.body, {cell.variable: Affine.var(axis)})
    assert isinstance(cell, Value)
    return cell
