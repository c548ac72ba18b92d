"""Pointwise instructions in loops, on whole arrays: `x[i] = tanh(h[i]) for i` is `x = tanh(h)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.dependence import expr_references
from tpc.core.expr import Ref, Sum, is_vector, walk
from tpc.core.program import MatMul, Moment, Nonlin, OuterMul, OuterNonlin
from tpc.core.storage import Leaf, Region, ranges
from tpc.core.traverse import ref_variables
from tpc.emit import python as py
from tpc.emit.excluded import finite_branches
from tpc.emit.formulas import Expressions
from tpc.emit.python import Py
from tpc.emit.scopes import Frame, Held
from tpc.emit.stacked import along
from tpc.emit.sums import depends

if TYPE_CHECKING:
    from tpc.emit.body import Body


def on_whole_arrays(body: Body, leaf: Leaf, nest: Sequence[Region], frame: Frame) -> Py | None:
    """The values of an instruction in all rounds of a nest, an array with an axis for each loop.

    None if it is not pointwise, or an array would have to be broadcast, or be restored from what it is kept
    as.
    """
    op = leaf.op
    if isinstance(op, MatMul | Moment | OuterNonlin | OuterMul):
        return None
    if isinstance(op, Nonlin) != is_vector(op.phi):
        return None
    phi = finite_branches(op.phi, body.doubtful)
    if any(isinstance(x, Sum) for x in walk(phi)) or not all(depends(phi, r.variable) for r in nest):
        return None
    if not all(_lies(frame, ref, nest) for ref, _ in expr_references(phi, ())):
        return None
    grid = Grid(frame, nest, body.expressions, is_vector(phi))
    around = ranges(leaf.around)
    if isinstance(op, Nonlin):
        return body.expressions.vector(phi, grid, around, body.suffix(op.out.name))
    return body.expressions.value(phi, grid, around)


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

    Numbers and members are arrays that broadcast over them, and over the points if the result is of vectors.
    """

    __slots__ = ("emit", "nest", "vectors")

    def __init__(self, parent: Frame, nest: Sequence[Region], emit: Expressions, vectors: bool) -> None:
        behind = [len(nest) - 1 - k + vectors for k in range(len(nest))]
        values = {
            r.variable: f"jnp.arange({r.greatest})" + (f"[:{', None' * n}]" if n else "")
            for r, n in zip(nest, behind, strict=True)
        }
        super().__init__(parent=parent, variables=values)
        self.nest, self.emit, self.vectors = nest, emit, vectors

    def find(self, ref: Ref) -> Held:
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
        parts += [Py("None")] * (len(self.nest) - 1 - before + (self.vectors and not held.vector))
        return held.read(ref, parts)
