"""Matrices that are only multiplied with, and so are never drawn.

A matrix is what it has been asked: orthonormal directions of both its sides and what it sends them to. What
is asked next is drawn given that (conditioning, Bolthausen 2014; for message passing Lu, "Householder dice",
2021). By the helpers of emitted modules, on the coordinates of a width as independent points of weight 1/n,
this is the law of a Gaussian matrix exactly, at any width: where all directions of a side have been met,
nothing is left to chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tpc.core.affine import Affine, bounds
from tpc.core.program import For, MatMul, Matrix, Program, instructions, loop_ranges
from tpc.core.traverse import op_variables
from tpc.emit.helpers import bases, batches
from tpc.plan.gaussians import Side
from tpc.plan.matrix_members import multiplied

Chain = tuple[Any, ...]  # of a side of a matrix, [*axes] of them for a family: the basis it has met
# the squared norm of what is new of a vector that is taken for rounding is that of this, relative
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}
ROWS = 64  # vectors that are multiplied at once
AT_ONCE = 1 << 16  # numbers that are drawn at once


@dataclass(frozen=True, slots=True)
class Asked:
    """What never changes of a matrix that is not drawn."""

    matrix: Matrix
    # of √columns W, [*axes]
    sigma: Any
    rows: int
    columns: int
    tolerance: float

    def product(self, xs: Any, near: Chain, far: Chain, at: Sequence[Any], *, transposed: bool) -> Any:
        """`W x`, or `Wᵀ x`, of each of `xs` [B, n]; and the chain `near` that the side has met then.

        near, far: those of the side that multiplies and of the other one, of the member `at`.
        """
        root = math.sqrt(self.rows / self.columns)
        sigma = jnp.asarray(self.sigma)[tuple(at)]
        scale, ratio = (sigma * root, root) if transposed else (sigma, 1 / root)
        into, out = (self.rows, self.columns) if transposed else (self.columns, self.rows)
        weights, freed = (jnp.full(n, 1 / n, xs.dtype) for n in (into, out))
        sizes = jnp.max(jnp.abs(xs), axis=1, keepdims=True)  # squares of what is tiny or huge are no numbers
        units = jnp.where((sizes > 0) & jnp.isfinite(sizes), sizes, 1)
        if len(xs) == 1:
            y, near = bases.multiply(near, far, (xs / units)[0], scale, ratio, weights, self.tolerance, freed)
            return y[None] * units, near

        def some(near: Chain, part: Any) -> tuple[Chain, Any]:
            y, near = batches.multiply_all(near, far, part, scale, ratio, weights, self.tolerance, freed)
            return near, y

        turns = -(-len(xs) // ROWS)
        if turns == 1:
            near, y = some(near, xs / units)
            return y * units, near
        padded = jnp.pad(xs / units, ((0, turns * ROWS - len(xs)), (0, 0)))
        near, y = lax.scan(some, near, padded.reshape(turns, ROWS, -1))
        return y.reshape(turns * ROWS, -1)[: len(xs)] * units, near


def capacities(program: Program, sizes: Mapping[str, int], free: Collection[str]) -> dict[Side, int]:
    """The directions that each side of the matrices `free` may meet, of a family the one that meets most.

    A vector that several rounds or instructions multiply is counted once for each variable in its index.
    """
    matrices = {m.name: m for m in program.matrices if m.name in free}
    met: dict[Side, np.ndarray] = {}
    for op, loops in instructions(program.body):
        if isinstance(op, MatMul) and op.matrix.name in matrices:
            shape = tuple(count for _, count in matrices[op.matrix.name].axes)
            side = op.matrix.name, op.transposed
            times = multiplied(op, shape, _own_loops(op, loops))
            met[side] = met[side] + times if side in met else times
    out = {}
    for (name, transposed), times in met.items():
        matrix = matrices[name]
        into = sizes[matrix.rows if transposed else matrix.columns]
        out[name, transposed] = min(int(times.max(initial=0)), into)
    return out


def _own_loops(op: MatMul, loops: Sequence[For]) -> tuple[For, ...]:
    """The loops whose variable the product depends on, with their greatest counts."""
    variables, ranges = op_variables(op), loop_ranges(tuple(loops))
    return tuple(
        replace(loop, count=Affine(max(0, bounds(loop.count, ranges[:k])[1])))
        for k, loop in enumerate(loops)
        if loop.variable in variables
    )


def met_by(matrix: str, transposed: bool) -> str:
    """The name of what a side of a matrix has met, among those of families, which have no spaces."""
    return f"{matrix} met by its {'rows' if transposed else 'columns'}"


def unasked(
    key: Any,
    matrix: Matrix,
    capacity: Mapping[Side, int],
    sizes: Mapping[str, int],
    dtype: Any,
    share: Callable[[Any], Any] = lambda array: array,
) -> dict[str, Chain]:
    """Both sides of a matrix, or of a family, before any product; a side that never multiplies is ().

    share: shares an array out over devices along its last axis.
    """
    axes = tuple(count for _, count in matrix.axes)
    out: dict[str, Chain] = {}
    for transposed in (False, True):
        side = met_by(matrix.name, transposed)
        n, into = sizes[matrix.rows], sizes[matrix.columns]
        n, into = (into, n) if transposed else (n, into)
        count = math.prod(axes) * capacity.get((matrix.name, transposed), 0)
        out[side] = ()
        if count:
            own = jax.random.fold_in(key, int(transposed))

            def row(k: Any, own: Any = own, n: int = n) -> Any:
                return share(jax.random.normal(jax.random.fold_in(own, k), (n,), dtype))

            g = lax.map(row, jnp.arange(count), batch_size=max(1, min(count, AT_ONCE // n)))
            empty = bases.basis(share(g), *axes, size=into)
            out[side] = (empty._replace(p=tuple(share(block) for block in empty.p)),)
    return out


def multiply_members(
    asked: Asked, xs: Any, near: Chain, far: Chain, index: Sequence[Any], *, transposed: bool
) -> tuple[Any, Chain]:
    """The product of a member of a family with each of `xs` [*axes, n], and the chain `near` then.

    index: of the member, for each axis of the family a number or an array of the rank of the axes. Axes along
    which the member differs are gone along one by one.
    """
    rank = xs.ndim - 1
    arrays = [jnp.asarray(i) for i in index]
    along = [axis for axis in range(rank) if any(a.ndim == rank and a.shape[axis] > 1 for a in arrays)]
    if not along:
        at = [a.reshape(()) for a in arrays]
        own, other = (bases.member(c, *at) if at else c for c in (near, far))
        y, own = asked.product(xs.reshape(-1, xs.shape[-1]), own, other, at, transposed=transposed)
        near = bases.family(own)
        return y.reshape(*xs.shape[:-1], -1), near
    lengths = [max([xs.shape[axis], *(a.shape[axis] for a in arrays if a.ndim == rank)]) for axis in along]
    shape = list(xs.shape)
    for axis, length in zip(along, lengths, strict=True):
        shape[axis] = length
    order = [*along, *(axis for axis in range(rank) if axis not in along)]
    moved = jnp.transpose(jnp.broadcast_to(xs, shape), [*order, rank])
    rest = moved.shape[len(along) : -1]
    places = [
        jnp.broadcast_to(
            jnp.transpose(a, order).reshape(a.shape[axis] for axis in along) if a.ndim == rank else a, lengths
        ).ravel()
        for a in arrays
    ]

    def one(near: Chain, part: tuple[Any, ...]) -> tuple[Chain, Any]:
        x, *at = part
        own, other = bases.member(near, *at), bases.member(far, *at)
        y, own = asked.product(x, own, other, at, transposed=transposed)
        return bases.family(own), y

    flat = moved.reshape(math.prod(lengths), math.prod(rest), -1)
    near, y = lax.scan(one, near, (flat, *places))
    y = y.reshape(*lengths, *rest, -1)
    return jnp.transpose(y, [*np.argsort(order), rank]), near
