"""How what the rounds of a loop make lies in arrays, and how it is put there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.expr import Ref
from tpc.core.storage import Leaf, Region
from tpc.emit import python as py
from tpc.emit.python import Assign, Py
from tpc.emit.scopes import Frame, MemberArray
from tpc.emit.stacked import at_hand, put, where_there
from tpc.plan.structure import Stacking

if TYPE_CHECKING:
    from tpc.emit.body import Body


def in_a_row(region: Region, lie: Stacking) -> bool:
    """Whether the rounds' members are a slice of the array."""
    return region.loop.count.constant is not None and not (lie.index - Affine.var(region.variable)).variables


def stacked_axis(region: Region, held: MemberArray, lie: Stacking) -> int:
    """Where the rounds come in the value that is written.

    NumPy puts indexed axes first unless they are neighbours, and slices where they are.
    """
    if in_a_row(region, lie):
        return [a for a in held.kept if a == lie.axis or a in lie.rest].index(lie.axis)
    indexed = [k for k, a in enumerate(held.kept) if a not in lie.rest]
    return indexed[0] if indexed[-1] - indexed[0] == len(indexed) - 1 else 0


def covered(held: MemberArray, ref: Ref, nest: Sequence[Region], frame: Frame) -> bool:
    """Whether what the nest makes is all of the array, in its order, which nothing else has begun."""
    return (
        held.pending
        and held.writers == 1
        and held.frame is frame
        and len(held.kept) == len(nest)
        and all(
            i == Affine.var(r.variable) and held.shape[axis] == r.greatest
            for axis, i, r in zip(held.kept, held.rest(ref), nest, strict=True)
        )
    )


def is_whole(region: Region, frame: Frame, held: MemberArray, lie: Stacking) -> bool:
    """Whether what the rounds make is all of the array, which nothing else has begun."""
    complete = (
        lie.index == Affine.var(region.variable)
        and held.shape[lie.axis] == region.greatest
        and not set(lie.fixed) & set(held.kept)
    )
    return complete and held.pending and held.writers == 1 and held.frame is frame


def _places_of_rounds(body: Body, region: Region, frame: Frame, length: int, lie: Stacking) -> tuple[Py, str]:
    """Where the rounds' members lie on their axis, and how to drop those of rounds that there are not."""
    if in_a_row(region, lie):
        return py.part(lie.index.const, region.greatest, length), ""
    steps = f"jnp.arange({region.greatest})"
    place = body.expressions.affine(lie.index, Frame(parent=frame, variables={region.variable: steps}))
    if region.loop.count.constant is not None:
        return place, ""
    count = body.expressions.affine(region.loop.count, frame)
    return where_there(place, steps, count, length), ', mode="drop"'


def put_together(
    body: Body, leaf: Leaf, region: Region, frame: Frame, held: MemberArray, lie: Stacking, made: str
) -> None:
    """Writes the members that all rounds have made into the array."""
    held.ready()
    place, drop = _places_of_rounds(body, region, frame, held.shape[lie.axis], lie)
    index = [
        place if a == lie.axis else py.FULL if a in lie.rest else body.expressions.index(lie.fixed[a], frame)
        for a in held.kept
    ]
    frame.statements.append(Assign((held.name,), put(held, index, made, drop)))
    frame.changes(held)
    if in_a_row(region, lie) and not lie.rest:
        at_hand(held, leaf.op.out, [region], made, frame)
