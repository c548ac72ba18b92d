"""Tables in factors as arrays of coefficients: what is emitted for them.

A row, or a column, of the array belongs to a vector, a place among `Slots`. Places of what is not made yet
have coefficients 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import Expr, Mul, OuterProduct, Ref, Value, is_vector, number
from tpc.core.factored import Slots
from tpc.core.program import OuterMul
from tpc.core.spectral import SpectralMap
from tpc.emit import python as py
from tpc.emit.python import Py
from tpc.emit.scopes import Frame
from tpc.emit.sums import Loops, Sums, depends, greatest

if TYPE_CHECKING:
    from tpc.emit.formulas import Expressions


def cell(emit: Expressions, x: OuterProduct, frame: Frame) -> Py:
    """One outer product: a coefficient 1 at its place."""
    rows, columns = (vector.ref for vector in x.parts if isinstance(vector, Value))
    slots = emit.factors_with(rows, columns)
    places = [emit.affine(_place(own, ref), frame) for own, ref in zip(slots, (rows, columns), strict=True)]
    return py.call("cells", _shape(slots), *places, py.call("jnp.ones", Py("()"), py.name("dtype")))


def sum_of_cells(sums: Sums, loops: Loops, body: Expr, frame: Frame, ranges: Ranges) -> Py | None:
    """A sum of outer products with coefficients: these at their places. None if it is something else."""
    emit = sums.emit
    factors = body.factors if isinstance(body, Mul) else (body,)
    outer = [f for f in factors if isinstance(f, OuterProduct)]
    scalars = [f for f in factors if not is_vector(f)]
    if len(outer) != 1 or len(scalars) + 1 != len(factors):
        return None
    rows, columns = (vector.ref for vector in outer[0].parts if isinstance(vector, Value))
    slots = emit.factors_with(rows, columns)
    moving = [f for f in scalars if any(depends(f, v) for v, _ in loops)]
    coefficients = sums.coefficients_of(moving, loops, frame, ranges)
    count = loops[0][1]
    if count.constant is None:
        coefficients = py.call("before", emit.affine(count, frame), coefficients)
    last = len(loops) - 1
    inner = Frame(
        parent=frame,
        variables={
            v: f"jnp.arange({greatest(n, ranges)})" + ("" if k == last else f"[:{', None' * (last - k)}]")
            for k, (v, n) in enumerate(loops)
        },
    )
    places = [emit.affine(_place(own, ref), inner) for own, ref in zip(slots, (rows, columns), strict=True)]
    found = py.call("cells", _shape(slots), *places, coefficients)
    still = [f for f in scalars if f not in moving]
    return sums.times(still, found, count, frame, ranges)


def product(emit: Expressions, op: OuterMul, frame: Frame) -> Py:
    """`Σ_ij C_ij x_i ⟨y_j, z⟩`, or transposed."""
    if not isinstance(op.vectors, OuterProduct):  # none has been made yet
        return emit.vector(number(0), frame, (), emit.space.sectors.suffix([op.out.name]))
    slots = emit.factored[op.table.name]
    near, far = (0, 1) if op.transposed else (1, 0)
    coefficients = emit.member(op.table, frame)
    x = emit.member(op.operand, frame)
    met = py.call(f"inner{emit.space.sectors.suffix([op.operand.name])}", _stack(emit, slots[near], frame), x)
    combined = py.matmul(met, coefficients) if op.transposed else py.matmul(coefficients, met)
    return py.matmul(combined, _stack(emit, slots[far], frame))


def spectral(emit: Expressions, x: SpectralMap, frame: Frame, ranges: Ranges) -> Py:
    """A function of singular values, by the inner products of rows and of columns."""
    assert isinstance(x.table, Value)
    slots = emit.factored[x.table.ref.name]
    grams = [_gram(emit, own, frame) for own in slots]
    table, *coefficients = (emit.value(part, frame, ranges) for part in (x.table, *x.coefficients))
    if x.function == "polar":
        return py.call("polar_in_factors", table, *grams)
    return py.call("newton_schulz_in_factors", table, *grams, py.integer(x.steps), *coefficients)


def _place(slots: Slots, ref: Ref) -> Affine:
    place = slots.place(ref)
    assert place is not None
    return place


def _shape(slots: tuple[Slots, Slots]) -> Py:
    return py.tuple_of([py.integer(own.count) for own in slots])


def _stack(emit: Expressions, slots: Slots, frame: Frame) -> Py:
    """The vectors of all places as one array [K, M], 0 where none is made yet."""
    parts = []
    for family in slots.families:
        free = tuple(Affine.var(f"{k}") for k in range(len(family.shape)))
        held = frame.find(Ref(family.name, free))
        whole = held.whole
        if len(family.shape) == 1:
            parts.append(whole)
        elif not family.shape:
            parts.append(Py(f"{whole.at(py.ATOM)}[None]"))
        else:
            parts.append(Py(f"{whole.at(py.ATOM)}.reshape(-1, {whole.at(py.ATOM)}.shape[-1])"))
    return parts[0] if len(parts) == 1 else py.call("jnp.concatenate", py.tuple_of(parts))


def _gram(emit: Expressions, slots: Slots, frame: Frame) -> Py:
    stacked = _stack(emit, slots, frame)
    suffix = emit.space.sectors.suffix([slots.families[0].name])
    return py.call("gram", stacked, py.name(f"weights{suffix}"))
