"""Loops that are one operation on arrays: each rule emits it and says so, or leaves the loop to others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.expr import Gather, Mul, Ref, Value
from tpc.core.program import Instruction, Moment, Nonlin, OuterNonlin, Product, Scalar
from tpc.core.storage import Leaf, Region
from tpc.core.traverse import ref_variables
from tpc.emit import python as py
from tpc.emit.identifiers import fixed_name
from tpc.emit.pointwise import on_whole_arrays
from tpc.emit.python import Assign, Py
from tpc.emit.round_arrays import covered, in_a_row, is_whole, put_together, stacked_axis
from tpc.emit.scatter import added, separated
from tpc.emit.scopes import Frame, MemberArray
from tpc.emit.stacked import along, slice_of
from tpc.emit.sums import SPARE
from tpc.plan.structure import Stacking, stacking

if TYPE_CHECKING:
    from tpc.emit.body import Body


def inner_products(body: Body, region: Region, frame: Frame) -> bool:
    """`c[s] = mean(x[s]*y) for s`, or `c[s, k] = mean(x[s, k]*y) for k for s`.

    One product of an array with a vector.
    """
    nest = region.nest()
    leaf = nest[-1].body[0]
    sides = (
        _one_moves(leaf, nest, body.expressions.tables)
        if len(nest[-1].body) == 1 and isinstance(leaf, Leaf)
        else None
    )
    if sides is None or not isinstance(leaf, Leaf):
        return False
    ref, other = sides
    source, held = frame.find(ref), frame.target(leaf.op.out)
    if held is None or not along(source, ref, nest) or not covered(held, leaf.op.out, nest, frame):
        return False
    parts = slice_of(body, source, ref, nest, frame)
    value = (
        _of_history(body, region, frame, (source, ref, parts), other)
        or _of_packed(body, frame, (source, ref, parts), other)
        or _of_array(body, region, frame, (source, ref, parts), other)
    )
    _assign_whole(body, held, value, leaf.op, nest, frame)
    return True


def _one_moves(leaf: Leaf, nest: Sequence[Region], tables: Collection[str]) -> tuple[Ref, Ref] | None:
    """The vectors of a mean of two of them of which just the first one depends on the rounds."""
    if not isinstance(leaf.op, Moment) or not isinstance(leaf.op.phi, Mul):
        return None
    factors = [
        f.ref for f in leaf.op.phi.factors if isinstance(f, Value) and f.vector and f.ref.name not in tables
    ]
    moving = [ref for ref in factors if ref_variables(ref) & {r.variable for r in nest}]
    if len(factors) != 2 or len(leaf.op.phi.factors) != 2 or len(moving) != 1:
        return None
    (other,) = (ref for ref in factors if ref is not moving[0])
    return moving[0], other


Read = tuple[
    MemberArray, Ref, list[Py]
]  # an array, the member that a round reads of it, and the index of all of them


def _of_history(body: Body, region: Region, frame: Frame, read: Read, other: Ref) -> Py | None:
    """The first steps of a history, if all that is kept of them is read."""
    source, ref, parts = read
    from_first = source.blocks and ref.index[source.kept[0]] == Affine.var(region.variable)
    if not from_first or not all(map(py.is_full, parts[1:])):
        return None
    count = body.expressions.affine(region.loop.count, frame)
    product = py.call("products", py.name(source.name), _weighted(body, other, frame), count)
    return product if py.is_full(parts[0]) else Py(f"{product.text}[:{region.greatest}]")


def _of_packed(body: Body, frame: Frame, read: Read, other: Ref) -> Py | None:
    """An array of vectors in 16 bits."""
    source, _, parts = read
    if not source.packed or not all(map(py.is_full, parts)):
        return None
    return py.call("inners", py.name(source.name), _weighted(body, other, frame))


def _of_array(body: Body, region: Region, frame: Frame, read: Read, other: Ref) -> Py:
    """A part of an array; all of it, a few rows too many, where that saves a copy."""
    source, ref, parts = read
    first = next(k for k, i in enumerate(source.rest(ref)) if region.variable in ref_variables(Ref("", (i,))))
    own = parts[first]
    spare = (
        isinstance(own, py.Slice)
        and own.start == 0
        and not own.whole
        and source.shape[source.kept[first]] <= region.greatest + SPARE
        and all(isinstance(part, py.Slice) for part in parts)
    )
    if spare:
        parts = [*parts[:first], py.FULL, *parts[first + 1 :]]
    member = body.expressions.member(other, frame)
    product = py.call(f"inner{body.suffix(other.name)}", source.part(parts), member)
    return Py(f"{product.text}[:{region.greatest}]") if spare else product


def _weighted(body: Body, ref: Ref, frame: Frame) -> Py:
    """A vector times the weights of the points."""
    weights = py.name(f"weights{body.suffix(ref.name)}")
    return py.product([weights, body.expressions.member(ref, frame)])


def _assign_whole(
    body: Body, held: MemberArray, value: Py, op: Instruction, nest: Sequence[Region], frame: Frame
) -> None:
    frame.statements.append(Assign((held.name,), value, body.comments.of(op, nest[::-1])))
    held.pending = False


def picked(body: Body, region: Region, frame: Frame) -> bool:
    """`c[i, k] = x[j[i], k] for k for i`, the members of an array that another one picks: one indexing."""
    nest = region.nest()
    leaf = nest[-1].body[0]
    if (
        len(nest[-1].body) != 1
        or not isinstance(leaf, Leaf)
        or isinstance(leaf.op, Product | OuterNonlin)
        or not isinstance(leaf.op.phi, Value)
    ):
        return False
    ref = leaf.op.phi.ref
    source, held = frame.find(ref), frame.target(leaf.op.out)
    index = source.rest(ref)
    if (
        held is None
        or not index
        or not isinstance(index[0], Gather)
        or not covered(held, leaf.op.out, nest, frame)
    ):
        return False
    rows = Ref(index[0].input, index[0].index)
    picks = frame.find(rows)
    first = [r for r in nest if r.variable in ref_variables(rows)]
    rest = nest[len(first) :]
    whole = all(
        i == Affine.var(r.variable) and source.shape[axis] == r.greatest
        for axis, i, r in zip(source.kept[1:], index[1:], rest, strict=False)
    )
    if (
        not first
        or first != nest[: len(first)]
        or len(index) != 1 + len(rest)
        or not whole
        or not along(picks, rows, first)
    ):
        return False
    picked = py.subscript(py.name(picks.name), slice_of(body, picks, rows, first, frame))
    frame.statements.append(
        Assign((held.name,), source.part([picked]), body.comments.of(leaf.op, nest[::-1]))
    )
    held.pending = False
    return True


def pointwise(body: Body, region: Region, frame: Frame) -> bool:
    """`x[i] = tanh(h[i]) for i`: the function of the whole array."""
    nest = region.nest()
    leaf = nest[-1].body[0]
    held = frame.target(leaf.op.out) if isinstance(leaf, Leaf) and len(nest[-1].body) == 1 else None
    if held is None or not isinstance(leaf, Leaf):
        return False
    by_axis = [r for i in held.rest(leaf.op.out) for r in nest if i == Affine.var(r.variable)]
    nest = by_axis if len(by_axis) == len(nest) else nest
    complete = covered(held, leaf.op.out, nest, frame)
    lie = stacking(leaf, region, body.parts.storage[leaf.op.out.name])
    if not complete:
        apart = lie is not None and not lie.rest and in_a_row(region, lie)
        if len(nest) > 1 or lie is None or not apart or stacked_axis(region, held, lie):
            return False
    value = on_whole_arrays(body, leaf, nest, frame)
    if value is None:
        return False
    if complete:
        held.pending = False
        if _is_given(body, leaf.op, value, frame):
            held.name = value.text
        else:
            comment = body.comments.of(leaf.op, nest[::-1])
            frame.statements.append(Assign((held.name,), value, comment))
        return True
    comment = body.comments.of(leaf.op, nest[::-1])
    assert lie is not None
    fixed = {**held.fixed, **{a: i for a, i in lie.fixed.items() if a in held.kept}}
    name = body.names.fresh(fixed_name(held.family, fixed))
    frame.statements.append(Assign((name,), value, comment))
    put_together(body, leaf, region, frame, held, lie, name)
    return True


def _is_given(body: Body, op: Instruction, value: Py, frame: Frame) -> bool:
    """Whether what an instruction makes is an array of Gaussians or an input itself.

    Nothing writes to these.
    """
    if not isinstance(op, Nonlin | Scalar) or not isinstance(op.phi, Value):
        return False
    source = frame.find(op.phi.ref)
    return source.family in body.given and value == py.name(source.name)


def scattered(body: Body, region: Region, frame: Frame) -> bool:
    """Terms that are 0 but at one member, `onehot(j)`: all others first, these where they belong."""
    others, additions = separated(region, {i.name for i in body.program.inputs if i.bound is not None})
    leaf = region.body[0]
    held = frame.target(leaf.op.out) if additions and isinstance(leaf, Leaf) else None
    if held is None or len(held.kept) != 1:
        return False
    body.parallel.each(others, frame)
    added(body.expressions, held, region, additions, frame, body.suffix(held.family))
    return True


def copies(
    body: Body,
    region: Region,
    mapped: Sequence[tuple[MemberArray, Py, int, Ref]],
    made: Sequence[tuple[MemberArray, Stacking, MemberArray]],
    frame: Frame,
) -> bool:
    """`x[j] = u[j] for j`: the array itself."""
    if len(region.body) != 1 or not isinstance(region.body[0], Leaf) or len(made) != 1 or len(mapped) != 1:
        return False
    op = region.body[0].op
    held, lie, local = made[0]
    source, value, position, _ = mapped[0]
    if not isinstance(op, Nonlin) or not isinstance(op.phi, Value) or source.kept or local.kept or position:
        return False
    if not is_whole(region, frame, held, lie):
        return False
    if _is_given(body, op, value, frame):
        held.name = value.text
    else:
        comment = body.comments.of(op, [region])
        frame.statements.append(Assign((held.name,), value, comment))
    held.pending, held.packed = False, source.packed
    return True


RULES = (inner_products, picked, scattered, pointwise)
