"""Pointwise instructions in loops, on whole arrays: `x[i] = tanh(h[i]) for i` is `x = tanh(h)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.dependence import expr_references
from tpc.core.expr import ZERO, Expr, OuterProduct, Ref, Sum, Value, is_vector, walk
from tpc.core.program import MatMul, Moment, Nonlin, OuterMul, OuterNonlin, Scalar
from tpc.core.spectral import SpectralMap
from tpc.core.storage import Leaf, Region, ranges
from tpc.core.traverse import index_variables, ref_variables
from tpc.emit import python as py
from tpc.emit.excluded import finite_branches
from tpc.emit.formulas import Expressions
from tpc.emit.identifiers import local_name
from tpc.emit.named_conditions import with_named_conditions
from tpc.emit.python import Py
from tpc.emit.scopes import Frame, MemberArray
from tpc.emit.stacked import along
from tpc.emit.sums import depends

if TYPE_CHECKING:
    from tpc.emit.body import Body

Entrywise = Nonlin | OuterNonlin | Scalar


def on_whole_arrays(body: Body, leaf: Leaf, nest: Sequence[Region], frame: Frame) -> Py | None:
    """The values of an instruction in all rounds of a nest, an array with an axis for each loop.

    None if it is not pointwise, or differs in some of the loops only, or an array would have to be restored
    from what it is kept as.
    """
    op = leaf.op
    if isinstance(op, MatMul | Moment | OuterMul) or op.out.name in body.expressions.factored:
        return None
    phi = finite_branches(op.phi, body.doubtful)
    if any(isinstance(x, Sum | SpectralMap) for x in walk(phi)):
        return None
    if not any(depends(phi, r.variable) for r in nest):
        return _the_same(body, op, leaf, nest, frame)
    if not all(depends(phi, r.variable) for r in nest) or isinstance(op, Scalar) == is_vector(phi):
        return None
    if isinstance(op, OuterNonlin) and not _of_tables(body, phi):
        return None
    if not all(_lies(frame, ref, nest) for ref, _ in expr_references(phi, ())):
        return _axes_in_other_order(phi, nest, frame) if isinstance(phi, Value) else None
    points = 0 if isinstance(op, Scalar) else 1 if isinstance(op, Nonlin) else 2
    grid = Grid(frame, nest, body.expressions, points)
    around = ranges(leaf.around)
    loops = {r.variable for r in nest}
    name = local_name(op.out.name, [i for i in op.out.index if not index_variables(i) & loops])
    phi = with_named_conditions(body.expressions, name, phi, frame, around, grid)
    return body.expressions.entrywise(op, phi, grid, around)


def _of_tables(body: Body, phi: Expr) -> bool:
    """Whether a table is made of whole tables alone, entry by entry."""
    return not any(
        isinstance(x, OuterProduct)
        or (isinstance(x, Value) and x.vector and len(body.expressions.sizes(x.ref.name)) < 2)
        for x in walk(phi)
    )


def _the_same(body: Body, op: Entrywise, leaf: Leaf, nest: Sequence[Region], frame: Frame) -> Py:
    """What all rounds have in common."""
    phi, around = finite_branches(op.phi, body.doubtful), ranges(leaf.around)
    sizes = [] if isinstance(op, Scalar) else list(map(py.name, body.expressions.sizes(op.out.name)))
    shape = py.tuple_of([*(py.integer(r.greatest) for r in nest), *sizes])
    if phi == ZERO or (not is_vector(phi) and body.expressions.space.pointwise):
        return py.filled(shape, body.expressions.value(phi, frame, around))
    return py.call("jnp.broadcast_to", body.expressions.entrywise(op, phi, frame, around), shape)


def _axes_in_other_order(x: Value, nest: Sequence[Region], frame: Frame) -> Py | None:
    """`p[i, j] = q[j, i]` for all that there are."""
    try:
        held = frame.find(x.ref)
    except KeyError:
        return None
    lengths = {Affine.var(r.variable): r.greatest for r in nest}
    rest = held.rest(x.ref)
    if held.packed or held.blocks or len(rest) != len(nest) or set(rest) != set(lengths):
        return None
    if any(held.shape[axis] != lengths[i] for axis, i in zip(held.kept, rest, strict=True) if i in lengths):
        return None
    order = [*map(rest.index, lengths), *range(len(nest), len(nest) + len(held.sizes) * held.vector)]
    return py.call("jnp.transpose", held.whole, py.tuple_of(list(map(py.integer, order))))


def _lies(frame: Frame, ref: Ref, nest: Sequence[Region]) -> bool:
    """Whether the members that all rounds read are a part of an array, axes in the order of the loops."""
    try:
        held = frame.find(ref)
    except KeyError:
        return False
    moving = ref_variables(Ref("", held.rest(ref)))
    own = [r for r in nest if r.variable in moving]
    return not held.packed and not held.blocks and along(held, ref, own)


class Grid(Frame):
    """A frame in which loops are axes.

    Numbers and members are arrays that broadcast over them, and over the axes of points that the result has:
    one of vectors, two of tables.
    """

    __slots__ = ("emit", "nest", "points")

    def __init__(self, parent: Frame, nest: Sequence[Region], emit: Expressions, points: int) -> None:
        behind = [len(nest) - 1 - k + points for k in range(len(nest))]
        values = {
            r.variable: f"jnp.arange({r.greatest})" + (f"[:{', None' * n}]" if n else "")
            for r, n in zip(nest, behind, strict=True)
        }
        super().__init__(parent=parent, variables=values)
        self.nest, self.emit, self.points = nest, emit, points

    def find(self, ref: Ref) -> MemberArray:
        assert self.parent is not None
        held = self.parent.find(ref)
        places = {r.variable: k for k, r in enumerate(self.nest)}
        parts: list[Py] = []
        before: int | None = None
        for axis, i in zip(held.kept, held.rest(ref), strict=True):
            own = [v for v in places if isinstance(i, Affine) and v in i.variables]
            if own and isinstance(i, Affine):
                place = places[own[0]]
                parts += [Py("None")] * (0 if before is None else place - before - 1)
                parts.append(py.part(i.const, self.nest[place].greatest, held.shape[axis]))
                before = place
            else:
                parts.append(self.emit.index(i, self.parent))
        if before is None:
            return held
        parts += [Py("None")] * (len(self.nest) - 1 - before + (0 if held.vector else self.points))
        return held.read(ref, parts)
