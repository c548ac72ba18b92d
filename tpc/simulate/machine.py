"""The program's instructions on JAX arrays.

Families are history arrays, loops are `fori_loop`s or array axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
from jax import lax

from tpc.core.affine import Affine
from tpc.core.dependence import is_parallel
from tpc.core.expr import (
    Add,
    Expr,
    Extent,
    Gather,
    Mul,
    OuterProduct,
    Position,
    Ref,
    Sum,
    Value,
    is_vector,
    summed,
    walk,
)
from tpc.core.numeric import Namespace, evaluate
from tpc.core.program import (
    Family,
    For,
    Instruction,
    MatMul,
    Moment,
    Nonlin,
    Op,
    OuterMul,
    OuterNonlin,
    Output,
    instructions,
)
from tpc.core.spectral import SpectralMap, mapped
from tpc.simulate.contract import contract
from tpc.simulate.matrix_free import Asked, met_by, multiply_members
from tpc.simulate.one_by_one import one_by_one
from tpc.simulate.rolling import Rolling, places
from tpc.simulate.standing import Bindings
from tpc.simulate.store import read, write

JAX = Namespace(jnp, jax.scipy.special)
MAX_TERMS = 1 << 23  # a sum with more summands than this (times coordinates) is added up one by one
Env = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Machine:
    """Executes instructions.

    What has been computed is an `Env`: families by name, [*shape, n] for vectors, [*shape] for scalars and
    [*shape, n, m] for tables; and what the sides of matrices have met that are not drawn (`met_by`). An
    expression has so many axes of entries: 2 in a table, 1 in a vector, else 0.
    """

    # n by name of width
    widths: Mapping[str, int]
    # by name, [*axes, rows, columns], or what is known of one that is not drawn
    matrices: Mapping[str, Any | Asked]
    # what the instructions make
    families: Mapping[str, Family]
    dtype: Any
    # their axes that are not kept whole
    rolling: Mapping[str, tuple[Rolling, ...]] = field(default_factory=dict)

    def run(self, body: Sequence[Op], env: Env, frame: Bindings) -> Env:
        for op in body:
            env = self._loop(op, env, frame) if isinstance(op, For) else self._instruction(op, env, frame)
        return env

    def output(self, output: Output, env: Env) -> Any:
        """The value of an output, an array over its axes."""
        if 0 in output.shape:
            return jnp.zeros(output.shape)
        frame = Bindings()
        for variable, count in output.axes:
            frame = frame.along(variable, Affine(count))
        return jnp.broadcast_to(
            read(env[output.ref.name], self._indices(output.ref, env, frame), frame), output.shape
        )

    # loops

    def _loop(self, loop: For, env: Env, frame: Bindings) -> Env:
        if frame.greatest(loop.count) == 0:
            return env
        if is_parallel(loop, frame.ranges):
            deeper = frame.along(loop.variable, loop.count)
            return self.run(loop.body, env, deeper)
        return self._rounds(loop, env, frame)

    def _rounds(self, loop: For, env: Env, frame: Bindings) -> Env:
        ops = [op for op, _ in instructions(loop.body)]
        sides = [met_by(op.matrix.name, op.transposed) for op in ops if isinstance(op, MatMul)]
        carried = dict.fromkeys([*(op.out.name for op in ops), *(side for side in sides if side in env)])
        start = {name: env[name] if name in env else self._unset(name) for name in carried}
        rounds = frame.greatest(loop.count) if frame.varies(loop.count) else frame.value(loop.count)

        def body(i: Any, carry: dict[str, Any]) -> dict[str, Any]:
            made = self.run(loop.body, {**env, **carry}, frame.in_round(loop.variable, loop.count, i))
            return {name: made[name] for name in carried}

        return {**env, **lax.fori_loop(0, rounds, body, start)}

    def _unset(self, name: str) -> Any:
        family = self.families[name]
        trailing = tuple(self.widths[width] for width in family.widths)
        return jnp.zeros((*places(family, self.rolling.get(name, ())), *trailing), self.dtype)

    # instructions

    def _instruction(self, op: Instruction, env: Env, frame: Bindings) -> Env:
        match op:
            case MatMul():
                value, env = self._product(op, env, frame)
            case OuterMul():
                value = self._table_product(op, env, frame)
            case Moment():
                value = self._mean(op.phi, env, frame)
            case _:
                entries = 2 if isinstance(op, OuterNonlin) else int(isinstance(op, Nonlin))
                value = self.value(op.phi, env, frame, entries=entries)
        family = env[op.out.name] if op.out.name in env else self._unset(op.out.name)
        return {
            **env,
            op.out.name: write(family, self._indices(op.out, env, frame), frame, value.astype(self.dtype)),
        }

    def _product(self, op: MatMul, env: Env, frame: Bindings) -> tuple[Any, Env]:
        """`W x` for all x along the axes in one product: [*axes, columns] to [*axes, rows]."""
        x = read(env[op.operand.name], self._indices(op.operand, env, frame), frame)
        stored = self.matrices[op.matrix.name]
        if isinstance(stored, Asked):
            return self._asked(op, stored, x, env, frame)
        return self._multiplied(op, stored, x, env, frame), env

    def _asked(self, op: MatMul, asked: Asked, x: Any, env: Env, frame: Bindings) -> tuple[Any, Env]:
        """The same of a matrix that is not drawn. Rounds that are not real ask it nothing."""
        if frame.mask is not None:
            alike = [axis for axis, extent in enumerate(x.shape[:-1]) if extent == 1]
            x = jnp.where(jnp.any(frame.mask, axis=alike, keepdims=True)[..., None], x, 0)
        index = self._indices(op.matrix, env, frame)
        side, other = (
            met_by(op.matrix.name, transposed) for transposed in (op.transposed, not op.transposed)
        )
        y, near = multiply_members(
            asked,
            x,
            env[side],
            env[other],
            [frame.value(i) if isinstance(i, Affine) else i for i in index],
            transposed=op.transposed,
        )
        return y, {**env, side: near}

    def _multiplied(self, op: MatMul, stored: Any, x: Any, env: Env, frame: Bindings) -> Any:
        if not op.matrix.index:
            return lax.dot_general(
                x, stored, (((x.ndim - 1,), (0 if op.transposed else 1,)), ((), ())), precision="highest"
            )
        w = read(stored, self._indices(op.matrix, env, frame), frame)
        if math.prod(w.shape[:-2]) == 1:
            w = w.reshape(w.shape[-2:])
            return lax.dot_general(
                x, w, (((x.ndim - 1,), (0 if op.transposed else 1,)), ((), ())), precision="highest"
            )
        w = jnp.swapaxes(w, -1, -2) if op.transposed else w
        return jnp.matmul(w, x[..., None], precision="highest")[..., 0]

    def _table_product(self, op: OuterMul, env: Env, frame: Bindings) -> Any:
        """`(1/m) Σ_β A_αβ x_β` for all x along the axes."""
        x = read(env[op.operand.name], self._indices(op.operand, env, frame), frame)
        table = read(env[op.table.name], self._indices(op.table, env, frame), frame)
        n = x.shape[-1]
        if math.prod(table.shape[:-2]) == 1:
            table = table.reshape(table.shape[-2:])
            near = ((x.ndim - 1,), (0 if op.transposed else 1,))
            return lax.dot_general(x, table, (near, ((), ())), precision="highest") / n
        table = jnp.swapaxes(table, -1, -2) if op.transposed else table
        return jnp.matmul(table, x[..., None], precision="highest")[..., 0] / n

    def _mean(self, phi: Expr, env: Env, frame: Bindings) -> Any:
        """`(1/n) Σ_α φ`, a matrix product if φ is a product of vectors over different axes."""
        if any(self._entries(node) == 2 for node in walk(phi)):
            table = self.value(phi, env, frame, entries=2)
            return jnp.mean(table, axis=(-2, -1))
        factors = [
            self.value(factor, env, frame, entries=1)
            for factor in (phi.factors if isinstance(phi, Mul) else (phi,))
        ]
        n = max(factor.shape[-1] for factor in factors)
        return contract(factors, [len(frame.axes)])[..., 0] / n

    # expressions

    def value(self, x: Expr, env: Env, frame: Bindings, *, entries: int) -> Any:
        """The value of an expression.

        It has the rank `len(frame.axes)`, and then one axis of coordinates, or two of a table's (of length 1
        if all are equal).
        """
        rank = len(frame.axes) + entries

        def leaf(node: Expr) -> Any | None:
            match node:
                case Value(ref, _):
                    members = read(env[ref.name], self._indices(ref, env, frame), frame)
                    return self._raised(members, entries - self._entries(node))
                case Position(index):
                    return self._positioned(frame.value(index), rank, entries)
                case Extent(width):
                    return self._positioned(self.widths[width], rank, entries)
                case OuterProduct():
                    return math.prod(self._sides(node, env, frame))
                case SpectralMap():
                    return self._spectral(node, env, frame)
                case Sum():
                    own = entries if is_vector(node) else 0
                    return self._raised(self._sum(node, env, frame, own), entries - own)
            return None

        out = jnp.asarray(evaluate(x, leaf, JAX), self.dtype)
        return out.reshape((1,) * rank) if out.ndim == 0 else out

    def _spectral(self, node: SpectralMap, env: Env, frame: Bindings) -> Any:
        """A function of tables, [*axes, n, m], as matrices."""
        tables = [self.value(part, env, frame, entries=2) for part in node.tables]
        operators = [table / math.sqrt(math.prod(table.shape[-2:])) for table in tables]
        raised = [self._raised(self.value(x, env, frame, entries=0), 2) for x in node.coefficients]
        count = len(tables)

        def function(*arrays: Any) -> Any:
            return mapped(jnp, node, arrays[:count], arrays[count:])

        with jax.default_matmul_precision("highest"):
            alone = node.signature.decomposes
            found = (one_by_one(function) if alone else function)(*operators, *raised)
        return found * math.sqrt(math.prod(found.shape[-2:]))

    def _entries(self, x: Expr) -> int:
        """How many axes of entries a value of the program has, or an outer product."""
        if isinstance(x, OuterProduct):
            return 2
        if not isinstance(x, Value) or not x.vector:
            return 0
        return 2 if x.ref.name in self.families and self.families[x.ref.name].columns else 1

    def _sides(self, node: OuterProduct, env: Env, frame: Bindings) -> tuple[Any, Any]:
        """The two factors of an outer product, [*axes, rows, 1] and [*axes, 1, columns]."""
        rows, columns = (
            self.value(part, env, frame, entries=int(is_vector(part))) for part in (node.rows, node.columns)
        )
        return (
            self._raised(rows, 1 if is_vector(node.rows) else 2),
            columns[..., None, :] if is_vector(node.columns) else self._raised(columns, 2),
        )

    def _raised(self, value: Any, more: int) -> Any:
        value = value.astype(self.dtype)
        return value[(..., *(None,) * more)] if more else value

    def _positioned(self, value: Any, rank: int, entries: int) -> Any:
        value = jnp.asarray(value, self.dtype)
        return value.reshape((1,) * rank) if value.ndim == 0 else self._raised(value, entries)

    def _sum(self, node: Sum, env: Env, frame: Bindings, entries: int) -> Any:
        """`Σ_{i<count} body`, sums directly inside it included.

        All summands at once if that is not too much, else one by one.
        """
        if entries == 2 and isinstance(node.body, Add):
            parts_of_it = (summed(node.variable, node.count, term) for term in node.body.terms)
            return sum(self.value(part, env, frame, entries=2) for part in parts_of_it)
        inner, body, first = replace(frame, mask=None), node, len(frame.axes)
        while True:
            inner = inner.along(body.variable, body.count)
            if not isinstance(body.body, Sum):
                break
            body = body.body
        terms = math.prod(inner.extents[first:])
        if terms == 0:
            return jnp.zeros((1,) * (first + entries), self.dtype)
        parts = body.body.factors if isinstance(body.body, Mul) else (body.body,)
        if (
            len(parts) == 1
            and terms * math.prod(frame.extents) * max(self.widths.values(), default=1) ** entries > MAX_TERMS
            and not isinstance(body.body, OuterProduct)
        ):
            return self._sum_in_rounds(node, env, frame, entries)
        factors = [factor for part in parts for factor in self._factors(part, env, inner, entries)]
        if inner.mask is not None:
            factors.append(self._raised(inner.mask, entries))
        summed = range(first, len(inner.axes))
        repeats = math.prod(
            inner.extents[axis] for axis in summed if all(factor.shape[axis] == 1 for factor in factors)
        )
        total = contract(factors, summed) * repeats
        return total.reshape(total.shape[:first] + total.shape[len(inner.axes) :])

    def _factors(self, part: Expr, env: Env, inner: Bindings, entries: int) -> list[Any]:
        """A factor of a summand, the two sides of an outer product apart, with 0 where nothing real is.

        What is computed there from unset members may be no number, and is not to be multiplied by 0.
        """
        found = (
            [*self._sides(part, env, inner)]
            if isinstance(part, OuterProduct)
            else [self.value(part, env, inner, entries=entries)]
        )
        if inner.mask is None or isinstance(part, Value):
            return found
        mask = inner.mask[(..., *(None,) * entries)]
        return [jnp.where(mask, value, 0) for value in found]

    def _sum_in_rounds(self, node: Sum, env: Env, frame: Bindings, entries: int) -> Any:
        def body(i: Any, total: Any) -> Any:
            inner = replace(frame, mask=None).in_round(node.variable, node.count, i)
            term = self.value(node.body, env, inner, entries=entries)
            return total + (
                term if inner.mask is None else jnp.where(inner.mask[(..., *(None,) * entries)], term, 0)
            )

        shape = jax.eval_shape(
            lambda: body(0, jnp.zeros((1,) * (len(frame.axes) + entries), self.dtype))
        ).shape
        rounds = frame.greatest(node.count) if frame.varies(node.count) else frame.value(node.count)
        return lax.fori_loop(0, rounds, body, jnp.zeros(shape, self.dtype))

    # members

    def _indices(self, ref: Ref, env: Env, frame: Bindings) -> list[Any]:
        """The indices of a reference into its family's array.

        Affine ones as they are, gathered ones as numbers or arrays.
        """
        found = [
            read(env[i.input], self._indices(Ref(i.input, i.index), env, frame), frame)
            if isinstance(i, Gather)
            else i
            for i in ref.index
        ]
        for axis in self.rolling.get(ref.name, ()):
            place = axis.place(ref.index[axis.axis])
            at = found[axis.axis]
            found[axis.axis] = (
                (frame.value(at) if isinstance(at, Affine) else at) % axis.period if place is None else place
            )
        return found
