"""Loops around one product whose rounds do not depend on each other, emitted as one product of matrices.

The rounds are its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.expr import Index, Ref
from tpc.core.program import MatMul
from tpc.core.storage import Leaf, Region
from tpc.core.traverse import index_variables
from tpc.emit import python as py
from tpc.emit.identifiers import local_name
from tpc.emit.python import Assign, Py
from tpc.emit.scopes import Frame, MemberArray
from tpc.emit.sums import in_order

if TYPE_CHECKING:
    from tpc.emit.body import Body


class Blocks:
    """Emits such loops of one program's body."""

    def __init__(self, body: Body) -> None:
        self.body, self.names, self.expressions = body, body.names, body.expressions

    def multiply(self, nest: Sequence[Region], frame: Frame) -> None:
        """The product of one matrix with a vector of every round of the nest."""
        leaf = nest[-1].body[0]
        assert isinstance(leaf, Leaf)
        assert isinstance(leaf.op, MatMul)
        op = leaf.op
        rows = self._rows(op.operand, nest, frame)
        if nest[0].loop.count.constant is None:
            rows = py.call("before", self.expressions.affine(nest[0].loop.count, frame), rows)
        held = frame.target(op.out)
        whole = (
            held is not None
            and held.frame is frame
            and held.pending
            and held.writers == 1
            and self._covers(held, op.out, nest)
        )
        inside = {r.variable for r in nest}
        name = (
            held.name
            if held is not None and whole
            else self.names.fresh(
                local_name(
                    op.out.name,
                    [i for i in op.out.index if not isinstance(i, Affine) or not i.variables & inside],
                )
            )
        )
        self.body.product("product_all", op, rows, name, nest, frame)
        if len(nest) > 1:
            shape = ", ".join(str(r.greatest) for r in nest)
            frame.statements.append(Assign((name,), Py(f"{name}.reshape({shape}, -1)")))
        if held is None:
            return
        if whole:
            held.pending = False
        else:
            self._write(held, op.out, name, nest, frame)

    def _rows(self, ref: Ref, nest: Sequence[Region], frame: Frame) -> Py:
        """The vectors of all rounds, [rounds, M]."""
        held = frame.find(ref)
        if along(held, ref, nest):
            rows = held.part(slice_of(self.body, held, ref, nest, frame))
        else:
            rows = self.expressions.member(ref, self._grid(nest, frame))
        return rows if len(nest) == 1 else Py(f"{rows.text}.reshape(-1, size{self.body.suffix(ref.name)})")

    def _grid(self, nest: Sequence[Region], frame: Frame) -> Frame:
        """A frame in which the variables of the nest are arrays, an axis each."""
        places = {}
        for k, r in enumerate(nest):
            axes = "" if k == len(nest) - 1 else f"[:{', None' * (len(nest) - 1 - k)}]"
            places[r.variable] = f"jnp.arange({r.greatest}){axes}"
        return Frame(parent=frame, variables=places)

    def _covers(self, held: MemberArray, ref: Ref, nest: Sequence[Region]) -> bool:
        """Whether the rounds make all of the array, in its order."""
        full = all(
            index == Affine.var(r.variable) and held.shape[axis] == r.greatest
            for axis, index, r in zip(held.kept, held.rest(ref), nest, strict=False)
        )
        return full and len(held.kept) == len(nest)

    def _write(self, held: MemberArray, ref: Ref, name: str, nest: Sequence[Region], frame: Frame) -> None:
        inside = {r.variable for r in nest}
        if not any(index_variables(i) & inside for i in held.rest(ref)):
            return  # what the rounds make is not used after them
        held.ready()
        if all(r.loop.count.constant is not None for r in nest) and along(held, ref, nest):
            index, drop = slice_of(self.body, held, ref, nest, frame), ""
            at_hand(held, ref, nest, name, frame)
        else:
            inner, drop = self._grid(nest, frame), ', mode="drop"'
            places = zip(held.kept, held.rest(ref), strict=True)
            index = [self._place(i, held.shape[axis], nest[0], inner, frame) for axis, i in places]
        frame.statements.append(Assign((held.name,), put(held, index, name, drop)))
        frame.changes(held)

    def _place(self, i: Index, length: int, region: Region, inner: Frame, frame: Frame) -> Py:
        """Places on one axis; beyond its end for rounds of the outermost loop that there are not."""
        place, count = self.expressions.index(i, inner), region.loop.count
        if not isinstance(i, Affine) or region.variable not in i.variables or count.constant is not None:
            return place
        return where_there(
            place, inner.variables[region.variable], self.expressions.affine(count, frame), length
        )


def where_there(place: Py, rounds: str, count: Py, length: int) -> Py:
    """The places that rounds write to; for those from `count` on, which there are not, beyond the end."""
    return py.call("jnp.where", py.compare("<", Py(rounds), count), place, py.integer(length))


def put(held: MemberArray, index: Sequence[Py], value: str, drop: str = "") -> Py:
    """The array with a part of it replaced, full slices at the end of the index left out."""
    parts = py.without_full(index)
    if not parts:
        return py.name(value)
    if held.blocks:
        assert len(parts) == 1, "a history is written a step at a time"
        return py.call("recorded", py.name(held.name), index[0], py.name(value))
    one = len(parts) == 1 and not isinstance(parts[0], py.Slice)
    if held.vector and not drop and len(held.kept) > 1 and one:
        return py.call("stored", py.name(held.name), index[0], py.name(value))
    return Py(f"{held.name}.at[{', '.join(part.text for part in parts)}].set({value}{drop})")


def along(held: MemberArray, ref: Ref, nest: Sequence[Region]) -> bool:
    """Whether the members for all rounds are a part of the array.

    Every variable of the nest along an axis of its own, in the nest's order.
    """
    return in_order(held, ref, [r.variable for r in nest], all_of_them=True)


def slice_of(body: Body, held: MemberArray, ref: Ref, nest: Sequence[Region], frame: Frame) -> list[Py]:
    """The index of that part."""
    extents = {r.variable: r.greatest for r in nest}
    parts = []
    for axis, i in zip(held.kept, held.rest(ref), strict=True):
        own = extents.keys() & (i.variables if isinstance(i, Affine) else set())
        parts.append(
            py.part(i.const, extents[next(iter(own))], held.shape[axis])
            if isinstance(i, Affine) and own
            else body.expressions.index(i, frame)
        )
    return parts


def at_hand(held: MemberArray, ref: Ref, nest: Sequence[Region], name: str, frame: Frame) -> None:
    """Notes that members made by the rounds of a nest are also there under a name of their own.

    Only if they fill the axes that they move along.
    """
    extents = {r.variable: r.greatest for r in nest}
    kept, fixed = [], dict(held.fixed)
    for axis, i in zip(held.kept, held.rest(ref), strict=True):
        if isinstance(i, Affine) and i.variables & extents.keys():
            kept.append(axis)
            if i.const or held.shape[axis] != extents[next(iter(i.variables & extents.keys()))]:
                return
        else:
            fixed[axis] = i
    frame.hold(
        MemberArray(name, held.family, held.vector, fixed, tuple(kept), held.shape, frame, store=False)
    )
