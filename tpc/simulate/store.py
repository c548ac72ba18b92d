"""Reading and writing members of a history array, at an index that may run along axes.

It takes slices where it can, else gather and scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from tpc.core.affine import Affine, bounds
from tpc.simulate.standing import Bindings


def read(family: Any, index: Sequence[Any], frame: Bindings) -> Any:
    """The members at `index`.

    A dimension per axis of `frame` (of length 1 where `index` does not depend on it), then the rest of
    `family`'s.

    index: an Affine, or an array of integers of rank `len(frame.axes)` (or 0), for each of the first
    dimensions.
    """
    rest = family.shape[len(index) :]
    along = _slices(family.shape, index, frame)
    if along is None:
        arrays = [_grid(i, frame) for i in index]
        picked = family.at[tuple(arrays)].get(mode="clip")
        return picked.reshape((1,) * (len(frame.axes) + len(rest) - picked.ndim) + picked.shape)
    sizes = [1 if axis is None else frame.extents[axis] for axis in along]
    block = lax.dynamic_slice(family, _starts(index, along, frame, len(rest)), [*sizes, *rest])
    used = [axis for axis in along if axis is not None]
    block = block.reshape([*(frame.extents[axis] for axis in used), *rest])
    order = sorted(range(len(used)), key=used.__getitem__)
    block = jnp.transpose(block, [*order, *range(len(used), len(used) + len(rest))])
    return block.reshape(
        [*(frame.extents[axis] if axis in used else 1 for axis in range(len(frame.axes))), *rest]
    )


def write(family: Any, index: Sequence[Any], frame: Bindings, value: Any) -> Any:
    """`family` with the members at `index` set to `value`, where `frame` is not masked.

    Shapes as in `read`.
    """
    rest = family.shape[len(index) :]
    if not index:
        return jnp.broadcast_to(value.reshape(value.shape[len(frame.axes) :]), rest)
    full = jnp.broadcast_to(value, (*frame.extents, *rest))
    along = _slices(family.shape, index, frame)
    if along is None or any(extent > 1 for axis, extent in enumerate(frame.extents) if axis not in along):
        return _scattered(family, index, frame, full)
    if frame.mask is not None:
        mask = frame.mask.reshape(frame.mask.shape + (1,) * len(rest))
        full = jnp.where(mask, full, read(family, index, frame))
    used = [axis for axis in along if axis is not None]
    block = full.reshape([*(frame.extents[axis] for axis in sorted(used)), *rest])
    order = [sorted(used).index(axis) for axis in used]
    block = jnp.transpose(block, [*order, *range(len(used), len(used) + len(rest))])
    block = block.reshape([*(1 if axis is None else frame.extents[axis] for axis in along), *rest])
    return lax.dynamic_update_slice(family, block, _starts(index, along, frame, len(rest)))


def _scattered(family: Any, index: Sequence[Any], frame: Bindings, full: Any) -> Any:
    arrays = [jnp.broadcast_to(_grid(i, frame), frame.extents) for i in index]
    if frame.mask is not None:  # past the end, where it is dropped
        arrays[0] = jnp.where(frame.mask, arrays[0], family.shape[0])
    return family.at[tuple(arrays)].set(full, mode="drop")


def _grid(index: Any, frame: Bindings) -> Any:
    return jnp.asarray(frame.value(index) if isinstance(index, Affine) else index)


def _starts(index: Sequence[Affine], along: Sequence[int | None], frame: Bindings, rest: int) -> list[Any]:
    """Where the slice begins: an index along an axis begins at 0 of the axis."""
    first = [
        i if axis is None else i - Affine.var(frame.axes[axis]) for i, axis in zip(index, along, strict=True)
    ]
    return [
        *(jnp.asarray(frame.value(i)).astype(jnp.int32) for i in first),
        *(jnp.int32(0) for _ in range(rest)),
    ]


def _slices(shape: Sequence[int], index: Sequence[Any], frame: Bindings) -> list[int | None] | None:
    """For each index the axis of `frame` that it runs along with step 1, None for none.

    No list if the members are not one slice in bounds.
    """
    along: list[int | None] = []
    for i, length in zip(index, shape, strict=False):
        if not isinstance(i, Affine):
            return None
        own = [frame.axes.index(variable) for variable, _ in i.terms if variable in frame.axes]
        low, high = bounds(i, frame.ranges)
        if len(own) > 1 or (
            own and (own[0] in along or i.coefficient(frame.axes[own[0]]) != 1 or low < 0 or high >= length)
        ):
            return None
        along.append(own[0] if own else None)
    return along
